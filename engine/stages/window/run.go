package window

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
)

const farTime = "the event time is beyond the years that windows know"

// A group of a count or state window has one pane at most, the open one. What else is known of the
// key stands in the group, which therefore stays.

func far(t int64) bool { return t >= maxTime || t <= -maxTime }

func (w *window) refuseFar(i int) uint32 {
	w.o.Reject(stage.Reject{Rows: w.rows, Row: i, Field: "_time", Reason: farTime})
	return noPane
}

// arrive returns the group of row i, filled in, and the row's time; false where there is no room for the group, which is an error, or the
// time lies too far off, which is refused.
func (w *window) arrive(i int, no uint32) (g uint32, t int64, ok bool, err error) {
	if g, err = w.group(i, no); err != nil {
		return 0, 0, false, err
	}
	if t = int64(w.times[i]); far(t) {
		w.refuseFar(i)
		return g, t, false, nil
	}
	return g, t, true, nil
}

// openPane returns the group's pane, made when there is none.
func (w *window) openPane(g uint32, t int64) (uint32, error) {
	if at := w.groupLinks(g)[groupNewest]; at != 0 {
		return at - 1, nil
	}
	p, err := w.appendPane(g, t)
	if err != nil {
		return 0, err
	}
	c := w.cells(p)[:metaWordsLong]
	c[paneEnd], c[paneExtra] = t, t
	w.paneLinks(p)[paneFlags] = 0
	w.groupLinks(g)[groupActive]++
	w.groups.Touch(g)
	return p, nil
}

// finishPane lets the group's pane be emitted for good.
func (w *window) finishPane(g, p uint32) {
	w.enqueue(p, true)
	links := w.groupLinks(g) // enqueue has touched it
	links[groupNewest], links[groupOldest] = 0, 0
	w.dead = append(w.dead, p)
}

// placeByCount is Process's loop for windows of a number of rows, in the order in which they come. A lane's
// start is its group.
func (w *window) placeByCount(n int) error {
	for i := range n {
		no, t := w.laneNos[i], int64(w.times[i])
		if int(no) < len(w.left) && w.left[no] > 1 && !far(t) {
			w.left[no]--
			l := &w.lanes[no]
			w.count(uint32(l.start), l.pane, t)
			w.idx[i] = l.pane
			continue
		}
		p, err := w.placeCounted(i, no)
		if err != nil {
			return err
		}
		w.idx[i] = p
	}
	return nil
}

// count notes one more row of a group's pane.
func (w *window) count(g, p uint32, t int64) (rows int64) {
	c := w.cells(p)[:metaWordsLong]
	c[paneStart], c[paneEnd] = min(c[paneStart], t), max(c[paneEnd], t)
	w.groups.Touch(g)
	times := w.groupTimes(g)
	times[groupRows]++
	return times[groupRows]
}

func (w *window) placeCounted(i int, no uint32) (uint32, error) {
	g, t, ok, err := w.arrive(i, no)
	if !ok {
		return noPane, err
	}
	p, err := w.openPane(g, t)
	if err != nil {
		return noPane, err
	}
	if times := w.groupTimes(g); times[groupRows] == 0 {
		w.cells(p)[paneExtra] = times[groupNumber]
		times[groupNumber]++
	}
	w.paneLinks(p)[paneFlags] |= flagDirty
	w.panes.Touch(p)
	w.left = longer(w.left, no)
	if w.left[no] == 0 {
		w.setLane(no, lane{start: int64(g), pane: p})
	}
	if w.left[no] = w.program.rows - w.count(g, p, t); w.left[no] == 0 {
		w.groupTimes(g)[groupRows] = 0
		w.finishPane(g, p)
	}
	return p, nil
}

// Lanes of a state window: start is the time of the key's latest row, next its group plus one.

// placeByState is Process's loop for windows that hold while a condition is true.
func (w *window) placeByState(n int, out flow.Emitter) error {
	held := w.held.(*array.Boolean)
	for i := range n {
		no, t := w.laneNos[i], int64(w.times[i])
		w.idx[i] = noPane
		if held.IsNull(i) {
			continue
		}
		is := held.Value(i)
		if int(no) < len(w.lanes) {
			if l := &w.lanes[no]; l.next > 0 && t >= l.start && t < maxTime && is == (l.pane != noPane) {
				l.start = t
				g := uint32(l.next - 1)
				w.groupTimes(g)[groupLatest] = t
				w.groups.Touch(g)
				if is {
					c := w.cells(l.pane)
					c[paneEnd] = t
				}
				w.idx[i] = l.pane
				continue
			}
		}
		p, err := w.placeHeld(i, no, is, out)
		if err != nil {
			return err
		}
		w.idx[i] = p
	}
	return nil
}

// believed returns the rows' times as far as they are believed: a state's clock is its rows' own, and one from 2099 would make all
// later ones late.
func (w *window) believed(rows arrow.RecordBatch) []arrow.Timestamp {
	times, marks, received := flow.Times(rows), flow.Marks(rows), flow.Received(rows)
	for i, t := range times {
		if flow.Believed(int64(t), marks[i], int64(received[i])) == int64(t) {
			continue
		}
		w.limited = append(w.limited[:0], times...)
		for k := i; k < len(times); k++ {
			w.limited[k] = arrow.Timestamp(flow.Believed(int64(times[k]), marks[k], int64(received[k])))
		}
		return w.limited
	}
	return times
}

func (w *window) placeHeld(i int, no uint32, is bool, out flow.Emitter) (uint32, error) {
	g, t, ok, err := w.arrive(i, no)
	if !ok {
		return noPane, err
	}
	times := w.groupTimes(g)
	if t < times[groupLatest] {
		w.refuseOlder(i, times[groupLatest])
		return noPane, nil
	}
	times[groupLatest] = t
	w.groups.Touch(g)
	p := noPane
	if at := w.groupLinks(g)[groupNewest]; at != 0 || is {
		if at == 0 && times[groupOpened] == t && len(w.queue) > 0 {
			w.add(i) // the window before, which began and ended at t, has its revision when it is emitted
			w.emit(out)
		}
		if p, err = w.openPane(g, t); err != nil {
			return noPane, err
		}
		w.cells(p)[paneEnd] = t
		w.panes.Touch(p)
		if at == 0 && times[groupOpened] == t {
			w.paneLinks(p)[paneRevision] = uint32(times[groupAgain])
		} else if at == 0 {
			times[groupOpened], times[groupAgain] = t, 0
		}
	}
	switch {
	case is:
		w.paneLinks(p)[paneFlags] |= flagDirty
	case p != noPane:
		w.finishPane(g, p)
		p = noPane
	}
	w.setLane(no, lane{start: t, next: int64(g) + 1, pane: p})
	return p, nil
}

// refuseOlder refuses a row that is older than one of its key that came before.
func (w *window) refuseOlder(i int, latest int64) {
	if w.late == drop {
		w.o.Count("late_dropped", 1)
		return
	}
	w.o.Count("late_side", 1)
	w.o.Reject(stage.Reject{Rows: w.rows, Row: i, Reason: fmt.Sprintf("late: a row of its key that came before is of %s", flow.AppendTime(nil, latest))})
}
