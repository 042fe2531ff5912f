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
	if w.fault != nil {
		return w.explain(w.fault)
	}
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
	early := w.isEarly(now)
	if w.idle > 0 || early {
		w.groups.Range(func(g uint32) bool {
			w.provisional(g, now, early)
			return true
		})
	}
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
	w.settle(g, mark, true)
	if len(w.queue) > before {
		w.setLane(w.laneOf(g), noLane())
	}
}

// provisional emits the open panes of a group that have changed: early, or when nothing came for a while.
func (w *window) provisional(g uint32, now int64, early bool) {
	if w.kind == sliding {
		w.provisionalSliding(g, now, early)
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

// end emits everything that is still open, in order of window and then of group.
func (w *window) end() {
	w.found = w.found[:0]
	if w.kind == sliding {
		w.endSliding()
		return
	}
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
	for _, p := range w.found {
		if w.kind == counting || w.kind == holding {
			g := w.paneLinks(p)[paneGroup]
			w.groupTimes(g)[groupRows] = 0
			w.finishPane(g, p)
			continue
		}
		w.enqueue(p, true)
	}
	w.clearLanes()
}

func (w *window) clearLanes() {
	clear(w.due)
	for i := range w.lanes {
		w.lanes[i] = noLane()
	}
	clear(w.left)
}
