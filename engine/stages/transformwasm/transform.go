package transformwasm

import (
	"errors"
	"fmt"
	"path"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/state"
	"github.com/tidemill/tidemill/engine/wasm"
)

var _ stage.Stage = (*transform)(nil)

// transform keeps nothing between batches but what stands in its tables, and the guest, whose
// memory may be lost at any time.
type transform struct {
	b       *binder
	o       stage.Opening
	runner  *wasm.Runner
	release func() error
	keys    stage.Keys
	table   *state.Table // of state; nil: the plugin keeps none
	slots   []uint32
	rows    int // what max_rows says
}

// get returns the pool, made for the engine that opens the first stage.
func (p *plugins) get(e *env.Env, dataDir string) (*wasm.Pool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pool != nil {
		return p.pool, nil
	}
	o := wasm.Options{Clock: e.Clock}
	if e.OnDisk && dataDir != "" {
		o.CacheDir = path.Join(dataDir, "plugins", "compiled")
	}
	h, err := wasm.NewHost(o)
	if err != nil {
		return nil, err
	}
	p.pool = wasm.NewPool(h)
	return p.pool, nil
}

func open(b *binder, o stage.Opening) (stage.Stage, error) {
	pool, err := b.a.plugins.get(o.Env, o.DataDir)
	if err != nil {
		return nil, err
	}
	plugin, release, err := pool.Get(b.block.Module, limits(b.block))
	if err != nil {
		return nil, fmt.Errorf("plugin %s: %w", b.block.Name, err)
	}
	t := &transform{b: b, o: o, release: release, keys: stage.Keys{By: b.by}, rows: b.manifest.MaxRows}
	if b.manifest.State != nil {
		t.table = o.Tables[1]
	}
	t.runner, err = plugin.NewRunner(wasm.RunnerOptions{
		Alloc: o.Alloc, Settings: b.settings, Tables: o.Tables, Seed: uint64(o.Partition), Log: t.log, Quarantine: t.quarantine, Count: o.Count,
	})
	if err != nil {
		return nil, errors.Join(err, release())
	}
	return t, nil
}

func (t *transform) log(level int, line string) {
	name := [...]string{"debug", "info", "warning", "error"}[level]
	t.o.Count("cost_log_"+name, 1)
	if t.o.Report != nil && level > 0 {
		t.o.Report(fmt.Sprintf("%s, plugin %s, %s: %s", t.o.Address, t.b.manifest.Name, name, line))
	}
}

func (t *transform) quarantine(e wasm.Evidence) {
	if t.o.Report == nil {
		return
	}
	what := "is quarantined"
	if e.ByClock {
		what = "should be quarantined"
	}
	t.o.Report(fmt.Sprintf("%s: plugin %s %s at offset %d: %s", t.o.Address, e.Plugin, what, e.Offset, e.Cause))
}

func (t *transform) Process(_ int, rows arrow.RecordBatch, out flow.Emitter) error {
	n := int(rows.NumRows())
	if n == 0 {
		return nil
	}
	in := wasm.Input{Rows: n, Offsets: flow.Offsets(rows), Indexes: flow.Indexes(rows), Received: flow.Received(rows)}
	if t.table != nil {
		var err error
		if t.slots, err = t.keys.Intern(rows, t.o.Alloc, t.table, t.slots); err != nil {
			return err
		}
		in.Keys = t.slots
	}
	for _, c := range t.b.reads {
		in.Columns = append(in.Columns, columnOf(rows, c.name))
	}
	made := t.runner.Run(in)
	for _, r := range made.Rejects {
		t.o.Reject(stage.Reject{Rows: rows, Row: r.Row, Reason: r.Reason})
	}
	if made.Rows > 0 {
		out.Emit(t.batch(rows, made))
	}
	for _, c := range made.Columns {
		c.Release()
	}
	return nil
}

// columnOf is a column of a batch; nil when the batch lacks it.
func columnOf(rows arrow.RecordBatch, name string) arrow.Array {
	if at := rows.Schema().FieldIndices(name); name != "" && len(at) > 0 {
		return rows.Column(at[0])
	}
	return nil
}

// batch puts together what goes out.
func (t *transform) batch(rows arrow.RecordBatch, made wasm.Output) arrow.RecordBatch {
	cols := make([]arrow.Array, 0, flow.MetaColumns+len(t.b.written))
	own := func(c arrow.Array) { cols = append(cols, c) }
	for i := range flow.MetaColumns {
		if i == flow.ColIndex && t.rows > 1 {
			own(t.indexes(rows, made))
			continue
		}
		own(t.taken(rows.Column(i), made.From))
	}
	for i, w := range t.b.written {
		if w >= 0 {
			made.Columns[w].Retain()
			own(made.Columns[w])
			continue
		}
		if c := columnOf(rows, t.b.passes[i]); c != nil {
			own(t.taken(c, made.From))
			continue
		}
		own(array.MakeArrayOfNull(t.o.Alloc, t.b.out.Field(flow.MetaColumns+i).Type, made.Rows))
	}
	batch := array.NewRecordBatch(t.b.out, cols, int64(made.Rows))
	for _, c := range cols {
		c.Release()
	}
	return batch
}

// taken is a column for the rows that go out. The caller releases it.
func (t *transform) taken(c arrow.Array, from []int32) arrow.Array {
	if from == nil {
		c.Retain()
		return c
	}
	return flow.TakeArray(c, from, t.o.Alloc)
}

// indexes tells the rows of one row apart.
func (t *transform) indexes(rows arrow.RecordBatch, made wasm.Output) arrow.Array {
	was := flow.Indexes(rows)
	b := memory.NewResizableBuffer(t.o.Alloc)
	defer b.Release()
	b.Resize(4 * made.Rows)
	to := arrow.Int32Traits.CastFromBytes(b.Bytes())
	from, nth := int32(-1), int32(0)
	for i := range made.Rows {
		row := int32(i)
		if made.From != nil {
			row = made.From[i]
		}
		if nth++; row != from {
			from, nth = row, 0
		}
		to[i] = was[row]*int32(t.rows) + nth
	}
	d := array.NewData(arrow.PrimitiveTypes.Int32, made.Rows, []*memory.Buffer{nil, b}, nil, 0, 0)
	defer d.Release()
	return array.NewInt32Data(d)
}

// Advance gives the guest new room for log lines, once a tick.
func (t *transform) Advance(_ int, marks flow.Watermarks, _ flow.Emitter) error {
	if marks.Ticked {
		t.runner.Tick()
	}
	return nil
}

func (t *transform) Close() error {
	t.runner.Close()
	return t.release()
}
