package join

import (
	"fmt"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/engine/carry"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/state"
)

var _ stage.Stage = (*latest)(nil)

// latest keeps one row a key of its second input, and puts it beside rows of the first.
type latest struct {
	*latestProgram
	o      stage.Opening
	view   *state.Table
	bySlot []uint32 // single: slot of the view by _slot, plus one; follows from the view

	cols    []*carry.Column
	found   []bool
	places  []uint32 // slot of the view of each row, plus one
	keys    []arrow.Array
	key     []byte
	pending pending
}

func openLatest(p *latestProgram, o stage.Opening) *latest {
	l := &latest{latestProgram: p, o: o, view: o.Tables[0], key: []byte{}}
	for _, f := range p.fields {
		l.cols = append(l.cols, carry.NewColumn(f.Type))
	}
	carry.Use(o.Alloc, l.cols)
	if p.single {
		slots := l.view.U32(1)
		l.view.Range(func(v uint32) bool {
			l.setSlot(slots[v], v+1)
			return true
		})
	}
	return l
}

func (l *latest) setSlot(slot, v uint32) {
	if int(slot) >= len(l.bySlot) {
		l.bySlot = append(l.bySlot, make([]uint32, int(slot)+1-len(l.bySlot)+len(l.bySlot)/2)...)
	}
	l.bySlot[slot] = v
}

// Process takes rows of the view in, or gives rows of the first input what the view has.
func (l *latest) Process(in int, rows arrow.RecordBatch, out flow.Emitter) error {
	if l.together {
		l.pending.add(in, rows)
		return nil
	}
	return l.process(in, rows, out)
}

// Advance has nothing to do but, where both inputs come from one channel, to take their rows in order.
func (l *latest) Advance(_ int, _ flow.Watermarks, out flow.Emitter) error {
	return l.pending.each(func(in int, rows arrow.RecordBatch) error { return l.process(in, rows, out) })
}

// Close releases what waits.
func (l *latest) Close() error {
	l.pending.drop()
	return nil
}

func (l *latest) process(in int, rows arrow.RecordBatch, out flow.Emitter) error {
	l.keys = l.keys[:0]
	for _, c := range l.by[in] {
		l.keys = append(l.keys, c.Prog.Eval(rows, l.o.Alloc))
	}
	defer func() { carry.Release(l.keys) }()
	if in == 1 {
		return l.learn(rows)
	}
	l.find(rows)
	l.gather(flow.Times(rows))
	l.add.Emit(rows, l.cols, l.found, func(i int) string { return l.reason(i) }, &l.o, out)
	return nil
}

func (l *latest) reason(i int) string {
	return fmt.Sprintf("the view has nothing for %s", carry.KeyText(l.by[0], l.keys, i))
}

// keyOf is a row's key in the view; a key with a null is never found.
func (l *latest) keyOf(i int) ([]byte, bool) {
	for _, c := range l.keys {
		if c.IsNull(i) {
			return nil, false
		}
	}
	if len(l.keys) == 1 {
		if s, ok := l.keys[0].(*array.String); ok {
			l.key = append(l.key[:0], s.Value(i)...)
			return l.key, true
		}
	}
	l.key = l.key[:0]
	for _, c := range l.keys {
		l.key = flow.AppendKey(l.key, c, i)
	}
	return l.key, true
}

// find notes the slot of the view that each row belongs to.
func (l *latest) find(rows arrow.RecordBatch) {
	n := int(rows.NumRows())
	if cap(l.places) < n {
		l.places, l.found = make([]uint32, n), make([]bool, n)
	}
	l.places, l.found = l.places[:n], l.found[:n]
	if l.single {
		for i, slot := range flow.Slots(rows) {
			l.places[i] = 0
			if int(slot) < len(l.bySlot) {
				l.places[i] = l.bySlot[slot]
			}
		}
		if key := l.keys[0]; key.NullN() > 0 { // null equals nothing, not even null
			for i := range n {
				if key.IsNull(i) {
					l.places[i] = 0
				}
			}
		}
		return
	}
	for i := range n {
		l.places[i] = 0
		if key, ok := l.keyOf(i); ok {
			if v, ok := l.view.Find(key); ok {
				l.places[i] = v + 1
			}
		}
	}
}

// gather fills the columns from the view.
func (l *latest) gather(times []arrow.Timestamp) {
	words := l.view.I64(0)
	for i, v := range l.places {
		l.found[i] = v > 0 && (l.maxAge == 0 || int64(times[i])-words[int(v-1)*l.words] <= l.maxAge)
	}
	for c, at := range l.cells {
		col, null, bit := l.cols[c], 1+c/64, int64(1)<<(c%64)
		if at.word > 0 && !at.flag {
			l.gatherWords(col, words, at.word, null, bit)
			continue
		}
		for i, v := range l.places {
			if !l.found[i] {
				col.Null()
				continue
			}
			slot := int(v - 1)
			row := words[slot*l.words : (slot+1)*l.words]
			switch {
			case row[null]&bit != 0:
				col.Null()
			case at.flag:
				col.Bool(row[at.word] != 0)
			case at.text:
				col.Text(l.view.Bytes(at.bytes, v-1))
			default:
				carry.Read(l.view.Bytes(at.bytes, v-1), l.cols[c:c+1])
			}
		}
	}
}

// gatherWords fills a column of values of eight bytes.
func (l *latest) gatherWords(col *carry.Column, words []int64, at, null int, bit int64) {
	fixed, valid := col.Words(len(l.places))
	nulls := 0
	for i, v := range l.places {
		if !l.found[i] {
			nulls++
			continue
		}
		row := words[int(v-1)*l.words:][:l.words]
		if row[null]&bit != 0 {
			nulls++
			continue
		}
		fixed[i] = uint64(row[at])
		valid[i>>3] |= 1 << (i & 7)
	}
	col.Nulls(nulls)
}

// learn takes rows into the view. A row that is older, by event time, than what is known changes nothing.
func (l *latest) learn(rows arrow.RecordBatch) error {
	cols := make([]arrow.Array, len(l.take))
	for i, p := range l.take {
		cols[i] = p.Eval(rows, l.o.Alloc)
		defer cols[i].Release()
	}
	var gone []int32
	if l.gone != nil {
		gone = l.gone.Select(rows, nil)
	}
	times, slots, marks, received := flow.Times(rows), flow.Slots(rows), flow.Marks(rows), flow.Received(rows)
	for i := range times {
		t := flow.Believed(int64(times[i]), marks[i], int64(received[i]))
		remove := len(gone) > 0 && int(gone[0]) == i
		if remove {
			gone = gone[1:]
		}
		v, fresh, ok := l.place(i, slots[i], remove)
		if !ok {
			if !remove {
				l.refuse(rows, i)
			}
			continue
		}
		row := l.view.I64(0)[int(v)*l.words : (int(v)+1)*l.words]
		if !fresh && row[0] > t {
			l.o.Count("older", 1)
			continue
		}
		if remove {
			l.view.Delete(v)
			if l.single {
				l.bySlot[slots[i]] = 0
			}
			continue
		}
		row[0] = t
		l.put(v, row, cols, i)
	}
	return nil
}

func (l *latest) refuse(rows arrow.RecordBatch, i int) {
	reason := fmt.Sprintf("too many keys: the view holds max_keys = %d already", l.maxKeys)
	if key, ok := l.keyOf(i); ok && len(key) > state.MaxKeyBytes {
		reason = state.LongKey(len(key))
	}
	for k, c := range l.keys {
		if c.IsNull(i) {
			reason = fmt.Sprintf("no key: %s is null", l.by[1][k].Name)
		}
	}
	l.o.Reject(stage.Reject{Rows: rows, Row: i, Reason: reason})
}

// place finds the slot of a row of the view, or makes it; ok is false where there is none and none can be.
func (l *latest) place(i int, slot uint32, onlyFind bool) (v uint32, fresh, ok bool) {
	full := l.view.Len() >= l.maxKeys
	if l.single {
		if l.keys[0].IsNull(i) {
			return 0, false, false
		}
		if int(slot) < len(l.bySlot) && l.bySlot[slot] > 0 {
			return l.bySlot[slot] - 1, false, true
		}
		if full || onlyFind {
			return 0, false, false
		}
		v, err := l.view.Anonymous()
		if err != nil {
			return 0, false, false
		}
		l.view.U32(1)[v] = slot
		l.setSlot(slot, v+1)
		return v, true, true
	}
	key, ok := l.keyOf(i)
	if !ok {
		return 0, false, false
	}
	if v, ok := l.view.Find(key); ok || full || onlyFind {
		return v, false, ok
	}
	v, _, err := l.view.Slot(key)
	return v, true, err == nil
}

// put writes a row's values into the view.
func (l *latest) put(v uint32, row []int64, cols []arrow.Array, i int) {
	for c, at := range l.cells {
		null, bit := 1+c/64, int64(1)<<(c%64)
		if cols[c].IsNull(i) {
			row[null] |= bit
			continue
		}
		row[null] &^= bit
		switch a := cols[c].(type) {
		case *array.Float64:
			row[at.word] = int64(math.Float64bits(a.Value(i)))
		case *array.Int64:
			row[at.word] = a.Value(i)
		case *array.Timestamp:
			row[at.word] = int64(a.Value(i))
		case *array.Boolean:
			row[at.word] = 0
			if a.Value(i) {
				row[at.word] = 1
			}
		case *array.String:
			l.key = append(l.key[:0], a.Value(i)...)
			l.view.SetBytes(at.bytes, v, l.key)
		default:
			l.key = carry.AppendValue(l.key[:0], a, i)
			l.view.SetBytes(at.bytes, v, l.key)
		}
	}
	l.view.Touch(v)
}
