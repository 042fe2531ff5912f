package window

import (
	"github.com/tidemill/tidemill/engine/flow"
)

// A session's pane begins with its first row and ends a gap after its last. A row that is less than
// a gap away from a session belongs to it; one that is near two makes one of them.
//
// What was emitted of a session that now begins earlier, or is part of another, is taken back:
// it is emitted once more, without rows, as a session that ends where it begins.

// placeInSessions is Process's loop for sessions. A session that its lane knows takes rows until its end, which is in
// its pane; the lane's next is when something else of the group is due.
func (w *window) placeInSessions(n int, out flow.Emitter) error {
	for i := range n {
		no := w.laneNos[i]
		t, m := int64(w.times[i]), w.marks[i]
		if int(no) < len(w.lanes) {
			if l := &w.lanes[no]; l.pane != noPane && t >= l.start && m < l.next {
				if c := w.cells(l.pane)[:metaWordsLong]; t < c[paneEnd] && m < c[paneEnd]+w.grace {
					c[paneEnd], c[paneExtra] = max(c[paneEnd], t+w.gap), max(c[paneExtra], t)
					w.idx[i] = l.pane
					continue
				}
			}
		}
		p, err := w.placeSession(i, t, no, out)
		if err != nil {
			return err
		}
		w.idx[i] = p
	}
	return nil
}

// placeParts is placeInSessions for parts. What is in one is in one session: its first row finds it, and its last one makes it longer.
func (w *window) placeParts(n int, out flow.Emitter) error {
	for i := range n {
		p, err := w.placeSession(i, int64(w.times[i]), w.laneNos[i], out)
		if err != nil {
			return err
		}
		w.idx[i] = p
		if last := w.latestOf(i); p != noPane && last > int64(w.times[i]) {
			also, err := w.placeSession(i, last, w.laneNos[i], out)
			if err != nil {
				return err
			}
			if also != p {
				panic("BUG: the last row of a part is in another session than the first")
			}
		}
	}
	return nil
}

// placeSession finds the session of row i, whose time is t, or makes it.
func (w *window) placeSession(i int, t int64, no uint32, out flow.Emitter) (uint32, error) {
	g, err := w.group(i, no)
	if err != nil {
		return noPane, err
	}
	m := w.marks[i]
	w.settle(g, m, false)
	w.relieve(i, out)
	if far(t) {
		w.refuseFar(i)
		return w.leave(g, no), nil
	}
	w.expire(g, m)
	before, near, second := w.near(g, t)
	end := t + w.gap
	if near != 0 {
		end = max(end, w.endOf(near-1))
	}
	if second != 0 {
		end = max(end, w.endOf(second-1))
	}
	late := m >= end+w.grace
	if late && (w.late != revise || m >= end+w.grace+w.keep) {
		w.refuse(i, t, end, m)
		return w.leave(g, no), nil
	}
	for _, at := range [2]uint32{near, second} {
		if second != 0 || at != 0 && (w.paneLinks(at - 1)[paneFlags]&flagQueued != 0 || t < w.cells(at - 1)[paneStart] && w.paneLinks(at - 1)[paneRevision] > 0) {
			w.add(i) // rows that came before are in their own session, until the two are one or it is taken back
			w.emit(out)
			break
		}
	}
	p, err := w.sessionOf(g, t, m, before, near, second)
	if err != nil {
		return noPane, err
	}
	c := w.cells(p)
	c[paneEnd], c[paneExtra] = max(c[paneEnd], t+w.gap), max(c[paneExtra], t)
	w.mark(g, p, late, late, m, end+w.grace)
	l := noLane()
	if !late && w.paneLinks(p)[paneNewer] == 0 { // one that could grow into a newer one needs a look
		l = lane{start: c[paneStart], next: w.groupTimes(g)[groupNext], pane: p}
		if w.groupLinks(g)[groupActive] == 1 && w.groupTimes(g)[groupDirty] == flow.NoMark {
			l.next = flow.EndMark // it closes by its end, which each row moves
		}
	}
	w.setLane(no, l)
	return p, nil
}

// near finds the sessions that a row at t belongs to, the older one first, and the newest pane that
// begins no later than t; all plus one, and 0 for none.
func (w *window) near(g uint32, t int64) (before, near, second uint32) {
	for at := w.groupLinks(g)[groupNewest]; at != 0; at = w.paneLinks(at - 1)[paneOlder] {
		c := w.cells(at - 1)
		if before == 0 && c[paneStart] <= t {
			before = at
		}
		if w.paneLinks(at - 1)[paneFlags]&flagGone != 0 {
			continue
		}
		if c[paneEnd] <= t {
			break
		}
		if c[paneStart] < t+w.gap {
			near, second = at, near
		}
	}
	return before, near, second
}

// sessionOf returns the session for a row at t, made of those that it belongs to, or new.
func (w *window) sessionOf(g uint32, t, m int64, before, near, second uint32) (uint32, error) {
	if near == 0 {
		p, err := w.newPane(g, t, before)
		if err == nil {
			w.cells(p)[paneStart], w.cells(p)[paneEnd], w.cells(p)[paneExtra] = t, t+w.gap, t
		}
		return p, err
	}
	p := near - 1
	if c := w.cells(p); t < c[paneStart] {
		if w.paneLinks(p)[paneRevision] > 0 {
			if err := w.takeBack(g, p, m); err != nil {
				return 0, err
			}
		}
		w.cells(p)[paneStart] = t
		w.paneLinks(p)[paneRevision] = 0
		w.paneLinks(p)[paneFlags] &^= flagShown
	}
	if second == 0 {
		return p, nil
	}
	q := second - 1
	c, d := w.cells(p), w.cells(q)
	c[paneEnd], c[paneExtra] = max(c[paneEnd], d[paneEnd]), max(c[paneExtra], d[paneExtra])
	w.mergePanes(p, q)
	if w.paneLinks(q)[paneRevision] > 0 {
		if err := w.takeBack(g, q, m); err != nil {
			return 0, err
		}
	}
	links := w.paneLinks(q)
	if active(links[paneFlags]) {
		w.groupLinks(g)[groupActive]--
	}
	w.join(g, links[paneNewer], links[paneOlder])
	w.rest(q, true)
	w.panes.Delete(q)
	return p, nil
}

// takeBack makes a session without rows in place of one that was emitted, to be emitted when
// the watermark moves on.
func (w *window) takeBack(g, p uint32, m int64) error {
	gone, err := w.newPane(g, w.cells(p)[paneStart], p+1)
	if err != nil {
		return err
	}
	c, was := w.cells(gone), w.cells(p)
	copy(c[:metaWords], was[:metaWords])
	c[paneEnd], c[paneExtra] = c[paneStart], c[paneStart]
	links := w.paneLinks(gone)
	links[paneRevision] = w.paneLinks(p)[paneRevision]
	links[paneFlags] = flagClosed | flagDirty | flagGone | w.paneLinks(p)[paneFlags]&flagShown
	w.groupLinks(g)[groupActive]++
	w.awaitRevision(g, m)
	return nil
}
