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
	w.queue = append(w.queue, emission{pane: newest - 1, group: g, revision: pl[paneRevision], final: true})
	pl[paneRevision]++
	pl[paneFlags] = pl[paneFlags]&^flagDirty | flagClosed | flagQueued
	w.panes.Touch(newest - 1)
	if w.kind == sliding {
		times[groupSettled] = m
		w.stale = append(w.stale, g)
	} else {
		w.expire(g, m)
	}
	if p, err = w.appendPane(g, start); err != nil {
		return noPane, false, err
	}
	times = w.groupTimes(g)
	times[groupNext] = next
	w.groups.Touch(g)
	w.setLane(no, lane{start: start, next: next, pane: p})
	return p, true, nil
}

// rollsOn tells whether the window that ends with the newest pane of a sliding window's group, at end, is the only one
// that the watermark m closes.
func (w *window) rollsOn(g uint32, end, m int64) bool {
	settled := w.groupTimes(g)[groupSettled]
	return settled != flow.NoMark && settled < m && end+w.every+w.grace > m && w.openEnd(g, settled) == end
}

// appendPane makes an open pane behind all others of the group, of which the closed one before it leaves its
// place among the active ones to it.
func (w *window) appendPane(g uint32, start int64) (uint32, error) {
	p, err := w.panes.AnonymousRaw()
	if err != nil {
		return noPane, err
	}
	c := w.cells(p)
	for i, v := range w.template {
		c[i] = v
	}
	c[paneStart] = start
	links := w.groupLinks(g)
	older := links[groupNewest]
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
