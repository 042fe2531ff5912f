package lake

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/ledger"
	"github.com/tidemill/tidemill/engine/objects"
	"github.com/tidemill/tidemill/engine/parquet"
	"github.com/tidemill/tidemill/engine/plan"
)

// Source is where a table is.
type Source struct {
	Name  string // of the table
	Sink  string // address of the sink that writes it; "" where only the folder is known
	Place objects.Config
}

// Find lists the tables that the sinks of a plan write, in the plan's order. data is the engine's data folder.
func Find(p *plan.Plan, data string) []Source {
	var out []Source
	for _, pl := range p.Pipelines {
		for _, n := range pl.Nodes {
			if t := n.Bound.Table; t != nil {
				out = append(out, Source{t.Name, n.Address, t.Place.Below(data)})
			}
		}
	}
	return out
}

// FindIn lists the tables that there are below a folder or in a bucket.
func FindIn(ctx context.Context, e *env.Env, c objects.Config) ([]Source, error) {
	s, err := objects.Open(e, c)
	if err != nil {
		return nil, err
	}
	names, err := ledger.Tables(ctx, s)
	out := make([]Source, len(names))
	for i, name := range names {
		out[i] = Source{Name: name, Place: c}
	}
	return out, err
}

// Table is a table as it was when it was opened.
type Table struct {
	*ledger.Manifest
	Source Source
	store  objects.Store
	env    *env.Env
}

// ErrEmpty says that nothing has been written to a table yet.
var ErrEmpty = errors.New("nothing has been written yet")

// Open reads the list of a table's files. Later changes do not show; open it again for them.
func (s Source) Open(ctx context.Context, e *env.Env) (*Table, error) {
	store, err := objects.Open(e, s.Place)
	if err != nil {
		return nil, err
	}
	m, err := ledger.Read(ctx, store, s.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("table %s in %s: %w", s.Name, s.Place.Place, ErrEmpty)
	}
	if err != nil {
		return nil, err
	}
	return &Table{m, s, store, e}, nil
}

// Remote tells whether the files stand in a bucket, so that Local has to fetch them.
func (t *Table) Remote() bool { return objects.S3(t.Source.Place.Place) }

// Local returns paths of the files for which keep, unless it is nil, is true: where they stand, or, of a
// bucket, where they were copied to below dir. What is there already, whole, is not fetched again.
func (t *Table) Local(ctx context.Context, dir string, keep func(*ledger.File) bool) ([]string, error) {
	root := t.Source.Place.Place
	var copies objects.Store
	if t.Remote() {
		root = dir
		var err error
		if copies, err = objects.Open(t.env, objects.Config{Place: dir}); err != nil {
			return nil, err
		}
	}
	var out []string
	for i := range t.Files {
		f := &t.Files[i]
		if keep != nil && !keep(f) {
			continue
		}
		if copies != nil {
			if err := t.fetch(ctx, f, copies); err != nil {
				return nil, err
			}
		}
		out = append(out, path.Join(root, f.Name))
	}
	return out, nil
}

func (t *Table) fetch(ctx context.Context, f *ledger.File, to objects.Store) error {
	if have, _, err := to.Get(ctx, f.Name); err == nil && f.Check(have) == nil {
		return nil
	}
	data, _, err := t.store.Get(ctx, f.Name)
	if err != nil {
		return err
	}
	if err := f.Check(data); err != nil {
		return err
	}
	_, err = to.Put(ctx, f.Name, data, objects.Condition{})
	return err
}

// Views returns the SQL of the table's views over files at these paths; see ledger.Manifest.SQL.
func (t *Table) Views(files []string) string { return t.SQLOver(files) }

// Problem is what Verify finds wrong.
type Problem struct {
	File string
	What string
}

// Verify reads every file and compares it with the list: bytes, checksum, and that it can be read with as
// many rows as it should have.
func (t *Table) Verify(ctx context.Context) ([]Problem, error) {
	var out []Problem
	for i := range t.Files {
		f := &t.Files[i]
		data, _, err := t.store.Get(ctx, f.Name)
		if ctx.Err() != nil {
			return out, ctx.Err()
		}
		if err == nil {
			err = f.Check(data)
		}
		if err == nil {
			err = read(data, f.Rows)
		}
		if err != nil {
			out = append(out, Problem{f.Name, err.Error()})
		}
	}
	return out, nil
}

func read(data []byte, want int64) error {
	rows, err := parquet.Read(data, memory.DefaultAllocator)
	if err != nil {
		return err
	}
	n := int64(0)
	for _, b := range rows {
		n += b.NumRows()
		b.Release()
	}
	if n != want {
		return fmt.Errorf("it has %d rows, and the list says %d", n, want)
	}
	return nil
}
