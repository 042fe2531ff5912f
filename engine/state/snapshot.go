package state

import (
	"fmt"
	"math/bits"
)

// What a row of a snapshot says about its slot.
const (
	rowDeleted = iota
	rowKey
	rowNullKey
	rowAnonymous
	rowKinds
)

// Snapshot is a consistent copy of a table's slots: of all live ones (full), or
// of those that changed since the snapshot before (a delta). It
// shares nothing with the table, so it may be encoded on another goroutine, one at a time.
type Snapshot struct {
	decl Decl
	full bool
	high uint32
	piece
	early []piece // copied before it, in this order (ahead.go); whole makes one piece of all
}

// piece holds rows of a snapshot that were copied together.
type piece struct {
	slots []uint32 // rising
	kinds []uint8
	keys  blob
	cols  []snapColumn
}

// snapColumn holds the values of a column, w for each row; of a deleted slot zeros.
type snapColumn struct {
	f64 []float64
	i64 []int64
	u32 []uint32
	raw blob
}

// blob is a column of byte strings: row i is data[offs[i]:offs[i+1]].
type blob struct {
	offs []int64
	data []byte
}

func (b *blob) add(v []byte) {
	b.data = append(b.data, v...)
	b.offs = append(b.offs, int64(len(b.data)))
}

func newBlob(rows, bytes int) blob {
	return blob{offs: make([]int64, 1, rows+1), data: make([]byte, 0, bytes)}
}

func (b *blob) at(i int) []byte { return b.data[b.offs[i]:b.offs[i+1]] }

// Snapshot copies what changed since the last call, or all live slots when
// full, and starts to note changes anew. It takes about 10 ns a slot and value
// column, less what Ahead has copied for it. A running table only ever needs deltas: the first one is the base,
// and Merge makes a new base out of older snapshots elsewhere.
func (t *Table) Snapshot(full bool) *Snapshot {
	t.prepare(full)
	s := &Snapshot{decl: t.decl, full: full, high: t.high}
	set, n := t.dirty, 0
	switch a := t.ahead; {
	case a != nil && len(a.pieces) > 0:
		a.cover(t)
		for w, b := range a.todo {
			t.dirty[w] |= b
		}
		s.early = a.pieces
	case full:
		set = t.live
	}
	t.ahead = nil
	for _, w := range set {
		n += bits.OnesCount64(w)
	}
	slots := make([]uint32, 0, n)
	for w, b := range set {
		for ; b != 0; b &= b - 1 {
			slot := uint32(w<<6 + bits.TrailingZeros64(b))
			t.putBack(slot)
			slots = append(slots, slot)
		}
	}
	s.piece = t.copy(slots)
	clear(t.dirty)
	return s
}

// copy copies slots, which rise.
func (t *Table) copy(slots []uint32) piece {
	p := piece{slots: slots, cols: make([]snapColumn, len(t.cols))}
	t.copyKeys(&p)
	for i := range t.cols {
		t.cols[i].copyTo(&p.cols[i], &p)
	}
	return p
}

func (t *Table) copyKeys(s *piece) {
	total := 0
	s.kinds = make([]uint8, len(s.slots))
	for i, slot := range s.slots {
		switch ref := t.ref(slot); {
		case !t.Live(slot):
			s.kinds[i] = rowDeleted
		case ref.n == isNull:
			s.kinds[i] = rowNullKey
		case ref.n == isAnon:
			s.kinds[i] = rowAnonymous
		default:
			s.kinds[i] = rowKey
			total += int(ref.n)
		}
	}
	s.keys = newBlob(len(s.slots), total)
	for i, slot := range s.slots {
		if s.kinds[i] == rowKey {
			s.keys.add(t.Key(slot))
		} else {
			s.keys.add(nil)
		}
	}
}

func (c *column) copyTo(out *snapColumn, s *piece) {
	switch c.Type {
	case F64:
		out.f64 = gather(c.f64, c.w, s)
	case I64:
		out.i64 = gather(c.i64, c.w, s)
	case U32:
		out.u32 = gather(c.u32, c.w, s)
	case Bytes:
		total := 0
		for i, slot := range s.slots {
			if s.kinds[i] != rowDeleted {
				total += len(c.raw[slot])
			}
		}
		out.raw = newBlob(len(s.slots), total)
		for i, slot := range s.slots {
			if s.kinds[i] == rowDeleted {
				out.raw.add(nil)
			} else {
				out.raw.add(c.raw[slot])
			}
		}
	}
}

func gather[T any](vals []T, w int, s *piece) []T {
	out := make([]T, len(s.slots)*w)
	if w == 1 {
		for i, slot := range s.slots {
			if s.kinds[i] != rowDeleted {
				out[i] = vals[slot]
			}
		}
		return out
	}
	for i, slot := range s.slots {
		if s.kinds[i] != rowDeleted {
			copy(out[i*w:(i+1)*w], vals[int(slot)*w:])
		}
	}
	return out
}

// Full says whether the snapshot is a base; otherwise it is a delta.
func (s *Snapshot) Full() bool { return s.full }

// Len is how many slots the snapshot tells about.
func (s *Snapshot) Len() int {
	s.whole()
	return len(s.slots)
}

// Decl is the declaration of the table that the snapshot was taken of.
func (s *Snapshot) Decl() Decl { return s.decl }

// Restore builds the table that a chain of snapshots, oldest first, was taken
// of: equal in every slot number and value. The first snapshot stands alone:
// a base, or the first delta of a table's life. An error means that the
// snapshots do not fit decl, the limit or one another.
func Restore(d Decl, chain ...*Snapshot) (*Table, error) {
	if err := checkDecl(d); err != nil {
		return nil, err
	}
	t := New(d)
	for i, s := range chain {
		if !d.Same(s.decl) {
			return nil, fmt.Errorf("snapshot %d %w", i, mismatch(s.decl, d))
		}
		if s.full && i > 0 {
			t = New(d)
		}
		if err := t.apply(s); err != nil {
			return nil, fmt.Errorf("snapshot %d of table %s: %w", i, d.Name, err)
		}
	}
	clear(t.dirty)
	return t, nil
}

func mismatch(is, want Decl) error {
	return fmt.Errorf("is of table %s (%s), not of %s (%s)", is.Name, is.Digest, want.Name, want.Digest)
}

// Merge makes one base out of a chain of snapshots.
func Merge(d Decl, chain ...*Snapshot) (*Snapshot, error) {
	t, err := Restore(d, chain...)
	if err != nil {
		return nil, err
	}
	return t.Snapshot(true), nil
}

// apply first frees every slot that the snapshot tells about, since a key may
// have moved from one to another, and then fills them.
func (t *Table) apply(s *Snapshot) error {
	s.whole()
	if int(s.high) > t.decl.maxKeys() {
		return fmt.Errorf("it has %d slots; the limit is %d", s.high, t.decl.maxKeys())
	}
	for _, slot := range s.slots {
		if t.Live(slot) {
			t.remove(slot)
		}
	}
	for i, slot := range s.slots {
		if s.kinds[i] == rowDeleted {
			continue
		}
		if int(slot) >= t.size {
			t.grow(int(slot) + 1)
		}
		if err := t.place(slot, s.kinds[i], s.keys.at(i)); err != nil {
			return err
		}
		t.fill(slot, s, i)
	}
	if t.high < s.high {
		if int(s.high) > t.size {
			t.grow(int(s.high))
		}
		t.high = s.high
	}
	return nil
}

func (t *Table) place(slot uint32, kind uint8, key []byte) error {
	t.occupy(slot)
	switch kind {
	case rowAnonymous:
		t.anonymous(slot)
	case rowNullKey:
		if t.nullSlot != noSlot {
			return fmt.Errorf("slots %d and %d both have the null key", t.nullSlot, slot)
		}
		t.refer(slot, keyRef{n: isNull})
		t.nullSlot = slot
	default:
		ref, h := newRef(key, len(t.arena))
		if other, ok := t.find(&ref, h, key); ok {
			return fmt.Errorf("slots %d and %d have the same key", other, slot)
		}
		t.setKey(slot, ref, h, key)
	}
	return nil
}

func (t *Table) fill(slot uint32, s *Snapshot, row int) {
	for i := range t.cols {
		c, from := &t.cols[i], &s.cols[i]
		at, lo, hi := int(slot)*c.w, row*c.w, (row+1)*c.w
		switch c.Type {
		case F64:
			copy(c.f64[at:], from.f64[lo:hi])
		case I64:
			copy(c.i64[at:], from.i64[lo:hi])
		case U32:
			copy(c.u32[at:], from.u32[lo:hi])
		case Bytes:
			if v := from.raw.at(row); len(v) > 0 {
				t.SetBytes(i, slot, v)
			}
		}
	}
}
