package dedupe

import (
	"encoding/binary"
	"sort"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/state"
)

var _ stage.Stage = (*dedupe)(nil)

// dedupe remembers rows by their keys. The time of one is when it was received, made to rise strictly, so
// that the order of forgetting is the order of the times in the table.
type dedupe struct {
	*program
	o     stage.Opening
	seen  *state.Table
	order []uint32 // slots, oldest first, from head on
	head  int
	last  int64 // us

	key  []byte
	text []byte
	sel  []int32
}

func open(p *program, o stage.Opening) *dedupe {
	d := &dedupe{program: p, o: o, seen: o.Tables[0], key: []byte{}}
	d.seen.Range(func(slot uint32) bool {
		d.order = append(d.order, slot)
		return true
	})
	at := d.seen.I64(0)
	sort.Slice(d.order, func(i, j int) bool { return at[d.order[i]] < at[d.order[j]] })
	if n := len(d.order); n > 0 {
		d.last = at[d.order[n-1]]
	}
	return d
}

// Process passes on the rows that were not seen before.
func (d *dedupe) Process(_ int, rows arrow.RecordBatch, out flow.Emitter) error {
	cols := make([]arrow.Array, 0, len(d.by))
	for _, c := range d.by {
		cols = append(cols, c.Prog.Eval(rows, d.o.Alloc))
		defer cols[len(cols)-1].Release()
	}
	d.sel = d.sel[:0]
	for i, received := range flow.Received(rows) {
		if d.keyOf(rows, cols, i) && d.before(int64(received)) {
			continue
		}
		d.sel = append(d.sel, int32(i))
	}
	if gone := int(rows.NumRows()) - len(d.sel); gone > 0 {
		d.o.Count("repeated", int64(gone))
	}
	out.Emit(flow.Take(rows, d.sel, d.o.Alloc))
	return nil
}

// keyOf makes the key of a row; false when it cannot be compared.
func (d *dedupe) keyOf(rows arrow.RecordBatch, cols []arrow.Array, i int) bool {
	if d.by == nil {
		d.keyOfAll(rows, i)
		return true
	}
	d.key = d.key[:0]
	for _, c := range cols {
		if c.IsNull(i) {
			return false
		}
		d.key = flow.AppendKey(d.key, c, i)
	}
	const longest = 512
	if len(d.key) > longest {
		d.hash(d.key)
	}
	return true
}

// keyOfAll makes a key of all that a row has, by name, so that a column that is learned later does not make
// a row another one.
func (d *dedupe) keyOfAll(rows arrow.RecordBatch, i int) {
	d.text = d.text[:0]
	for c, f := range flow.UserFields(rows.Schema()) {
		col := rows.Column(flow.MetaColumns + c)
		if col.IsNull(i) {
			continue
		}
		d.text = append(append(d.text, f.Name...), 0)
		if flow.KeyType(f.Type) {
			d.text = flow.AppendKey(d.text, col, i)
		} else {
			d.text = flow.AppendJSONValue(d.text, col, i)
		}
	}
	d.text = binary.LittleEndian.AppendUint64(d.text, uint64(flow.Times(rows)[i]))
	d.hash(d.text)
}

// hash makes a key of 17 bytes: two hashes, of the text and of the text behind a byte, so that among a hundred
// million rows two that differ have the same key with a probability of 1e-22.
func (d *dedupe) hash(text []byte) {
	a := flow.Hash(text)
	text = append(text, 0x5d)
	b := flow.Hash(text)
	d.key = append(d.key[:0], 0xff)
	d.key = binary.LittleEndian.AppendUint64(d.key, a)
	d.key = binary.LittleEndian.AppendUint64(d.key, b)
}

// before says whether the row of d.key was seen, and remembers it otherwise.
func (d *dedupe) before(received int64) bool {
	now := max(received, d.last+1)
	at := d.seen.I64(0)
	for d.head < len(d.order) && at[d.order[d.head]] < now-d.within {
		d.forget()
	}
	if _, ok := d.seen.Find(d.key); ok {
		return true
	}
	for d.seen.Len() >= d.max {
		d.o.Count("forgotten", 1)
		d.forget()
	}
	slot, _, err := d.seen.Slot(d.key)
	if err != nil {
		return false
	}
	d.seen.I64(0)[slot] = now
	d.seen.Touch(slot)
	d.order, d.last = append(d.order, slot), now
	return false
}

// forget forgets the row that was seen first.
func (d *dedupe) forget() {
	d.seen.Delete(d.order[d.head])
	if d.head++; d.head > 1024 && d.head > len(d.order)/2 {
		d.order = d.order[:copy(d.order, d.order[d.head:])]
		d.head = 0
	}
}

// Advance has nothing to do.
func (d *dedupe) Advance(int, flow.Watermarks, flow.Emitter) error { return nil }

// Close has nothing to release.
func (d *dedupe) Close() error { return nil }
