package window

import (
	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/engine/carry"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/state"
)

// A state window with late = "revise" keeps the rows of each key that a late one may still come between, in order of event
// time and, of one moment, of arrival. A run is rows one behind the other for which the condition is true, and a window is a run:
//
//	          horizon: the latest row's time - keep
//	             |
//	base  12:00 ─┼─▶ 12:50 true ─▶ 13:10 true ─▶ 13:15 false ─▶ 13:20 true
//	three rows   |   └──── run 12:00 to 13:15 ──────────────┘   └ run 13:20, open
//
// Rows behind the horizon are let go of, and what they gave to a run that goes on stays in a pane beside the others, the base.
// So memory goes with keep and not with the length of runs, and a run can be made anew from base and rows, whatever a late row has done
// to it. Rows are let go of some at a time: each row looks into the tables otherwise.
//
//	table rows, a slot for each row, without a key
//	  cells i64*n  _time | _offset | _received | _index * 2, and 1 where the condition is true | bits: which arguments are null |
//	               a word for each argument of the aggregates that is a number, an integer, a timestamp or a bool
//	  links u32*2  older row | newer row; plus one, and 0 is none
//	  values       the other arguments, where there are some and the condition is true, see carry/doc.go
//
//	table groups has words more, see below
//
// How runs change is in runs.go.

const (
	pastTime = iota // I64
	pastOffset
	pastReceived
	pastIndex
	pastNulls // what is kept of arguments stands from here on, see pastLayout
)

const (
	pastOlder = iota // U32
	pastNewer
	pastLinks
)

// Further words of a group of a state window that revises. Links are slot + 1.
const (
	groupFirstRow = groupTimesLong + iota // I64: link to the oldest row that is kept
	groupLastRow                          // I64: link to the newest
	groupRowsKept                         // I64: how many are kept
	groupRowsLook                         // I64: with so many kept, some may be let go of
	groupHorizon                          // I64: time of the newest row that was let go of
	groupBase                             // I64: link to the pane of what they gave to a run that goes on
	groupOpen                             // I64: link to the pane of the run that holds
	groupLateRow                          // I64: link to a row near where the last late one came; 0: none is known
	groupLatePane                         // I64: link to a pane near there; 0: none is known
	groupTimesRuns
)

// lookEvery is how many rows a key has more when it is looked whether some can be let go of.
const lookEvery = 64

// history is what a state window that revises has beside its tables.
type history struct {
	refill
	pastLayout
	table *state.Table
	value []byte
	gone  []uint32 // rows to let go of

	offsets  []int64 // of the batch at hand
	received []arrow.Timestamp
	index    []int32
}

// pastLayout is where a row's arguments stand.
type pastLayout struct {
	at    []int // by argument: its word; 0: in the byte string
	width int   // words of a row
	texts bool  // there is a byte string
}

func (p *program) pastLayout() pastLayout {
	l := pastLayout{at: make([]int, len(p.args)), width: pastNulls + (len(p.args)+63)/64}
	for k, a := range p.args {
		switch a.Type().ID() {
		case arrow.FLOAT64, arrow.INT64, arrow.TIMESTAMP, arrow.BOOL:
			l.at[k] = l.width
			l.width++
		default:
			l.texts = true
		}
	}
	return l
}

// refill adds rows that were kept to a pane.
type refill struct {
	cols   []*carry.Column
	inputs []input
	rooms  []scratch
	times  []arrow.Timestamp
	idx    []uint32
}

func newRefill(p *program) refill {
	f := refill{inputs: make([]input, len(p.args)), rooms: make([]scratch, len(p.args))}
	for _, a := range p.args {
		f.cols = append(f.cols, carry.NewColumn(a.Type()))
	}
	return f
}

// begin makes ready for rows.
func (f *refill) begin() { f.times, f.idx = f.times[:0], f.idx[:0] }

// take notes a row for a pane: its time and the values of the arguments.
func (f *refill) take(p uint32, t int64, values []byte) {
	carry.Read(values, f.cols)
	f.times, f.idx = append(f.times, arrow.Timestamp(t)), append(f.idx, p)
}

// refill adds the rows that f has taken to their panes' accumulators.
func (w *window) refill(f *refill) {
	arrs := carry.Finish(f.cols)
	defer carry.Release(arrs)
	for i, arr := range arrs {
		f.inputs[i].set(arr, w.float[i], &f.rooms[i])
	}
	inputs, times, idx := w.inputs, w.times, w.idx
	w.inputs, w.times, w.idx = f.inputs, f.times, f.idx
	for i := range w.accs {
		w.accumulate(i, w.panes.I64(0), 0, len(f.idx))
	}
	w.inputs, w.times, w.idx = inputs, times, idx
}

// pastTable declares the rows that a state window keeps.
func (p *program) pastTable(digest string) state.Decl {
	perKey := min(p.keep/plannedPeriod+lookEvery, p.maxRows)
	l := p.pastLayout()
	d := state.Decl{Name: "rows", Digest: digest, MaxKeys: maxKept, Keyless: true, KeysPlanned: int(min(perKey*10_000, maxKept)),
		Columns: []state.Column{{Name: "cells", Type: state.I64, Width: l.width}, {Name: "links", Type: state.U32, Width: pastLinks}}}
	if l.texts {
		d.Columns = append(d.Columns, state.Column{Name: "values", Type: state.Bytes})
	}
	return d
}

// For the plan, rows of a key are so far apart, and its states, us.
const (
	plannedPeriod = 30_000_000
	plannedRun    = 300_000_000
)

func (w *window) pastCells(r uint32) []int64 {
	return w.past.table.I64(0)[int(r)*w.past.width:][:w.past.width]
}

func (w *window) pastRow(r uint32) []uint32 {
	return w.past.table.U32(1)[int(r)*pastLinks:][:pastLinks]
}

// wasTrue tells whether the condition is true of a row that is kept.
func (w *window) wasTrue(r uint32) bool { return w.pastCells(r)[pastIndex]&1 != 0 }

// heldBefore tells whether the condition was true right before a row that is kept.
func (w *window) heldBefore(g, r uint32) bool {
	if older := w.pastRow(r)[pastOlder]; older != 0 {
		return w.wasTrue(older - 1)
	}
	return w.groupTimes(g)[groupBase] != 0
}

// keepRow puts row i into its place among those of its group, behind those of the same moment.
func (w *window) keepRow(g uint32, i int, is bool) (uint32, error) {
	h, t := w.past, int64(w.times[i])
	r, err := h.table.AnonymousRaw()
	if err != nil {
		return 0, err
	}
	c := w.pastCells(r)
	clear(c[pastNulls:])
	c[pastTime], c[pastOffset], c[pastReceived] = t, h.offsets[i], int64(h.received[i])
	if c[pastIndex] = int64(h.index[i]) << 1; is {
		c[pastIndex]++
		w.keepValues(r, c, i)
	}
	times := w.groupTimes(g)
	older, newer := uint32(times[groupLastRow]), uint32(0)
	if t < times[groupLatest] {
		older, newer = w.around(times, t)
	}
	w.joinRows(times, newer, r+1)
	w.joinRows(times, r+1, older)
	times[groupRowsKept]++
	w.groups.Touch(g)
	return r, nil
}

// around returns the links to the rows of a group between which one of a moment belongs: the last of that moment or before, and the next.
func (w *window) around(times []int64, t int64) (older, newer uint32) {
	at, late := uint32(times[groupLastRow]), uint32(times[groupLateRow])
	if at == 0 || w.pastCells(at - 1)[pastTime] <= t {
		return at, 0
	}
	for { // the newest row is later, so that one stands behind every row that is not
		older = w.pastRow(at - 1)[pastOlder]
		if older == 0 || w.pastCells(older - 1)[pastTime] <= t {
			return older, at
		}
		at = older
		if late == 0 {
			continue
		}
		row := w.pastRow(late - 1)
		if w.pastCells(late - 1)[pastTime] > t {
			if older = row[pastOlder]; older == 0 || w.pastCells(older - 1)[pastTime] <= t {
				return older, late
			}
			late = older
		} else {
			if newer = row[pastNewer]; w.pastCells(newer - 1)[pastTime] > t {
				return late, newer
			}
			late = newer
		}
	}
}

// keepValues keeps the arguments of row i of the batch as row r, of which c are the words.
func (w *window) keepValues(r uint32, c []int64, i int) {
	h := w.past
	h.value = h.value[:0]
	for k, at := range h.at {
		switch in := &w.inputs[k]; {
		case at == 0:
			h.value = carry.AppendValue(h.value, in.arr, i)
		case !in.valid && in.arr.IsNull(i):
			c[pastNulls+k>>6] |= 1 << (k & 63)
		default:
			c[at] = in.word(i)
		}
	}
	if h.texts {
		h.table.SetBytes(2, r, h.value)
	}
}

// joinRows makes two rows of a group neighbours; 0 stands for the end of its list.
func (w *window) joinRows(times []int64, newer, older uint32) {
	if newer == 0 {
		times[groupLastRow] = int64(older)
	} else {
		w.pastRow(newer - 1)[pastOlder] = older
		w.past.table.Touch(newer - 1)
	}
	if older == 0 {
		times[groupFirstRow] = int64(newer)
	} else {
		w.pastRow(older - 1)[pastNewer] = newer
		w.past.table.Touch(older - 1)
	}
}

// forgetRows lets go of a group's rows that no late row can come before, and of the oldest where a key has too many. It is called at row i of the
// batch. Runs that end in what goes, and wait for a revision, have it before.
func (w *window) forgetRows(g uint32, i int, out flow.Emitter) error {
	times, over := w.groupTimes(g), int64(0)
	if times[groupRowsKept] >= w.maxRows {
		over = times[groupRowsKept] - w.maxRows*7/8
	}
	h, limit := w.past, times[groupLatest]-w.keep
	h.gone = h.gone[:0]
	at := uint32(times[groupFirstRow])
	for ; at != 0 && (over > 0 || w.pastCells(at - 1)[pastTime] <= limit); at = w.pastRow(at - 1)[pastNewer] {
		h.gone = append(h.gone, at-1)
		over--
	}
	times[groupRowsLook] = times[groupRowsKept] - int64(len(h.gone)) + lookEvery
	w.groups.Touch(g)
	if len(h.gone) == 0 {
		return nil
	}
	from := 0 // what goes on begins there
	for k, r := range h.gone {
		if !w.wasTrue(r) {
			from = k + 1
		}
	}
	if from > 0 && times[groupDirty] != flow.NoMark {
		w.add(i)
		w.settleUpTo(g, w.pastCells(h.gone[from-1])[pastTime])
		w.emit(out)
	}
	times[groupHorizon] = w.pastCells(h.gone[len(h.gone)-1])[pastTime]
	if err := w.foldRows(g, h.gone, from); err != nil {
		return err
	}
	for _, r := range h.gone {
		if times[groupLateRow] == int64(r)+1 {
			times[groupLateRow] = 0
		}
		h.table.Delete(r)
	}
	w.joinRows(times, at, 0)
	times[groupRowsKept] -= int64(len(h.gone))
	w.forgetRuns(g)
	return nil
}

// foldRows adds the oldest rows of a group to its base, from one on, as far as they are in a run that goes on; if rows stand before it, the base's has ended.
func (w *window) foldRows(g uint32, rows []uint32, from int) error {
	times := w.groupTimes(g)
	if from > 0 && times[groupBase] != 0 {
		base := uint32(times[groupBase] - 1)
		w.rest(base, true)
		w.panes.Delete(base)
		times[groupBase] = 0
	}
	if from == len(rows) {
		return nil
	}
	if times[groupBase] == 0 {
		base, err := w.panes.AnonymousRaw()
		if err != nil {
			return err
		}
		copy(w.cells(base), w.template)
		clear(w.paneLinks(base))
		w.cells(base)[paneStart], w.cells(base)[paneOffset] = w.pastCells(rows[from])[pastTime], -1
		w.paneLinks(base)[paneGroup], w.paneLinks(base)[paneFlags] = g, flagClosed
		times[groupBase] = int64(base) + 1
	}
	base := uint32(times[groupBase] - 1)
	w.past.begin()
	for _, r := range rows[from:] {
		w.takePast(base, r)
	}
	w.refill(&w.past.refill)
	w.panes.Touch(base)
	return nil
}

// takePast has a pane get a row that is kept.
func (w *window) takePast(p, r uint32) {
	row, c, h := w.pastCells(r), w.cells(p), w.past
	var texts []byte
	if h.texts {
		texts = h.table.Bytes(2, r)
	}
	for k, at := range h.at {
		switch col := h.cols[k]; {
		case at == 0:
			texts = carry.ReadValue(texts, col)
		case row[pastNulls+k>>6]>>(k&63)&1 != 0:
			col.Null()
		case w.args[k].Type().ID() == arrow.BOOL:
			col.Bool(row[at] != 0)
		default:
			col.Fixed(uint64(row[at]))
		}
	}
	h.times, h.idx = append(h.times, arrow.Timestamp(row[pastTime])), append(h.idx, p)
	if index := row[pastIndex] >> 1; row[pastOffset] > c[paneOffset] || row[pastOffset] == c[paneOffset] && index > c[paneIndex] {
		c[paneOffset], c[paneReceived], c[paneIndex] = row[pastOffset], row[pastReceived], index
	}
	c[paneEnd], c[paneExtra] = row[pastTime], row[pastTime]
}

// forgetRuns takes panes out of a group that no late row can change any more. That of the base's run stays.
func (w *window) forgetRuns(g uint32) {
	times := w.groupTimes(g)
	start := int64(flow.NoMark)
	if base := times[groupBase]; base != 0 {
		start = w.cells(uint32(base - 1))[paneStart]
	}
	for at := w.groupLinks(g)[groupOldest]; at != 0; {
		p, links := at-1, w.paneLinks(at-1)
		begins := w.cells(p)[paneStart]
		if begins >= times[groupHorizon] {
			return
		}
		if at = links[paneNewer]; active(links[paneFlags]) || begins == start {
			continue
		}
		w.dropRun(g, p)
	}
}

// leaveStale has rows of panes that are stale not added to them: they are made anew, with these rows.
func (w *window) leaveStale(lo, hi int) {
	for r := lo; r < hi; r++ {
		if p := w.idx[r]; p != noPane && w.paneLinks(p)[paneFlags]&flagStale != 0 {
			w.idx[r] = noPane
		}
	}
}
