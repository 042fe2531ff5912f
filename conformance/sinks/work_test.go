package sinks

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"math/bits"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/conformance/rig"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/lake"
	"github.com/tidemill/tidemill/engine/objects"
	"github.com/tidemill/tidemill/engine/parquet"
)

// binary is what TestMain has built.
var binary string

func TestMain(m *testing.M) {
	os.Exit(withBinary(m))
}

func withBinary(m *testing.M) int {
	dir, err := os.MkdirTemp("", "tidemill-sinks")
	if err == nil {
		defer os.RemoveAll(dir)
		binary, err = rig.Build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func soak() bool { return os.Getenv("TIDEMILL_SOAK") != "" }

//go:embed work.hcl
var pipeline string

// work is a folder in which the binary writes a lake, here and in a bucket.
type work struct {
	*rig.Fed
	prefix string
	server *gateway
}

// newWork makes a folder with an empty input. url is where the sink finds the server.
func newWork(t *testing.T, lines []string, g *gateway, url, prefix string) *work {
	t.Helper()
	dir := t.TempDir()
	fed, err := rig.NewFed(&rig.Work{Binary: binary, Dir: dir, Input: filepath.Join(dir, "input.ndjson"), Data: filepath.Join(dir, "data")}, lines)
	must(t, err)
	text := strings.NewReplacer("URL", url, "PREFIX", prefix, "ROLL", strconv.Itoa(max(600, len(lines)/10))).Replace(pipeline)
	must(t, os.WriteFile(filepath.Join(dir, "work.hcl"), []byte(text), 0o644))
	return &work{Fed: fed, prefix: prefix, server: g}
}

// epoch is the newest checkpoint's.
func (w *work) epoch() int {
	entries, err := os.ReadDir(filepath.Join(w.Data, "checkpoints"))
	if err != nil {
		return 0
	}
	newest := 0
	for _, e := range entries {
		if n, err := strconv.ParseInt(strings.TrimSuffix(e.Name(), ".checkpoint"), 16, 64); err == nil {
			newest = max(newest, int(n))
		}
	}
	return newest
}

func (w *work) local() lake.Source {
	return lake.Source{Name: "local", Place: objects.Config{Place: filepath.Join(w.Dir, "lake")}}
}

// remote is the table in the bucket, by a way that nobody cuts.
func (w *work) remote() lake.Source {
	return lake.Source{Name: "remote", Place: objects.Config{Place: "s3://" + bucket + "/" + w.prefix, Endpoint: w.server.url(), Region: "us-east-1", AccessKey: accessKey, SecretKey: secretKey}}
}

// table is what a table holds: a number for each row, in rising order.
type table struct {
	of    lake.Source
	marks []uint64
}

// tableOf reads a table by its list, without what is a run's own.
func tableOf(s lake.Source) (table, error) {
	c := table{of: s}
	err := c.read(func(_ arrow.RecordBatch, marks []uint64) { c.marks = append(c.marks, marks...) })
	slices.Sort(c.marks)
	return c, err
}

// seen reads a table as somebody does who looks for *.parquet.
func seen(s lake.Source) (table, error) {
	c := table{of: s}
	store, err := objects.Open(env.Real(), s.Place)
	if err != nil {
		return c, err
	}
	list, err := store.List(context.Background(), "")
	for _, o := range list {
		if !strings.HasSuffix(o.Name, ".parquet") || err != nil {
			continue
		}
		var data []byte
		var batches []arrow.RecordBatch
		if data, _, err = store.Get(context.Background(), o.Name); err == nil {
			batches, err = parquet.Read(data, memory.DefaultAllocator)
		}
		for _, b := range batches {
			c.marks = append(c.marks, marksOf(b, true)...)
			b.Release()
		}
	}
	slices.Sort(c.marks)
	return c, err
}

// placesOf reads of a table where in the channel each row comes from.
func placesOf(s lake.Source) ([]uint64, error) {
	var out []uint64
	err := table{of: s}.read(func(_ arrow.RecordBatch, marks []uint64) { out = append(out, marks...) }, "_partition", "_offset", "_index")
	slices.Sort(out)
	return out, err
}

// read gives batches with the rows' marks, which are made of some columns, or of all that are not a run's own.
func (c table) read(take func(b arrow.RecordBatch, marks []uint64), columns ...string) error {
	ctx := context.Background()
	t, err := c.of.Open(ctx, env.Real())
	if err != nil {
		return err
	}
	store, err := objects.Open(env.Real(), c.of.Place)
	if err != nil {
		return err
	}
	for i := range t.Files {
		f := &t.Files[i]
		data, _, err := store.Get(ctx, f.Name)
		if err == nil {
			err = f.Check(data)
		}
		if err != nil {
			return err
		}
		batches, err := parquet.Read(data, memory.DefaultAllocator, columns...)
		if err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		for _, b := range batches {
			take(b, marksOf(b, len(columns) == 0))
			b.Release()
		}
	}
	return nil
}

// marksOf gives each row a number that says all of it; own leaves out what is a run's own: offsets count clock ticks too.
func marksOf(b arrow.RecordBatch, own bool) []uint64 {
	marks := make([]uint64, b.NumRows())
	for c, col := range b.Columns() {
		if name := b.ColumnName(c); own && (name == "_offset" || name == "_received") {
			continue
		}
		value := valueOf(col)
		for i := range marks {
			v := uint64(0x5bd1e995) // no value
			if col.IsValid(i) {
				v = value(i)
			}
			high, low := bits.Mul64(marks[i]^v^0x9e3779b97f4a7c15, uint64(c)*2+0xbf58476d1ce4e5b9)
			marks[i] = high ^ low + v
		}
	}
	return marks
}

// valueOf returns a column's values as numbers, different ones for different values.
func valueOf(col arrow.Array) func(i int) uint64 {
	switch col := col.(type) {
	case *array.Float64:
		return func(i int) uint64 { return math.Float64bits(col.Value(i)) }
	case *array.Int64:
		return func(i int) uint64 { return uint64(col.Value(i)) }
	case *array.Int32:
		return func(i int) uint64 { return uint64(col.Value(i)) }
	case *array.Timestamp:
		return func(i int) uint64 { return uint64(col.Value(i)) }
	}
	return func(i int) uint64 {
		h := fnv.New64a()
		_, _ = h.Write([]byte(col.ValueStr(i))) // never fails
		return h.Sum64()
	}
}

// compare compares contents. An example shows what is wrong.
func compare(want, got table) error {
	if slices.Equal(want.marks, got.marks) {
		return nil
	}
	counts := map[uint64]int{}
	for _, x := range want.marks {
		counts[x]++
	}
	for _, x := range got.marks {
		counts[x]--
	}
	missing, double := 0, 0
	for _, n := range counts {
		missing, double = missing+max(n, 0), double+max(-n, 0)
	}
	example := ""
	show := func(b arrow.RecordBatch, marks []uint64) {
		for i, m := range marks {
			if counts[m] != 0 && example == "" {
				for c, col := range b.Columns() {
					example += b.ColumnName(c) + "=" + col.ValueStr(i) + " "
				}
			}
		}
	}
	err := errors.Join(want.read(show), got.read(show))
	return errors.Join(fmt.Errorf("%d rows missing, %d too many, of %d; such as %s", missing, double, len(want.marks), example), err)
}

// orphans are files of a table that its list does not name, nor keeps for a while.
func orphans(s lake.Source) error {
	ctx := context.Background()
	t, err := s.Open(ctx, env.Real())
	if err != nil {
		return err
	}
	store, err := objects.Open(env.Real(), s.Place)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, f := range t.Files {
		known[f.Name] = true
	}
	for _, g := range t.Gone {
		known[g.Name] = true
	}
	list, err := store.List(ctx, "")
	for _, o := range list {
		if !known[o.Name] && !strings.HasSuffix(o.Name, ".json") && !strings.HasSuffix(o.Name, ".sql") {
			err = errors.Join(err, fmt.Errorf("%s is in no list", o.Name))
		}
	}
	return err
}

// input makes the records of a fleet.
func input(t *testing.T, records int64) []string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "input.ndjson")
	must(t, rig.MakeInput(name, records, 1))
	text, err := os.ReadFile(name)
	must(t, err)
	return slices.Collect(strings.Lines(string(text)))
}
