package transformwasm

import (
	"errors"
	"fmt"
	"path"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/device"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/rollout"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/wasm"
)

var _ stage.Stage = (*transform)(nil)

// transform keeps nothing between batches but what stands in its tables, and the guests, whose
// memory may be lost at any time.
type transform struct {
	b     *binder
	o     stage.Opening
	keys  stage.Keys
	slots []uint32
	rows  int // what max_rows says
	base  *lane

	book    *rollout.Book // the newest; nil: none was met
	devices *device.Table
	guests  map[guestKey]*running
	rules   []*rule
	split   splitter
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
	t := &transform{b: b, o: o, keys: stage.Keys{By: b.by}, rows: b.manifest.MaxRows, guests: map[guestKey]*running{}}
	own, err := t.guest(&version{digest: b.block.Digest, module: b.block.Module, manifest: b.manifest, reads: b.reads, settings: b.settings, writes: identity(len(b.manifest.Writes))}, mainPlace)
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	t.base = &lane{running: own}
	return t, nil
}

func (t *transform) log(name string, level int, line string) {
	kind := [...]string{"debug", "info", "warning", "error"}[level]
	t.o.Count("cost_log_"+kind, 1)
	if t.o.Report != nil && level > 0 {
		t.o.Report(fmt.Sprintf("%s, plugin %s, %s: %s", t.o.Address, name, kind, line))
	}
}

// quarantine tells of what a plugin did. What the clock says goes to those who write the journal.
func (t *transform) quarantine(e wasm.Evidence) {
	what := "is quarantined"
	if e.ByClock {
		what = "will be quarantined"
		if t.o.Trials != nil {
			t.o.Trials.Overdue(rollout.Quarantine{Digest: e.Plugin.Digest, Cause: e.Cause})
		}
	}
	if t.o.Report != nil {
		t.o.Report(fmt.Sprintf("%s: plugin %s %s at offset %d: %s", t.o.Address, e.Plugin, what, e.Offset, e.Cause))
	}
}

func (t *transform) Process(_ int, rows arrow.RecordBatch, out flow.Emitter) error {
	if len(t.keys.By) > 0 {
		rows = t.keys.FitOrReject(rows, nil, &t.o)
		defer rows.Release()
	}
	if rows.NumRows() == 0 {
		return nil
	}
	made, rejects, err := t.run(rows)
	if err != nil {
		return err
	}
	for _, r := range rejects {
		t.o.Reject(stage.Reject{Rows: rows, Row: r.Row, Reason: r.Reason})
	}
	if made.Rows > 0 {
		out.Emit(t.batch(rows, made))
	}
	release(made.Columns)
	return nil
}

func release(columns []arrow.Array) {
	for _, c := range columns {
		if c != nil {
			c.Release()
		}
	}
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

// Advance gives the guests new room for log lines, once a tick.
func (t *transform) Advance(_ int, marks flow.Watermarks, _ flow.Emitter) error {
	if marks.Ticked {
		for _, g := range t.guests {
			g.runner.Tick()
		}
	}
	return nil
}

func (t *transform) Close() error {
	var errs []error
	for key, g := range t.guests {
		errs = append(errs, g.close())
		delete(t.guests, key)
	}
	return errors.Join(errs...)
}
