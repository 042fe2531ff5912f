package window

import (
	"slices"

	"github.com/tidemill/tidemill/engine/flow"
)

// Rings of a sliding window. The panes of a group that has had rows in every step for long, and none late, go round: the oldest becomes
// the next one, and so on, always in the same order.
//
//	after      ┌─▶ 7 ─▶ 2 ─▶ 9 ─▶ 4 ─┐       slots of panes; the lane says that 4 is the newest: then 7 is the oldest,
//	           └─────────────────────┘       and becomes the next one
//	prefix     latest row in the block before | its place in the prefix i64*3 | words | pane of which the next window's first step is
//
// All that is known of such a group follows from that: a window closes and the next one opens without a look at links, flags, revisions and spans. The
// tables are made to say so, in links that are those of any group, when slots are copied for a checkpoint (linkUp). Whatever else happens to a group, as
// a late row, a step without rows or a tick that closes its window, happens to links again (leaveRing), until the group has been regular for as long as
// its ring is, at a border of blocks.

// What a lane says of its group's ring.
const (
	noRing     = iota
	ringLoose  // the tables' links say how the ring was
	ringLinked // and how it is
)

const (
	ringLeast = 4    // steps of a window that has rings
	ringMost  = 2048 // a turn lists all panes of a block, of as many groups as are chased
	ringMore  = 2    // panes that a ring may have more than are needed
)

// rings is what windows with rings keep in memory alone.
type rings struct {
	after  []uint32 // by pane of a ring: the next one
	hops   []uint32 // panes of a block: of each group of a turn the first, then the second of each, and so on
	whole  []uint32 // groups that may become rings
	closed []int64  // by group of a ring: watermark up to which windows are closed
	// straight is how many windows of the queue went out without a look at their words or flags (slideRows).
	straight int
	length   int // panes of a ring, at least; 0: groups of this window have none
}

// ringLength is how many panes a group needs so that the oldest is of no use when the next one opens; 0: its groups have no rings.
func (w *window) ringLength() int {
	if w.kind != sliding || w.latest || w.parts || w.bytes || w.sketched || w.having != nil || w.early > 0 || w.idle > 0 || w.scheme == partition {
		return 0
	}
	if n := w.size / w.every; n < ringLeast || n > ringMost {
		return 0
	}
	return int((w.size+w.hold+w.every-1)/w.every) + 1
}

// prefixWords is how many words there are of a prefix: those of a pane, and one of its group's ring.
func (p *program) prefixWords() int { return p.words + 1 }

// enterRings makes rings of the groups that were found whole, if they are.
func (w *window) enterRings() {
	for _, g := range w.whole {
		w.enterRing(g)
	}
	w.whole = w.whole[:0]
}

// enterRing makes a ring of a group's panes, if each of them is as roll leaves them, and what was computed of them is good.
func (w *window) enterRing(g uint32) {
	no, s := w.laneOf(g), w.spanOf(g)
	if int(no) >= len(w.lanes) || !w.groups.Live(g) {
		return
	}
	l := &w.lanes[no]
	if int(s.rolled) < w.length || l.rolls != g+1 || l.ring != noRing || !w.rollable(g, l.pane, l.start+w.every) {
		return
	}
	if s.prefixTo != l.start-w.every || s.suffixOf == flow.NoMark || s.suffixOf+w.size != s.prefixTo-mod(s.prefixTo-w.offset, w.size) {
		return
	}
	n, first, oldest := 0, noPane, noPane
	for at, start := l.pane+1, l.start; at != 0; at, start = w.paneLinks(at - 1)[paneOlder], start-w.every {
		links, flags, revision := w.paneLinks(at-1), uint32(flagClosed), uint32(1)
		if n == 0 {
			flags, revision = flagDirty, 0
		}
		if w.cells(at - 1)[paneStart] != start || links[paneFlags] != flags || links[paneRevision] != revision {
			return
		}
		if oldest = at - 1; start == l.start+w.every-w.size {
			first = oldest
		}
		n++
	}
	if n < w.length || n > w.length+ringMore {
		return
	}
	w.after = grown(w.after, w.panes.Slots())
	w.after[l.pane] = oldest
	for p := oldest; p != l.pane; p = w.after[p] {
		w.after[p] = w.paneLinks(p)[paneNewer] - 1
	}
	pre := w.prefix[int(g)*w.prefixWords():][:w.prefixWords()]
	pre[paneStart], pre[w.words] = s.lastOffset, int64(first)
	if w.closed = grown(w.closed, len(w.span)); w.groupTimes(g)[groupNext] != l.next {
		panic("BUG: the tables and the lane of a group do not agree on when its window closes")
	}
	l.ring = ringLinked
}

// leaveRing makes of a ring's panes what any group's are. What was computed of them is forgotten.
func (w *window) leaveRing(g uint32) {
	if w.length == 0 {
		return
	}
	w.spanOf(g).rolled = 0
	no := w.laneOf(g)
	if int(no) >= len(w.lanes) {
		return
	}
	l := &w.lanes[no]
	if l.ring == noRing || l.rolls != g+1 {
		return
	}
	w.linkUp(g, l)
	l.ring = noRing
	w.forgetSpans(g)
	for i := w.unmerged(l); i < len(w.queue); i++ {
		if e := &w.queue[i]; e.group == g {
			e.ring, w.spanOf(g).queued = false, uint32(i)
		}
	}
}

// linkUp writes into the tables how a group's ring stands.
func (w *window) linkUp(g uint32, l *lane) {
	if l.ring != ringLoose {
		return
	}
	oldest := w.after[l.pane]
	group, times := w.groupLinks(g), w.groupTimes(g)
	times[groupNext], times[groupSettled] = l.next, w.closed[g]
	group[groupNewest], group[groupOldest] = l.pane+1, oldest+1
	links, after := w.panes.U32(1), w.after
	older := uint32(0)
	for p := oldest; ; p = after[p] {
		own := (*[paneLinks]uint32)(links[int(p)*paneLinks:])
		own[paneOlder], own[paneNewer], own[paneGroup], own[paneRevision], own[paneFlags] = older, after[p]+1, g, 1, flagClosed
		if older = p + 1; p == l.pane {
			own[paneNewer], own[paneRevision], own[paneFlags] = 0, 0, flagDirty
			break
		}
	}
	l.ring = ringLinked
}

// leaveRings is leaveRing for all groups.
func (w *window) leaveRings() {
	for i := range w.lanes {
		if l := &w.lanes[i]; l.ring != noRing {
			w.leaveRing(l.rolls - 1)
		}
	}
}

// showGroup and showPane have the tables say how a group's ring stands, before a slot is copied.
func (w *window) showGroup(g uint32) {
	if no := w.laneOf(g); int(no) < len(w.lanes) && w.lanes[no].rolls == g+1 {
		w.linkUp(g, &w.lanes[no])
	}
}

func (w *window) showPane(p uint32) { w.showGroup(w.paneLinks(p)[paneGroup]) }

// unmerged is where in the queue the first window of a ring's group is that is not merged yet; the queue's length when there is none.
func (w *window) unmerged(l *lane) int {
	if k := int(l.queued - w.emitted); k >= w.mergedTo && k < len(w.queue) && w.queue[k].group == l.rolls-1 {
		return k
	}
	return len(w.queue)
}

// goRound is roll for groups with rings. A pane on which a window depends that waits to be merged is not used again before.
func (w *window) goRound(i, n int) int {
	for i < n {
		from := len(w.queue)
		i = w.closeRings(i, n)
		w.openRings(from)
		if i == n || int(w.laneNos[i]) >= len(w.lanes) {
			break
		}
		l := &w.lanes[w.laneNos[i]]
		if l.ring == noRing || !w.goesRound(l, int64(w.times[i]), w.marks[i]) {
			break
		}
		if !w.goesOn(l, i) {
			break
		}
	}
	return i
}

// goesRound tells whether a row of a ring's group closes its open window and no other, and is of the one right behind it.
func (w *window) goesRound(l *lane, t, m int64) bool {
	end := l.start + w.every
	return uint64(t-end) < uint64(w.every) && uint64(m-end-w.grace) < uint64(w.every) && t < maxTime
}

// closeRings queues the windows that rows close, and makes the lanes those of the next ones. It returns the first row that is not of a ring that goes
// on, or of which a window of the group may wait to be merged. The group and the pane before are in the next delta since the last time, unless
// a slot of the ring was copied since; the new pane comes there when the row is added to it.
func (w *window) closeRings(i, n int) int {
	idx, nos, times, marks, lanes := w.idx[:n], w.laneNos[:n], w.times[:n], w.marks[:n], w.lanes
	every, grace := uint64(w.every), w.grace
	after, closed := w.after, w.closed
	k, emitted := len(w.queue), w.emitted
	w.queue = slices.Grow(w.queue, n-i)
	queue := w.queue[:k+n-i]
	for ; i < len(nos); i++ {
		no, t, m := nos[i], int64(times[i]), marks[i]
		if int(no) >= len(lanes) {
			break
		}
		l := &lanes[no]
		if uint64(t-l.start) < every && m < l.next {
			idx[i] = l.pane
			continue
		}
		end := l.start + int64(every)
		if l.ring == noRing || uint64(t-end) >= every || uint64(m-end-grace) >= every || t >= maxTime {
			break
		}
		was, g, number := l.pane, l.rolls-1, emitted+uint32(k)
		first := number
		if number-l.queued-1 < uint32(k) {
			if first = l.queued; w.waits(queue[:k], l) {
				break
			}
		}
		if l.ring != ringLoose {
			w.groups.Touch(g)
			w.panes.Touch(was)
			l.ring = ringLoose
		}
		e := &queue[k]
		k++
		e.start, e.pane, e.group, e.revision, e.tail, e.final, e.ring = l.start, was, g, 0, 0, true, true
		p, next := after[was], end+int64(every)+grace
		idx[i] = p
		closed[g] = m
		l.start, l.next, l.pane, l.queued = end, next, p, first
	}
	w.queue = queue[:k]
	return i
}

// openRings makes of the oldest panes of rings the next ones, behind those of the windows that are queued from one on.
func (w *window) openRings(from int) {
	cells, after, words, panes := w.panes.I64(0), w.after, w.words, w.panes
	fresh, every, queue := w.template[metaWords:], w.every, w.queue[from:]
	if w.onlySum {
		own := wordsAs[sumPane](cells)
		for i := range queue {
			e := &queue[i]
			p := after[e.pane]
			own[p] = sumPane{paneStart: e.start + every}
			panes.Touch(after[p])
		}
		return
	}
	for i := range queue {
		e := &queue[i]
		p := after[e.pane]
		c := cells[int(p)*words:][:metaWords+len(fresh)]
		c[paneStart], c[paneOffset], c[paneReceived], c[paneIndex] = e.start+every, 0, 0, 0
		sums := c[metaWords:][:len(fresh)]
		for j, v := range fresh {
			sums[j] = v
		}
		panes.Touch(after[p])
	}
}

// waits tells whether the first window of a ring's group in a queue that may not be merged yet needs the ring's oldest pane, or is merged.
func (w *window) waits(queue []emission, l *lane) bool {
	e := &queue[l.queued-w.emitted]
	return e.group != l.rolls-1 || int(l.queued-w.emitted) < w.mergedTo || e.start+w.every-w.size <= w.cells(w.after[l.pane])[paneStart]
}

// goesOn lets a group's ring go on with row i where windows of it wait to be merged. It is false if the group has left its ring.
func (w *window) goesOn(l *lane, i int) bool {
	if w.unmerged(l) < len(w.queue) {
		w.add(i)
		w.merge(0, len(w.queue))
	}
	l.queued = w.emitted + uint32(len(w.queue))
	return l.ring != noRing
}
