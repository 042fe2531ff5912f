package join

import (
	"fmt"
	"math"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/engine/carry"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/state"
)

var _ stage.Stage = (*interval)(nil)

// Words and links of the tables' slots, see doc.go. Links are one more than what
// they lead to, so that 0 is none.
const (
	groupMark0 = iota // I64: the key's watermark in the first input
	groupMark1        // in the second
	groupTold         // what Advance said of the key since the last tick
	groupOut          // watermark of the pairs that went out
	groupWords
)

const (
	groupHead0 = iota // U32: the oldest row of the first input that waits
	groupHead1
	groupTail0 // the newest
	groupTail1
	groupLen0 // how many wait
	groupLen1
	groupSlot // _slot of the key
	groupLinks
)

const (
	rowTime = iota // I64
	rowReceived
	rowOffset
	rowIndex
	rowWords // what is kept of the row stands behind, see kept.go
)

const (
	rowOlder = iota // U32: the one before it by event time, of the same key and input
	rowNewer
	rowGroup
	rowSlot
	rowPaired // 1: it was in a pair
	rowInput
	rowLinks
)

// interval keeps rows of both inputs as long as a partner can come.
type interval struct {
	*intervalProgram
	o                   stage.Opening
	groups, rows, clock *state.Table
	groupOf             []uint32        // single: group by _slot, plus one
	bySlot              stage.SlotIndex // groups by _slot otherwise

	cols    []source // what is kept of the rows at hand
	keys    []source
	arrays  []arrow.Array // of both
	key     []byte
	value   []byte
	meta    carry.Meta
	outs    [2][]*carry.Column
	matches []uint32
	pairs   []pair   // to go out
	dead    []uint32 // rows let go of, still in their table
	in      int      // the input at hand
	texts   []int    // columns of one input that stand in byte strings
	emitter flow.Emitter
	pending pending
	dueAt   []uint32 // groups with groupTold
	batch
}

// batch is the rows at hand.
type batch struct {
	at       arrow.RecordBatch
	offsets  []int64
	indexes  []int32
	received []arrow.Timestamp
	times    []arrow.Timestamp
	slots    []uint32
	told     []int64 // watermarks
}

func openInterval(p *intervalProgram, o stage.Opening) *interval {
	j := &interval{intervalProgram: p, o: o, groups: o.Tables[0], rows: o.Tables[1], clock: o.Tables[2], key: []byte{}, value: []byte{}}
	for i := range j.outs {
		j.outs[i] = carry.NewColumns(p.layouts[i].types)
		carry.Use(o.Alloc, j.outs[i])
	}
	j.meta.Use(o.Alloc)
	j.groups.Range(func(g uint32) bool {
		j.link(g)
		if j.marks(g)[groupTold] != flow.NoMark {
			j.dueAt = append(j.dueAt, g)
		}
		return true
	})
	return j
}

func (j *interval) marks(g uint32) []int64 {
	return j.groups.I64(0)[g*groupWords : (g+1)*groupWords]
}

func (j *interval) links(g uint32) []uint32 {
	return j.groups.U32(1)[g*groupLinks : (g+1)*groupLinks]
}

func (j *interval) wordsOf(r uint32) []int64 {
	at := int(r) * j.words
	return j.rows.I64(0)[at : at+j.words]
}

func (j *interval) rowLinks(r uint32) []uint32 {
	return j.rows.U32(1)[r*rowLinks : (r+1)*rowLinks]
}

// link enters a group into what finds groups by _slot.
func (j *interval) link(g uint32) {
	slot := j.links(g)[groupSlot]
	if !j.single {
		j.bySlot.Add(slot, g)
		return
	}
	if int(slot) >= len(j.groupOf) {
		j.groupOf = append(j.groupOf, make([]uint32, int(slot)+1-len(j.groupOf)+len(j.groupOf)/2)...)
	}
	j.groupOf[slot] = g + 1
}

// Process pairs rows with those that wait.
func (j *interval) Process(in int, rows arrow.RecordBatch, out flow.Emitter) error {
	if j.together {
		j.pending.add(in, rows)
		return nil
	}
	j.emitter = out
	return j.process(in, rows)
}

func (j *interval) process(in int, rows arrow.RecordBatch) error {
	j.begin(in, rows)
	defer func() {
		j.flush() // pairs name rows of the batch
		carry.Release(j.arrays)
		j.cols, j.keys, j.arrays = j.cols[:0], j.keys[:0], j.arrays[:0]
	}()
	for i, t := range j.times {
		g, ok := j.group(in, i)
		if !ok {
			continue
		}
		m := j.marks(g)
		m0, m1 := m[0], m[1]
		m[in] = max(m[in], j.told[i])
		if j.together {
			m[1-in] = max(m[1-in], j.told[i])
		}
		j.groups.Touch(g)
		if int64(t) < past(m[in], j.grace) {
			j.late(i)
		} else {
			j.pair(in, g, i)
		}
		if m[0] != m0 || m[1] != m1 {
			j.expire(g)
			j.settle(g)
		}
		j.flushFull()
	}
	return nil
}

// past is a watermark less some time; of none it is none.
func past(mark, us int64) int64 {
	if mark < math.MinInt64+us {
		return flow.NoMark
	}
	return mark - us
}

// begin evaluates what is kept of rows, and their keys.
func (j *interval) begin(in int, rows arrow.RecordBatch) {
	j.in = in
	for _, c := range j.by[in] {
		j.arrays = append(j.arrays, c.Prog.Eval(rows, j.o.Alloc))
	}
	keys := len(j.arrays)
	if in == 1 {
		for _, p := range j.take {
			j.arrays = append(j.arrays, p.Eval(rows, j.o.Alloc))
		}
	} else {
		j.arrays = j.keep.Of(rows, &j.o, j.arrays)
	}
	for i, a := range j.arrays {
		if i < keys {
			j.keys = append(j.keys, sourceOf(a))
		} else {
			j.cols = append(j.cols, sourceOf(a))
		}
	}
	j.batch = batch{rows, flow.Offsets(rows), flow.Indexes(rows), flow.Received(rows), flow.Times(rows), flow.Slots(rows), flow.Marks(rows)}
}

// group finds or makes the group of a row. A row with a null in its key has no partner.
func (j *interval) group(in, i int) (uint32, bool) {
	slot := j.slots[i]
	for k := range j.keys {
		if c := &j.keys[k]; !c.valid && c.arr.IsNull(i) {
			if in == 0 && j.left {
				j.alone(i)
			} else {
				j.o.Reject(stage.Reject{Rows: j.at, Row: i, Reason: fmt.Sprintf("no key: %s is null", j.by[in][k].Name)})
			}
			return 0, false
		}
	}
	if j.single && int(slot) < len(j.groupOf) && j.groupOf[slot] > 0 {
		return j.groupOf[slot] - 1, true
	}
	var g uint32
	var err error
	fresh := j.single
	if j.single {
		g, err = j.groups.Anonymous()
	} else {
		j.key = j.key[:0]
		for _, c := range j.keys {
			j.key = flow.AppendKey(j.key, c.arr, i)
		}
		g, fresh, err = j.groups.Slot(j.key)
	}
	if err != nil {
		reason := fmt.Sprintf("too many keys: the join holds max_total = %d already", j.maxTotal)
		if len(j.key) > state.MaxKeyBytes {
			reason = state.LongKey(len(j.key))
		}
		j.o.Reject(stage.Reject{Rows: j.at, Row: i, Reason: reason})
		return 0, false
	}
	if fresh {
		copy(j.marks(g), []int64{flow.NoMark, flow.NoMark, flow.NoMark, flow.NoMark})
		j.links(g)[groupSlot] = slot
		j.link(g)
	}
	return g, true
}

func (j *interval) late(i int) {
	j.o.Count("late", 1)
	if !j.drop {
		j.o.Reject(stage.Reject{Rows: j.at, Row: i, Reason: "late: its key's watermark is past its time by more than grace"})
	}
}

// reach is the times of the other input's rows that a row of input in can be paired with.
func (j *interval) reach(in int, t int64) (lo, hi int64) {
	if in == 0 {
		return t - j.before, t + j.after
	}
	return t - j.after, t + j.before
}

// pair sends out the pairs that a row makes, in order of its partners' times, and lets it wait for more.
func (j *interval) pair(in int, g uint32, i int) {
	t := int64(j.times[i])
	lo, hi := j.reach(in, t)
	j.matches = j.matches[:0]
	words, links := j.rows.I64(0), j.rows.U32(1)
	for at := j.links(g)[groupTail0+1-in]; at != 0; at = links[int(at-1)*rowLinks+rowOlder] {
		other := words[int(at-1)*j.words+rowTime]
		if other < lo {
			break
		}
		if other <= hi {
			j.matches = append(j.matches, at-1)
		}
	}
	mark := j.marks(g)[groupOut]
	for k := len(j.matches) - 1; k >= 0; k-- {
		other := j.matches[k]
		j.pairs = append(j.pairs, pair{row: int32(i), other: other + 1, number: int32(len(j.matches) - 1 - k), mark: mark})
		if in == 1 && j.left {
			j.rowLinks(other)[rowPaired] = 1
			j.rows.Touch(other)
		}
	}
	j.keepRow(in, g, i, len(j.matches) > 0)
}

// keepRow lets a row wait, in order of event time, and of arrival among equals.
func (j *interval) keepRow(in int, g uint32, i int, paired bool) {
	var r uint32
	err := errFull
	if int(j.links(g)[groupLen0+in]) < j.maxRows && j.rows.Len()-len(j.dead) < j.maxTotal {
		r, err = j.rows.AnonymousRaw()
	}
	if err != nil {
		if in == 0 && j.left && !paired {
			j.alone(i)
		}
		j.o.Count("refused", 1)
		j.o.Reject(stage.Reject{Rows: j.at, Row: i, Reason: fmt.Sprintf("too many rows wait for partners: at most max_rows = %d of a key, max_total = %d in all. It found those that were there already", j.maxRows, j.maxTotal)})
		return
	}
	t, w, l := int64(j.times[i]), j.wordsOf(r), &j.layouts[in]
	w[rowTime], w[rowReceived], w[rowOffset], w[rowIndex] = t, int64(j.received[i]), j.offsets[i], int64(j.indexes[i])
	for k := l.end; k < len(w); k++ {
		w[k] = 0
	}
	if j.value = l.put(w, j.cols, i, j.value[:0]); l.texts {
		j.rows.SetBytes(2, r, j.value)
	}
	links := j.links(g)
	older := links[groupTail0+in]
	for older != 0 && j.wordsOf(older - 1)[rowTime] > t {
		older = j.rowLinks(older - 1)[rowOlder]
	}
	var newer uint32
	if older == 0 {
		newer, links[groupHead0+in] = links[groupHead0+in], r+1
	} else {
		l := j.rowLinks(older - 1)
		newer, l[rowNewer] = l[rowNewer], r+1
		j.rows.Touch(older - 1)
	}
	own := j.rowLinks(r)
	own[rowOlder], own[rowNewer], own[rowGroup], own[rowSlot], own[rowPaired], own[rowInput] = older, newer, g, j.slots[i], 0, uint32(in)
	if paired {
		own[rowPaired] = 1
	}
	if newer == 0 {
		links[groupTail0+in] = r + 1
	} else {
		j.rowLinks(newer - 1)[rowOlder] = r + 1
		j.rows.Touch(newer - 1)
	}
	links[groupLen0+in]++
	j.groups.Touch(g)
}
