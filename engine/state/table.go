package state

import (
	"fmt"
	"math/bits"
	"slices"
)

// Type is the type of a value column.
type Type uint8

const (
	// F64 is a float64, NaN bits kept.
	F64 Type = iota
	// I64 is an int64.
	I64
	// U32 is a uint32.
	U32
	// Bytes is a byte string owned by the table: a sketch, a bounded list.
	Bytes
)

func (t Type) String() string {
	if int(t) < len(typeNames()) {
		return typeNames()[t]
	}
	return fmt.Sprintf("type %d", uint8(t))
}

func typeNames() [4]string { return [4]string{"f64", "i64", "u32", "bytes"} }

// Column is one value column of a table.
type Column struct {
	Name string
	Type Type
	// Width is how many values of the type a slot has, side by side in memory; 0
	// means 1. A Bytes column has width 1.
	Width int
}

func (c Column) width() int { return max(c.Width, 1) }

// Decl declares a table. Two tables with equal declarations are the same table
// to a swap or a restore: its rows are kept. Digest must change whenever the
// meaning of the columns does (another aggregate, another window length).
type Decl struct {
	Name    string
	Columns []Column
	Digest  string
	// MaxKeys limits the table; default 1<<20. KeysPlanned is how many keys the
	// plan counts with for its memory estimate; default 10,000.
	MaxKeys     int
	KeysPlanned int
	// BytesPlanned is how many bytes the plan counts for a value of a Bytes column; default 64.
	BytesPlanned int
	// Keyless says to the plan that no slot has a key, and Beside how many bytes a stage holds beside the table for
	// each of its slots.
	Keyless bool
	Beside  int
	// Seldom says that slots are written only now and then, though they change: whoever owns the table can make the others again, from what was
	// written of them and its other tables. Such slots are changed without Touch, and never deleted.
	Seldom bool
}

// DefaultMaxKeys is how many keys a table holds at most whose declaration does not say how many.
const DefaultMaxKeys = 1 << 20

// MaxKeyBytes is the length of a key that a table takes, at most.
const MaxKeyBytes = 1 << 16

// LongKey is the reason for which a row is rejected whose key no table takes.
func LongKey(bytes int) string {
	return fmt.Sprintf("its key has %d bytes; at most %d are taken", bytes, MaxKeyBytes)
}

// Limits of every table.
const (
	hardMaxKeys   = 1 << 30
	maxKeyBytes   = MaxKeyBytes
	maxArenaBytes = 1<<32 - 1
	maxColumns    = 1 << 10
	maxWidth      = 1 << 12
)

// Same says whether d and o declare the same table. The limits may differ.
func (d Decl) Same(o Decl) bool {
	return d.Name == o.Name && d.Digest == o.Digest && slices.EqualFunc(d.Columns, o.Columns, func(a, b Column) bool {
		return a.Name == b.Name && a.Type == b.Type && a.width() == b.width()
	})
}

func (d Decl) maxKeys() int {
	if d.MaxKeys <= 0 {
		return DefaultMaxKeys
	}
	return min(d.MaxKeys, hardMaxKeys)
}

// PlannedBytes estimates the memory that tables of the declaration take, one for each of parts partitions, with
// KeysPlanned keys of 16 bytes that are spread over them evenly: with the room that tables make as they grow. Byte strings are counted with
// what is planned for them.
func (d Decl) PlannedBytes(parts int) int64 {
	keys := d.KeysPlanned
	if keys <= 0 {
		keys = 10_000
	}
	keys = (keys + parts - 1) / parts
	room := int64(0)
	for room < int64(keys) {
		room = int64(roomier(int(room), int(room)+1))
	}
	// One slot after the other takes so many bytes, and room takes them too as long as it is not large.
	total := func(bytes int) int64 {
		if bytes*int(room) >= largeBytes {
			return int64(bytes * keys)
		}
		return int64(bytes) * room
	}
	raw := total(d.Beside)
	if !d.Keyless {
		raw += total(24)
		raw += 20 * int64(keys) // with the room of the arena
		var x index
		for x.init(0); 3*keys > len(x.cells); {
			x.init(2 * (len(x.cells)/3 + 1))
		}
		raw += 8 * int64(len(x.cells))
	}
	for _, c := range d.Columns {
		switch c.Type {
		case U32:
			raw += total(4 * c.width())
		case Bytes:
			planned := int64(d.BytesPlanned)
			if planned <= 0 {
				planned = 64
			}
			raw += 24*room + planned*int64(keys)
		default:
			raw += total(8 * c.width())
		}
	}
	return int64(parts) * raw
}

// Table maps keys to slots, small dense numbers, and holds value columns that
// are indexed by slot. Slots of deleted keys are used again, lowest first, so
// that equal histories give equal slots. One goroutine.
type Table struct {
	decl  Decl
	cols  []column
	index index
	size  int      // slots that there is room for
	refs  []keyRef // none while no slot has a key: all are anonymous
	arena []byte
	waste int // bytes of the arena that no live key uses

	live     []uint64 // bitmaps, a bit a slot
	dirty    []uint64
	high     uint32 // slots at or above were never used
	n        int    // live slots
	freeWord int    // no word of live before this one has a free slot
	nullSlot uint32 // of the null key, or noSlot
	heap     int64  // bytes in Bytes columns
	before   []*func(slot uint32)
	near     uint64 // what Seek has read, so that it reads it
	ahead    *ahead // of the next snapshot; nil: nothing was copied for it
	seldom   seldom // where its slots are written, if the table is
}

// column is the storage of a Column; one of the slices is in use.
type column struct {
	Column
	w   int
	f64 []float64
	i64 []int64
	u32 []uint32
	raw [][]byte
}

// keyRef says where a slot's key is in the arena. n is the length, or one of
// the two marks below. lo and hi tell a short key without a look at the arena.
type keyRef struct {
	off, n uint32
	lo, hi uint64
}

const (
	noSlot = ^uint32(0)
	isNull = ^uint32(0)     // keyRef.n of the null key
	isAnon = ^uint32(0) - 1 // keyRef.n of a slot without a key
)

// New returns an empty table. A declaration that cannot be is a bug.
func New(d Decl) *Table {
	if err := checkDecl(d); err != nil {
		panic("BUG: " + err.Error())
	}
	t := &Table{decl: d, nullSlot: noSlot, arena: []byte{}, cols: make([]column, len(d.Columns))}
	for i, c := range d.Columns {
		t.cols[i] = column{Column: c, w: c.width()}
	}
	t.index.init(0)
	return t
}

func checkDecl(d Decl) error {
	if len(d.Columns) > maxColumns {
		return fmt.Errorf("table %s has %d columns; at most %d", d.Name, len(d.Columns), maxColumns)
	}
	for _, c := range d.Columns {
		if c.Type > Bytes || c.Width < 0 || c.Width > maxWidth || c.Type == Bytes && c.width() != 1 {
			return fmt.Errorf("column %s of table %s cannot be of type %s and width %d", c.Name, d.Name, c.Type, c.Width)
		}
	}
	return nil
}

// Decl returns what the table was made with.
func (t *Table) Decl() Decl { return t.decl }

// Relimit gives the table the limits of d, which declares the same table. Keys
// that it has already stay, also beyond the limit.
func (t *Table) Relimit(d Decl) {
	if !t.decl.Same(d) {
		panic("BUG: the limits of table " + t.decl.Name + " are not those of " + d.Name)
	}
	t.decl = d
	t.decl.MaxKeys = max(d.maxKeys(), int(t.high))
}

// Len is the number of live slots.
func (t *Table) Len() int { return t.n }

// Slots is one more than the highest slot that was ever in use.
func (t *Table) Slots() int { return int(t.high) }

// Live says whether the slot is in use.
func (t *Table) Live(slot uint32) bool {
	return slot < t.high && t.live[slot>>6]>>(slot&63)&1 != 0
}

// Slot returns the slot of a key, and makes one, with zero values, when the key
// is new; fresh tells. A nil key is the null key, which differs from an empty
// one. An error means that a limit of the table is reached.
func (t *Table) Slot(key []byte) (slot uint32, fresh bool, err error) {
	if key == nil {
		return t.slotOfNull()
	}
	ref, h := newRef(key, len(t.arena))
	if s, ok := t.find(&ref, h, key); ok {
		return s, false, nil
	}
	s, err := t.insert(ref, h, key)
	return s, err == nil, err
}

func (t *Table) slotOfNull() (slot uint32, fresh bool, err error) {
	if t.nullSlot != noSlot {
		return t.nullSlot, false, nil
	}
	s, err := t.take(false)
	if err != nil {
		return 0, false, err
	}
	t.refer(s, keyRef{n: isNull})
	t.nullSlot = s
	return s, true, nil
}

// Anonymous makes a slot without a key, with zero values, for stages that keep
// their own links between slots. An error means that the table is full.
func (t *Table) Anonymous() (slot uint32, err error) {
	s, err := t.take(false)
	if err != nil {
		return 0, err
	}
	t.anonymous(s)
	return s, nil
}

// AnonymousRaw is Anonymous for a caller that sets all numbers of the slot at once: they are
// those of the slot that stood there before, or zero. Byte strings are empty.
func (t *Table) AnonymousRaw() (slot uint32, err error) {
	s, err := t.take(true)
	if err != nil {
		return 0, err
	}
	t.anonymous(s)
	return s, nil
}

// Room is how many more slots there may be.
func (t *Table) Room() int { return t.decl.maxKeys() - t.n }

// Find returns the slot of a key without making one.
func (t *Table) Find(key []byte) (slot uint32, ok bool) {
	if key == nil {
		return t.nullSlot, t.nullSlot != noSlot
	}
	ref, h := newRef(key, 0)
	return t.find(&ref, h, key)
}

// Key returns the key of a live slot, borrowed until the next change of the
// table; nil for the null key and for a slot without a key, never nil for an empty key.
func (t *Table) Key(slot uint32) []byte {
	t.mustLive(slot)
	ref := t.ref(slot)
	if ref.n >= isAnon {
		return nil
	}
	end := ref.off + ref.n
	return t.arena[ref.off:end:end]
}

// Delete frees a live slot and its key.
func (t *Table) Delete(slot uint32) {
	t.mustLive(slot)
	if t.decl.Seldom {
		panic("BUG: a slot of table " + t.decl.Name + " is deleted, though what was written of it stays")
	}
	t.remove(slot)
}

func (t *Table) remove(slot uint32) {
	switch ref := t.ref(slot); ref.n {
	case isNull:
		t.nullSlot = noSlot
	case isAnon:
	default:
		t.index.remove(ref.hash(), slot)
		t.waste += int(ref.n)
	}
	for i := range t.cols {
		if c := &t.cols[i]; c.Type == Bytes {
			t.heap -= int64(cap(c.raw[slot]))
			c.raw[slot] = nil
		}
	}
	word := int(slot >> 6)
	t.live[word] &^= 1 << (slot & 63)
	t.dirty[word] |= 1 << (slot & 63)
	t.n--
	t.freeWord = min(t.freeWord, word)
	if t.waste > 1<<16 && t.waste > len(t.arena)/2 {
		t.compact()
	}
}

func (t *Table) mustLive(slot uint32) {
	if !t.Live(slot) {
		panic(fmt.Sprintf("BUG: slot %d of table %s is not in use", slot, t.decl.Name))
	}
}

// F64 returns the values of an F64 column: slot s has the values from s*width.
// The slice is good until the next new slot.
func (t *Table) F64(col int) []float64 { return t.cols[col].f64 }

// I64 is F64 for an I64 column.
func (t *Table) I64(col int) []int64 { return t.cols[col].i64 }

// U32 is F64 for a U32 column.
func (t *Table) U32(col int) []uint32 { return t.cols[col].u32 }

// Bytes returns a slot's value in a Bytes column, borrowed until it is set again.
func (t *Table) Bytes(col int, slot uint32) []byte { return t.cols[col].raw[slot] }

// SetBytes copies a value into a slot of a Bytes column and touches the slot.
func (t *Table) SetBytes(col int, slot uint32, value []byte) {
	t.mustLive(slot)
	p := &t.cols[col].raw[slot]
	t.heap -= int64(cap(*p))
	if cap(*p) > 2*len(value)+64 {
		*p = nil
	}
	*p = append((*p)[:0], value...)
	t.heap += int64(cap(*p))
	t.Touch(slot)
}

// Extend makes a slot's value in a Bytes column n bytes longer, touches the slot and returns the new bytes, which
// the caller sets.
func (t *Table) Extend(col int, slot uint32, n int) []byte {
	t.mustLive(slot)
	p := &t.cols[col].raw[slot]
	t.heap -= int64(cap(*p))
	*p = append(*p, make([]byte, n)...)
	t.heap += int64(cap(*p))
	t.Touch(slot)
	return (*p)[len(*p)-n:]
}

// Edit is Bytes for a caller that changes the value in place, not its length;
// it touches the slot.
func (t *Table) Edit(col int, slot uint32) []byte {
	t.mustLive(slot)
	t.Touch(slot)
	return t.cols[col].raw[slot]
}

// Touch says that values of the slot have changed since the last snapshot. New
// slots, deletions and SetBytes need no Touch.
//
// Most slots have changed before. Their bits are only read, since to set a bit waits for the one that was set before it in the same word.
func (t *Table) Touch(slot uint32) {
	if word := &t.dirty[slot>>6]; *word>>(slot&63)&1 == 0 {
		*word |= 1 << (slot & 63)
	}
}

// TouchEach is Touch of slots, some of which may be the same.
func (t *Table) TouchEach(slots []uint32) {
	dirty := t.dirty
	for _, slot := range slots {
		if word := &dirty[slot>>6]; *word>>(slot&63)&1 == 0 {
			*word |= 1 << (slot & 63)
		}
	}
}

// Touched says whether the slot is in the next delta.
func (t *Table) Touched(slot uint32) bool { return t.dirty[slot>>6]>>(slot&63)&1 != 0 }

// Omit takes a slot of a Seldom table out of the next delta: its owner can make it again as it is.
func (t *Table) Omit(slot uint32) {
	if !t.decl.Seldom {
		panic("BUG: a slot of table " + t.decl.Name + " is left out of its snapshot")
	}
	t.dirty[slot>>6] &^= 1 << (slot & 63)
}

// Range calls f for each live slot in rising order until f returns false. f may
// delete the slot that it was given.
func (t *Table) Range(f func(slot uint32) bool) {
	for w := range t.live {
		for b := t.live[w]; b != 0; b &= b - 1 {
			if !f(uint32(w<<6 + bits.TrailingZeros64(b))) {
				return
			}
		}
	}
}

// MemoryBytes is about how much memory the table holds.
func (t *Table) MemoryBytes() int64 {
	n := int64(cap(t.arena)) + Held(t.refs, int(t.high)) + int64(len(t.index.cells))*8 + int64(cap(t.live)+cap(t.dirty)+cap(t.seldom.places))*8 + t.heap
	if t.ahead != nil {
		n += t.ahead.bytes
	}
	for i := range t.cols {
		c := &t.cols[i]
		used := int(t.high) * c.w
		n += Held(c.f64, used) + Held(c.i64, used) + Held(c.u32, used) + int64(cap(c.raw))*24
	}
	return n
}

// BeforeCopy registers a function that is called for each live slot that Snapshot or Ahead is about to copy, on the same
// goroutine: a stage that works on a decoded form of a Bytes value puts the slot's back
// then. It must Touch the slot when that value first changes. The result takes the function out again; Stage.Close calls it.
func (t *Table) BeforeCopy(f func(slot uint32)) (remove func()) {
	own := &f
	t.before = append(t.before, own)
	return func() { t.before = slices.DeleteFunc(t.before, func(g *func(uint32)) bool { return g == own }) }
}

// putBack lets stages put back what they work on of a slot that is about to be copied.
func (t *Table) putBack(slot uint32) {
	if len(t.before) == 0 || !t.Live(slot) {
		return
	}
	for _, f := range t.before {
		(*f)(slot)
	}
}
