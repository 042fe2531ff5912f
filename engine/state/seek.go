package state

// Sought is a key that is about to be looked up.
type Sought struct {
	Key []byte // nil stands for the null key
	ref keyRef
	h   uint32
}

// Seek hashes the keys of list and brings near what SlotOf will look at: a table that is larger than the caches costs
// one wait for all of them, and not one a key. It changes nothing. A few hundred keys at a time stay near.
func (t *Table) Seek(list []Sought) {
	for i := range list {
		s := &list[i]
		s.ref, s.h = newRef(s.Key, 0)
	}
	// A loop that does nothing else has the more of its waits at the same time.
	cells, mask, near := t.index.cells, t.index.mask, uint64(0)
	for i := range list {
		near ^= cells[list[i].h&mask]
	}
	t.near = near
}

// SlotOf is Slot for a key that Seek has hashed; the table may have changed in between.
func (t *Table) SlotOf(s *Sought) (slot uint32, fresh bool, err error) {
	if s.Key == nil {
		return t.slotOfNull()
	}
	if slot, ok := t.find(&s.ref, s.h, s.Key); ok {
		return slot, false, nil
	}
	ref := s.ref
	ref.off = uint32(len(t.arena))
	slot, err = t.insert(ref, s.h, s.Key)
	return slot, err == nil, err
}

// Approach brings near what Delete will look at for slots that have keys, as Seek does.
func (t *Table) Approach(slots []uint32) {
	cells, mask, near := t.index.cells, t.index.mask, uint64(0)
	for _, slot := range slots {
		near ^= cells[t.ref(slot).hash()&mask]
	}
	t.near = near
}
