package state

import (
	"fmt"
	"testing"
)

// TestPlannedBytes holds the estimate against tables that hold as many keys as it counts with.
func TestPlannedBytes(t *testing.T) {
	for _, d := range []Decl{
		{Name: "keyed", Columns: []Column{{Name: "v", Type: I64, Width: 3}, {Name: "n", Type: U32}}},
		{Name: "anonymous", Keyless: true, Columns: []Column{{Name: "v", Type: F64, Width: 7}}},
		{Name: "bytes", BytesPlanned: 100, Columns: []Column{{Name: "b", Type: Bytes}}},
	} {
		for _, n := range []int{1, 63, 5000, 10_000, 100_000} {
			d.KeysPlanned = n
			tb := New(d)
			for i := range n {
				var slot uint32
				var err error
				if d.Keyless {
					slot, err = tb.AnonymousRaw()
				} else {
					slot, _, err = tb.Slot(fmt.Appendf(nil, "key-%012d", i))
				}
				if err != nil {
					t.Fatal(err)
				}
				if d.BytesPlanned > 0 {
					tb.SetBytes(0, slot, make([]byte, d.BytesPlanned))
				}
			}
			held, planned := tb.MemoryBytes(), d.PlannedBytes(1)
			if diff := held - planned; diff > held/8 || diff < -held/8 {
				t.Errorf("%s of %d: planned %d, held %d", d.Name, n, planned, held)
			}
			if n == 10_000 && d.PlannedBytes(4) < planned*3/4 {
				t.Errorf("%s in four parts: planned %d, and %d in one", d.Name, d.PlannedBytes(4), planned)
			}
		}
	}
}

// TestFirstKey gives a table its first key when slots without one are in it.
func TestFirstKey(t *testing.T) {
	tb := New(Decl{Name: "t", Columns: []Column{{Name: "v", Type: I64}}})
	for range 100 {
		if _, err := tb.Anonymous(); err != nil {
			t.Fatal(err)
		}
	}
	slot, fresh, err := tb.Slot([]byte("a"))
	if err != nil || !fresh || slot != 100 || string(tb.Key(slot)) != "a" || tb.Key(7) != nil {
		t.Fatal(slot, fresh, err)
	}
	tb.Delete(7)
	tb.Delete(slot)
	if s, err := tb.AnonymousRaw(); err != nil || s != 7 || tb.Key(s) != nil {
		t.Error(s, err)
	}
	if s, err := tb.AnonymousRaw(); err != nil || s != slot || tb.Key(s) != nil {
		t.Error(s, err)
	}
}
