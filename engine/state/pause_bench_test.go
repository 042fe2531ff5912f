package state

import (
	"encoding/binary"
	"fmt"
	"math"
	"testing"
	"time"
)

// BenchmarkPause is how long a task stands still for a snapshot of so many changed slots, with a window's columns, or
// wider ones: when it is copied in one go, and at the longest where it is copied by and by, in pieces of 1 MiB, while
// between two pieces a thousand slots change.
func BenchmarkPause(b *testing.B) {
	const piece = 1 << 20
	for _, wide := range []int{1, 8} {
		for _, n := range []int{50_000, 200_000, 400_000, 1_000_000} {
			t := New(Decl{Name: "t", Columns: []Column{{Name: "a", Type: I64, Width: 4 * wide}, {Name: "b", Type: F64, Width: 2 * wide}}})
			var key [16]byte
			for i := range n {
				binary.LittleEndian.PutUint64(key[:], uint64(i))
				if _, _, err := t.Slot(key[:]); err != nil {
					b.Fatal(err)
				}
			}
			change := func(from, n int) {
				for i := range n {
					t.Touch(uint32((from + i*977) % t.Slots()))
				}
			}
			b.Run(fmt.Sprintf("once/%d/%d", 48*wide, n), func(b *testing.B) {
				for b.Loop() {
					change(0, n)
					t.Snapshot(false)
				}
			})
			b.Run(fmt.Sprintf("ahead/%d/%d", 48*wide, n), func(b *testing.B) {
				var longest, last, sum, all time.Duration
				for b.Loop() {
					change(0, n)
					for t.Left(false) > piece {
						began := time.Now()
						t.Ahead(false, piece)
						took := time.Since(began)
						longest, all = max(longest, took), all+took
						change(int(took), 1000)
					}
					began := time.Now()
					t.Snapshot(false)
					took := time.Since(began)
					last, sum = max(last, took), sum+took
				}
				b.ReportMetric(float64(longest.Microseconds())/1e3, "ms/longest-piece")
				b.ReportMetric(float64(sum.Microseconds())/1e3/float64(b.N), "ms/barrier")
				b.ReportMetric(float64(last.Microseconds())/1e3, "ms/longest-barrier")
				b.ReportMetric(float64(all.Microseconds())/1e3/float64(b.N), "ms/all")
			})
		}
	}
}

// BenchmarkPauseSketches is the same for slots whose values a stage has yet to put back: 200 bytes each that take a microsecond to encode.
func BenchmarkPauseSketches(b *testing.B) {
	const piece, n = 1 << 20, 200_000
	t := New(Decl{Name: "t", Columns: []Column{{Name: "a", Type: I64, Width: 4}, {Name: "sketch", Type: Bytes}}})
	sketches, dirty, buf := make([][25]float64, n), make([]bool, n), []byte(nil)
	defer t.BeforeCopy(func(slot uint32) {
		if !dirty[slot] {
			return
		}
		dirty[slot], buf = false, buf[:0]
		for i := range sketches[slot] {
			buf = binary.LittleEndian.AppendUint64(buf, math.Float64bits(math.Sqrt(sketches[slot][i])))
		}
		t.SetBytes(1, slot, buf)
	})()
	for range n {
		if _, err := t.Anonymous(); err != nil {
			b.Fatal(err)
		}
	}
	var longest, barrier time.Duration
	for b.Loop() {
		for i := range uint32(n) {
			dirty[i] = true
			sketches[i][i%25]++
			t.Touch(i)
		}
		for t.Left(false) > piece {
			began := time.Now()
			t.Ahead(false, piece)
			longest = max(longest, time.Since(began))
		}
		began := time.Now()
		t.Snapshot(false)
		barrier = max(barrier, time.Since(began))
	}
	b.ReportMetric(float64(longest.Microseconds())/1e3, "ms/longest-piece")
	b.ReportMetric(float64(barrier.Microseconds())/1e3, "ms/longest-barrier")
}
