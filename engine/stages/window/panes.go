package window

import (
	"fmt"
	"math/bits"

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
	w.leaveRing(g)
	t, m := int64(w.times[i]), w.marks[i]
	if w.kind == sliding || w.latest { // a row that a window made may come after a watermark that was told apart
		m = max(m, w.groupTimes(g)[groupSettled])
	}
	w.settle(g, m, false)
	w.relieve(i, out)
	if far(t) {
		w.refuseFar(i)
		return w.leave(g, no), nil
	}
	end := t - mod(t-w.offset, w.every) + w.every
	late := m >= end+w.grace
	if last := end + w.size - w.step(); m >= last+w.grace && (w.late != revise || m >= last+w.grace+w.keep) {
		w.refuse(i, t, last, m)
		return w.leave(g, no), nil
	}
	p, err := w.pane(g, end-w.every)
	if err != nil {
		return noPane, err
	}
	if w.kind == sliding && late {
		w.forgetSpans(g) // the pane may be new
	}
	if w.paneLinks(p)[paneFlags]&flagQueued != 0 || w.kind == sliding && late && len(w.queue) > 0 {
		w.add(i)
		w.emit(out)
	}
	if w.kind == sliding && late {
		w.forgetSpans(g)
	}
	w.mark(g, p, late && w.late == revise, late, m, end+w.grace)
	l := noLane()
	if !late {
		l = lane{start: end - w.every, next: w.groupTimes(g)[groupNext], pane: p}
		if w.rollable(g, p, end) {
			l.rolls = g + 1
		}
	}
	w.setLane(no, l)
	return p, nil
}

// relieve emits what is queued before row i, if that is much.
func (w *window) relieve(i int, out flow.Emitter) {
	if len(w.queue) >= emitRows {
		w.add(i)
		w.emit(out)
	}
}

// mark notes that a row came for a pane that closes at closes, or has closed: then it is to be
// revised.
func (w *window) mark(g, p uint32, revised, late bool, m, closes int64) {
	links := w.paneLinks(p)
	was := active(links[paneFlags])
	links[paneFlags] = (links[paneFlags] | flagDirty) &^ flagEmpty
	times := w.groupTimes(g)
	switch {
	case revised:
		links[paneFlags] |= flagClosed
		w.awaitRevision(g, m)
	case late: // sliding: windows to come see it, and those that are closed stay as they are
		links[paneFlags] = links[paneFlags]&^flagDirty | flagClosed
		times[groupNext] = min(times[groupNext], m+1)
	default:
		links[paneFlags] &^= flagClosed
		times[groupNext] = min(times[groupNext], closes)
	}
	if now := active(links[paneFlags]); now && !was {
		w.groupLinks(g)[groupActive]++
	} else if was && !now {
		w.groupLinks(g)[groupActive]--
	}
	w.groups.Touch(g)
	w.panes.Touch(p)
}

// awaitRevision notes that something of the group is to be emitted again when its watermark moves on.
func (w *window) awaitRevision(g uint32, m int64) {
	if times := w.groupTimes(g); times[groupDirty] == flow.NoMark {
		times[groupDirty] = m
		times[groupNext] = min(times[groupNext], m+1)
		w.setDue(g)
		w.groups.Touch(g)
	}
}

// step is how far windows are apart that a row can be in; 0 for kinds in which it is in one only.
func (p *program) step() int64 {
	if p.kind == sliding {
		return p.every
	}
	return 0
}

// endOf is where a pane ends; of a sliding window's, also the window that ends with it.
func (w *window) endOf(p uint32) int64 {
	if w.kind == tumbling || w.kind == sliding {
		return w.cells(p)[paneStart] + w.every
	}
	return w.cells(p)[paneEnd]
}

// leave ends the way of a row that has no pane.
func (w *window) leave(g, no uint32) uint32 {
	w.setLane(no, noLane())
	w.setBare(g)
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
		w.o.Count("late_dropped", w.rowsOf(i))
		return
	case w.late == revise:
		w.o.Count("late_expired", w.rowsOf(i))
		return
	}
	w.o.Count("late_side", 1)
	show := func(us int64) string { return string(flow.AppendTime(nil, us)) }
	w.o.Reject(stage.Reject{Rows: w.rows, Row: i, Text: w.textOfRow(i), Reason: fmt.Sprintf("late: its window ended at %s, and its key's watermark is %s", show(end), show(mark))})
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
		if w.kind == sliding || w.kind == holding || w.latest {
			times[groupSettled] = flow.NoMark
		}
		if w.kind == holding {
			times[groupOpened] = flow.NoMark
		}
		if w.runs {
			times[groupHorizon] = flow.NoMark
		}
		links[groupSlot], links[groupReady] = flow.Slots(w.rows)[i], 1
		w.forgetSpans(g)
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

// laneAt is a lane that there may not have been.
func (w *window) laneAt(no uint32) *lane {
	for int(no) >= len(w.lanes) {
		w.lanes = append(w.lanes, noLane())
	}
	return &w.lanes[no]
}

func (w *window) setLane(no uint32, l lane) {
	at := w.laneAt(no)
	if at.ring != noRing {
		panic("BUG: a lane whose group's panes go round is replaced")
	}
	*at = l
	if int(no) < len(w.left) {
		w.left[no] = 0
	}
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
	at := w.groupLinks(g)[groupNewest]
	for at != 0 {
		s := w.cells(at - 1)[paneStart]
		if s == start && w.paneLinks(at - 1)[paneFlags]&flagGone == 0 {
			return at - 1, nil
		}
		if s < start {
			break
		}
		at = w.paneLinks(at - 1)[paneOlder]
	}
	return w.newPane(g, start, at)
}

// newPane makes a pane behind the group's pane older, the newest of all that begin before; 0 is none.
func (w *window) newPane(g uint32, start int64, older uint32) (uint32, error) {
	p, err := w.panes.AnonymousRaw()
	if err != nil {
		return 0, err
	}
	copy(w.cells(p), w.template)
	clear(w.paneLinks(p))
	if w.latest {
		clear(w.list(p))
	}
	w.cells(p)[paneStart] = start
	newer := w.groupLinks(g)[groupOldest]
	if older != 0 {
		newer = w.paneLinks(older - 1)[paneNewer]
	}
	links := w.paneLinks(p)
	links[paneGroup], links[paneFlags] = g, flagClosed
	if w.kind == sliding {
		links[paneFlags] |= flagEmpty
		if older != 0 {
			w.takeTail(older-1, p)
		}
	}
	w.join(g, newer, p+1)
	w.join(g, p+1, older)
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
	if w.latest && w.kind == tumbling && m > times[groupSettled] {
		times[groupSettled] = m
		w.groups.Touch(g)
	}
	revises := times[groupDirty] != flow.NoMark && (tick || m > times[groupDirty])
	if w.runs { // they end with a row
		if revises {
			w.settleRuns(g)
		}
		return
	}
	if m < times[groupNext] && !revises {
		if w.kind == sliding && m > times[groupSettled] {
			times[groupSettled] = m // no window with rows ends between the two
			w.groups.Touch(g)
		}
		return
	}
	if w.kind == sliding {
		w.settleSliding(g, max(m, times[groupSettled]), revises)
		return
	}
	next := int64(flow.EndMark)
	w.found = w.found[:0]
	left := links[groupActive]
	for at := links[groupNewest]; left > 0; {
		pl := w.paneLinks(at - 1)
		if f := pl[paneFlags]; active(f) {
			left--
			closes := w.endOf(at-1) + w.grace
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
	if w.kind == sliding {
		w.spanOf(g).queued = uint32(len(w.queue))
	}
	w.queue = append(w.queue, emission{start: w.cells(p)[paneStart], pane: p, group: g, revision: links[paneRevision], final: final})
	links[paneRevision]++
	was := active(links[paneFlags])
	links[paneFlags] = links[paneFlags]&^flagDirty | flagQueued
	if final {
		links[paneFlags] |= flagClosed
		if was {
			w.groupLinks(g)[groupActive]--
			w.groups.Touch(g)
		}
	}
	w.panes.Touch(p)
}

// expire takes panes out of the group that no late row can reach any more.
func (w *window) expire(g uint32, m int64) {
	for {
		at := w.groupLinks(g)[groupOldest]
		if at == 0 {
			w.setBare(g)
			return
		}
		links := w.paneLinks(at - 1)
		if active(links[paneFlags]) || w.endOf(at-1)+w.grace+w.hold > m {
			return
		}
		w.join(g, links[paneNewer], links[paneOlder])
		w.dead = append(w.dead, at-1)
	}
}

// setBare notes that a group may have no panes.
func (w *window) setBare(g uint32) {
	w.bare = longer(w.bare, g>>6)
	w.bare[g>>6] |= 1 << (g & 63)
}

// forget deletes groups that have no panes. It does so at ticks (and see makeRoom), and not as soon as it can: the order in which groups go out is
// that of their slots, and a slot that were free earlier would be the next group's, or not, as batches were cut.
func (w *window) forget() {
	for i, b := range w.bare {
		for w.bare[i] = 0; b != 0; b &= b - 1 {
			if g := uint32(i<<6 + bits.TrailingZeros64(b)); w.groups.Live(g) && w.groupLinks(g)[groupNewest] == 0 {
				w.forgetGroup(g)
			}
		}
	}
}

// forgetGroup deletes a group. Of a count or state window's more is known than its window.
func (w *window) forgetGroup(g uint32) {
	if w.kind == counting || w.kind == holding {
		return
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
