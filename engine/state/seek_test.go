package state

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// What was sought is found as Slot finds it, also where keys came and went, and the table grew, in between.
func TestSoughtKeysAreFoundAsSlotFindsThem(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	one, other := New(testDecl()), New(testDecl())
	var order []uint32
	for range 300 {
		list := make([]Sought, 1+r.IntN(64))
		for i := range list {
			switch n := r.IntN(2000); {
			case n == 0:
				list[i].Key = nil
			case n%2 == 0:
				list[i].Key = fmt.Appendf(nil, "t%d", n)
			default:
				list[i].Key = fmt.Appendf(nil, "a rather long key of device number %d", n)
			}
		}
		one.Seek(list)
		one.Approach(order[:min(len(order), 16)])
		for i := range list {
			got, fresh, err := one.SlotOf(&list[i])
			want, wantFresh, wantErr := other.Slot(list[i].Key)
			if got != want || fresh != wantFresh || err != nil || wantErr != nil {
				t.Fatalf("key %q: slot %d, fresh %v, %v; not %d, %v, %v", list[i].Key, got, fresh, err, want, wantFresh, wantErr)
			}
			if fresh {
				order = append(order, got)
			}
			if len(order) > 500 {
				one.Delete(order[0])
				other.Delete(order[0])
				order = order[1:]
			}
		}
	}
	if a, b := fingerprint(one), fingerprint(other); a != b {
		t.Fatalf("the tables differ:\n%s\n%s", a, b)
	}
}
