package window

import (
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/engine/carry"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/state"
)

// With revisions = "latest" a row that revises an earlier one takes its place. What the earlier one gave cannot be
// taken out of a minimum or a percentile, and so each pane keeps its rows, as far as aggregates look at them:
//
//	pane 10:00 ─first─▶ d1 10:00 ─▶ d1 10:05 ─▶ d1 10:10 ◀─last─      in the order in which each came first
//
// A new row is added to the pane's accumulators at once, behind those that are in them. When one is revised, its values change where it
// stands, the pane is stale, and before it is emitted its accumulators are made anew from its rows. Either way
// they are what the list gives from its first to its last row, so that cuts, ticks and crashes change no bit.
//
//	table rows, a slot for each row that a pane keeps, by its values of the columns that tell revisions
//	  time i64     _time
//	  links u32*2  pane | next row; plus one, and 0 is none
//	  values       those of the aggregates' arguments, see carry/doc.go
//
//	table panes has a column more
//	  rows u32*2   first row | last row; plus one, and 0 is none
//
// A revised row comes with the watermark that its own window had, which is long past. So a group remembers the highest
// watermark that it was told (groupSettled), and that is what rows are judged by. A pane, and with it its group, stays until no
// revision comes any more, whatever late says.

const (
	keptPane = iota // U32
	keptNext
	keptLinks
)

// listFirst and listLast are where a pane's column rows begins and ends.
const (
	listFirst = iota
	listLast
	listLinks
)

// again is what a window over the latest revisions has beside its tables.
type again struct {
	table   *state.Table
	schema  *arrow.Schema // of the batch before
	places  []int         // where it has the columns that tell revisions
	slots   []uint32      // by row of the batch, where it is kept
	revises []bool        // by row of the batch: there was one in its place
	value   []byte
	stale   []uint32 // sliding: panes to be made anew
	refill
}

// openLatest makes ready for revisions, over the table of rows.
func (w *window) openLatest(t *state.Table) {
	a := &again{table: t, refill: newRefill(&w.program)}
	w.panes.Range(func(p uint32) bool {
		if w.paneLinks(p)[paneFlags]&flagStale != 0 {
			a.stale = append(a.stale, p)
		}
		return true
	})
	w.again = a
}

// placeLatest is Process's loop where rows may be revised.
func (w *window) placeLatest(n int, out flow.Emitter) error {
	a := w.again
	a.begin(w, n)
	for i, no := range w.laneNos[:n] {
		if size := a.keySize(w.rows, i); size > state.MaxKeyBytes {
			w.idx[i] = noPane
			w.refuseKey(w.rows, i, state.LongKey(size))
			continue
		}
		var err error
		if w.idx[i], err = w.place(i, no, out); err != nil {
			return err
		}
		if p := w.idx[i]; p != noPane {
			if err := w.enter(i, p, out); err != nil {
				return err
			}
		}
	}
	return nil
}

// begin makes ready for a batch of n rows.
func (a *again) begin(w *window, n int) {
	if a.schema != w.rows.Schema() {
		a.schema, a.places = w.rows.Schema(), carry.Places(w.rows.Schema(), w.same)
		if slices.Contains(a.places, -1) {
			panic("BUG: rows lack a column that tells revisions")
		}
	}
	a.slots = append(a.slots[:0], make([]uint32, n)...)
	a.revises = append(a.revises[:0], make([]bool, n)...)
}

// keySize is how long what tells row i from others is, bytes.
func (a *again) keySize(rows arrow.RecordBatch, i int) (size int) {
	for _, at := range a.places {
		size += flow.KeySize(rows.Column(at), i)
	}
	return size
}

// enter finds the place of row i in the list of its pane p: that of the row that it revises, or the end.
func (w *window) enter(i int, p uint32, out flow.Emitter) error {
	a := w.again
	key := w.key[:0]
	for _, at := range a.places {
		key = flow.AppendKey(key, w.rows.Column(at), i)
	}
	w.key = key
	s, fresh, err := a.table.Slot(key)
	if err != nil {
		w.idx[i] = noPane
		return err
	}
	if was := w.keptLinks(s)[keptPane]; was == p+1 {
		a.slots[i], a.revises[i] = s, true
		return nil
	} else if !fresh { // the window from which it comes is another now, and this row of it has another time
		w.add(i)
		w.emit(out)
		if a.table.Live(s) {
			w.delist(s, was-1)
		} else if s, _, err = a.table.Slot(key); err != nil { // its pane is let go of
			w.idx[i] = noPane
			return err
		}
	}
	a.slots[i] = s
	w.enlist(s, p)
	return nil
}

func (w *window) keptLinks(s uint32) []uint32 {
	return w.again.table.U32(1)[s*keptLinks : (s+1)*keptLinks]
}

func (w *window) list(p uint32) []uint32 {
	return w.panes.U32(w.listCol)[p*listLinks : (p+1)*listLinks]
}

// keepRows keeps the values of rows. What accumulators are not to get has no pane then.
func (w *window) keepRows(lo, hi int) {
	a := w.again
	for r := lo; r < hi; r++ {
		p := w.idx[r]
		if p == noPane {
			continue
		}
		a.value = a.value[:0]
		for i := range w.inputs {
			a.value = carry.AppendValue(a.value, w.inputs[i].arr, r)
		}
		s := a.slots[r]
		a.table.SetBytes(2, s, a.value)
		a.table.I64(0)[s] = int64(w.times[r])
		if a.revises[r] {
			w.setStale(p)
		}
	}
	for r := lo; r < hi; r++ {
		if p := w.idx[r]; p != noPane && w.paneLinks(p)[paneFlags]&flagStale != 0 {
			w.idx[r] = noPane
		}
	}
}

// enlist puts row s at the end of a pane's list.
func (w *window) enlist(s, p uint32) {
	l, links := w.list(p), w.keptLinks(s)
	links[keptPane], links[keptNext] = p+1, 0
	if l[listLast] == 0 {
		l[listFirst] = s + 1
	} else {
		w.keptLinks(l[listLast] - 1)[keptNext] = s + 1
		w.again.table.Touch(l[listLast] - 1)
	}
	l[listLast] = s + 1
	w.again.table.Touch(s)
	w.panes.Touch(p)
}

// delist takes row s out of a pane's list. The pane is emitted again if it was emitted.
func (w *window) delist(s, p uint32) {
	l, before := w.list(p), uint32(0)
	for at := l[listFirst]; at != s+1; at = w.keptLinks(at - 1)[keptNext] {
		before = at
	}
	next := w.keptLinks(s)[keptNext]
	if before == 0 {
		l[listFirst] = next
	} else {
		w.keptLinks(before - 1)[keptNext] = next
		w.again.table.Touch(before - 1)
	}
	if next == 0 {
		l[listLast] = before
	}
	w.setStale(p)
	pl := w.paneLinks(p)
	late, g := pl[paneFlags]&flagClosed != 0, pl[paneGroup]
	w.mark(g, p, late && w.late == revise, late, w.groupTimes(g)[groupSettled], w.endOf(p)+w.grace)
	w.forgetSpans(g)
}

// setStale says that a pane's accumulators are to be made anew.
func (w *window) setStale(p uint32) {
	links := w.paneLinks(p)
	if links[paneFlags]&flagStale == 0 && w.kind == sliding {
		w.again.stale = append(w.again.stale, p)
	}
	links[paneFlags] |= flagStale
	w.panes.Touch(p)
}

// renew makes the accumulators anew of the panes that are to be emitted.
func (w *window) renew() {
	if w.kind == tumbling {
		for i := range w.queue {
			w.renewPane(w.queue[i].pane)
		}
		return
	}
	for _, p := range w.again.stale {
		if w.panes.Live(p) {
			w.renewPane(p)
		}
	}
	w.again.stale = w.again.stale[:0]
}

// renewPane makes the accumulators of a pane anew from its rows, if it is stale.
func (w *window) renewPane(p uint32) {
	links := w.paneLinks(p)
	if links[paneFlags]&flagStale == 0 {
		return
	}
	links[paneFlags] &^= flagStale
	w.panes.Touch(p)
	w.forgetSpans(links[paneGroup])
	w.blankPane(p)
	a := w.again
	a.refill.begin()
	for at := w.list(p)[listFirst]; at != 0; at = w.keptLinks(at - 1)[keptNext] {
		a.take(p, a.table.I64(0)[at-1], a.table.Bytes(2, at-1))
	}
	w.refill(&a.refill)
}

// blankPane makes a pane's accumulators those of no row.
func (w *window) blankPane(p uint32) {
	copy(w.cells(p)[w.meta:], w.template[w.meta:])
	w.rest(p, true)
	for _, a := range w.accs {
		if a.col >= 0 {
			w.panes.SetBytes(a.col, p, nil)
		}
	}
}

// letGo deletes a pane's rows, before the pane itself is deleted.
func (w *window) letGo(p uint32) {
	for at := w.list(p)[listFirst]; at != 0; {
		next := w.keptLinks(at - 1)[keptNext]
		w.again.table.Delete(at - 1)
		at = next
	}
}

// revised says how revisions of the window's rows belong together, for windows behind it.
func (p *program) revised(at *stage.At) *stage.Revised {
	name := at.Address
	switch {
	case !p.revises():
		return nil
	case p.kind != tumbling && p.kind != sliding:
		return &stage.Revised{Why: name + " may move the end of what it has emitted, and so the window in which that counts"}
	case p.having != nil:
		return &stage.Revised{Why: name + " has having, and emits again what is not true of it any more"}
	}
	keys := stage.Names(p.by)
	r := &stage.Revised{By: append(keys, "window_start"), Every: p.every, Keep: p.grace + p.hold}
	r.Fixed = append(append(r.Fixed, r.By...), "window_end")
	return r
}
