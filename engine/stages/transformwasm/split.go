package transformwasm

import (
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/rollout"
	"github.com/tidemill/tidemill/engine/wasm"
)

// splitter holds what is needed again for each batch.
type splitter struct {
	lanes []*lane // of each row
	sel   []int32
	id    []byte
}

// piece is rows of a batch that go to one lane, rising.
type piece struct {
	lane *lane
	sel  []int32 // nil: all
}

// run gives the rows of a batch to their versions, and puts what these make of them back in order.
func (t *transform) run(rows arrow.RecordBatch) (wasm.Output, []wasm.Reject, error) {
	pieces := t.pieces(rows)
	if len(pieces) == 1 && pieces[0].roomy(int(rows.NumRows())) {
		made, err := t.runPiece(rows, piece{lane: pieces[0].lane})
		return made, made.Rejects, err
	}
	outs := make([]wasm.Output, len(pieces))
	var rejects []wasm.Reject
	for i := range pieces {
		p := &pieces[i]
		part, refused := t.part(rows, p)
		rejects = append(rejects, refused...)
		made, err := t.runPiece(part, *p)
		part.Release()
		if err != nil {
			for _, o := range outs[:i] {
				release(o.Columns)
			}
			return wasm.Output{}, nil, err
		}
		for _, r := range made.Rejects {
			r.Row = int(p.sel[r.Row])
			rejects = append(rejects, r)
		}
		outs[i] = made
	}
	slices.SortStableFunc(rejects, func(a, b wasm.Reject) int { return a.Row - b.Row })
	return t.merge(int(rows.NumRows()), pieces, outs), rejects, nil
}

// pieces splits a batch. Where rows of a key can be in several lanes, whose state is then the same, a piece is a run of
// neighbours, so that each row meets the state that the row before has left, however batches were cut.
func (t *transform) pieces(rows arrow.RecordBatch) []piece {
	if len(t.rules) == 0 {
		return []piece{{lane: t.base}}
	}
	n := int(rows.NumRows())
	t.assign(rows, n)
	var out []piece
	byLane := map[*lane]int{}
	runs := t.base.running != nil && t.b.manifest.State != nil && !t.byDevice()
	for i, l := range t.split.lanes {
		at, ok := byLane[l]
		if runs && ok && at != len(out)-1 {
			ok = false
		}
		if !ok {
			at = len(out)
			byLane[l] = at
			out = append(out, piece{lane: l})
		}
		out[at].sel = append(out[at].sel, int32(i))
	}
	return out
}

// byDevice tells whether all rows of a key of state are of one device.
func (t *transform) byDevice() bool {
	for _, c := range t.b.by {
		if c.Name == t.b.deviceColumn() {
			return true
		}
	}
	return false
}

// assign finds the lane of each row: that of the first rollout whose fleet has its device.
func (t *transform) assign(rows arrow.RecordBatch, n int) {
	lanes := slices.Grow(t.split.lanes[:0], n)[:n]
	clear(lanes)
	devices := columnOf(rows, t.b.deviceColumn())
	for _, r := range t.rules {
		if r.where == nil {
			t.split.sel = t.split.sel[:0]
			for i := range n {
				t.split.sel = append(t.split.sel, int32(i))
			}
		} else {
			t.split.sel = r.where.choose(t, rows, t.split.sel[:0])
		}
		for _, i := range t.split.sel {
			if lanes[i] == nil {
				lanes[i] = t.laneIn(r, devices, int(i))
			}
		}
	}
	for i := range lanes {
		if lanes[i] == nil {
			lanes[i] = t.base
		}
	}
	t.split.lanes = lanes
}

func (t *transform) laneIn(r *rule, devices arrow.Array, row int) *lane {
	if r.trial == nil {
		return r.stable
	}
	t.split.id = t.split.id[:0]
	if devices != nil {
		t.split.id = deviceOf(devices, row, t.split.id)
	}
	if rollout.Chosen(r.Name, t.split.id, r.Trial.Share) {
		return r.trial
	}
	return r.stable
}

// roomy says whether there is room for the state of n more keys.
func (p *piece) roomy(n int) bool {
	return p.lane.problem != "" || p.lane.running == nil || p.lane.table == nil || n <= p.lane.table.Room()
}

// part is the rows of a piece without those for whose keys there is no room, which are taken from the piece and refused. The caller releases it.
func (t *transform) part(rows arrow.RecordBatch, p *piece) (part arrow.RecordBatch, refused []wasm.Reject) {
	if p.sel == nil {
		for i := range int32(rows.NumRows()) {
			p.sel = append(p.sel, i)
		}
	}
	part = flow.Take(rows, p.sel, t.o.Alloc)
	if p.roomy(len(p.sel)) {
		return part, nil
	}
	defer part.Release()
	part = t.keys.Fit(part, p.lane.table, t.o.Alloc, func(row int, reason string) {
		refused = append(refused, wasm.Reject{Row: int(p.sel[row]), Reason: fmt.Sprintf("plugin %s: %s", t.b.block.Name, reason)})
	})
	p.sel = slices.DeleteFunc(p.sel, func(i int32) bool {
		_, gone := slices.BinarySearchFunc(refused, int(i), func(r wasm.Reject, row int) int { return r.Row - row })
		return gone
	})
	return part, refused
}

// runPiece runs the rows of one lane, all of a batch. Columns of the output are those that the plugin
// block's module writes.
func (t *transform) runPiece(rows arrow.RecordBatch, p piece) (wasm.Output, error) {
	l := p.lane
	switch {
	case rows.NumRows() == 0:
		return t.nothing(), nil
	case l.problem != "":
		return t.refuse(rows, l.problem), nil
	}
	var shadow wasm.Output
	if l.shadow != nil && l.shadow.running != nil {
		var err error
		if shadow, err = t.call(l.shadow, rows); err != nil { // before the other: it begins with the state of then
			return shadow, err
		}
	}
	made, err := t.call(l, rows)
	if l.shadow != nil && l.shadow.running != nil {
		if err == nil {
			t.compare(l.trial, rows, &made, &shadow)
		}
		release(shadow.Columns)
	}
	return made, err
}

// nothing is the output of no row.
func (t *transform) nothing() wasm.Output {
	return wasm.Output{From: []int32{}, Columns: make([]arrow.Array, len(t.b.manifest.Writes))}
}

// refuse rejects all rows.
func (t *transform) refuse(rows arrow.RecordBatch, why string) wasm.Output {
	out := t.nothing()
	for i := range int(rows.NumRows()) {
		out.Rejects = append(out.Rejects, wasm.Reject{Row: i, Reason: fmt.Sprintf("plugin %s: %s", t.b.block.Name, why), Failed: true})
	}
	t.o.Count("quarantined", rows.NumRows())
	return out
}

func (t *transform) call(l *lane, rows arrow.RecordBatch) (wasm.Output, error) {
	in, err := t.input(l.running, rows)
	if err != nil {
		return wasm.Output{}, err
	}
	if l.side == nil {
		return l.ordered(l.runner.Run(in)), nil
	}
	began := t.o.Env.Clock.Now()
	made := l.runner.Run(in)
	took := t.o.Env.Clock.Now().Sub(began)
	failed := 0
	for _, r := range made.Rejects {
		if r.Failed {
			failed++
		}
	}
	l.side.Add(in.Rows, failed, len(made.Rejects)-failed, made.Fuel, took)
	if l.trial != nil && l.shadow == nil {
		low, high := flow.Times(rows)[0], flow.Times(rows)[0]
		for _, at := range flow.Times(rows) {
			low, high = min(low, at), max(high, at)
		}
		l.trial.Saw(int64(low), int64(high))
	}
	return l.ordered(made), nil
}

// ordered puts the columns that a version writes into the order of the plugin block's module.
func (v *version) ordered(made wasm.Output) wasm.Output {
	cols := make([]arrow.Array, len(v.writes))
	for w, own := range v.writes {
		if own >= 0 {
			cols[w] = made.Columns[own]
			cols[w].Retain()
		}
	}
	release(made.Columns)
	made.Columns = cols
	return made
}

// merge puts the output of pieces in order of the rows that it came from.
func (t *transform) merge(n int, pieces []piece, outs []wasm.Output) wasm.Output {
	at := make([]int32, n+1) // where the output of a row begins
	total := 0
	for i := range outs {
		o := &outs[i]
		for k := range o.Rows {
			at[pieces[i].row(o, k)+1]++
		}
		total += o.Rows
	}
	for i := range n {
		at[i+1] += at[i]
	}
	merged := wasm.Output{Rows: total, From: make([]int32, total), Columns: make([]arrow.Array, len(t.b.manifest.Writes))}
	order := make([]int32, total)
	from := int32(0)
	for i := range outs {
		o := &outs[i]
		for k := range o.Rows {
			row := pieces[i].row(o, k)
			order[at[row]], merged.From[at[row]] = from, row
			at[row]++
			from++
		}
	}
	for w := range merged.Columns {
		merged.Columns[w] = t.mergeColumn(w, outs, order)
	}
	for _, o := range outs {
		release(o.Columns)
	}
	return merged
}

// mergeColumn is one column of all pieces; nil when no row has it.
func (t *transform) mergeColumn(w int, outs []wasm.Output, order []int32) arrow.Array {
	if !slices.Contains(t.b.written, w) {
		return nil
	}
	var parts []arrow.Array
	for _, o := range outs {
		if o.Rows > 0 {
			parts = append(parts, o.Columns[w])
		}
	}
	if len(parts) == 0 {
		return nil
	}
	all, err := array.Concatenate(parts, t.o.Alloc)
	if err != nil {
		panic("BUG: columns of one type cannot stand together: " + err.Error())
	}
	defer all.Release()
	return flow.TakeArray(all, order, t.o.Alloc)
}

// row is the row of the batch that a row of the piece's output came from.
func (p *piece) row(o *wasm.Output, k int) int32 { return p.sel[rowOf(o, k)] }
