package window

import (
	"slices"

	"github.com/tidemill/tidemill/engine/flow"
)

// Sliding windows share panes as long as a step. The window that ends with a pane has its
// revision and flags in that pane's links. For a window that ends where no pane is, the pane before has in its flags that
// the window was emitted once (tailShift); a pane without rows is made when it is emitted again.
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
	if revises {
		w.ends = w.ends[:0]
		w.findRevised(g, settled, times[groupDirty])
		times[groupDirty] = flow.NoMark
		for _, e := range w.ends {
			w.enqueueMade(g, e)
		}
	}
	next := int64(flow.EndMark)
	for c, ok := w.opening(g, settled); ok; c, ok = w.following(c) {
		if c.end+w.grace > m {
			next = c.end + w.grace
			break
		}
		w.enqueueAt(g, c)
	}
	times = w.groupTimes(g)
	if times[groupDirty] != flow.NoMark {
		next = min(next, times[groupDirty]+1)
	}
	times[groupSettled], times[groupNext] = m, next
	w.groups.Touch(g)
	w.stale = append(w.stale, g)
}

// coming is where a group's windows have come to: one with rows ends at end, and at is the newest pane that begins before, plus one.
type coming struct {
	end int64
	at  uint32
}

// opening finds the first window of a group that a watermark has not closed and that has rows.
func (w *window) opening(g uint32, settled int64) (coming, bool) {
	end, ok := w.firstWindow(g, w.openEnd(g, settled))
	at := w.groupLinks(g)[groupNewest]
	for ok && w.cells(at - 1)[paneStart] >= end {
		at = w.paneLinks(at - 1)[paneOlder]
	}
	return coming{end, at}, ok
}

// following finds the next window with rows.
func (w *window) following(c coming) (coming, bool) {
	c.end += w.every
	newer := func() uint32 { return w.paneLinks(c.at - 1)[paneNewer] }
	for n := newer(); n != 0 && w.cells(n - 1)[paneStart] < c.end; n = newer() {
		c.at = n
	}
	for at := c.at; at != 0 && w.cells(at - 1)[paneStart] >= c.end-w.size; at = w.paneLinks(at - 1)[paneOlder] {
		if w.paneLinks(at - 1)[paneFlags]&flagEmpty == 0 {
			return c, true
		}
	}
	for n := newer(); n != 0; n = newer() {
		c.at = n
		if w.paneLinks(n - 1)[paneFlags]&flagEmpty == 0 {
			c.end = w.endOf(n - 1)
			return c, true
		}
	}
	return c, false
}

// enqueueAt lets the window at c be emitted for the first time, without a pane where none is but for the window's number of
// revisions. With having that number depends on what is let out, and there is a pane.
func (w *window) enqueueAt(g uint32, c coming) {
	links := w.paneLinks(c.at - 1)
	behind := (c.end - w.endOf(c.at-1)) / w.every
	if behind == 0 || w.having != nil || int64(links[paneFlags]>>tailShift) != behind-1 {
		w.enqueueMade(g, c.end)
		return
	}
	links[paneFlags] = (links[paneFlags] + 1<<tailShift) | flagQueued
	w.panes.Touch(c.at - 1)
	w.spanOf(g).queued = uint32(len(w.queue))
	w.queue = append(w.queue, emission{start: w.cells(c.at - 1)[paneStart], pane: c.at - 1, group: g, tail: uint32(behind), final: true})
}

// enqueueMade lets the window that ends at end be emitted, and makes the pane it ends with where there is none.
func (w *window) enqueueMade(g uint32, end int64) {
	if p, err := w.pane(g, end-w.every); err != nil {
		w.fault = err
	} else {
		w.enqueue(p, true)
	}
}

// takeTail gives pane p, which was made behind pane older, what older says of windows that end with p or behind it.
func (w *window) takeTail(older, p uint32) {
	links, own := w.paneLinks(older), w.paneLinks(p)
	behind := (w.cells(p)[paneStart] - w.cells(older)[paneStart]) / w.every
	tail := int64(links[paneFlags] >> tailShift)
	if behind > tail {
		return
	}
	const flags = 1<<tailShift - 1
	own[paneRevision] = 1
	own[paneFlags] = own[paneFlags]&flags | uint32(tail-behind)<<tailShift
	links[paneFlags] = links[paneFlags]&flags | uint32(behind-1)<<tailShift
	w.panes.Touch(older)
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
		w.groupLinks(g)[groupActive]--
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
	c, ok := w.opening(g, times[groupSettled])
	if !ok || w.endOf(c.at-1) != c.end || !early && (w.idle == 0 || now-w.cells(newest - 1)[paneReceived] < w.idle) {
		return
	}
	if w.paneLinks(c.at - 1)[paneFlags]&(flagDirty|flagClosed) == flagDirty {
		w.enqueue(c.at-1, false)
		w.setLane(w.laneOf(g), noLane())
	}
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
				w.setBare(g)
				break
			}
			links := w.paneLinks(at - 1)
			if !w.outlived(at-1, settled) || !w.bytes && links[paneNewer] != 0 && !w.outlived(links[paneNewer]-1, settled) {
				break // the last one of several that are of no use is what roll makes the next one of
			}
			w.passOver(w.spanOf(g), at-1)
			w.join(g, links[paneNewer], links[paneOlder])
			w.rest(at-1, true)
			if w.latest {
				w.letGo(at - 1)
			}
			w.panes.Delete(at - 1)
		}
	}
	w.stale = w.stale[:0]
}

// outlived tells whether no window needs a pane, and none that may be revised, with all closed up to the watermark settled.
func (w *window) outlived(p uint32, settled int64) bool {
	return !active(w.paneLinks(p)[paneFlags]) && w.endOf(p)+w.size-w.every+w.grace+w.hold <= settled
}

// panesOf lists the panes of an emission's window, the oldest first; good until the next call.
func (w *window) panesOf(e emission) []uint32 {
	w.panesIn = append(w.panesIn[:0], e.pane)
	if w.kind == sliding {
		w.panesIn = w.panesIn[:0]
		from := w.lastStep(&e) + w.every - w.size
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
	n := int64(cap(w.lanes))*32 + int64(cap(w.groupOf))*4 + int64(cap(w.due))*8 + int64(cap(w.left))*8
	return n + w.spanBytes()
}
