package window

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/stages/stagetest"
	"github.com/tidemill/tidemill/engine/state"
)

// The engine around the two phases, as far as they need one: partitions, their watermarks, what brings rows together.

// phase is one stage, over one partition.
type phase struct {
	*apart
	bound  func() (stage.Bound, error)
	is     stage.Bound
	stage  stage.Stage
	tables []*state.Table
	chains [][]*state.Snapshot
	emits  func(rows arrow.RecordBatch)
	counts map[string]int64
}

func (p *phase) open() error {
	var err error
	if p.is, err = p.bound(); err != nil {
		return err
	}
	for i, d := range p.is.State {
		if len(p.tables) <= i {
			p.tables, p.chains = append(p.tables, state.New(d)), append(p.chains, nil)
		}
	}
	p.stage, err = p.is.OpenStage(stage.Opening{Alloc: memory.DefaultAllocator, Tables: p.tables, Address: "window.it",
		Reject: p.reject, Count: func(name string, n int64) { p.counts[name] += n }})
	return err
}

// reject counts rows that are late, by reason and text.
func (p *phase) reject(r stage.Reject) {
	text := string(r.Text)
	if r.Text == nil {
		text = string(flow.NewJSONEncoder(r.Rows.Schema(), false).AppendRow(nil, r.Rows, r.Row))
	}
	reason, _, _ := strings.Cut(r.Reason, ", and its key's watermark") // which in two phases is what was last told of it
	p.counts[reason+" "+text]++
}

func (p *phase) Emit(rows arrow.RecordBatch) {
	defer rows.Release()
	p.emits(rows)
}

// restart goes on, now and then, with a stage over what snapshots give back.
func (p *phase) restart() error {
	if !p.crashes || p.r.IntN(8) > 0 {
		return nil
	}
	for i, t := range p.tables {
		s, err := state.DecodeSnapshot(t.Snapshot(len(p.chains[i]) == 0 || p.r.IntN(3) == 0).AppendTo(nil))
		if err != nil {
			return err
		}
		p.chains[i] = append(p.chains[i], s)
	}
	if err := p.stage.Close(); err != nil {
		return err
	}
	for i := range p.tables {
		t, err := state.Restore(p.is.State[i], p.chains[i]...)
		if err != nil {
			return err
		}
		p.tables[i] = t
	}
	return p.open()
}

// bind binds the block: where the rows are, or, behind, where they come together.
func (x *apart) bind(behind, parts bool, key string) (stage.Bound, error) {
	b, diags := stagetest.Bind(specOf(x.kind), []byte(x.args), apartSchema(), "device", 4, func(at *stage.At) {
		if !behind {
			at.Regroup = func([]string) {}
			return
		}
		at.Parts, at.Keys, at.Channel = parts, []string{key}, &config.Channel{Name: "own", Key: key, Partitions: 1}
	})
	if diags.HasErrors() {
		return b, diags
	}
	if !behind && b.First == nil {
		return b, fmt.Errorf("not in two phases: %q", b.Whole)
	}
	return b, nil
}

// meeting is a partition of the channel in which rows of all partitions come together.
type meeting struct {
	*phase
	key        string
	slots      map[string]uint32
	marks, due []int64
	next       int64
}

// take gives the window rows of one partition, with what the channel knows of them.
func (m *meeting) take(rows arrow.RecordBatch) error {
	n := int(rows.NumRows())
	slots, marks, offsets, zeros := make([]uint32, n), make([]int64, n), make([]int64, n), make([]int32, n)
	for i := range n {
		key := ""
		if m.key != "" {
			key = rows.Column(rows.Schema().FieldIndices(m.key)[0]).(*array.String).Value(i)
		}
		slot, ok := m.slots[key]
		if !ok {
			slot = uint32(len(m.slots))
			m.slots[key] = slot
			m.marks, m.due = append(m.marks, flow.NoMark), append(m.due, flow.NoMark)
		}
		slots[i], marks[i], offsets[i] = slot, m.marks[slot], m.next
		m.due[slot] = max(m.due[slot], int64(min(flow.Times(rows)[i], flow.Received(rows)[i])))
		m.next++
	}
	cols := slices.Clone(rows.Columns())
	own := func(at int, a arrow.Array) { cols[at] = a }
	builder := func(t arrow.DataType) array.Builder { return array.NewBuilder(memory.DefaultAllocator, t) }
	ob, ib, sb, mb := builder(arrow.PrimitiveTypes.Int64).(*array.Int64Builder), builder(arrow.PrimitiveTypes.Int32).(*array.Int32Builder),
		builder(arrow.PrimitiveTypes.Uint32).(*array.Uint32Builder), builder(arrow.PrimitiveTypes.Int64).(*array.Int64Builder)
	ob.AppendValues(offsets, nil)
	ib.AppendValues(zeros, nil)
	sb.AppendValues(slots, nil)
	mb.AppendValues(marks, nil)
	own(flow.ColOffset, ob.NewArray())
	own(flow.ColIndex, ib.NewArray())
	own(flow.ColSlot, sb.NewArray())
	own(flow.ColMark, mb.NewArray())
	return m.stage.Process(0, array.NewRecordBatch(rows.Schema(), cols, rows.NumRows()), m)
}

func (m *meeting) tick(now int64) error {
	marks := flow.Watermarks{Tick: now, Ticked: true}
	for slot := range m.marks {
		if m.marks[slot] != m.due[slot] {
			m.marks[slot] = m.due[slot]
			marks.Keys = append(marks.Keys, flow.KeyMark{Slot: uint32(slot), Time: m.due[slot]})
		}
	}
	return stage.AdvanceWhole(m.stage, 0, marks, m)
}

// told is what came of a window: its revisions, and the latest.
type told struct {
	revisions []string
	outcome
}

// course runs the stream in one phase or in two.
type course struct {
	*apart
	first []*phase
	meets []*meeting
	got   map[string]*told
	rows  int // that went from partition to partition
	saved int // that did so in parts with others, less these parts
	lanes [][]arrow.RecordBatch
	err   error
}

func (x *apart) course(two bool) *course {
	c := &course{apart: x, got: map[string]*told{}, lanes: make([][]arrow.RecordBatch, x.tasks)}
	key := ""
	if len(x.by) > 0 {
		key = x.by[0]
	}
	note := func(err error) {
		if c.err == nil {
			c.err = err
		}
	}
	counts := map[string]int64{}
	for i := range x.tasks {
		p := &phase{apart: x, counts: counts, bound: func() (stage.Bound, error) {
			b, err := x.bind(false, false, "")
			if err == nil {
				b = *b.First
			}
			return b, err
		}}
		p.emits = func(rows arrow.RecordBatch) {
			rows.Retain()
			c.lanes[i] = append(c.lanes[i], rows)
		}
		if two {
			note(p.open())
		}
		c.first = append(c.first, p)
	}
	for range 1 + min(len(key), 1)*(x.tasks-1) {
		m := &meeting{key: key, slots: map[string]uint32{}, phase: &phase{apart: x, counts: counts, bound: func() (stage.Bound, error) { return x.bind(true, two, key) }}}
		m.emits = c.emit
		note(m.open())
		c.meets = append(c.meets, m)
	}
	if c.err == nil {
		note(c.run(two))
	}
	delete(counts, "values_ignored") // those of a part that came too late count too
	for name, n := range counts {
		c.got["counted "+name] = &told{revisions: []string{fmt.Sprint(n)}}
	}
	return c
}

func (c *course) run(two bool) error {
	builds := make([]*array.RecordBuilder, c.tasks)
	for i := range builds {
		builds[i] = array.NewRecordBuilder(memory.DefaultAllocator, apartSchema())
	}
	flush := func(i int) error {
		rows := builds[i].NewRecordBatch()
		defer rows.Release()
		if rows.NumRows() == 0 {
			return nil
		}
		if !two {
			rows.Retain()
			c.lanes[i] = append(c.lanes[i], rows)
			return nil
		}
		if err := c.first[i].stage.Process(0, rows, c.first[i]); err != nil {
			return err
		}
		return c.first[i].restart()
	}
	all := func(marks flow.Watermarks) error {
		for i := range builds {
			if err := flush(i); err != nil {
				return err
			}
			if two {
				if err := stage.AdvanceWhole(c.first[i].stage, 0, marks, c.first[i]); err != nil {
					return err
				}
			}
		}
		return c.meet(marks)
	}
	cut := 1 + c.r.IntN(300)
	if c.devices > 1000 {
		cut = 2000 // a snapshot of so many costs more than rows
	}
	for _, e := range c.events {
		if e.tick {
			if err := all(flow.Watermarks{Tick: e.t, Ticked: true}); err != nil {
				return err
			}
			continue
		}
		i := e.device % c.tasks
		c.append(builds[i], e)
		if c.r.IntN(cut) == 0 {
			if err := flush(i); err != nil {
				return err
			}
		}
	}
	return all(flow.Watermarks{Tick: c.events[len(c.events)-1].t, Ended: true})
}

func (c *course) append(b *array.RecordBuilder, e event) {
	for i, v := range []int64{0, 0, e.received, e.t, 0, e.t} {
		switch f := b.Field(i).(type) {
		case *array.Int64Builder:
			f.Append(v)
		case *array.Int32Builder:
			f.Append(int32(v))
		case *array.Uint32Builder:
			f.Append(uint32(v))
		case *array.TimestampBuilder:
			f.Append(arrow.Timestamp(v))
		}
	}
	b.Field(6).(*array.StringBuilder).Append(fmt.Sprint("d", e.device))
	if e.hasTemp {
		b.Field(7).(*array.Float64Builder).Append(e.temp)
	} else {
		b.Field(7).AppendNull()
	}
	b.Field(8).(*array.StringBuilder).Append(e.code)
	b.Field(9).AppendNull()
	b.Field(10).(*array.TimestampBuilder).Append(arrow.Timestamp(e.t))
	b.Field(11).(*array.StringBuilder).Append(c.siteOf(e))
}

// meet brings the rows of a tick interval together, partition after partition.
func (c *course) meet(marks flow.Watermarks) error {
	for i, lane := range c.lanes {
		for _, rows := range lane {
			c.rows += int(rows.NumRows())
			c.count(rows)
			sel := make([][]int32, len(c.meets))
			for r := range int(rows.NumRows()) {
				to := 0
				if len(c.meets) > 1 {
					key := rows.Column(rows.Schema().FieldIndices(c.by[0])[0]).(*array.String).Value(r)
					to = flow.PartitionOf(flow.Hash([]byte(key)), len(c.meets))
				}
				sel[to] = append(sel[to], int32(r))
			}
			for to, sel := range sel {
				if len(sel) == 0 {
					continue
				}
				if err := c.meets[to].take(flow.Take(rows, sel, memory.DefaultAllocator)); err != nil {
					return err
				}
			}
			rows.Release()
		}
		c.lanes[i] = nil
	}
	for _, m := range c.meets {
		if err := m.restart(); err != nil {
			return err
		}
		var err error
		if marks.Ticked {
			err = m.tick(marks.Tick)
		} else {
			err = stage.AdvanceWhole(m.stage, 0, marks, m)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// count notes how many rows are in parts.
func (c *course) count(rows arrow.RecordBatch) {
	for i, f := range rows.Schema().Fields() {
		if blobs, ok := rows.Column(i).(*array.String); ok && strings.HasPrefix(f.Name, partName) {
			for k := range blobs.Len() {
				if blobs.IsValid(k) {
					c.saved += int(binary.LittleEndian.Uint64([]byte(blobs.Value(k)))) - 1
				}
			}
		}
	}
}

// emit keeps what comes of each window.
func (c *course) emit(rows arrow.RecordBatch) {
	col := func(name string) arrow.Array { return rows.Column(rows.Schema().FieldIndices(name)[0]) }
	for i := range int(rows.NumRows()) {
		var key []string
		for _, name := range c.by {
			key = append(key, col(name).(*array.String).Value(i))
		}
		start, end := int64(col("window_start").(*array.Timestamp).Value(i)), int64(col("window_end").(*array.Timestamp).Value(i))
		id := fmt.Sprint(strings.Join(key, " "), " ", start)
		now := c.got[id]
		if now == nil {
			now = &told{}
			c.got[id] = now
		}
		now.outcome = outcome{revision: col("revision").(*array.Int64).Value(i), final: col("final").(*array.Boolean).Value(i), empty: start == end, values: map[string]any{"end": end}}
		for _, name := range c.names {
			now.values[name] = valueAt(col(name), i)
		}
		if c.kind == session {
			now.duration = col("duration").(*array.Float64).Value(i)
		}
		now.revisions = append(now.revisions, fmt.Sprint(now.revision, now.final, now.values["total_"], end, now.duration))
	}
}
