package state

import (
	"fmt"
	"math/bits"
)

// take makes the lowest free slot live, with zero values and no key. raw leaves numbers as
// they are.
func (t *Table) take(raw bool) (uint32, error) {
	if t.n >= t.decl.maxKeys() {
		return 0, fmt.Errorf("table %s is full: it holds %d keys, which is its limit", t.decl.Name, t.n)
	}
	slot := t.lowestFree()
	if int(slot) >= t.size {
		t.grow(int(slot) + 1)
	}
	if slot < t.high && !raw {
		t.zero(slot)
	}
	t.occupy(slot)
	return slot, nil
}

// ref is a slot's reference.
func (t *Table) ref(slot uint32) keyRef {
	if t.refs == nil {
		return keyRef{n: isAnon}
	}
	return t.refs[slot]
}

// refer sets a slot's reference. With the first one all slots get theirs.
func (t *Table) refer(slot uint32, ref keyRef) {
	if t.refs == nil {
		t.refs = make([]keyRef, t.size)
		for i := range t.refs {
			t.refs[i].n = isAnon
		}
	}
	t.refs[slot] = ref
}

func (t *Table) anonymous(slot uint32) {
	if t.refs != nil {
		t.refs[slot] = keyRef{n: isAnon}
	}
}

func (t *Table) occupy(slot uint32) {
	t.live[slot>>6] |= 1 << (slot & 63)
	t.dirty[slot>>6] |= 1 << (slot & 63)
	t.high = max(t.high, slot+1)
	t.n++
}

func (t *Table) lowestFree() uint32 {
	for ; t.freeWord < len(t.live); t.freeWord++ {
		if free := ^t.live[t.freeWord]; free != 0 {
			return uint32(t.freeWord<<6 + bits.TrailingZeros64(free))
		}
	}
	return uint32(t.freeWord << 6)
}

func (t *Table) zero(slot uint32) {
	for i := range t.cols {
		c := &t.cols[i]
		lo, hi := int(slot)*c.w, int(slot+1)*c.w
		switch c.Type {
		case F64:
			clear(c.f64[lo:hi])
		case I64:
			clear(c.i64[lo:hi])
		case U32:
			clear(c.u32[lo:hi])
		case Bytes:
			t.heap -= int64(cap(c.raw[lo]))
			c.raw[lo] = nil
		}
	}
}

// grow makes room for n slots or more: double while small, then a quarter more,
// since a large table's memory matters more than its copies. Of what is large itself, what nothing has come to takes none.
func (t *Table) grow(n int) {
	size := roomier(t.size, n)
	t.size = size
	if t.refs != nil {
		t.refs = Larger(t.refs, size)
	}
	t.live = Larger(t.live, size/64)
	t.dirty = Larger(t.dirty, size/64)
	for i := range t.cols {
		c := &t.cols[i]
		switch c.Type {
		case F64:
			c.f64 = Larger(c.f64, size*c.w)
		case I64:
			c.i64 = Larger(c.i64, size*c.w)
		case U32:
			c.u32 = Larger(c.u32, size*c.w)
		case Bytes:
			more := make([][]byte, size)
			copy(more, c.raw)
			c.raw = more
		}
	}
}

// roomier is for how many slots a table with room for size of them makes room when it needs n.
func roomier(size, n int) int {
	if size < 1<<12 {
		size *= 2
	} else {
		size += size / 4
	}
	return (max(size, n, 64) + 63) &^ 63
}

// insert gives a new slot to a key that the table does not have.
func (t *Table) insert(ref keyRef, h uint32, key []byte) (uint32, error) {
	if len(key) > maxKeyBytes {
		return 0, fmt.Errorf("a key for table %s is %d bytes long; the limit is %d", t.decl.Name, len(key), maxKeyBytes)
	}
	if len(t.arena)+len(key) > maxArenaBytes {
		return 0, fmt.Errorf("the keys of table %s take 4 GiB, which is the limit", t.decl.Name)
	}
	slot, err := t.take(false)
	if err != nil {
		return 0, err
	}
	t.setKey(slot, ref, h, key)
	return slot, nil
}

func (t *Table) setKey(slot uint32, ref keyRef, h uint32, key []byte) {
	t.refer(slot, ref)
	t.arena = append(t.arena, key...)
	t.index.add(h, slot)
}

// compact copies the keys of live slots to a new arena, in slot order. Where keys come as they go
// the next time is when as much again has been written: there is room for that.
func (t *Table) compact() {
	arena := make([]byte, 0, 2*(len(t.arena)-t.waste)+1<<16)
	t.Range(func(slot uint32) bool {
		ref := &t.refs[slot]
		if ref.n < isAnon {
			off := uint32(len(arena))
			arena = append(arena, t.arena[ref.off:ref.off+ref.n]...)
			ref.off = off
		}
		return true
	})
	t.arena, t.waste = arena, 0
}
