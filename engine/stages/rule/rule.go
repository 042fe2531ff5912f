package rule

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
)

var _ stage.Stage = (*rule)(nil)

// rule keeps nothing between batches but what follows from the last schema.
type rule struct {
	program
	alloc memory.Allocator
	sel   []int32

	schema *arrow.Schema // of the batch before
	// narrow lists the columns of the input that somebody reads behind where,
	// since only those are worth copying; narrowed is their schema.
	narrow   []int
	narrowed *arrow.Schema
	after    []step // for each member of set
	outAt    []int  // for each user column that goes out, where it stands after set; -1: the batch lacks it
}

// step is how a member of set changes the rows.
type step struct {
	schema *arrow.Schema
	at     int
}

func newRule(p program, o stage.Opening) *rule { return &rule{program: p, alloc: o.Alloc} }

// learn works out where columns stand in batches of a schema.
func (r *rule) learn(schema *arrow.Schema) {
	if r.schema == schema {
		return
	}
	need := map[string]bool{}
	for _, name := range r.from {
		need[name] = true
	}
	for _, c := range r.set {
		for _, name := range c.prog.Columns() {
			need[name] = true
		}
	}
	r.schema, r.narrow, r.after, r.outAt = schema, nil, nil, nil
	var fields []arrow.Field
	for i, f := range schema.Fields() {
		if i < flow.MetaColumns || need[f.Name] {
			r.narrow, fields = append(r.narrow, i), append(fields, f)
		}
	}
	now := arrow.NewSchema(fields, nil)
	r.narrowed = now
	for _, c := range r.set {
		var at int
		now, at = withField(now, c.name, c.prog.Type())
		r.after = append(r.after, step{now, at})
	}
	for _, name := range r.from {
		at := -1
		if found := now.FieldIndices(name); len(found) > 0 {
			at = found[0]
		}
		r.outAt = append(r.outAt, at)
	}
}

func (r *rule) Process(_ int, rows arrow.RecordBatch, out flow.Emitter) error {
	r.learn(rows.Schema())
	if r.where != nil {
		r.sel = r.where.Select(rows, r.sel[:0])
		if len(r.sel) == 0 {
			return nil
		}
	}
	kept := r.keep(rows)
	// A batch with what was set is made only where a later member of set, which may read it, needs one.
	var last arrow.Array
	for i, c := range r.set {
		if i > 0 {
			kept = r.put(kept, r.after[i-1], last)
		}
		last = c.prog.Eval(kept, r.alloc)
	}
	out.Emit(r.project(kept, last))
	kept.Release()
	if last != nil {
		last.Release()
	}
	return nil
}

// keep returns the rows that passed, with the columns that are still needed.
func (r *rule) keep(rows arrow.RecordBatch) arrow.RecordBatch {
	if r.where != nil {
		return flow.TakeColumns(rows, r.narrow, r.narrowed, r.sel, r.alloc)
	}
	cols := make([]arrow.Array, len(r.narrow))
	for i, c := range r.narrow {
		cols[i] = rows.Column(c)
	}
	return array.NewRecordBatch(r.narrowed, cols, rows.NumRows())
}

// put returns rows with a column put in; it takes both.
func (r *rule) put(rows arrow.RecordBatch, s step, col arrow.Array) arrow.RecordBatch {
	next := array.NewRecordBatch(s.schema, with(rows.Columns(), s.at, col), rows.NumRows())
	rows.Release()
	col.Release()
	return next
}

// with returns a copy of cols in which col stands at a place, perhaps behind all others.
func with(cols []arrow.Array, at int, col arrow.Array) []arrow.Array {
	out := append(make([]arrow.Array, 0, len(cols)+1), cols...)
	if at == len(out) {
		return append(out, col)
	}
	out[at] = col
	return out
}

// project puts together what goes out. last is what the last member of set has given, if there is any.
func (r *rule) project(rows arrow.RecordBatch, last arrow.Array) arrow.RecordBatch {
	have := rows.Columns()
	if last != nil {
		have = with(have, r.after[len(r.after)-1].at, last)
	}
	cols := append(make([]arrow.Array, 0, flow.MetaColumns+len(r.outAt)), have[:flow.MetaColumns]...)
	for i, at := range r.outAt {
		if at >= 0 {
			cols = append(cols, have[at])
			continue
		}
		null := array.MakeArrayOfNull(r.alloc, r.out.Field(flow.MetaColumns+i).Type, int(rows.NumRows()))
		defer null.Release()
		cols = append(cols, null)
	}
	return array.NewRecordBatch(r.out, cols, rows.NumRows())
}

// Advance has nothing to do: a rule remembers nothing.
func (r *rule) Advance(int, flow.Watermarks, flow.Emitter) error { return nil }

// Close has nothing to release.
func (r *rule) Close() error { return nil }
