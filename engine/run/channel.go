package run

import (
	"fmt"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/expr"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/state"
)

// timekeeper gives decoded rows their event time, key slot and watermark. It
// stands before every filter.
type timekeeper struct {
	ch      *plan.Channel
	time    *expr.Program // nil: event time is receive time
	keyCol  int           // -1: no key
	keys    *state.Table
	clocks  *clocks  // nil: event times are not corrected
	devices *devices // told of rows as they were sent; its mu is held
	ahead   int64    // us
	alloc   memory.Allocator
	reject  func(stage.Reject)
	count   func(string, int64)

	wantMarks bool
	marks     []flow.KeyMark
	stamp     []uint32 // by slot: the batch in which its mark is listed
	place     []uint32 // by slot: where in marks
	batch     uint32
	sel       []int32

	side, sides int // which input's rows; of how many, each with marks of its own in keys
}

// newTimekeeper makes the timekeeper of a side of a channel.
func newTimekeeper(p *plan.Plan, ch *plan.Channel, side int, keys *state.Table, o stage.Opening, wantMarks bool) *timekeeper {
	k := &timekeeper{ch: ch, keyCol: -1, keys: keys, ahead: ch.Config.Ahead.Microseconds(),
		alloc: o.Alloc, reject: o.Reject, count: o.Count, wantMarks: wantMarks, side: side, sides: max(1, len(ch.Sides))}
	k.bind(p, ch)
	return k
}

// bind takes the channel's schema of a newly bound plan.
func (k *timekeeper) bind(p *plan.Plan, ch *plan.Channel) {
	k.ch = ch
	if ch.Config.Time != nil {
		prog, diags := ch.CompileTime(p, nil)
		if diags.HasErrors() {
			panic("BUG: the time expression of a bound plan does not compile: " + diags.Error())
		}
		k.time = prog
	}
	if name := ch.KeyOf(k.side); name != "" {
		k.keyCol = ch.Schemas()[k.side].FieldIndices(name)[0]
	}
}

// fill takes ownership of rows, fresh from the decoder, and gives them back
// with time, slot and mark filled in; rows without an event time are rejected
// and left out. The second result lists the keys that moved; it is valid
// until the next call.
func (k *timekeeper) fill(rows arrow.RecordBatch) (arrow.RecordBatch, []flow.KeyMark) {
	rows = k.fillTimes(rows)
	rows = k.fillSlots(rows)
	if k.devices != nil {
		k.devices.note(rows)
	}
	if k.ch.Config.Clock.Any() {
		rows = k.fillClocks(rows)
	}
	k.fillMarks(rows)
	return rows, k.marks
}

func (k *timekeeper) fillTimes(rows arrow.RecordBatch) arrow.RecordBatch {
	if k.time == nil {
		return rows // the decoder has put the receive time there
	}
	times := k.time.Eval(rows, k.alloc)
	defer times.Release()
	copy(flow.Times(rows), times.(*array.Timestamp).TimestampValues())
	if times.NullN() == 0 {
		return rows
	}
	k.sel = k.sel[:0]
	for i := range int(rows.NumRows()) {
		if times.IsNull(i) {
			k.reject(stage.Reject{Rows: rows, Row: i, Reason: "no event time: the channel's time argument gives null for this record"})
			continue
		}
		k.sel = append(k.sel, int32(i))
	}
	return k.keep(rows)
}

func (k *timekeeper) keep(rows arrow.RecordBatch) arrow.RecordBatch {
	kept := flow.Take(rows, k.sel, k.alloc)
	rows.Release()
	return kept
}

func (k *timekeeper) fillSlots(rows arrow.RecordBatch) arrow.RecordBatch {
	slots := flow.Slots(rows)
	if k.keyCol < 0 {
		if _, _, err := k.keys.Slot(nil); err != nil {
			panic("BUG: a table of one key is full: " + err.Error())
		}
		return rows // all slot 0
	}
	col := rows.Column(k.keyCol)
	// With room for all, what a table refuses are keys that are too long, which are found one by one.
	if s, ok := col.(*array.String); ok && k.keys.Len()+len(slots) <= k.keys.Decl().MaxKeys && k.keys.InternStrings(s, slots) == nil {
		return rows
	}
	k.sel = k.sel[:0]
	var key []byte
	for i := range slots {
		key = appendKey(key[:0], col, i)
		slot, _, err := k.keys.Slot(key)
		if err != nil {
			reason := fmt.Sprintf("too many keys: partition holds max_keys = %d already", k.ch.Config.MaxKeys)
			if len(key) > state.MaxKeyBytes {
				reason = state.LongKey(len(key))
			}
			k.reject(stage.Reject{Rows: rows, Row: i, Field: k.ch.KeyOf(k.side), Reason: reason})
			continue
		}
		slots[i] = slot
		k.sel = append(k.sel, int32(i))
	}
	if len(k.sel) == len(slots) {
		return rows
	}
	return k.keep(rows)
}

// appendKey appends a key as the table has it: text as it is, as InternStrings takes it.
func appendKey(dst []byte, col arrow.Array, i int) []byte {
	s, ok := col.(*array.String)
	switch {
	case !ok:
		return flow.AppendKey(dst, col, i)
	case s.IsNull(i):
		return nil
	case dst == nil:
		dst = []byte{} // nil is the key of null
	}
	return append(dst, s.Value(i)...)
}

// fillMarks moves the watermarks row by row. A clock that is further ahead
// than the channel allows moves its own key's watermark only up to that limit. So it is also behind a channel that a pipeline
// feeds: a row keeps its time on its way there, and would move the watermark of its key to wherever that is.
func (k *timekeeper) fillMarks(rows arrow.RecordBatch) {
	k.batch++
	k.marks = k.marks[:0]
	slots, times, received, out := flow.Slots(rows), flow.Times(rows), flow.Received(rows), flow.Marks(rows)
	if k.ch.ByTick {
		k.fillDue(slots, times, received, out)
		return
	}
	if k.sides > 1 {
		k.fillSideMarks(slots, times, received, out)
		return
	}
	marks := k.keys.I64(0)
	ahead := int64(0)
	for i, slot := range slots {
		t := int64(times[i])
		if limit := int64(received[i]) + k.ahead; t > limit {
			t = limit
			ahead++
		}
		// A slot that was just made holds zero; Len of marks covers it.
		if m := marks[slot]; m < t || m == 0 {
			marks[slot] = t
			k.keys.Touch(slot)
		}
		out[i] = marks[slot]
	}
	if ahead > 0 && !k.ch.Fed { // the channel that they came from has counted them
		k.count("clock_ahead", ahead)
	}
	if k.wantMarks {
		k.listMarks(slots, out)
	}
}

// fillDue gives rows the watermark as of the latest tick, and notes what it will be at the next. The key may be that of many
// devices: of one whose clock is ahead the moment counts at which the row was received, so that it harms no other.
func (k *timekeeper) fillDue(slots []uint32, times, received []arrow.Timestamp, out []int64) {
	marks, due := k.keys.I64(0), k.keys.I64(1)
	for i, slot := range slots {
		at, t := int(slot)*k.sides+k.side, int64(min(times[i], received[i]))
		if m := due[at]; m < t || m == 0 {
			due[at] = t
			k.keys.Touch(slot)
		}
		if out[i] = marks[at]; marks[at] == 0 {
			out[i] = flow.NoMark
		}
	}
}

// tickMarks moves the watermarks of a table of keys to what is due, at a tick. It lists those that moved, of
// several sides the lowest.
func tickMarks(keys *state.Table, sides int) []flow.KeyMark {
	marks, due := keys.I64(0), keys.I64(1)
	var out []flow.KeyMark
	keys.Range(func(slot uint32) bool {
		low, moved := int64(math.MaxInt64), false
		for at := int(slot) * sides; at < int(slot+1)*sides; at++ {
			if marks[at] != due[at] {
				marks[at], moved = due[at], true
			}
			if low = min(low, marks[at]); marks[at] == 0 { // nothing has come from that side yet
				low = flow.NoMark
			}
		}
		if moved {
			keys.Touch(slot)
			out = append(out, flow.KeyMark{Slot: slot, Time: low})
		}
		return true
	})
	return out
}

// fillSideMarks moves the watermarks of one of several sides, each of which has its own. Whoever is told of
// a key's watermark apart from rows is told the lowest of all sides.
func (k *timekeeper) fillSideMarks(slots []uint32, times, received []arrow.Timestamp, out []int64) {
	marks := k.keys.I64(0)
	for i, slot := range slots {
		all := marks[int(slot)*k.sides:][:k.sides]
		t := min(int64(times[i]), int64(received[i])+k.ahead)
		if m := all[k.side]; m < t || m == 0 {
			all[k.side] = t
			k.keys.Touch(slot)
		}
		out[i] = all[k.side]
	}
	if !k.wantMarks {
		return
	}
	k.listMarks(slots, out)
	for i := range k.marks {
		low := int64(math.MaxInt64)
		for _, m := range marks[int(k.marks[i].Slot)*k.sides:][:k.sides] {
			if m == 0 { // nothing has come from that side yet
				m = flow.NoMark
			}
			low = min(low, m)
		}
		k.marks[i].Time = low
	}
}

func (k *timekeeper) listMarks(slots []uint32, out []int64) {
	if n := k.keys.Slots(); len(k.stamp) < n {
		k.stamp = append(k.stamp, make([]uint32, n-len(k.stamp))...)
		k.place = append(k.place, make([]uint32, n-len(k.place))...)
	}
	for i, slot := range slots {
		if k.stamp[slot] != k.batch {
			k.stamp[slot] = k.batch
			k.place[slot] = uint32(len(k.marks))
			k.marks = append(k.marks, flow.KeyMark{Slot: slot})
		}
		k.marks[k.place[slot]].Time = out[i]
	}
}
