package window

import (
	"cmp"
	"math/bits"
	"slices"

	"github.com/tidemill/tidemill/engine/flow"
)

// round is what is left to do of an Advance: a piece emits about emitRows windows, and the next one comes when these
// have been taken.
type round struct {
	phase doing
	next  uint32 // the next group; where all ends, the next of a list
	mark  int64  // of the partition, if groups have none of their own
	now   int64
	early bool
	ends  bool // the input has
	acts  bool // it began with a tick or the end, and not with watermarks alone
}

// doing is what a round is at.
type doing uint8

const (
	resting  doing = iota
	ticking        // closes what watermarks have passed
	showing        // emits what is open: early, or since nothing comes
	revising       // the end of input: what waits for a revision (sliding)
	closing        // the end of input: what is open
)

// Advance notes watermarks as they come, and acts on them at ticks: where a
// tick stands among the rows does not depend on how batches are cut. What it emits it emits in More.
func (w *window) Advance(_ int, marks flow.Watermarks, _ flow.Emitter) error {
	if w.round.phase != resting {
		panic("BUG: a window is told of progress before it has said all about what it was told before")
	}
	for _, k := range marks.Keys {
		w.note(k)
	}
	w.round.ends, w.round.acts = marks.Ended, marks.Ticked || marks.Ended
	switch {
	case marks.Ticked:
		w.beginTick(marks.Tick)
	case marks.Ended:
		w.beginEnd()
	}
	return nil
}

// More emits what is to be emitted after an Advance.
func (w *window) More(out flow.Emitter) (more bool, err error) {
	for w.round.phase != resting && len(w.queue) < emitRows {
		if ends := w.turn(); ends && len(w.queue) > 0 {
			break // what is open at the end is emitted behind what the tick has closed
		}
	}
	w.emit(out)
	if w.round.phase == resting && w.round.acts {
		w.round.acts = false
		w.forget()
	}
	if w.fault != nil {
		return false, w.explain(w.fault)
	}
	return w.round.phase != resting, nil
}

// turn does what a round has to do with one group or pane, and tells whether the end begins now.
func (w *window) turn() (ends bool) {
	r := &w.round
	at := r.next
	r.next++
	switch r.phase {
	case ticking:
		switch at = w.nextDue(at); {
		case at == noPane:
			clear(w.due)
			r.phase, r.next = showing, 0
		default:
			mark := r.mark
			if w.scheme != partition {
				mark = w.groupTimes(at)[groupMark]
			}
			w.tickGroup(at, mark)
			r.next = at + 1
		}
	case showing:
		switch {
		case w.idle == 0 && !r.early || int(at) >= w.groups.Slots():
			if r.phase = resting; r.ends {
				w.beginEnd()
				return true
			}
		case w.groups.Live(at):
			w.provisional(at, r.now, r.early)
		}
	case revising:
		switch {
		case int(at) >= w.groups.Slots():
			r.phase, r.next = closing, 0
		case w.groups.Live(at):
			w.reviseAtEnd(at)
		}
	case closing:
		w.closeOne(at)
	}
	return false
}

// nextDue is the first group from one on that a tick must look at; noPane: none.
func (w *window) nextDue(from uint32) uint32 {
	if w.scheme == partition {
		for ; int(from) < w.groups.Slots(); from++ {
			if w.groups.Live(from) {
				return from
			}
		}
		return noPane
	}
	for i := from >> 6; int(i) < len(w.due); i++ {
		b := w.due[i]
		if i == from>>6 {
			b = b >> (from & 63) << (from & 63)
		}
		if b != 0 {
			return i<<6 + uint32(bits.TrailingZeros64(b))
		}
	}
	return noPane
}

func (w *window) note(k flow.KeyMark) {
	switch w.scheme {
	case partition:
		clock := w.clock.I64(0)
		clock[1] = max(clock[1], k.Time)
		w.clock.Touch(0)
	case single:
		if int(k.Slot) < len(w.groupOf) && w.groupOf[k.Slot] != 0 {
			w.noteGroup(w.groupOf[k.Slot]-1, k.Time)
		}
	case nested:
		w.bySlot.Each(k.Slot, func(g uint32) { w.noteGroup(g, k.Time) })
	}
}

func (w *window) noteGroup(g uint32, mark int64) {
	times := w.groupTimes(g)
	next := times[groupNext]
	if w.length > 0 {
		if no := w.laneOf(g); int(no) < len(w.lanes) && w.lanes[no].ring != noRing {
			next = w.lanes[no].next
		}
	}
	if mark >= next && mark > times[groupMark] {
		times[groupMark] = mark
		w.groups.Touch(g)
		w.setDue(g)
	}
}

func (w *window) beginTick(now int64) {
	w.round.phase, w.round.next, w.round.now = ticking, 0, now
	if w.scheme == partition {
		clock := w.clock.I64(0)
		clock[0] = max(clock[0], clock[1])
		w.clock.Touch(0)
		w.round.mark = clock[0]
	}
	w.round.early = w.isEarly(now)
}

// isEarly tells whether a period of the argument early has gone by.
func (w *window) isEarly(now int64) bool {
	if w.early == 0 {
		return false
	}
	last, period := &w.periods.I64(0)[0], now-mod(now, w.early)
	was := *last
	if period > was {
		*last = period
		w.periods.Touch(0)
	}
	return was != flow.NoMark && period > was
}

func (w *window) tickGroup(g uint32, mark int64) {
	before := len(w.queue)
	w.leaveRing(g)
	w.settle(g, mark, true)
	no := w.laneOf(g)
	if len(w.queue) > before {
		w.setLane(no, noLane())
	} else if int(no) < len(w.lanes) {
		w.lanes[no].rolls = 0
	}
}

// provisional emits the open panes of a group that have changed: early, or when nothing came for a while.
func (w *window) provisional(g uint32, now int64, early bool) {
	switch {
	case w.kind == sliding:
		w.provisionalSliding(g, now, early)
		return
	case w.runs:
		w.provisionalRun(g, now, early)
		return
	}
	links := w.groupLinks(g)
	latest := int64(flow.NoMark)
	w.found = w.found[:0]
	for at, left := links[groupNewest], links[groupActive]; left > 0; {
		pl := w.paneLinks(at - 1)
		if active(pl[paneFlags]) {
			left--
			latest = max(latest, w.cells(at - 1)[paneReceived])
			if pl[paneFlags]&flagDirty != 0 {
				w.found = append(w.found, at-1)
			}
		}
		at = pl[paneOlder]
	}
	if len(w.found) == 0 || !early && (w.idle == 0 || now-latest < w.idle) {
		return
	}
	for i := len(w.found) - 1; i >= 0; i-- {
		w.enqueue(w.found[i], false)
	}
	w.setLane(w.laneOf(g), noLane())
}

// beginEnd begins to emit everything that is still open, in order of window and then of group.
func (w *window) beginEnd() {
	w.round.phase, w.round.next = closing, 0
	if w.kind == sliding {
		w.round.phase = revising
		w.ending = ending{at: map[int64][]uint32{}, of: make([]coming, w.groups.Slots())}
		return
	}
	w.found = w.found[:0]
	w.groups.Range(func(g uint32) bool {
		for at, left := w.groupLinks(g)[groupNewest], w.groupLinks(g)[groupActive]; left > 0; {
			pl := w.paneLinks(at - 1)
			if active(pl[paneFlags]) {
				left--
				w.found = append(w.found, at-1)
			}
			at = pl[paneOlder]
		}
		times := w.groupTimes(g)
		times[groupDirty], times[groupNext] = flow.NoMark, flow.EndMark
		w.groups.Touch(g)
		return true
	})
	slices.SortFunc(w.found, func(a, b uint32) int {
		x, y := w.paneLinks(a), w.paneLinks(b)
		return cmp.Or(cmp.Compare(w.cells(a)[paneStart], w.cells(b)[paneStart]), cmp.Compare(x[paneGroup], y[paneGroup]), cmp.Compare(y[paneFlags]&flagGone, x[paneFlags]&flagGone))
	})
}

// closeOne emits what is next at the end of input.
func (w *window) closeOne(at uint32) {
	switch {
	case w.kind == sliding && int(at) < len(w.ending.groups):
		w.endWindow(w.ending.groups[at])
	case w.kind == sliding && w.ending.next():
		w.round.next = 0
	case w.kind == sliding || int(at) == len(w.found):
		w.clearLanes()
		w.ending, w.round.phase = ending{}, resting
	case w.runs:
		w.revise(w.paneLinks(w.found[at])[paneGroup], w.found[at])
	case w.kind == counting || w.kind == holding:
		p := w.found[at]
		g := w.paneLinks(p)[paneGroup]
		w.groupTimes(g)[groupRows] = 0
		w.finishPane(g, p)
	default:
		w.enqueue(w.found[at], true)
	}
}

func (w *window) clearLanes() {
	clear(w.due)
	for i := range w.lanes {
		w.lanes[i] = noLane()
	}
	clear(w.left)
	for i := range w.span { // rows that come yet may belong to what was computed
		w.span[i] = newSpan()
	}
}
