package lake

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/ledger"
	"github.com/tidemill/tidemill/engine/objects"
	"github.com/tidemill/tidemill/engine/parquet"
)

// written is a lake on a simulated disk with a table of three files of a row each.
func written(t *testing.T) (*env.Env, Source, *ledger.Ledger) {
	t.Helper()
	ctx, e, place := context.Background(), env.NewSim(1).Env(), objects.Config{Place: "/lake"}
	store, err := objects.Open(e, place)
	if err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Open(ctx, e, store, ledger.Options{Table: "t", Grace: 1000, Note: func(int) error { return nil },
		Shape: ledger.Shape{Columns: []ledger.Column{{Name: "n", Type: "integer"}}, Partition: []ledger.Column{{Name: "day", Type: "integer"}}}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		build := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema([]arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int64, Nullable: true}}, nil))
		build.Field(0).(*array.Int64Builder).Append(int64(i))
		rows := build.NewRecordBatch()
		x, err := parquet.NewEncoder(rows.Schema())
		if err != nil {
			t.Fatal(err)
		}
		data := x.Encode(nil, []arrow.RecordBatch{rows}, []parquet.Ref{{}}, nil)
		f := ledger.File{Name: l.FileName(fmt.Sprintf("day=%d", i/2), uint64(i)), Rows: 1, Bytes: int64(len(data)), Checksum: objects.Checksum(data), Schema: "s",
			Partition: map[string]string{"day": fmt.Sprint(i / 2)}}
		if err := errors.Join(l.Put(ctx, f.Name, data), l.Publish(ctx, []ledger.File{f}, nil, uint64(i)+1)); err != nil {
			t.Fatal(err)
		}
	}
	return e, Source{Name: "t", Place: place}, l
}

// TestOpen: a table is what its list says at one moment, whatever comes after.
func TestOpen(t *testing.T) {
	ctx := context.Background()
	e, s, l := written(t)
	if _, err := (Source{Name: "none", Place: s.Place}).Open(ctx, e); !errors.Is(err, ErrEmpty) || !strings.Contains(err.Error(), "table none in /lake") {
		t.Errorf("a table that nobody has written: %v", err)
	}
	found, err := FindIn(ctx, e, s.Place)
	if err != nil || len(found) != 1 || found[0] != s {
		t.Errorf("the tables of a folder: %v, %v", found, err)
	}
	table, err := s.Open(ctx, e)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := l.Compact(ctx, ledger.Merging{Files: 2, Rows: 100}, 0); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	for _, c := range []struct {
		keep func(*ledger.File) bool
		want string
	}{
		{nil, "/lake/day=0/t-1.0-00000000000000000000.parquet /lake/day=0/t-1.0-00000000000000000001.parquet /lake/day=1/t-1.0-00000000000000000002.parquet"},
		{func(f *ledger.File) bool { return f.Partition["day"] == "1" }, "/lake/day=1/t-1.0-00000000000000000002.parquet"},
		{func(*ledger.File) bool { return false }, ""},
	} {
		files, err := table.Local(ctx, "/elsewhere", c.keep)
		if got := strings.Join(files, " "); err != nil || got != c.want {
			t.Errorf("files %s, %v", got, err)
		}
	}
	if problems, err := table.Verify(ctx); len(problems) > 0 || err != nil {
		t.Errorf("what was opened before the merge is there no more: %v, %v", problems, err)
	}
	again, err := s.Open(ctx, e)
	if err != nil || len(again.Files) != 2 || again.Files[0].Rows != 2 {
		t.Errorf("opened again: %+v, %v", again.Manifest, err)
	}
	for _, want := range []string{"'_tidemill/merged/day=0/t-1.0-00000000000000000000-m5.merged'", "'day=1/t-1.0-00000000000000000002.parquet'", "hive_partitioning = true"} {
		if sql := again.SQL(""); !strings.Contains(sql, want) {
			t.Errorf("the view does not name %s:\n%s", want, sql)
		}
	}
}

// TestVerify: every damage to a file is found, and named.
func TestVerify(t *testing.T) {
	ctx := context.Background()
	for _, c := range []struct {
		name  string
		spoil func(data []byte) []byte // nil: the file goes
		want  string
	}{
		{"nothing", slices.Clone[[]byte], ""},
		{"gone", nil, "file does not exist"},
		{"empty", func([]byte) []byte { return nil }, "is damaged: it has 0 bytes"},
		{"cut short", func(b []byte) []byte { return b[:len(b)-1] }, "is damaged"},
		{"a flipped bit", func(b []byte) []byte { b[len(b)/2] ^= 4; return b }, "is damaged"},
		{"longer", func(b []byte) []byte { return append(b, 0) }, "is damaged"},
	} {
		e, s, _ := written(t)
		table, err := s.Open(ctx, e)
		if err != nil {
			t.Fatal(err)
		}
		name := table.Files[1].Name
		data, _, err := table.store.Get(ctx, name)
		if err == nil && c.spoil != nil {
			_, err = table.store.Put(ctx, name, c.spoil(slices.Clone(data)), objects.Condition{})
		} else if err == nil {
			err = table.store.Delete(ctx, name)
		}
		if err != nil {
			t.Fatal(err)
		}
		problems, err := table.Verify(ctx)
		switch {
		case err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want == "" && len(problems) > 0:
			t.Errorf("%s: %v", c.name, problems)
		case c.want != "" && (len(problems) != 1 || problems[0].File != name || !strings.Contains(problems[0].What, c.want)):
			t.Errorf("%s: %v, want %q of %s", c.name, problems, c.want, path.Base(name))
		}
	}
}

// TestVerifyRows: a file that is whole, and of another number of rows than the list says.
func TestVerifyRows(t *testing.T) {
	ctx := context.Background()
	e, s, _ := written(t)
	table, err := s.Open(ctx, e)
	if err != nil {
		t.Fatal(err)
	}
	table.Files[2].Rows = 5
	problems, err := table.Verify(ctx)
	if err != nil || len(problems) != 1 || problems[0].What != "it has 1 rows, and the list says 5" {
		t.Errorf("%v, %v", problems, err)
	}
}
