package alarm

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/state"
)

var _ stage.Stage = (*alarm)(nil)

// Words of a key, see doc.go.
const (
	keyState    = iota // cleared or raised
	keySince           // since when the condition for the other state holds; NoMark: it does not
	keyTime            // event time of the latest row, as far as it is believed
	keyReceived        // of the latest row, likewise the next two
	keyOffset
	keyIndex
	keyMark // highest watermark that a row had or that was told; NoMark: none
	keyWords
)

const (
	keySlot  = iota // _slot of the key's first row
	keyReady        // 1: the other words are filled in
	keyLinks
)

const (
	cleared = iota
	raised
)

// view is the columns of the batch at hand that every row is asked for.
type view struct {
	times, received []arrow.Timestamp
	marks, offsets  []int64
	indexes         []int32
}

// event is a change of state.
type event struct {
	key                     uint32
	state, since, at        int64
	offset, index, received int64
	with                    []byte
}

type alarm struct {
	program
	o      stage.Opening
	table  *state.Table
	keys   stage.Keys
	bySlot stage.SlotIndex

	slots  []uint32
	view   view
	cond   [2]column // when, clear
	with   []arrow.Array
	events []event
	of     []uint32 // keys of events
	buf    []byte
}

func open(p program, o stage.Opening) *alarm {
	a := &alarm{program: p, o: o, table: o.Tables[0], keys: stage.Keys{By: p.by}}
	a.table.Range(func(k uint32) bool {
		a.bySlot.Add(a.links(k)[keySlot], k)
		return true
	})
	return a
}

// Close has nothing to release.
func (a *alarm) Close() error { return nil }

func (a *alarm) words(k uint32) []int64 { return a.table.I64(0)[k*keyWords : (k+1)*keyWords] }

func (a *alarm) links(k uint32) []uint32 { return a.table.U32(1)[k*keyLinks : (k+1)*keyLinks] }

// truth is what a row says of a condition.
type truth int8

const (
	unknown truth = iota // null
	no
	yes
)

func (t truth) not() truth {
	switch t {
	case yes:
		return no
	case no:
		return yes
	}
	return unknown
}

// column is a condition over the batch at hand.
type column struct {
	b     *array.Boolean
	nulls bool // some are null
}

func columnOf(a arrow.Array) column {
	b := a.(*array.Boolean)
	return column{b: b, nulls: b.NullN() > 0}
}

func (c column) at(i int) truth {
	switch {
	case c.nulls && c.b.IsNull(i):
		return unknown
	case c.b.Value(i):
		return yes
	}
	return no
}

// Process looks at every row in order.
func (a *alarm) Process(_ int, rows arrow.RecordBatch, out flow.Emitter) error {
	if !a.find(rows) {
		rows = a.keys.FitOrReject(rows, a.table, &a.o)
		defer rows.Release()
		var err error
		if a.slots, err = a.keys.Intern(rows, a.o.Alloc, a.table, a.slots); err != nil {
			return err
		}
	}
	a.evaluate(rows)
	a.view = view{times: flow.Times(rows), received: flow.Received(rows), marks: flow.Marks(rows), offsets: flow.Offsets(rows), indexes: flow.Indexes(rows)}
	words := a.table.I64(0)
	for i, k := range a.slots {
		if a.absent > 0 || !a.calm((*[keyWords]int64)(words[int(k)*keyWords:]), i) {
			if a.links(k)[keyReady] == 0 {
				a.start(k, flow.Slots(rows)[i])
			}
			a.row(k, i)
		}
		a.table.Touch(k)
	}
	a.view = view{}
	a.emit(out)
	for _, c := range a.with {
		c.Release()
	}
	for i := range a.cond {
		if a.cond[i].b != nil {
			a.cond[i].b.Release()
			a.cond[i].b = nil
		}
	}
	return nil
}

// find fills in the slot of each row's key where that is the channel's key alone, whose _slot tells it, and all of them have been met.
func (a *alarm) find(rows arrow.RecordBatch) bool {
	if !a.hasKey || len(a.by) > 1 {
		return false
	}
	a.slots = a.slots[:0]
	for _, slot := range flow.Slots(rows) {
		k, ok := a.bySlot.First(slot)
		if !ok {
			return false
		}
		a.slots = append(a.slots, k)
	}
	return true
}

func (a *alarm) evaluate(rows arrow.RecordBatch) {
	a.with = a.with[:0]
	for _, c := range a.program.with {
		a.with = append(a.with, c.Prog.Eval(rows, a.o.Alloc))
	}
	if a.when != nil {
		a.cond[cleared] = columnOf(a.when.Eval(rows, a.o.Alloc))
	}
	if a.clear != nil {
		a.cond[raised] = columnOf(a.clear.Eval(rows, a.o.Alloc))
	}
}

func (a *alarm) start(k, slot uint32) {
	w := a.words(k)
	w[keySince], w[keyTime], w[keyMark] = flow.NoMark, flow.NoMark, flow.NoMark
	l := a.links(k)
	l[keySlot], l[keyReady] = slot, 1
	a.bySlot.Add(slot, k)
}

// test says whether row i meets the condition that would end the key's state.
func (a *alarm) test(state int64, i int) truth {
	switch {
	case state == cleared:
		return a.cond[cleared].at(i)
	case a.clear != nil:
		return a.cond[raised].at(i)
	}
	return a.cond[cleared].at(i).not()
}

// calm is row for what nearly all rows are: in order, of a key that is cleared and stays so, about which nothing is kept but
// that it came. It does nothing about others, and returns false.
func (a *alarm) calm(w *[keyWords]int64, i int) bool {
	t := int64(a.view.times[i])
	if w[keyState] != cleared || w[keySince] != flow.NoMark || t < w[keyTime] || a.cond[cleared].at(i) == yes {
		return false
	}
	a.note(w, t, i)
	return true
}

// row is the state machine's step for row i of key k.
func (a *alarm) row(k uint32, i int) {
	w := (*[keyWords]int64)(a.words(k))
	t := int64(a.view.times[i])
	if a.absent > 0 {
		a.note(w, t, i)
		a.keep(k, i)
		if w[keyState] == raised {
			received := int64(a.view.received[i])
			a.change(k, cleared, received, received)
		}
		return
	}
	if w[keySince] != flow.NoMark {
		// What held before this row lasts until the row's watermark, whatever the row says.
		reached := t
		if a.hasKey {
			reached = a.view.marks[i]
		}
		if due, ok := a.ends(w[:]); ok && due <= max(reached, w[keyMark]) {
			a.change(k, 1-w[keyState], w[keySince], due)
		}
	}
	if t < w[keyTime] {
		a.o.Count("out_of_order", 1)
		return
	}
	is := a.test(w[keyState], i)
	a.note(w, t, i)
	switch is {
	case no:
		w[keySince] = flow.NoMark
	case yes:
		if w[keySince] == flow.NoMark || t < w[keySince] { // or since a time that was not believed
			w[keySince] = t
		}
		a.keep(k, i)
		if due, ok := a.ends(w[:]); ok && due <= t {
			a.change(k, 1-w[keyState], w[keySince], due)
		}
	}
}

// ends is when the condition will have held long enough.
func (a *alarm) ends(w []int64) (int64, bool) {
	return w[keySince] + a.hold[w[keyState]], w[keySince] != flow.NoMark
}

func (a *alarm) note(w *[keyWords]int64, t int64, i int) {
	w[keyTime] = a.believed(t, i)
	if a.hasKey {
		w[keyMark] = max(w[keyMark], a.view.marks[i])
	}
	w[keyReceived] = int64(a.view.received[i])
	w[keyOffset], w[keyIndex] = a.view.offsets[i], int64(a.view.indexes[i])
}

// believed is the time by which later rows are told from older ones: of a row that is further ahead than its watermark
// has followed, no later than its receipt. A single row from 2099 must not silence an alarm until then.
func (a *alarm) believed(t int64, i int) int64 {
	if t > a.view.marks[i] {
		return min(t, int64(a.view.received[i]))
	}
	return t
}

// keep remembers the `with` values of row i.
func (a *alarm) keep(k uint32, i int) {
	if len(a.with) == 0 {
		return
	}
	a.buf = a.buf[:0]
	for _, c := range a.with {
		a.buf = flow.AppendKey(a.buf, c, i)
	}
	a.table.SetBytes(2, k, a.buf)
}

// change switches a key's state and queues the event.
func (a *alarm) change(k uint32, to, since, at int64) {
	w := a.words(k)
	w[keyState], w[keySince] = to, flow.NoMark
	a.table.Touch(k)
	a.events = append(a.events, event{
		key: k, state: to, since: since, at: at, offset: w[keyOffset], index: w[keyIndex], received: w[keyReceived],
		with: append([]byte(nil), a.table.Bytes(2, k)...),
	})
}

// Advance notes watermarks as they come, and acts on them at ticks, whose place
// among the rows does not depend on how batches are cut, and at the end. A tick
// only tells sooner what the key's next row would have told: the events are the same.
func (a *alarm) Advance(_ int, marks flow.Watermarks, out flow.Emitter) error {
	if a.absent == 0 && a.hasKey {
		words := a.table.I64(0)
		for _, m := range marks.Keys {
			for k, ok := a.bySlot.First(m.Slot); ok; k, ok = a.bySlot.Next(k) {
				if mark := &words[int(k)*keyWords+keyMark]; m.Time > *mark {
					*mark = m.Time
					a.table.Touch(k)
				}
			}
		}
	}
	if marks.Ticked || marks.Ended && a.absent == 0 {
		a.table.Range(func(k uint32) bool {
			a.tick(k, marks.Tick)
			return true
		})
	}
	a.emit(out)
	return nil
}

func (a *alarm) tick(k uint32, now int64) {
	w := a.words(k)
	if a.absent > 0 {
		if w[keyState] == cleared && now-w[keyReceived] >= a.absent {
			a.change(k, raised, w[keyReceived], now)
		}
		return
	}
	if due, ok := a.ends(w); ok && due <= w[keyMark] {
		a.change(k, 1-w[keyState], w[keySince], due)
	}
}

// emit sends the queued events.
func (a *alarm) emit(out flow.Emitter) {
	if len(a.events) > 0 {
		out.Emit(a.batch())
		a.events = a.events[:0]
	}
}
