package window

import (
	"cmp"
	"math/bits"
	"slices"

	"github.com/tidemill/tidemill/engine/flow"
)

// Advance notes watermarks as they come, and acts on them at ticks: where a
// tick stands among the rows does not depend on how batches are cut.
func (w *window) Advance(_ int, marks flow.Watermarks, out flow.Emitter) error {
	for _, k := range marks.Keys {
		w.note(k)
	}
	if marks.Ticked {
		w.tick(marks.Tick)
	}
	if marks.Ended {
		w.emit(out)
		w.end()
	}
	w.emit(out)
	w.forget()
	return nil
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
	if times := w.groupTimes(g); mark >= times[groupNext] && mark > times[groupMark] {
		times[groupMark] = mark
		w.groups.Touch(g)
		w.setDue(g)
	}
}

func (w *window) tick(now int64) {
	if w.scheme == partition {
		clock := w.clock.I64(0)
		clock[0] = max(clock[0], clock[1])
		w.clock.Touch(0)
		w.groups.Range(func(g uint32) bool {
			w.tickGroup(g, clock[0])
			return true
		})
	} else {
		for i, b := range w.due {
			for ; b != 0; b &= b - 1 {
				g := uint32(i<<6 + bits.TrailingZeros64(b))
				w.tickGroup(g, w.groupTimes(g)[groupMark])
			}
		}
	}
	clear(w.due)
	if w.idle > 0 {
		w.groups.Range(func(g uint32) bool {
			w.provisional(g, now)
			return true
		})
	}
}

func (w *window) tickGroup(g uint32, mark int64) {
	before := len(w.queue)
	w.settle(g, mark, true)
	if len(w.queue) > before {
		w.setLane(w.laneOf(g), noLane())
	}
}

// provisional emits the open panes of a group of which nothing came for a while.
func (w *window) provisional(g uint32, now int64) {
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
	if len(w.found) == 0 || now-latest < w.idle {
		return
	}
	for i := len(w.found) - 1; i >= 0; i-- {
		w.enqueue(w.found[i], false)
	}
	w.setLane(w.laneOf(g), noLane())
}

// end emits everything that is still open, in order of window and then of group.
func (w *window) end() {
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
		if x, y := w.cells(a)[paneStart], w.cells(b)[paneStart]; x != y {
			return cmp.Compare(x, y)
		}
		return cmp.Compare(w.paneLinks(a)[paneGroup], w.paneLinks(b)[paneGroup])
	})
	for _, p := range w.found {
		w.enqueue(p, true)
	}
	clear(w.due)
	for i := range w.lanes {
		w.lanes[i] = noLane()
	}
}
