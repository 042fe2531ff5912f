package window

import "github.com/tidemill/tidemill/engine/state"

// turner is what roll needs of a tumbling window where the next pane of a group is made in the oldest one, which is of no use any
// more: the commonest case by far, without a look at anything else.
type turner struct {
	closes, lasts int64 // how long after its start a window closes, and how long its pane is of use
	groups, links []uint32
	times, words  []int64
	cells         slots   // the same words
	fresh         []int64 // those of a new pane's accumulators
	onlySum       bool
	panes, owners *state.Table
	queue         *[]emission // the window's; nil: the tables are to be looked for
}

// turner returns one, good until the tables have a new slot.
func (w *window) turner() turner {
	if w.groupWords != groupTimes {
		panic("BUG: a tumbling window whose rows are not revised knows more of a group")
	}
	return turner{words: w.panes.I64(0), onlySum: w.onlySum, closes: w.every + w.grace, lasts: w.every + w.grace + w.hold, fresh: w.template[metaWords:], panes: w.panes, owners: w.groups,
		groups: w.groups.U32(1), links: w.panes.U32(1), times: w.groups.I64(0), cells: slotsOf(w.panes.I64(0), w.words), queue: &w.queue}
}

// next queues the open window of lane l, which is group g's, and makes the pane of the next one, which starts at start, in the
// group's oldest, and the lane that one's. It returns noPane, and has changed nothing, if that pane may still be asked for.
func (t *turner) next(l *lane, g uint32, start, m int64) uint32 {
	was, group := l.pane, (*[groupLinks]uint32)(t.groups[int(g)*groupLinks:])
	p := group[groupOldest] - 1
	own := (*[paneLinks]uint32)(t.links[int(p)*paneLinks:])
	c := t.cells.meta(p)
	if p == was || own[paneFlags]&(flagClosed|flagDirty|flagQueued) != flagClosed || c[paneStart]+t.lasts > m {
		return noPane
	}
	newer := own[paneNewer]
	own[paneOlder], own[paneNewer], own[paneGroup], own[paneRevision], own[paneFlags] = was+1, 0, g, 0, flagDirty
	c[paneStart], c[paneOffset], c[paneReceived], c[paneIndex] = start, 0, 0, 0
	if t.onlySum {
		*t.cells.sumAt(p, metaWords) = [3]int64{}
	} else {
		copy(t.words[int(p)*(metaWords+len(t.fresh))+metaWords:], t.fresh)
	}
	group[groupNewest], group[groupOldest] = p+1, newer
	t.links[int(newer-1)*paneLinks+paneOlder] = 0

	links := (*[paneLinks]uint32)(t.links[int(was)*paneLinks:])
	revision, flags := links[paneRevision], links[paneFlags]
	if flags&(flagClosed|flagQueued) != 0 {
		panic("BUG: the window that a lane would close is not open")
	}
	links[paneNewer], links[paneRevision], links[paneFlags] = p+1, revision+1, flags&^flagDirty|flagClosed|flagQueued
	n := len(*t.queue)
	if n == cap(*t.queue) {
		*t.queue = append(*t.queue, emission{})
	}
	*t.queue = (*t.queue)[:n+1]
	e := &(*t.queue)[n]
	e.start, e.pane, e.group, e.revision, e.tail, e.final = l.start, was, g, revision, 0, true

	next := start + t.closes
	t.times[int(g)*groupTimes+groupNext] = next
	t.owners.Touch(g)
	t.panes.Touch(p)
	t.panes.Touch(was)
	t.panes.Touch(newer - 1)
	l.start, l.next, l.pane = start, next, p // field by field, as in open
	return p
}
