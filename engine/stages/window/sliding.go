package window

import (
	"cmp"
	"slices"

	"github.com/tidemill/tidemill/engine/flow"
)

// Sliding windows share panes as long as a step. The window that ends with a pane has its
// revision and flags in that pane's links; a pane without rows is made where a window ends and no row is.
// What is in a window is gathered in spans.go.

// firstWindow returns the end of the first window with rows that ends at from or later.
func (w *window) firstWindow(g uint32, from int64) (int64, bool) {
	best, found := int64(0), false
	for at := w.groupLinks(g)[groupNewest]; at != 0; at = w.paneLinks(at - 1)[paneOlder] {
		if w.paneLinks(at - 1)[paneFlags]&flagEmpty != 0 {
			continue
		}
		end := w.endOf(at - 1)
		if end <= from {
			if end+w.size-w.every >= from {
				return from, true
			}
			break
		}
		best, found = end, true
	}
	return best, found
}

// openEnd is the end of the first window that a watermark has not closed.
func (w *window) openEnd(g uint32, settled int64) int64 {
	if settled == flow.NoMark {
		if at := w.groupLinks(g)[groupOldest]; at != 0 {
			return w.endOf(at - 1)
		}
		return 0
	}
	x := settled - w.grace
	return x - mod(x-w.offset, w.every) + w.every
}

// settleSliding closes the windows that the watermark m has passed and emits again what late rows changed.
func (w *window) settleSliding(g uint32, m int64, revises bool) {
	times := w.groupTimes(g)
	settled := times[groupSettled]
	w.ends = w.ends[:0]
	if revises {
		w.findRevised(g, settled, times[groupDirty])
		times[groupDirty] = flow.NoMark
	}
	next := int64(flow.EndMark)
	for e, ok := w.firstWindow(g, w.openEnd(g, settled)); ok; e, ok = w.firstWindow(g, e+w.every) {
		if e+w.grace > m {
			next = e + w.grace
			break
		}
		w.ends = append(w.ends, e)
	}
	for _, e := range w.ends {
		if p, err := w.pane(g, e-w.every); err != nil {
			w.fault = err
		} else {
			w.enqueue(p, true)
		}
	}
	if times[groupDirty] != flow.NoMark {
		next = min(next, times[groupDirty]+1)
	}
	times[groupSettled], times[groupNext] = m, next
	w.groups.Touch(g)
	w.stale = append(w.stale, g)
}

// findRevised lists the ends of closed windows in which late rows are. Of those only windows count that
// were still kept when the rows came, at the watermark since.
func (w *window) findRevised(g uint32, settled, since int64) {
	last := int64(flow.NoMark)
	for at := w.groupLinks(g)[groupOldest]; at != 0; at = w.paneLinks(at - 1)[paneNewer] {
		links := w.paneLinks(at - 1)
		if links[paneFlags]&flagClosed == 0 || links[paneFlags]&flagDirty == 0 {
			continue
		}
		links[paneFlags] &^= flagDirty
		w.panes.Touch(at - 1)
		end := w.endOf(at - 1)
		for e := max(end, last); e <= end+w.size-w.every && e+w.grace <= settled; e += w.every {
			if e > last && e+w.grace+w.keep > since {
				w.ends = append(w.ends, e)
			}
			last = max(last, e)
		}
	}
}

// provisionalSliding emits the window that closes next, if it has changed.
func (w *window) provisionalSliding(g uint32, now int64, early bool) {
	times := w.groupTimes(g)
	newest := w.groupLinks(g)[groupNewest]
	if newest == 0 {
		return
	}
	e, ok := w.firstWindow(g, w.openEnd(g, times[groupSettled]))
	if !ok || !early && (w.idle == 0 || now-w.cells(newest - 1)[paneReceived] < w.idle) {
		return
	}
	p, err := w.pane(g, e-w.every)
	if err != nil {
		w.fault = err
		return
	}
	if w.paneLinks(p)[paneFlags]&(flagDirty|flagClosed) == flagDirty {
		w.enqueue(p, false)
		w.setLane(w.laneOf(g), noLane())
	}
}

// endSliding emits all windows that are open, in order of their ends and then of group.
func (w *window) endSliding() {
	type ending struct {
		end   int64
		group uint32
	}
	var all []ending
	w.groups.Range(func(g uint32) bool {
		times := w.groupTimes(g)
		w.ends = w.ends[:0]
		if times[groupDirty] != flow.NoMark {
			w.findRevised(g, times[groupSettled], times[groupDirty])
		}
		for e, ok := w.firstWindow(g, w.openEnd(g, times[groupSettled])); ok; e, ok = w.firstWindow(g, e+w.every) {
			w.ends = append(w.ends, e)
		}
		for _, e := range w.ends {
			all = append(all, ending{e, g})
			times[groupSettled] = max(times[groupSettled], e+w.grace)
		}
		times[groupDirty], times[groupNext] = flow.NoMark, flow.EndMark
		w.groups.Touch(g)
		w.stale = append(w.stale, g)
		return true
	})
	slices.SortFunc(all, func(a, b ending) int { return cmp.Or(cmp.Compare(a.end, b.end), cmp.Compare(a.group, b.group)) })
	for _, x := range all {
		if p, err := w.pane(x.group, x.end-w.every); err != nil {
			w.fault = err
		} else {
			w.enqueue(p, true)
		}
	}
	w.clearLanes()
}

// expireStale deletes panes that no window needs any more, after what was queued is emitted.
func (w *window) expireStale() {
	for _, g := range w.stale {
		if !w.groups.Live(g) {
			continue
		}
		settled := w.groupTimes(g)[groupSettled]
		for {
			at := w.groupLinks(g)[groupOldest]
			if at == 0 {
				w.emptied = append(w.emptied, g)
				break
			}
			links := w.paneLinks(at - 1)
			if !w.outlived(at-1, settled) || !w.bytes && links[paneNewer] != 0 && !w.outlived(links[paneNewer]-1, settled) {
				break // the last one of several that are of no use is what roll makes the next one of
			}
			w.spanOf(g).leave(at-1, links[paneNewer])
			w.join(g, links[paneNewer], links[paneOlder])
			w.rest(at-1, true)
			w.panes.Delete(at - 1)
		}
	}
	w.stale = w.stale[:0]
}

// outlived tells whether no window needs a pane, and none that may be revised, with all closed up to the watermark settled.
func (w *window) outlived(p uint32, settled int64) bool {
	return !active(w.paneLinks(p)[paneFlags]) && w.endOf(p)+w.size-w.every+w.grace+w.keep <= settled
}

// panesOf lists the panes of an emission's window, the oldest first; good until the next call.
func (w *window) panesOf(e emission) []uint32 {
	w.panesIn = append(w.panesIn[:0], e.pane)
	if w.kind == sliding {
		w.panesIn = w.panesIn[:0]
		from := w.cells(e.pane)[paneStart] + w.every - w.size
		for at := e.pane + 1; at != 0 && w.cells(at - 1)[paneStart] >= from; at = w.paneLinks(at - 1)[paneOlder] {
			if w.paneLinks(at - 1)[paneFlags]&flagEmpty == 0 {
				w.panesIn = append(w.panesIn, at-1)
			}
		}
		slices.Reverse(w.panesIn)
	}
	return w.panesIn
}

// MemoryBytes is about how many bytes a window holds beside its tables; see stage.Sized.
func (w *window) MemoryBytes() int64 {
	n := int64(cap(w.lanes))*24 + int64(cap(w.groupOf))*4 + int64(cap(w.due))*8 + int64(cap(w.left))*8
	return n + w.spanBytes()
}
