package state

import (
	"testing"
)

// TestPlacesComeFree: slots that are never touched are written again, some at a time, so that their old place is needed no
// more; what was written since brings the table back, and slots that were left out are not in it.
func TestPlacesComeFree(t *testing.T) {
	d := Decl{Name: "t", Seldom: true, Keyless: true, Columns: []Column{{Name: "v", Type: I64}, {Name: "b", Type: Bytes}}}
	tab := New(d)
	for i := range 101 {
		slot, err := tab.Anonymous()
		if err != nil {
			t.Fatal(err)
		}
		tab.I64(0)[slot] = int64(i)
		tab.SetBytes(1, slot, make([]byte, 1000))
	}
	tab.Omit(100)
	if tab.Since(3) != 3 || tab.Since(9) != 3 {
		t.Error("a table is as old as its first checkpoint")
	}
	type written struct {
		place uint64
		s     *Snapshot
	}
	var all []written
	most := 0
	for epoch := uint64(3); epoch < 60; epoch++ {
		clean := uint64(0)
		if epoch > 5 {
			clean = 3
		}
		tab.I64(0)[7] = int64(epoch)
		tab.Touch(7)
		if epoch%2 == 0 {
			tab.Ahead(false, 100)
		}
		s := tab.SnapshotTo(epoch, clean, 3000)
		if epoch > 3 {
			most = max(most, s.Len())
		}
		all = append(all, written{epoch, s})
	}
	oldest, size := tab.Places()
	if oldest <= 5 || most < 2 || most > 5 || size < 100_000 || size > 110_000 {
		t.Errorf("the oldest place is %d; at most %d slots were written with one snapshot; %d bytes are in use", oldest, most, size)
	}
	back := New(d)
	for _, w := range all {
		if w.place >= oldest {
			if err := back.RestoreTo(w.place, w.s); err != nil {
				t.Fatal(err)
			}
		}
	}
	if o, _ := back.Places(); back.Len() != 100 || back.Live(100) || o != oldest || back.Touched(7) {
		t.Errorf("%d slots are back, from place %d on", back.Len(), o)
	}
	for slot := range uint32(100) {
		if a, b := tab.I64(0)[slot], back.I64(0)[slot]; a != b {
			t.Fatalf("slot %d has %d, and had %d", slot, b, a)
		}
	}
}
