package window

import (
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/engine/flow"
)

// Runs of a state window with late = "revise", over the rows that history.go keeps. A row behind all others is added to the open
// run, opens one or ends it, as without revisions. A late row changes what stands around its place:
//
//	true    in a run           the run has a row more
//	        before a run       the run begins earlier: what began at its start is taken back
//	        between others     a run of its own, up to the false row behind it
//	false   in a run           the run ends here, and its other rows are one that begins with the next of them
//	        behind its last    the run ends earlier
//	        elsewhere          nothing yet
//
// Such runs are stale: each is made anew when it is emitted, from the rows that are there then. That is at the next tick, however many
// late rows came, and live ones between them; so a backlog costs what its rows cost, and a run once a tick. Only what is open is emitted
// when a row ends it, and what has ended in rows that keep does not cover any more, before they go.
//
// Each run has a pane, which flagBegins tells from those where none begins any more. Of several runs that begin at one moment, the last is
// the window that starts then. Where none begins any more, the window that was emitted is taken back as a session's is: once more,
// without rows, ending where it begins. Its pane stays as long as a run may begin there again, which goes on with its revisions.
//
// Rows and panes stand in lists. Where a late one belongs is looked for from the newest and from where the last late one was, a step here and
// a step there: a backlog comes in order or nearly, and beside it rows that are hardly late.

// flagBegins, of a state window that revises: a run begins where the pane does.
const flagBegins = flagStale << 1

// placeInRuns is Process's loop for state windows that revise.
func (w *window) placeInRuns(n int, out flow.Emitter) error {
	held := w.held.(*array.Boolean)
	w.past.offsets, w.past.received, w.past.index = flow.Offsets(w.rows), flow.Received(w.rows), flow.Indexes(w.rows)
	for i := range n {
		w.idx[i] = noPane
		if held.IsNull(i) {
			continue
		}
		p, err := w.placeInRun(i, w.laneNos[i], held.Value(i), out)
		if err != nil {
			return err
		}
		w.idx[i] = p
	}
	return nil
}

func (w *window) placeInRun(i int, no uint32, is bool, out flow.Emitter) (uint32, error) {
	g, t, ok, err := w.arrive(i, no)
	if !ok {
		return noPane, err
	}
	times := w.groupTimes(g)
	if t < times[groupLatest] {
		return noPane, w.placeLate(g, i, is, out)
	}
	times[groupLatest] = t
	if _, err := w.keepRow(g, i, is); err != nil {
		return noPane, err
	}
	p, err := w.goOnRun(g, i, is, out)
	if err == nil {
		err = w.fold(g, i, out)
	}
	return p, err
}

// goOnRun adds a row that is behind all others of its group to the open run, which it opens or ends.
func (w *window) goOnRun(g uint32, i int, is bool, out flow.Emitter) (uint32, error) {
	times, t := w.groupTimes(g), int64(w.times[i])
	if times[groupOpen] == 0 {
		if !is {
			return noPane, nil
		}
		p, err := w.startRun(g, i, out)
		if err != nil {
			return noPane, err
		}
		times[groupOpen] = int64(p) + 1
	}
	p := uint32(times[groupOpen] - 1)
	w.cells(p)[paneEnd] = t
	if is { // at the end of an input it was closed, and now there is more
		w.flag(g, p, flagDirty, flagClosed)
		return p, nil
	}
	times[groupOpen] = 0
	if w.paneLinks(p)[paneFlags]&flagStale != 0 {
		w.add(i)
	}
	w.revise(g, p)
	w.relieve(i, out)
	return noPane, nil
}

// startRun makes the pane of a run that begins with row i, or finds that of one that began then.
func (w *window) startRun(g uint32, i int, out flow.Emitter) (uint32, error) {
	t := int64(w.times[i])
	p, found, err := w.runAt(g, t)
	if err != nil {
		return noPane, err
	}
	if found {
		w.add(i)
		if len(w.queue) > 0 {
			w.emit(out)
		}
		w.blankPane(p)
	}
	c := w.cells(p)
	c[paneEnd], c[paneExtra] = t, t
	w.flag(g, p, flagDirty|flagBegins, flagClosed|flagStale)
	return p, nil
}

// runAt returns the pane of a group's window that starts at a moment; it is made, closed and without a revision, if there is none.
func (w *window) runAt(g uint32, start int64) (p uint32, found bool, err error) {
	at := w.paneUpTo(g, start)
	if at != 0 && w.cells(at - 1)[paneStart] == start {
		return at - 1, true, nil
	}
	p, err = w.newPane(g, start, at)
	if err == nil {
		w.cells(p)[paneEnd], w.cells(p)[paneExtra] = start, start
	}
	return p, false, err
}

// paneUpTo returns the link to the newest pane of a group that begins at a moment or before.
func (w *window) paneUpTo(g uint32, t int64) uint32 {
	at, late := w.groupLinks(g)[groupNewest], uint32(w.groupTimes(g)[groupLatePane])
	for at != 0 && w.cells(at - 1)[paneStart] > t {
		at = w.paneLinks(at - 1)[paneOlder]
		if late == 0 {
			continue
		}
		links := w.paneLinks(late - 1)
		if w.cells(late - 1)[paneStart] > t {
			late = links[paneOlder]
		} else if newer := links[paneNewer]; w.cells(newer - 1)[paneStart] > t {
			return late
		} else {
			late = newer
		}
	}
	return at
}

// runUpTo returns the pane of the newest run of a group that begins at a moment or before.
func (w *window) runUpTo(g uint32, t int64) uint32 {
	at := w.paneUpTo(g, t)
	for at != 0 && w.paneLinks(at - 1)[paneFlags]&flagBegins == 0 {
		at = w.paneLinks(at - 1)[paneOlder]
	}
	if at == 0 {
		panic("BUG: a run of a state window has no pane")
	}
	return at - 1
}

// dropRun takes a pane out of its group.
func (w *window) dropRun(g, p uint32) {
	links, times := w.paneLinks(p), w.groupTimes(g)
	if times[groupLatePane] == int64(p)+1 {
		times[groupLatePane] = int64(links[paneOlder])
	}
	w.join(g, links[paneNewer], links[paneOlder])
	w.dead = append(w.dead, p)
}

// flag changes flags of a pane, and counts it among the active ones of its group or not.
func (w *window) flag(g, p, set, unset uint32) {
	links := w.paneLinks(p)
	was := active(links[paneFlags])
	links[paneFlags] = links[paneFlags]&^unset | set
	if now := active(links[paneFlags]); now && !was {
		w.groupLinks(g)[groupActive]++
	} else if was && !now {
		w.groupLinks(g)[groupActive]--
	}
	w.groups.Touch(g)
	w.panes.Touch(p)
}

// placeLate takes a row that is older than its group's latest.
func (w *window) placeLate(g uint32, i int, is bool, out flow.Emitter) error {
	times, t := w.groupTimes(g), int64(w.times[i])
	if t <= times[groupLatest]-w.keep || t < times[groupHorizon] {
		w.o.Count("late_expired", 1)
		return nil
	}
	if len(w.queue) > 0 { // panes that change have been emitted as they were
		w.add(i)
		w.emit(out)
	}
	r, err := w.keepRow(g, i, is)
	if err != nil {
		return err
	}
	times[groupLateRow] = int64(r) + 1
	if held := w.heldBefore(g, r); is || held {
		if err := w.changeRuns(g, r, is, held); err != nil {
			return err
		}
		w.awaitRevision(g, times[groupLatest])
	}
	return w.fold(g, i, out)
}

// changeRuns makes stale what a late row r has changed: the run that it is in, and one that begins behind it.
func (w *window) changeRuns(g, r uint32, is, held bool) (err error) {
	times, t := w.groupTimes(g), w.pastCells(r)[pastTime]
	var p uint32
	if held {
		p = w.runUpTo(g, t)
	} else if p, _, err = w.runAt(g, t); err != nil {
		return err
	}
	w.flag(g, p, flagStale|flagDirty|flagBegins, 0)
	times[groupLatePane] = int64(p) + 1
	opens := times[groupOpen] == int64(p)+1
	if next := w.pastRow(r)[pastNewer] - 1; is != held && w.wasTrue(next) {
		if p, _, err = w.runAt(g, w.pastCells(next)[pastTime]); err != nil {
			return err
		}
		if is && !w.beginsAgain(next) {
			w.flag(g, p, flagStale|flagDirty, flagBegins)
		} else {
			w.flag(g, p, flagStale|flagDirty|flagBegins, 0)
		}
		opens = opens || times[groupOpen] == int64(p)+1
	}
	if opens {
		w.flag(g, uint32(times[groupOpen]-1), flagClosed, 0)
		p = w.runUpTo(g, times[groupLatest])
		w.flag(g, p, flagStale|flagDirty, flagClosed)
		times[groupOpen] = int64(p) + 1
	}
	return nil
}

// beginsAgain tells whether a run begins behind a row, at the same moment.
func (w *window) beginsAgain(r uint32) bool {
	t := w.pastCells(r)[pastTime]
	for at := w.pastRow(r)[pastNewer]; at != 0 && w.pastCells(at - 1)[pastTime] == t; at = w.pastRow(at - 1)[pastNewer] {
		if w.wasTrue(at-1) && !w.wasTrue(w.pastRow(at - 1)[pastOlder]-1) {
			return true
		}
	}
	return false
}

// settleRuns emits what late rows have changed of a group, but for the open run.
func (w *window) settleRuns(g uint32) {
	times, links := w.groupTimes(g), w.groupLinks(g)
	w.found = w.found[:0]
	for at, left := links[groupNewest], links[groupActive]; left > 0; at = w.paneLinks(at - 1)[paneOlder] {
		if f := w.paneLinks(at - 1)[paneFlags]; active(f) {
			left--
			if f&flagClosed != 0 {
				w.found = append(w.found, at-1)
			}
		}
	}
	for k := len(w.found) - 1; k >= 0; k-- {
		w.revise(g, w.found[k])
	}
	times[groupDirty], times[groupNext] = flow.NoMark, flow.EndMark
	w.groups.Touch(g)
}

// settleUpTo emits what late rows have changed of a group's runs that begin up to a moment.
func (w *window) settleUpTo(g uint32, t int64) {
	w.found = w.found[:0]
	for at := w.groupLinks(g)[groupOldest]; at != 0 && w.cells(at - 1)[paneStart] <= t; at = w.paneLinks(at - 1)[paneNewer] {
		if f := w.paneLinks(at - 1)[paneFlags]; active(f) && f&flagClosed != 0 {
			w.found = append(w.found, at-1)
		}
	}
	for _, p := range w.found {
		w.revise(g, p)
	}
}

// revise has a run emitted for good, made anew if it is stale. One that is none any more is taken back if it was emitted, which
// flagGone says of what was emitted last.
func (w *window) revise(g, p uint32) {
	links := w.paneLinks(p)
	if links[paneFlags]&flagStale != 0 {
		switch is, was := w.renewRun(g, p), links[paneFlags]&flagGone != 0; {
		case is:
		case links[paneRevision] == 0:
			w.flag(g, p, flagClosed, flagDirty)
			w.dropRun(g, p)
			return
		case was:
			w.flag(g, p, 0, flagDirty)
			return
		default:
			w.flag(g, p, flagGone, 0)
			w.enqueue(p, true)
			return
		}
	}
	w.flag(g, p, 0, flagGone)
	w.enqueue(p, true)
}

// renewRun makes a stale pane anew from the base and the rows of its run; false: no run begins there.
func (w *window) renewRun(g, p uint32) bool {
	c, base := w.cells(p), uint32(w.groupTimes(g)[groupBase])
	w.flag(g, p, 0, flagStale)
	w.blankPane(p)
	at, based := w.firstOf(g, c[paneStart])
	c[paneEnd], c[paneExtra] = c[paneStart], c[paneStart]
	if at == 0 && !based {
		return false
	}
	c[paneOffset] = -1
	if based {
		w.mergePanes(p, base-1)
		c[paneEnd], c[paneExtra] = w.cells(base - 1)[paneEnd], w.cells(base - 1)[paneEnd]
	}
	w.past.begin()
	for ; at != 0 && w.wasTrue(at-1); at = w.pastRow(at - 1)[pastNewer] {
		w.takePast(p, at-1)
	}
	w.refill(&w.past.refill)
	if at != 0 {
		c[paneEnd] = w.pastCells(at - 1)[pastTime]
	}
	return true
}

// firstOf finds the last of a group's runs that begin at a moment: its first row that is kept, plus one, and whether
// the base stands before that.
func (w *window) firstOf(g uint32, start int64) (at uint32, based bool) {
	times := w.groupTimes(g)
	at, _ = w.around(times, start)
	if at != 0 {
		times[groupLateRow] = int64(at)
	}
	for ; at != 0 && w.pastCells(at - 1)[pastTime] == start; at = w.pastRow(at - 1)[pastOlder] {
		if w.wasTrue(at-1) && !w.heldBefore(g, at-1) {
			return at, false
		}
	}
	if base := times[groupBase]; base != 0 && w.cells(uint32(base - 1))[paneStart] == start {
		return uint32(times[groupFirstRow]), true
	}
	return 0, false
}

// fold lets go of rows of a group that are of no use any more, when it is time to look.
func (w *window) fold(g uint32, i int, out flow.Emitter) error {
	if times := w.groupTimes(g); times[groupRowsKept] < min(times[groupRowsLook], w.maxRows) {
		return nil
	}
	return w.forgetRows(g, i, out)
}

// provisionalRun emits a group's open run if it has changed: early, or when nothing came for a while.
func (w *window) provisionalRun(g uint32, now int64, early bool) {
	open := uint32(w.groupTimes(g)[groupOpen])
	if open == 0 || w.paneLinks(open - 1)[paneFlags]&flagDirty == 0 {
		return
	}
	if w.paneLinks(open - 1)[paneFlags]&flagStale != 0 && !w.renewRun(g, open-1) {
		panic("BUG: the open run of a group is none")
	}
	if early || w.idle > 0 && now-w.cells(open - 1)[paneReceived] >= w.idle {
		w.flag(g, open-1, 0, flagGone)
		w.enqueue(open-1, false)
	}
}
