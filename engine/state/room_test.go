package state

import (
	"testing"
	"unsafe"
)

// TestLarger lets slices grow over the sizes at which they go piece by piece, of elements that end where no page does too.
func TestLarger(t *testing.T) {
	larger[uint32](t, func(i int) uint32 { return uint32(i) ^ 0x5bd1e995 })
	larger[int64](t, func(i int) int64 { return int64(i) * 0x1b873593 })
	larger[keyRef](t, func(i int) keyRef { return keyRef{off: uint32(i), n: 3, lo: uint64(i) << 40, hi: ^uint64(i)} })
}

func larger[T comparable](t *testing.T, value func(i int) T) {
	t.Helper()
	var s []T
	full := 0
	for _, bytes := range []int{64, 3000, 70_000, 5 << 20, 6<<20 + 4099, 9 << 20} {
		n := bytes / int(unsafe.Sizeof(*new(T)))
		s = Larger(s, n)
		for i, v := range s[:n] {
			if want := value(i); i < full && v != want {
				t.Fatalf("with %d elements number %d is %v, and was %v", n, i, v, want)
			} else if i >= full && v != *new(T) {
				t.Fatalf("with %d elements number %d, which is new, is %v", n, i, v)
			}
		}
		full = max(full, n-n/5)
		for i := range full {
			s[i] = value(i)
		}
	}
}

// TestRoomOfLargeTables: of a large table only slots that have been in use are memory, as its plan says.
func TestRoomOfLargeTables(t *testing.T) {
	d := Decl{Name: "panes", Keyless: true, MaxKeys: 2 << 20, Columns: []Column{{Name: "cells", Type: I64, Width: 7}, {Name: "links", Type: U32, Width: 5}}}
	tb := New(d)
	for n := 1; n <= 1<<20; n++ {
		p, err := tb.AnonymousRaw()
		if err != nil {
			t.Fatal(err)
		}
		tb.I64(0)[p*7], tb.U32(1)[p*5] = int64(p), p
		if n < 250_000 || n&(n-1) != 0 && n%99_991 != 0 {
			continue
		}
		d.KeysPlanned = n
		if got, want := tb.MemoryBytes(), d.PlannedBytes(1); got-want > got/100+100_000 || want-got > got/100+100_000 {
			t.Errorf("%d slots take %d bytes, by plan %d", n, got, want)
		}
	}
	for p := range uint32(1 << 20) {
		if tb.I64(0)[p*7] != int64(p) || tb.U32(1)[p*5] != p || tb.I64(0)[p*7+1] != 0 {
			t.Fatal("slot", p, "has another's values")
		}
	}
}
