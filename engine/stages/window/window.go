package window

import (
	"fmt"
	"math"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/state"
)

var _ stage.Paced = (*window)(nil)

// Words and links of the tables' slots, see doc.go. Links to panes are one more
// than the pane's slot, so that 0 is none.
const (
	paneStart    = iota // I64: start of the window, us
	paneOffset          // I64: _offset of the latest row
	paneReceived        // I64: _received of the latest row
	paneIndex           // I64: _index of the latest row
	metaWords
)

// Further words of a pane that is no tumbling window's.
const (
	paneEnd   = metaWords + iota // I64: last row and gap (session), last row (count), end or last row (state)
	paneExtra                    // I64: number (count), last row (session, state)
	metaWordsLong
)

const (
	paneOlder = iota // U32: the group's pane before this one in event time
	paneNewer
	paneGroup
	paneRevision // what the next emission will have
	paneFlags
	paneLinks
)

const (
	flagClosed = 1 << iota // the watermark has passed
	flagDirty              // rows came since the last emission
	flagQueued             // is in window.queue
	flagShown              // a revision was let out
	flagGone               // what was a session is part of another
	flagEmpty              // no row is in it: there are only windows that end with it (sliding)
	flagStale              // its accumulators are to be made anew from its rows (latest.go)
)

// tailShift is where in the flags of a sliding window's pane stands how many windows were emitted, once, that end in
// the steps right behind it, for which there is no pane.
const tailShift = 8

const (
	groupMark  = iota // I64: what Marks said of the key since its last row; NoMark: nothing
	groupDirty        // I64: watermark when the first row came that waits for a revision; NoMark: none waits
	groupNext         // I64: watermark from which on something is due; EndMark: nothing
	groupTimes
)

// Further words of a group.
const (
	groupSettled   = groupTimes     // I64: watermark up to which windows are closed (sliding, latest)
	groupLatest    = groupTimes     // I64: the latest row (state)
	groupNumber    = groupTimes     // I64: number of the next window (count)
	groupRows      = groupTimes + 1 // I64: rows of the open window (count)
	groupOpened    = groupTimes + 1 // I64: start of the newest window (state)
	groupAgain     = groupTimes + 2 // I64: revision of the next one if it starts there too (state)
	groupTimesLong = groupTimes + 3
)

const (
	groupNewest = iota // U32
	groupOldest
	groupActive // panes that are open or wait for a revision
	groupSlot   // _slot of the group's first row
	groupReady  // 1: the other words are filled in
	groupLinks
)

const noPane = ^uint32(0)

// addRows are added to all accumulators of their panes before the next ones are, while the panes are near.
const addRows = 128

// lane is what the hot path knows of a key: rows from start for every
// microseconds, while the watermark is below next, belong to pane. Lanes are numbered by
// _slot (single) or by group, and follow from the tables.
type lane struct {
	start, next int64
	pane        uint32
	rolls       uint32 // the group plus one, if roll may open its next window; see rollable
	ring        uint32 // whether the group's panes go round; see ring.go
	queued      uint32 // in a ring: number of the group's first window that may not be merged yet
}

func noLane() lane { return lane{next: math.MinInt64, pane: noPane} }

// emission is a pane that is to be emitted.
type emission struct {
	start                 int64 // of the pane (sliding)
	pane, group, revision uint32
	tail                  uint32 // sliding: the window ends so many steps behind the pane's end
	merged                uint32 // sliding: where its words stand in window.merged
	final                 bool
	ring                  bool // its group's panes go round
}

type window struct {
	program
	o                    stage.Opening
	groups, panes, clock *state.Table
	unhook               func()

	lanes    []lane
	template []int64 // a new pane's words
	inputs   []input
	rooms    []scratch
	drawn    []*sketches[sketchOf]
	uniq     []*sketches[unique]
	lists    []*sketches[series]
	tops     []*sketches[top]
	sketched bool         // some accumulators work on decoded values
	bytes    bool         // some have a column of byte strings
	onlySum  bool         // there is one alone, a sum of floats, which begins with zeros, right behind what each pane has
	onlyMean bool         // and its mean alone is asked for
	periods  *state.Table // when windows were last emitted early
	again    *again       // where a revised row takes the place of the one before
	past     *history     // of a state window that revises

	groupOf []uint32        // single: group by _slot, plus one
	bySlot  stage.SlotIndex // nested
	keys    stage.Keys
	due     []uint64 // bitmap of groups that the next tick must look at

	rows     arrow.RecordBatch // the batch at hand
	times    []arrow.Timestamp
	limited  []arrow.Timestamp // room for times that are not believed (run.go)
	marks    []int64
	idx      []uint32 // the pane of each row
	done     int      // rows that are in their panes
	queue    []emission
	from     []int64  // where the words of the windows are that are emitted
	ats      []uint32 // and which slot of it, by emission
	groupsOf []uint32 // of a batch of emissions
	dead     []uint32 // panes to delete after the queue is emitted
	bare     []uint64 // bitmap of groups that may have no panes
	found    []uint32
	laneNos  []uint32
	running  []int64
	key      []byte      // never nil
	keyCol   arrow.Array // single: the key column of the batch at hand, once it was asked for

	blobs *array.String // the column of parts of the batch at hand
	part  []int64       // the words of a part

	spans
	rings
	round  round
	ending ending
	passes []bool      // by emission of a batch: what having says
	held   arrow.Array // state: the condition's values over the batch at hand
	left   []int64     // count: by lane, rows until the window is full
}

func open(p program, o stage.Opening) (*window, error) {
	w := newWindow(p, o)
	rest := o.Tables[2:]
	if p.scheme == partition {
		w.clock, rest = rest[0], rest[1:]
		if err := onlySlot(w.clock, flow.NoMark, flow.NoMark); err != nil {
			return nil, err
		}
	}
	if p.early > 0 {
		w.periods, rest = rest[0], rest[1:]
		if err := onlySlot(w.periods, flow.NoMark); err != nil {
			return nil, err
		}
	}
	if p.latest {
		w.openLatest(rest[0])
	}
	if p.runs {
		w.past = &history{table: rest[0], refill: newRefill(&w.program), pastLayout: p.pastLayout()}
	}
	w.groups.Range(func(g uint32) bool {
		w.link(g)
		times := w.groupTimes(g)
		if times[groupDirty] != flow.NoMark || times[groupMark] >= times[groupNext] {
			w.setDue(g)
		}
		if w.groupLinks(g)[groupNewest] == 0 {
			w.setBare(g)
		}
		return true
	})
	return w, nil
}

// onlySlot makes the slot of a table that has one, unless it is there.
func onlySlot(t *state.Table, words ...int64) error {
	if t.Len() > 0 {
		return nil
	}
	if _, err := t.Anonymous(); err != nil {
		return err
	}
	copy(t.I64(0), words)
	return nil
}

// newWindow makes a window with its accumulators, over the tables that it has in any case.
func newWindow(p program, o stage.Opening) *window {
	w := &window{program: p, o: o, keys: stage.Keys{By: p.by}, key: []byte{}, groups: o.Tables[0], panes: o.Tables[1]}
	w.template = make([]int64, p.words)
	for _, a := range p.accs {
		copy(w.template[a.at:], a.kind.start())
	}
	w.inputs, w.rooms = make([]input, len(p.args)), make([]scratch, len(p.args))
	w.drawn, w.uniq = make([]*sketches[sketchOf], len(p.accs)), make([]*sketches[unique], len(p.accs))
	w.lists, w.tops = make([]*sketches[series], len(p.accs)), make([]*sketches[top], len(p.accs))
	for i, a := range p.accs {
		w.sketched, w.bytes = w.sketched || a.kind.decoded(), w.bytes || a.kind.raw()
		switch a.kind {
		case accSketch:
			w.drawn[i] = percentileSketches()
		case accUnique:
			w.uniq[i] = uniqueSketches()
		case accSeries:
			w.lists[i] = seriesSketches(a, w.lost)
		case accTop:
			w.tops[i] = topSketches(a)
		}
	}
	w.unhook = func() {}
	if w.sketched {
		w.unhook = w.panes.BeforeCopy(w.store)
	}
	w.onlySum = w.beginsWithSum() && w.words == sumWords
	w.onlyMean = w.onlySum && len(w.results) == 1 && w.isMean(&w.results[0])
	if w.length = w.ringLength(); w.length > 0 {
		groups, panes := w.groups.BeforeCopy(w.showGroup), w.panes.BeforeCopy(w.showPane)
		w.unhook = func() {
			groups()
			panes()
		}
	}
	return w
}

// Close puts sketches and rings back, since another window may go on with the tables.
func (w *window) Close() error {
	if w.sketched {
		w.panes.Range(func(p uint32) bool {
			w.store(p)
			return true
		})
	}
	w.leaveRings()
	w.unhook()
	return nil
}

func (w *window) groupTimes(g uint32) []int64 {
	at := int(g) * w.groupWords
	return w.groups.I64(0)[at : at+w.groupWords]
}

func (w *window) groupLinks(g uint32) []uint32 {
	return w.groups.U32(1)[g*groupLinks : (g+1)*groupLinks]
}

func (w *window) paneLinks(p uint32) []uint32 {
	return w.panes.U32(1)[p*paneLinks : (p+1)*paneLinks]
}

func (w *window) cells(p uint32) []int64 {
	at := int(p) * w.words
	return w.panes.I64(0)[at : at+w.words]
}

// Process finds the pane of each row, in order; rows are added to their panes
// column by column, when the batch ends or something is to be emitted.
func (w *window) Process(_ int, rows arrow.RecordBatch, out flow.Emitter) error {
	if w.round.phase != resting {
		panic("BUG: a window gets rows before it has said all about what it was told before")
	}
	if err := w.begin(rows); err != nil {
		return w.makeRoom(rows, out)
	}
	return w.placeRows(out)
}

// placeRows is Process behind begin.
func (w *window) placeRows(out flow.Emitter) error {
	defer w.finish()
	n := int(w.rows.NumRows())
	var err error
	switch {
	case w.latest:
		err = w.placeLatest(n, out)
	case w.kind <= sliding:
		err = w.placeByTime(n, out)
	case w.kind == session && w.parts:
		err = w.placeParts(n, out)
	case w.kind == session:
		err = w.placeInSessions(n, out)
	case w.kind == counting:
		err = w.placeByCount(n)
	case w.runs:
		err = w.placeInRuns(n, out)
	default:
		err = w.placeByState(n, out)
	}
	if err != nil {
		return w.explain(err)
	}
	w.add(n)
	w.emit(out)
	if w.fault != nil {
		return w.explain(w.fault)
	}
	return nil
}

// explain says of a full table what an author can do.
func (w *window) explain(err error) error {
	names := strings.Join(stage.Names(w.by), ", ")
	if names == "" {
		names = "nothing"
	}
	kept := ""
	if w.latest {
		kept = fmt.Sprintf(", with %d rows that may be revised", w.again.table.Len())
	}
	if w.runs {
		kept = fmt.Sprintf(", with %d rows that late ones may come between", w.past.table.Len())
	}
	return fmt.Errorf("%w. %s holds %d keys (by %s) and %d windows or parts of them%s; a shorter keep, fewer columns in by, or max_keys in the channel help",
		err, w.o.Address, w.groups.Len(), names, w.panes.Len(), kept)
}

// placeByTime is Process's loop for panes of equal length.
func (w *window) placeByTime(n int, out flow.Emitter) error {
	for i := 0; i < n; i++ {
		i = w.knownPanes(i, n)
		var err error
		if i < n {
			i, err = w.roll(i, n)
		}
		if i < n && err == nil {
			w.idx[i], err = w.place(i, w.laneNos[i], out)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// knownPanes finds the panes of the rows from i on whose lanes know them, and returns the first row whose lane does not.
func (w *window) knownPanes(i, n int) int {
	idx, nos, times, marks, lanes, every := w.idx[:n], w.laneNos[:n], w.times[:n], w.marks[:n], w.lanes, uint64(w.every)
	for ; i < len(nos); i++ {
		no := nos[i]
		if int(no) >= len(lanes) {
			return i
		}
		l := &lanes[no]
		if uint64(int64(times[i])-l.start) >= every || marks[i] >= l.next {
			return i
		}
		idx[i] = l.pane
	}
	return i
}

// begin evaluates the arguments and finds each row's lane and watermark.
func (w *window) begin(rows arrow.RecordBatch) error {
	n := int(rows.NumRows())
	w.rows, w.times, w.marks, w.done = rows, flow.Times(rows), flow.Marks(rows), 0
	if w.kind == holding {
		w.times = w.believed(rows)
	}
	if cap(w.idx) < n {
		w.idx = make([]uint32, n)
	}
	w.idx = w.idx[:n]
	if w.parts {
		w.beginParts()
	} else {
		w.evaluate()
	}
	if w.scheme == single {
		w.laneNos = flow.Slots(rows)
		return nil
	}
	var err error
	if w.laneNos, err = w.keys.Intern(rows, w.o.Alloc, w.groups, w.laneNos); err != nil {
		w.finish()
		return err
	}
	if w.scheme == partition {
		w.marks = w.runningMarks(w.marks) // behind what may fail: the rows may come again
	}
	return nil
}

// evaluate computes the arguments of aggregates.
func (w *window) evaluate() {
	for i, p := range w.args {
		w.inputs[i].set(p.Eval(w.rows, w.o.Alloc), w.float[i], &w.rooms[i])
	}
	if w.while != nil {
		w.held = w.while.Eval(w.rows, w.o.Alloc)
	}
}

// runningMarks turns the keys' watermarks into that of the partition.
func (w *window) runningMarks(marks []int64) []int64 {
	clock := w.clock.I64(0)
	w.running = w.running[:0]
	for _, m := range marks {
		clock[0] = max(clock[0], m)
		w.running = append(w.running, clock[0])
	}
	w.clock.Touch(0)
	return w.running
}

func (w *window) finish() {
	for i := range w.inputs {
		if w.inputs[i].arr != nil {
			w.inputs[i].arr.Release()
			w.inputs[i].arr = nil
		}
	}
	if w.keyCol != nil {
		w.keyCol.Release()
		w.keyCol = nil
	}
	if w.held != nil {
		w.held.Release()
		w.held = nil
	}
	w.rows = nil
}

// add puts the rows before hi that are not in their panes yet into them.
func (w *window) add(hi int) {
	lo := w.done
	if lo >= hi {
		return
	}
	w.done = hi
	if w.parts {
		w.addParts(lo, hi)
		return
	}
	cells := w.panes.I64(0)
	offs, recv, index := flow.Offsets(w.rows), flow.Received(w.rows), flow.Indexes(w.rows)
	step := addRows
	if w.latest {
		step = hi - lo
	}
	fused := w.sumsFirst()
	for ; lo < hi; lo += step {
		to := min(hi, lo+step)
		first := 0
		if fused {
			w.noteAndSum(cells, w.idx[lo:to], offs[lo:to], recv[lo:to], index[lo:to], w.inputs[w.accs[0].arg].f[lo:to])
			first = 1
		} else {
			w.noteLatest(cells, w.idx[lo:to], offs[lo:to], recv[lo:to], index[lo:to])
		}
		if w.latest {
			w.keepRows(lo, to)
		} else if w.runs {
			w.leaveStale(lo, to)
		}
		for i := first; i < len(w.accs); i++ {
			w.accumulate(i, cells, lo, to)
		}
	}
}
