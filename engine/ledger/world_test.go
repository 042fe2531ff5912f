package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/objects"
	"github.com/tidemill/tidemill/engine/parquet"
)

// world is a writer over a simulated disk, and what its data folder notes.
type world struct {
	sim   *env.Sim
	store objects.Store
	life  int
	table *Ledger
	now   int64 // us
}

const grace = 100

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{sim: env.NewSim(1)}
	var err error
	if w.store, err = objects.Open(w.sim.Env(), objects.Config{Place: "/lake"}); err != nil {
		t.Fatal(err)
	}
	return w
}

// open opens the table, as after a start.
func (w *world) open() error {
	var err error
	w.table, err = Open(context.Background(), w.sim.Env(), w.store, Options{Table: "t", Life: w.life, Grace: grace, Note: func(life int) error {
		w.life = life
		return nil
	}})
	if err != nil {
		return err
	}
	return w.table.Tidy(context.Background())
}

// fileOf makes a file of numbers, and its entry.
func fileOf(l *Ledger, place uint64, dir string, numbers ...string) (File, []byte, error) {
	schema := arrow.NewSchema([]arrow.Field{{Name: "device", Type: arrow.BinaryTypes.String, Nullable: true}, {Name: "n", Type: arrow.PrimitiveTypes.Int64, Nullable: true}}, nil)
	build := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	for _, x := range numbers {
		n, _ := strconv.ParseInt(x, 10, 64)
		build.Field(0).(*array.StringBuilder).Append("d" + strconv.FormatInt(n%3, 10))
		build.Field(1).(*array.Int64Builder).Append(n)
	}
	batch := build.NewRecordBatch()
	e, err := parquet.NewEncoder(batch.Schema())
	if err != nil {
		return File{}, nil, err
	}
	var refs []parquet.Ref
	for i := range numbers {
		refs = append(refs, parquet.Ref{Row: uint32(i)})
	}
	n, err := strconv.ParseInt(numbers[0], 10, 64)
	f := File{Name: l.FileName(dir, place), Rows: int64(len(numbers)), Schema: "s", From: place, To: place + 1, MinTime: n, MaxTime: n,
		Offsets: []Offsets{{Partition: 0, From: n, To: n}}, Plans: []string{"plan"}, Plugins: []string{"plugin" + numbers[0]}}
	data := e.Encode(nil, []arrow.RecordBatch{batch}, refs, nil)
	f.Bytes, f.Checksum = int64(len(data)), objects.Checksum(data)
	return f, data, err
}

// do does a step of a script:
//
//	put FOLDER N...   a file with these numbers, published unless it is already
//	merge             two small files or more become one
//	show, sweep       those whose time has come
//	retire N          files whose numbers are all below N
//	wait              the grace period passes
func (w *world) do(step string, place uint64) error {
	ctx, words := context.Background(), strings.Fields(step)
	var err error
	switch words[0] {
	case "put":
		if place < w.table.Next() {
			return nil
		}
		f, data, err := fileOf(w.table, place, words[1], words[2:]...)
		if err == nil {
			err = w.table.Put(ctx, f.Name, data)
		}
		if err == nil {
			err = w.table.Publish(ctx, []File{f}, []Column{{Name: "device", Type: "string"}, {Name: "n", Type: "integer"}}, place+1)
		}
		return err
	case "merge":
		_, err = w.table.Compact(ctx, Merging{Files: 2, Rows: 100, Sort: "device"}, w.now)
	case "show":
		_, err = w.table.Show(ctx, w.now)
	case "sweep":
		_, err = w.table.Sweep(ctx, w.now)
	case "retire":
		before, _ := strconv.ParseInt(words[1], 10, 64)
		_, err = w.table.Retire(ctx, before, w.now)
	case "wait":
		w.now += grace
	case "views":
		err = w.table.Views(ctx)
	default:
		panic("BUG: " + step)
	}
	return err
}

// listed reads the rows that a list names, and checks every file.
func (w *world) listed(m *Manifest) (rows []string, err error) {
	for i := range m.Files {
		f := &m.Files[i]
		data, _, err := w.store.Get(context.Background(), f.Name)
		if err == nil {
			err = f.Check(data)
		}
		if err != nil {
			return nil, err
		}
		if rows, err = numbersOf(rows, data); err != nil {
			return nil, err
		}
	}
	slices.Sort(rows)
	return rows, nil
}

// seen reads the rows that somebody finds who looks for *.parquet.
func (w *world) seen() (rows []string, err error) {
	all, err := w.store.List(context.Background(), "")
	for _, o := range all {
		if !strings.HasSuffix(o.Name, ".parquet") || err != nil {
			continue
		}
		var data []byte
		if data, _, err = w.store.Get(context.Background(), o.Name); err == nil {
			rows, err = numbersOf(rows, data)
		}
	}
	slices.Sort(rows)
	return rows, err
}

func numbersOf(rows []string, data []byte) ([]string, error) {
	batches, err := parquet.Read(data, memory.DefaultAllocator)
	for _, b := range batches {
		for _, v := range b.Column(1).(*array.Int64).Int64Values() {
			rows = append(rows, fmt.Sprint(v))
		}
		b.Release()
	}
	return rows, err
}

// strays are files that no list names, and that do not wait to go.
func (w *world) strays() (out []string) {
	known := map[string]bool{listName("t"): true, viewName("t"): true}
	for _, f := range w.table.list.Files {
		known[f.Name] = true
	}
	for _, g := range w.table.list.Gone {
		known[g.Name] = true
	}
	all, err := w.store.List(context.Background(), "")
	for _, o := range all {
		if !known[o.Name] {
			out = append(out, o.Name)
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		out = append(out, err.Error())
	}
	return out
}
