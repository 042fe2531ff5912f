package window

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
)

// maxTime keeps sums of times and durations within an int64.
const maxTime = 1 << 61

// place finds the pane of row i, which the lane does not know: it may close
// panes of the row's group, open one, or find that the row is too late.
func (w *window) place(i int, no uint32, out flow.Emitter) (uint32, error) {
	g, err := w.group(i, no)
	if err != nil {
		return noPane, err
	}
	t, m := int64(w.times[i]), w.marks[i]
	w.settle(g, m, false)
	if t >= maxTime || t <= -maxTime {
		w.o.Reject(stage.Reject{Rows: w.rows, Row: i, Field: "_time", Reason: "the event time is beyond the years that windows know"})
		return w.leave(g, no), nil
	}
	end := t - mod(t-w.offset, w.every) + w.every
	late := m >= end+w.grace
	if late && (w.late != revise || m >= end+w.grace+w.keep) {
		w.refuse(i, t, end, m)
		return w.leave(g, no), nil
	}
	p, err := w.pane(g, end-w.every)
	if err != nil {
		return noPane, err
	}
	links := w.paneLinks(p)
	if links[paneFlags]&flagQueued != 0 {
		w.add(i)
		w.emit(out)
	}
	was := active(links[paneFlags])
	links[paneFlags] |= flagDirty
	if times := w.groupTimes(g); late {
		links[paneFlags] |= flagClosed
		if times[groupDirty] == flow.NoMark {
			times[groupDirty] = m
			times[groupNext] = min(times[groupNext], m+1)
			w.setDue(g)
		}
	} else {
		links[paneFlags] &^= flagClosed
		times[groupNext] = min(times[groupNext], end+w.grace)
	}
	if !was {
		w.groupLinks(g)[groupActive]++
	}
	w.groups.Touch(g)
	l := noLane()
	if !late {
		l = lane{start: end - w.every, next: w.groupTimes(g)[groupNext], pane: p}
	}
	w.setLane(no, l)
	return p, nil
}

// leave ends the way of a row that has no pane.
func (w *window) leave(g, no uint32) uint32 {
	w.setLane(no, noLane())
	w.emptied = append(w.emptied, g)
	return noPane
}

func active(flags uint32) bool { return flags&flagClosed == 0 || flags&flagDirty != 0 }

// mod is the remainder that is never negative.
func mod(a, b int64) int64 {
	if a %= b; a < 0 {
		a += b
	}
	return a
}

func (w *window) refuse(i int, t, end, mark int64) {
	switch {
	case w.late == drop:
		w.o.Count("late_dropped", 1)
		return
	case w.late == revise:
		w.o.Count("late_expired", 1)
		return
	}
	w.o.Count("late_side", 1)
	show := func(us int64) string { return string(flow.AppendTime(nil, us)) }
	w.o.Reject(stage.Reject{Rows: w.rows, Row: i, Reason: fmt.Sprintf("late: its window ended at %s, and its key's watermark is %s", show(end), show(mark))})
}

// group returns the group of row i, filled in.
func (w *window) group(i int, no uint32) (uint32, error) {
	g := no
	if w.scheme == single {
		w.groupOf = longer(w.groupOf, no)
		if w.groupOf[no] != 0 {
			return w.groupOf[no] - 1, nil
		}
		var err error
		if g, err = w.internRow(i); err != nil {
			return 0, err
		}
	}
	links := w.groupLinks(g)
	if links[groupReady] == 0 {
		times := w.groupTimes(g)
		times[groupMark], times[groupDirty], times[groupNext] = flow.NoMark, flow.NoMark, flow.EndMark
		links[groupSlot], links[groupReady] = flow.Slots(w.rows)[i], 1
		w.groups.Touch(g)
		w.link(g)
	}
	return g, nil
}

// internRow finds the group of one row by its key (single).
func (w *window) internRow(i int) (uint32, error) {
	if w.keyCol == nil {
		w.keyCol = w.by[0].Prog.Eval(w.rows, w.o.Alloc)
	}
	var key []byte
	if s, ok := w.keyCol.(*array.String); !ok {
		w.key = flow.AppendKey(w.key[:0], w.keyCol, i)
		key = w.key
	} else if s.IsValid(i) {
		w.key = append(w.key[:0], s.Value(i)...)
		key = w.key
	}
	g, _, err := w.groups.Slot(key)
	return g, err
}

func longer[T any](s []T, at uint32) []T {
	if int(at) < len(s) {
		return s
	}
	return append(s, make([]T, int(at)+1-len(s)+len(s)/2)...)
}

func (w *window) setLane(no uint32, l lane) {
	for int(no) >= len(w.lanes) {
		w.lanes = append(w.lanes, noLane())
	}
	w.lanes[no] = l
}

// laneOf is the number of a group's lane.
func (w *window) laneOf(g uint32) uint32 {
	if w.scheme == single {
		return w.groupLinks(g)[groupSlot]
	}
	return g
}

// link makes a group known by its _slot.
func (w *window) link(g uint32) {
	slot := w.groupLinks(g)[groupSlot]
	switch w.scheme {
	case single:
		w.groupOf = longer(w.groupOf, slot)
		w.groupOf[slot] = g + 1
	case nested:
		w.bySlot.Add(slot, g)
	}
}

func (w *window) unlink(g uint32) {
	slot := w.groupLinks(g)[groupSlot]
	switch w.scheme {
	case single:
		w.groupOf[slot] = 0
	case nested:
		w.bySlot.Remove(slot, g)
	}
}

func (w *window) setDue(g uint32) {
	w.due = longer(w.due, g>>6)
	w.due[g>>6] |= 1 << (g & 63)
}

// pane finds the pane of a group that begins at start, or makes it, in its
// place among the group's panes, which are in order of time.
func (w *window) pane(g uint32, start int64) (uint32, error) {
	newer, at := uint32(0), w.groupLinks(g)[groupNewest]
	for at != 0 {
		s := w.cells(at - 1)[paneStart]
		if s == start {
			return at - 1, nil
		}
		if s < start {
			break
		}
		newer, at = at, w.paneLinks(at - 1)[paneOlder]
	}
	p, err := w.panes.Anonymous()
	if err != nil {
		return 0, err
	}
	copy(w.cells(p), w.template)
	w.cells(p)[paneStart] = start
	links := w.paneLinks(p)
	links[paneOlder], links[paneNewer], links[paneGroup], links[paneFlags] = at, newer, g, flagClosed
	w.join(g, newer, p+1)
	w.join(g, p+1, at)
	return p, nil
}

// join makes two panes neighbours; 0 stands for the end of the group's list.
func (w *window) join(g, newer, older uint32) {
	if newer == 0 {
		w.groupLinks(g)[groupNewest] = older
	} else {
		w.paneLinks(newer - 1)[paneOlder] = older
		w.panes.Touch(newer - 1)
	}
	if older == 0 {
		w.groupLinks(g)[groupOldest] = newer
	} else {
		w.paneLinks(older - 1)[paneNewer] = newer
		w.panes.Touch(older - 1)
	}
	w.groups.Touch(g)
}

// settle closes what the watermark m has passed, queues revisions when it has
// moved since their rows came (or at a tick), and lets go of what is older than keep.
func (w *window) settle(g uint32, m int64, tick bool) {
	times, links := w.groupTimes(g), w.groupLinks(g)
	revises := times[groupDirty] != flow.NoMark && (tick || m > times[groupDirty])
	if m < times[groupNext] && !revises {
		return
	}
	next := int64(flow.EndMark)
	w.found = w.found[:0]
	left := links[groupActive]
	for at := links[groupNewest]; left > 0; {
		pl := w.paneLinks(at - 1)
		if f := pl[paneFlags]; active(f) {
			left--
			closes := w.cells(at - 1)[paneStart] + w.every + w.grace
			switch {
			case f&flagClosed != 0 && revises, f&flagClosed == 0 && closes <= m:
				w.found = append(w.found, at-1)
			case f&flagClosed == 0:
				next = min(next, closes)
			}
		}
		at = pl[paneOlder]
	}
	for i := len(w.found) - 1; i >= 0; i-- {
		w.enqueue(w.found[i], true)
	}
	if revises {
		times[groupDirty] = flow.NoMark
	} else if times[groupDirty] != flow.NoMark {
		next = min(next, times[groupDirty]+1)
	}
	times[groupNext] = next
	w.groups.Touch(g)
	w.expire(g, m)
}

// enqueue lets a pane be emitted, for good or provisionally.
func (w *window) enqueue(p uint32, final bool) {
	links := w.paneLinks(p)
	g := links[paneGroup]
	w.queue = append(w.queue, emission{p, g, links[paneRevision], final})
	links[paneRevision]++
	links[paneFlags] = links[paneFlags]&^flagDirty | flagQueued
	if final {
		links[paneFlags] |= flagClosed
		w.groupLinks(g)[groupActive]--
		w.groups.Touch(g)
	}
	w.panes.Touch(p)
}

// expire takes panes out of the group that no late row can reach any more.
func (w *window) expire(g uint32, m int64) {
	for {
		at := w.groupLinks(g)[groupOldest]
		if at == 0 {
			w.emptied = append(w.emptied, g)
			return
		}
		links := w.paneLinks(at - 1)
		if active(links[paneFlags]) || w.cells(at - 1)[paneStart]+w.every+w.grace+w.keep > m {
			return
		}
		w.join(g, links[paneNewer], links[paneOlder])
		w.dead = append(w.dead, at-1)
	}
}

// forget deletes groups that have no panes. Lanes of a batch name groups, so
// it waits for the batch's end.
func (w *window) forget() {
	for _, g := range w.emptied {
		if !w.groups.Live(g) || w.groupLinks(g)[groupNewest] != 0 {
			continue
		}
		if no := w.laneOf(g); int(no) < len(w.lanes) {
			w.lanes[no] = noLane()
		}
		if w.groupLinks(g)[groupReady] != 0 {
			w.unlink(g)
		}
		if int(g>>6) < len(w.due) {
			w.due[g>>6] &^= 1 << (g & 63)
		}
		w.groups.Delete(g)
	}
	w.emptied = w.emptied[:0]
}
