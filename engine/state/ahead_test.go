package state

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestAhead: what was copied by and by, while rows changed, encodes as what is copied in one go; the steps of two tables are the same.
func TestAhead(t *testing.T) {
	pieces := 0
	for seed := range uint64(80) {
		r := rand.New(rand.NewPCG(seed, 2))
		plain, ahead := New(testDecl()), New(testDecl())
		both := func(n int) {
			for range n {
				at := r.Uint64()
				step(t, plain, map[string]float64{}, rand.New(rand.NewPCG(at, 1)))
				step(t, ahead, map[string]float64{}, rand.New(rand.NewPCG(at, 1)))
			}
		}
		var chain []*Snapshot
		for range 1 + r.IntN(8) {
			both(r.IntN(400))
			full := r.IntN(3) == 0
			for range r.IntN(6) {
				ahead.Ahead(full != (r.IntN(20) == 0), r.Int64N(20_000)) // now and then for the other kind
				both(r.IntN(60))
			}
			if ahead.ahead != nil {
				pieces += len(ahead.ahead.pieces)
			}
			want, got := plain.Snapshot(full).AppendTo(nil), ahead.Snapshot(full)
			if other := got.AppendTo(nil); !bytes.Equal(want, other) && !covers(t, want, other, full) {
				t.Fatalf("seed %d: a full snapshot %v of %d bytes; in pieces it has %d, or other ones", seed, full, len(want), len(other))
			}
			chain = append(chain, got)
		}
		again, err := Restore(testDecl(), chain...)
		if err != nil {
			t.Fatal(err)
		}
		if a, b := fingerprint(plain), fingerprint(again); a != b {
			t.Fatalf("seed %d: restored from pieces:\n%s\nwant\n%s", seed, b, a)
		}
	}
	if pieces < 300 {
		t.Errorf("%d pieces are too few to show anything", pieces)
	}
}

// covers tells whether a delta in pieces holds more than changed, which it may when copying began for a full one.
func covers(t *testing.T, want, got []byte, full bool) bool {
	if full {
		return false
	}
	a, err := DecodeSnapshot(want)
	b, err2 := DecodeSnapshot(got)
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	has := map[uint32]bool{}
	for _, slot := range b.slots {
		has[slot] = true
	}
	for _, slot := range a.slots {
		if !has[slot] {
			return false
		}
	}
	return len(b.slots) > len(a.slots)
}

// TestAheadIsBounded: a piece is no larger than was asked for, also where byte strings are long, and what is left shrinks by it.
func TestAheadIsBounded(t *testing.T) {
	tab := New(testDecl())
	for i := range 5000 {
		s := mustSlot(t, tab, fmt.Appendf(nil, "key-%012d", i))
		tab.SetBytes(3, s, make([]byte, 100*(i%7)))
	}
	before, held := tab.Left(false), tab.MemoryBytes()
	tab.Ahead(false, 100_000)
	if n := tab.ahead.bytes; n < 60_000 || n > 101_000 {
		t.Errorf("a piece of %d bytes", n)
	}
	if n := tab.MemoryBytes() - held; n != tab.ahead.bytes {
		t.Errorf("the table holds %d bytes more", n)
	}
	if n := before - tab.Left(false); n < 90_000 || n > 110_000 {
		t.Errorf("%d bytes less are left", n)
	}
	tab.SetBytes(3, 0, make([]byte, 1<<20))
	tab.Snapshot(false)
	tab.Touch(0)
	tab.Ahead(false, 1)
	if tab.Left(false) != 0 || tab.Snapshot(false).Len() != 1 {
		t.Error("a slot that is larger than a piece was not copied")
	}
}

// TestAheadGoesRound: pieces go on where the one before ended, though slots that were copied change again, so that all are copied in
// as many as they need; and a slot that was copied is not copied at the end, also where all are wanted.
func TestAheadGoesRound(t *testing.T) {
	for _, full := range []bool{false, true} {
		tab := New(testDecl())
		for i := range 2000 {
			mustSlot(t, tab, fmt.Appendf(nil, "key-%012d", i))
		}
		if full {
			tab.Snapshot(false) // they have not changed since
		}
		all := tab.Left(full)
		for range 10 {
			tab.Ahead(full, all/10+1)
			for slot := range uint32(50) {
				tab.Touch(slot)
			}
		}
		s := tab.Snapshot(full)
		if n := len(s.piece.slots); n > 250 {
			t.Errorf("full %v: %d slots were left to the end", full, n)
		}
		if s.Len() != 2000 {
			t.Errorf("full %v: %d slots in all", full, s.Len())
		}
	}
}

// TestAheadOfNothing: a full snapshot of a table that had nothing to be copied ahead is one that was made in one go.
func TestAheadOfNothing(t *testing.T) {
	tab := New(testDecl())
	tab.Ahead(true, 1000)
	tab.Delete(mustSlot(t, tab, []byte("a")))
	if n := tab.Snapshot(true).Len(); n != 0 {
		t.Errorf("%d slots of an empty table", n)
	}
}

// TestPutBack: what a stage works on in another form is put back slot by slot, no sooner than its slot is copied, and once more if it
// has changed since; a piece takes as much of it as it takes of anything else.
func TestPutBack(t *testing.T) {
	const slots, size, piece = 400, 500, 10_000
	for _, full := range []bool{false, true} {
		d := Decl{Name: "t", Columns: []Column{{Name: "raw", Type: Bytes}}}
		tab := New(d)
		decoded, put := make([]byte, slots), 0
		changed := map[uint32]bool{}
		change := func(slot uint32) {
			decoded[slot]++
			changed[slot] = true
			tab.Touch(slot)
		}
		remove := tab.BeforeCopy(func(slot uint32) {
			if changed[slot] {
				tab.SetBytes(0, slot, bytesOf(decoded[slot], size))
				delete(changed, slot)
				put++
			}
		})
		for i := range uint32(slots) {
			if _, err := tab.Anonymous(); err != nil {
				t.Fatal(err)
			}
			change(i)
		}
		tab.Ahead(full, piece)
		if most := piece/size + 1; put == 0 || put > most {
			t.Errorf("full %v: one piece put back %d slots of %d", full, put, slots)
		}
		change(0)
		for i := 0; tab.Left(full) > piece && i < slots; i++ {
			tab.Ahead(full, piece)
		}
		change(slots - 1)
		change(5)
		tab.Delete(5) // there is nowhere to put it back to
		own := tab.Snapshot(full)
		if len(changed) != 1 || !changed[5] {
			t.Errorf("full %v: %d slots were not put back", full, len(changed))
		}
		back, err := Restore(d, own)
		if err != nil {
			t.Fatal(err)
		}
		for i := range uint32(slots) {
			if i != 5 && string(back.Bytes(0, i)) != string(bytesOf(decoded[i], size)) {
				t.Errorf("full %v: slot %d was copied before it was put back", full, i)
			}
		}
		remove()
		change(1)
		tab.Snapshot(full)
		if !changed[1] {
			t.Error("a function that was taken out is called")
		}
	}
}

func bytesOf(b byte, n int) []byte { return bytes.Repeat([]byte{b}, n) }
