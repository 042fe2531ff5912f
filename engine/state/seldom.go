package state

// seldom is what a Seldom table knows of what was written of it. Its deltas go to places, numbers that rise, and stay there
// until no slot has its newest copy in a place. So that old places come free, slots that have long not been written are written again.
type seldom struct {
	since  uint64   // the first checkpoint that has the table; 0: none yet
	places []uint64 // of a slot's newest copy; 0: there is none
}

// SnapshotTo is the delta of a Seldom table, which will be written to a place, not before those of earlier snapshots. With it go slots whose newest
// copy is in the places up to clean, about so many bytes of them; at least one, if there is one.
func (t *Table) SnapshotTo(place, clean uint64, most int64) *Snapshot {
	if !t.decl.Seldom {
		panic("BUG: table " + t.decl.Name + " is written whole, and not now and then")
	}
	for slot := range t.seldom.places {
		if most <= 0 || clean == 0 {
			break
		}
		if p := t.seldom.places[slot]; p != 0 && p <= clean && !t.Touched(uint32(slot)) {
			t.Touch(uint32(slot))
			most -= t.slotBytes()
		}
	}
	s := t.Snapshot(false)
	t.settle(s.slots, place)
	for i := range s.early {
		t.settle(s.early[i].slots, place)
	}
	return s
}

func (t *Table) settle(slots []uint32, place uint64) {
	if n := int(t.high); len(t.seldom.places) < n {
		t.seldom.places = Larger(t.seldom.places, max(n, len(t.seldom.places)*5/4))
	}
	for _, slot := range slots {
		t.seldom.places[slot] = place
	}
}

// Places tells of a Seldom table the lowest place that has the newest copy of a slot, 0 if there is none, and about how many
// bytes all newest copies have.
func (t *Table) Places() (oldest uint64, size int64) {
	n := 0
	for _, p := range t.seldom.places {
		if p == 0 {
			continue
		}
		n++
		if oldest == 0 || p < oldest {
			oldest = p
		}
	}
	return oldest, int64(n) * t.slotBytes()
}

// Since notes the first checkpoint that has the table, and returns it. What earlier ones wrote under its name is not of this table.
func (t *Table) Since(epoch uint64) uint64 {
	if t.seldom.since == 0 {
		t.seldom.since = epoch
	}
	return t.seldom.since
}

// RestoreTo takes a snapshot that was written to a place into a Seldom table, in the order in which they were taken. An error
// means that it does not fit.
func (t *Table) RestoreTo(place uint64, s *Snapshot) error {
	if !t.decl.Same(s.decl) {
		return mismatch(s.decl, t.decl)
	}
	if err := t.apply(s); err != nil {
		return err
	}
	t.settle(s.slots, place)
	clear(t.dirty)
	return nil
}

// TouchAll touches every live slot, of a table of which nothing is written yet.
func (t *Table) TouchAll() {
	copy(t.dirty, t.live)
	t.seldom = seldom{}
}
