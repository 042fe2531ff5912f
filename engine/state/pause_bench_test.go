package state

import (
	"encoding/binary"
	"fmt"
	"testing"
)

// BenchmarkPause is how long a task stands still for a snapshot of so many changed slots, with a window's columns.
func BenchmarkPause(b *testing.B) {
	for _, n := range []int{50_000, 200_000, 400_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			t := New(Decl{Name: "t", Columns: []Column{{Name: "a", Type: I64, Width: 4}, {Name: "b", Type: F64, Width: 2}}})
			var key [16]byte
			for i := range n {
				binary.LittleEndian.PutUint64(key[:], uint64(i))
				if _, _, err := t.Slot(key[:]); err != nil {
					b.Fatal(err)
				}
			}
			for b.Loop() {
				for i := range n {
					t.Touch(uint32(i))
				}
				t.Snapshot(false)
			}
		})
	}
}
