package window

import "github.com/tidemill/tidemill/engine/flow"

// roll does what place does in the commonest case, without looking for what cannot be there: the group has
// one open window, the row's watermark closes it, and the row is the first of the window right behind it, or of
// a later one. ok is false in every other case, and then nothing has changed.
func (w *window) roll(i int, no uint32) (p uint32, ok bool, err error) {
	if w.scheme == single && (int(no) >= len(w.groupOf) || w.groupOf[no] == 0) {
		return noPane, false, nil
	}
	g := no
	if w.scheme == single {
		g = w.groupOf[no] - 1
	}
	times, links := w.groupTimes(g), w.groupLinks(g)
	newest := links[groupNewest]
	if newest == 0 || links[groupActive] != 1 || times[groupDirty] != flow.NoMark || links[groupReady] == 0 {
		return noPane, false, nil
	}
	pl := w.paneLinks(newest - 1)
	end := w.cells(newest - 1)[paneStart] + w.every
	start := end
	t, m := int64(w.times[i]), w.marks[i]
	if pl[paneFlags]&(flagClosed|flagQueued) != 0 || t < end || t >= maxTime || m < end+w.grace {
		return noPane, false, nil
	}
	if t-start >= w.every {
		start = t - mod(t-w.offset, w.every)
	}
	next := start + w.every + w.grace
	if m >= next {
		return noPane, false, nil
	}
	if w.kind == sliding {
		if !w.rollsOn(g, end, m) {
			return noPane, false, nil
		}
		next = end + w.every + w.grace // another window with the newest pane
	}
	at := len(w.queue)
	w.push(newest-1, g, pl[paneRevision], true)
	pl[paneRevision]++
	pl[paneFlags] = pl[paneFlags]&^flagDirty | flagClosed | flagQueued
	w.panes.Touch(newest - 1)
	old := w.spare(g, m)
	if w.kind == sliding {
		times[groupSettled] = m
		w.spanOf(g).queued = uint32(at)
		if old == noPane {
			w.stale = append(w.stale, g)
		}
	} else {
		w.expire(g, m)
	}
	if p, err = w.appendPane(g, start, old); err != nil {
		return noPane, false, err
	}
	times = w.groupTimes(g)
	times[groupNext] = next
	w.groups.Touch(g)
	l := w.laneAt(no) // field by field: a lane that is written in halves and copied whole waits for both
	l.start, l.next, l.pane = start, next, p
	return p, true, nil
}

// push adds an emission to the queue.
func (w *window) push(p, g, revision uint32, final bool) {
	n := len(w.queue)
	if n == cap(w.queue) {
		w.queue = append(w.queue, emission{})
	} else {
		w.queue = w.queue[:n+1]
	}
	e := &w.queue[n]
	e.pane, e.group, e.revision, e.tail, e.final = p, g, revision, 0, final
}

// spare takes the group's oldest pane out of its list, if that is of no use any more, so that it can be the next one; else it
// returns noPane. A pane whose window is queued, or of which one is, stays.
func (w *window) spare(g uint32, m int64) uint32 {
	links := w.groupLinks(g)
	old := links[groupOldest] - 1
	pl := w.paneLinks(old)
	if w.bytes || links[groupNewest] == old+1 || active(pl[paneFlags]) || pl[paneFlags]&flagQueued != 0 {
		return noPane
	}
	end := w.cells(old)[paneStart] + w.every + w.grace + w.keep
	if w.kind == sliding {
		if s := w.spanOf(g); int(s.queued) < len(w.queue)-1 && w.queue[s.queued].group == g {
			return noPane
		}
		m, end = w.groupTimes(g)[groupSettled], end+w.size-w.every
	}
	if end > m {
		return noPane
	}
	newer := pl[paneNewer]
	if w.kind == sliding {
		w.spanOf(g).leave(old, newer)
		if w.outlived(newer-1, m) {
			w.stale = append(w.stale, g)
		}
	}
	links[groupOldest] = newer
	w.paneLinks(newer - 1)[paneOlder] = 0
	w.panes.Touch(newer - 1)
	return old
}

// rollsOn tells whether the window that ends with the newest pane of a sliding window's group, at end, is the only one
// that the watermark m closes.
func (w *window) rollsOn(g uint32, end, m int64) bool {
	settled := w.groupTimes(g)[groupSettled]
	return settled != flow.NoMark && settled < m && end+w.every+w.grace > m && settled-w.grace < end && settled-w.grace >= end-w.every
}

// appendPane makes an open pane behind all others of the group, of which the closed one before it leaves its
// place among the active ones to it. p is the slot for it, or noPane.
func (w *window) appendPane(g uint32, start int64, p uint32) (uint32, error) {
	links := w.groupLinks(g)
	older := links[groupNewest]
	if p == noPane {
		var err error
		if p, err = w.panes.AnonymousRaw(); err != nil {
			return noPane, err
		}
	} else {
		w.panes.Touch(p)
	}
	c := w.cells(p)
	for i, v := range w.template {
		c[i] = v
	}
	c[paneStart] = start
	own := w.paneLinks(p)
	own[paneOlder], own[paneNewer], own[paneGroup], own[paneRevision], own[paneFlags] = older, 0, g, 0, flagDirty
	if links[groupNewest] = p + 1; older == 0 {
		links[groupOldest] = p + 1
	} else {
		w.paneLinks(older - 1)[paneNewer] = p + 1
		w.panes.Touch(older - 1)
	}
	return p, nil
}
