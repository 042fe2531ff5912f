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
	rowWords
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

	cols    []arrow.Array // what is kept of the rows at hand
	keys    []arrow.Array
	key     []byte
	value   []byte
	meta    carry.Meta
	outs    [2][]*carry.Column
	matches []uint32
	pending pending
	told    []uint32 // groups with groupTold
}

func openInterval(p *intervalProgram, o stage.Opening) *interval {
	j := &interval{intervalProgram: p, o: o, groups: o.Tables[0], rows: o.Tables[1], clock: o.Tables[2], key: []byte{}, value: []byte{}}
	for i := range j.outs {
		j.outs[i] = carry.NewColumns(p.types[i])
	}
	j.groups.Range(func(g uint32) bool {
		j.link(g)
		if j.marks(g)[groupTold] != flow.NoMark {
			j.told = append(j.told, g)
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

func (j *interval) words(r uint32) []int64 { return j.rows.I64(0)[r*rowWords : (r+1)*rowWords] }

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
	err := j.process(in, rows)
	j.flush(out)
	return err
}

func (j *interval) process(in int, rows arrow.RecordBatch) error {
	j.begin(in, rows)
	defer func() {
		carry.Release(j.cols)
		carry.Release(j.keys)
		j.cols, j.keys = j.cols[:0], j.keys[:0]
	}()
	times, marks := flow.Times(rows), flow.Marks(rows)
	for i := range times {
		g, ok := j.group(in, rows, i)
		if !ok {
			continue
		}
		m := j.marks(g)
		before := [2]int64{m[0], m[1]}
		m[in] = max(m[in], marks[i])
		if j.together {
			m[1-in] = max(m[1-in], marks[i])
		}
		j.groups.Touch(g)
		if int64(times[i]) < past(m[in], j.grace) {
			j.late(rows, i)
		} else {
			j.pair(in, g, rows, i)
		}
		if m = j.marks(g); m[0] != before[0] || m[1] != before[1] {
			j.expire(g)
			j.settle(g)
		}
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
	for _, c := range j.by[in] {
		j.keys = append(j.keys, c.Prog.Eval(rows, j.o.Alloc))
	}
	if in == 1 {
		for _, p := range j.take {
			j.cols = append(j.cols, p.Eval(rows, j.o.Alloc))
		}
		return
	}
	j.cols = j.keep.Of(rows, &j.o, j.cols)
}

// group finds or makes the group of a row. A row with a null in its key has no partner.
func (j *interval) group(in int, rows arrow.RecordBatch, i int) (uint32, bool) {
	slot := flow.Slots(rows)[i]
	for k, c := range j.keys {
		if c.IsNull(i) {
			if in == 0 && j.left {
				j.alone(rows, i)
			} else {
				j.o.Reject(stage.Reject{Rows: rows, Row: i, Reason: fmt.Sprintf("no key: %s is null", j.by[in][k].Name)})
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
			j.key = flow.AppendKey(j.key, c, i)
		}
		g, fresh, err = j.groups.Slot(j.key)
	}
	if err != nil {
		j.o.Reject(stage.Reject{Rows: rows, Row: i, Reason: fmt.Sprintf("too many keys: the join holds max_total = %d already", j.maxTotal)})
		return 0, false
	}
	if fresh {
		copy(j.marks(g), []int64{flow.NoMark, flow.NoMark, flow.NoMark, flow.NoMark})
		j.links(g)[groupSlot] = slot
		j.link(g)
	}
	return g, true
}

func (j *interval) late(rows arrow.RecordBatch, i int) {
	j.o.Count("late", 1)
	if !j.drop {
		j.o.Reject(stage.Reject{Rows: rows, Row: i, Reason: "late: its key's watermark is past its time by more than grace"})
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
func (j *interval) pair(in int, g uint32, rows arrow.RecordBatch, i int) {
	t := int64(flow.Times(rows)[i])
	lo, hi := j.reach(in, t)
	j.matches = j.matches[:0]
	words, links := j.rows.I64(0), j.rows.U32(1)
	for at := j.links(g)[groupTail0+1-in]; at != 0; at = links[(at-1)*rowLinks+rowOlder] {
		other := words[(at-1)*rowWords+rowTime]
		if other < lo {
			break
		}
		if other <= hi {
			j.matches = append(j.matches, at-1)
		}
	}
	offset, received := flow.Offsets(rows)[i], int64(flow.Received(rows)[i])
	index := flow.Indexes(rows)[i] * perRow
	slot, mark := flow.Slots(rows)[i], j.marks(g)[groupOut]
	for k := len(j.matches) - 1; k >= 0; k-- {
		other := j.matches[k]
		w := j.words(other)
		at := t
		if in == 1 {
			at = w[rowTime]
		}
		j.meta.Add(offset, index, max(received, w[rowReceived]), at, slot, mark)
		index++
		for c, col := range j.outs[in] {
			col.From(j.cols[c], i)
		}
		carry.Read(j.rows.Bytes(2, other), j.outs[1-in])
		if in == 1 && j.left && j.rowLinks(other)[rowPaired] == 0 {
			j.rowLinks(other)[rowPaired] = 1
			j.rows.Touch(other)
		}
	}
	j.keepRow(in, g, rows, i, len(j.matches) > 0)
}

// keepRow lets a row wait, in order of event time, and of arrival among equals.
func (j *interval) keepRow(in int, g uint32, rows arrow.RecordBatch, i int, paired bool) {
	var r uint32
	err := errFull
	if int(j.links(g)[groupLen0+in]) < j.maxRows {
		r, err = j.rows.Anonymous()
	}
	if err != nil {
		if in == 0 && j.left && !paired {
			j.alone(rows, i)
		}
		j.o.Count("refused", 1)
		j.o.Reject(stage.Reject{Rows: rows, Row: i, Reason: fmt.Sprintf("too many rows wait for partners: at most max_rows = %d of a key, max_total = %d in all. It found those that were there already", j.maxRows, j.maxTotal)})
		return
	}
	t := int64(flow.Times(rows)[i])
	copy(j.words(r), []int64{t, int64(flow.Received(rows)[i]), flow.Offsets(rows)[i], int64(flow.Indexes(rows)[i])})
	own := j.rowLinks(r)
	own[rowGroup], own[rowSlot], own[rowInput] = g, flow.Slots(rows)[i], uint32(in)
	if paired {
		own[rowPaired] = 1
	}
	j.value = carry.Append(j.value[:0], j.cols, i)
	j.rows.SetBytes(2, r, j.value)
	links := j.links(g)
	links[groupLen0+in]++
	at := links[groupTail0+in]
	for at != 0 && j.words(at - 1)[rowTime] > t {
		at = j.rowLinks(at - 1)[rowOlder]
	}
	var next uint32
	if at == 0 {
		next, links[groupHead0+in] = links[groupHead0+in], r+1
	} else {
		l := j.rowLinks(at - 1)
		next, l[rowNewer] = l[rowNewer], r+1
		j.rows.Touch(at - 1)
	}
	own[rowOlder], own[rowNewer] = at, next
	if next == 0 {
		links[groupTail0+in] = r + 1
	} else {
		j.rowLinks(next - 1)[rowOlder] = r + 1
		j.rows.Touch(next - 1)
	}
	j.groups.Touch(g)
}
