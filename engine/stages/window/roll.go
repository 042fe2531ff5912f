package window

import "github.com/tidemill/tidemill/engine/flow"

// rollable tells whether roll may open the window behind that of pane p, which ends at end: p is the group's newest pane and
// the only one that is open or waits for a revision. A sliding window's group is settled in the step that p is of, so that
// the window that ends with it is the next to close. A lane that says so is replaced whenever that changes.
func (w *window) rollable(g, p uint32, end int64) bool {
	times, links := w.groupTimes(g), w.groupLinks(g)
	if links[groupNewest] != p+1 || links[groupActive] != 1 || times[groupDirty] != flow.NoMark {
		return false
	}
	if w.kind != sliding {
		return true
	}
	settled := times[groupSettled]
	return settled != flow.NoMark && settled-w.grace < end && settled-w.grace >= end-w.every
}

// roller is the tables as roll works on them, so that it does not look for them row by row.
type roller struct {
	*window
	groups, links []uint32
	times, cells  []int64
}

func (r *roller) look() {
	r.groups, r.links, r.times, r.cells = r.window.groups.U32(1), r.panes.U32(1), r.window.groups.I64(0), r.panes.I64(0)
}

// roll does what place does in the commonest case, without looking for what cannot be there: the lane's group is
// rollable, the row's watermark closes its open window and no other, and the row is the first of the window right behind it, or of
// a later one. It goes on from row i as long as rows are such, or of panes that are open, and returns the first that is
// neither, or n.
func (w *window) roll(i, n int) (int, error) {
	idx, nos, times, marks, lanes := w.idx[:n], w.laneNos[:n], w.times[:n], w.marks[:n], w.lanes
	every, grace := w.every, w.grace
	r := roller{window: w}
	r.look()
	var turn turner
	for ; i < len(nos); i++ {
		no, t, m := nos[i], int64(times[i]), marks[i]
		if int(no) >= len(lanes) {
			return i, nil
		}
		l := &lanes[no]
		if uint64(t-l.start) < uint64(every) && m < l.next {
			idx[i] = l.pane
			continue
		}
		end := l.start + every
		if l.rolls == 0 || t < end || t >= maxTime || m < end+grace {
			return i, nil
		}
		start, last := end, end
		if t-end >= every {
			start = t - mod(t-w.offset, every)
			if w.kind != sliding {
				last = start
			}
		}
		if m >= last+every+grace {
			return i, nil
		}
		if w.kind == tumbling && !w.bytes {
			if turn.queue == nil {
				turn = w.turner()
			}
			g := l.rolls - 1
			if p := turn.next(l, g, start, m); p != noPane {
				if idx[i] = p; start != end {
					w.expire(g, m)
				}
				continue
			}
			turn.queue = nil // a new slot may move the tables
		}
		if l.ring != noRing {
			j := w.goRound(i, n)
			if j == i {
				return i, nil
			}
			i = j - 1
			continue
		}
		p, err := r.open(l, start, m)
		if err != nil {
			return i, err
		}
		idx[i] = p
	}
	return i, nil
}

// open queues the window of a lane's group, and makes the pane that starts at start, and the lane, those of the next one.
func (r *roller) open(l *lane, start, m int64) (uint32, error) {
	g, was, end := l.rolls-1, l.pane, l.start+r.every
	links := (*[paneLinks]uint32)(r.links[int(was)*paneLinks:])
	if links[paneFlags]&(flagClosed|flagQueued) != 0 {
		panic("BUG: the window that a lane would close is not open")
	}
	at := len(r.queue)
	r.push(was, g, links[paneRevision], l.start)
	links[paneRevision]++
	links[paneFlags] = links[paneFlags]&^flagDirty | flagClosed | flagQueued
	r.panes.Touch(was)
	p := r.spare(g, was, m)
	found := p != noPane
	if !found {
		var err error
		if p, err = r.panes.AnonymousRaw(); err != nil {
			return noPane, err
		}
		r.look()
		links = (*[paneLinks]uint32)(r.links[int(was)*paneLinks:])
	}
	own, group := (*[paneLinks]uint32)(r.links[int(p)*paneLinks:]), (*[groupLinks]uint32)(r.groups[int(g)*groupLinks:])
	own[paneOlder], own[paneNewer], own[paneGroup], own[paneRevision], own[paneFlags] = was+1, 0, g, 0, flagDirty
	links[paneNewer], group[groupNewest] = p+1, p+1
	c := r.cells[int(p)*r.words:][:len(r.template)]
	c[paneStart], c[paneOffset], c[paneReceived], c[paneIndex] = start, 0, 0, 0
	for i := metaWords; i < len(c); i++ {
		c[i] = r.template[i]
	}
	times, next := r.times[int(g)*r.groupWords:][:r.groupWords], start+r.every+r.grace
	if r.kind == sliding {
		next = end + r.every + r.grace // another window with the pane that was the newest
		times[groupSettled] = m
		s := r.spanOf(g)
		s.queued = uint32(at)
		if s.rolled++; start != end {
			s.rolled = 0
		}
	}
	times[groupNext] = next
	r.window.groups.Touch(g)
	r.panes.Touch(p)
	l.start, l.next, l.pane = start, next, p // field by field: a lane that is written in halves and copied whole waits for both
	if !found || start != end {
		r.outlive(l, g, m, start != end)
	}
	return p, nil
}

// outlive looks for panes of a group that are of no use any more where roll has not made the next one of one, or has left
// windows out. Otherwise there is one at most, since a watermark that closes one window ends what is kept of one.
func (r *roller) outlive(l *lane, g uint32, m int64, skipped bool) {
	if r.kind != sliding {
		r.expire(g, m)
		return
	}
	r.stale = append(r.stale, g)
	if skipped {
		l.rolls = 0
	}
}

// push adds an emission, for good, to the queue.
func (w *window) push(p, g, revision uint32, start int64) {
	n := len(w.queue)
	if n == cap(w.queue) {
		w.queue = append(w.queue, emission{})
	} else {
		w.queue = w.queue[:n+1]
	}
	e := &w.queue[n]
	e.start, e.pane, e.group, e.revision, e.tail, e.final, e.ring = start, p, g, revision, 0, true, false
}

// spare takes the oldest pane of a group, of which was is the newest, out of its list, if that is of no use any more, so that it
// can be the next one; else it returns noPane. A pane whose window is queued, or of which one is, stays.
func (r *roller) spare(g, was uint32, m int64) uint32 {
	group := (*[groupLinks]uint32)(r.groups[int(g)*groupLinks:])
	old := group[groupOldest] - 1
	links := (*[paneLinks]uint32)(r.links[int(old)*paneLinks:])
	if old == was || r.bytes || active(links[paneFlags]) || links[paneFlags]&flagQueued != 0 {
		return noPane
	}
	end, newer := r.cells[int(old)*r.words+paneStart]+r.every+r.grace+r.hold, links[paneNewer]
	if r.kind == sliding {
		s := r.spanOf(g)
		if int(s.queued) < len(r.queue)-1 && r.queue[s.queued].group == g {
			return noPane
		}
		m, end = r.times[int(g)*r.groupWords+groupSettled], end+r.size-r.every
		if end > m {
			return noPane
		}
		r.passOver(s, old)
	}
	if end > m {
		return noPane
	}
	group[groupOldest] = newer
	r.links[int(newer-1)*paneLinks+paneOlder] = 0
	r.panes.Touch(newer - 1)
	return old
}

// appendPane makes an open pane behind all others of the group, of which the closed one before it leaves its
// place among the active ones to it.
func (w *window) appendPane(g uint32, start int64) (uint32, error) {
	links := w.groupLinks(g)
	older := links[groupNewest]
	p, err := w.panes.AnonymousRaw()
	if err != nil {
		return noPane, err
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
