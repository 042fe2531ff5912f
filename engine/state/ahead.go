package state

import "math/bits"

// ahead is what has been copied of a snapshot that is about to be taken, so that the task does not stand still while
// a large table is copied:
//
//	Ahead     Ahead     Ahead            Snapshot
//	  |         |         |                 |
//	slots →   slots →   slots → (again)   what has changed since it was copied
//	      rows      rows      rows      rows
//
// A slot that changes after it was copied is dirty again, and its later copy replaces the earlier one when the snapshot
// is encoded, elsewhere (whole). The bytes are those of a copy that was made in one go at the end.
type ahead struct {
	full   bool
	pieces []piece
	todo   []uint64 // of a full one: slots that nothing need have changed and that are not copied yet
	next   int      // word of the bitmaps at which copying goes on
	bytes  int64    // of the pieces, about
}

// farBytes is what it costs to find a slot, in bytes that could be copied meanwhile: changed slots lie apart, and so do their columns.
const farBytes = 128

// Left is about how many bytes Snapshot(full) would have to copy now, and what else it costs counted as bytes. Values that stages
// have yet to put back are taken to be as long as they were.
func (t *Table) Left(full bool) int64 {
	n := 0
	switch a := t.ahead; {
	case full && (a == nil || !a.full):
		n = t.n
	case full:
		a.cover(t)
		for w, b := range t.dirty {
			n += bits.OnesCount64(b | a.todo[w])
		}
	default:
		for _, b := range t.dirty {
			n += bits.OnesCount64(b)
		}
	}
	return int64(n) * (farBytes + t.slotBytes())
}

// slotBytes is about how many bytes a slot takes in a snapshot.
func (t *Table) slotBytes() int64 {
	return t.fixedBytes() + t.heap/int64(max(t.n, 1))
}

// fixedBytes is slotBytes without byte strings: a slot, a kind, the offset of a key of 16 bytes, and the numbers.
func (t *Table) fixedBytes() int64 {
	n := int64(4 + 1 + 8 + 16)
	for i := range t.cols {
		switch c := &t.cols[i]; c.Type {
		case F64, I64:
			n += 8 * int64(c.w)
		case U32:
			n += 4 * int64(c.w)
		case Bytes:
			n += 8
		}
	}
	return n
}

// Ahead copies about so many bytes, as Left counts them, at least one slot, of what a later Snapshot(full) will hold. Slots may change in between; the
// memory is counted by MemoryBytes until the snapshot has it.
func (t *Table) Ahead(full bool, most int64) {
	t.prepare(full)
	if t.ahead == nil {
		t.ahead = &ahead{full: full}
		if full {
			t.ahead.todo = append([]uint64(nil), t.live...)
		}
	}
	a := t.ahead
	a.cover(t)
	words, at := len(t.dirty), a.next
	slots, size, least := make([]uint32, 0, most/(farBytes+t.slotBytes())+1), int64(0), farBytes+t.fixedBytes()
	for range words {
		if at >= words {
			if at = 0; len(slots) > 0 {
				break // slots of a piece rise
			}
		}
		set := t.dirty[at]
		if full {
			set |= a.todo[at]
		}
		for ; set != 0 && size < most; set &= set - 1 {
			slot := uint32(at<<6 + bits.TrailingZeros64(set))
			t.putBack(slot)
			slots = append(slots, slot)
			size += least + t.rawBytes(slot)
			bit := uint64(1) << (slot & 63)
			t.dirty[at] &^= bit
			if full {
				a.todo[at] &^= bit
			}
		}
		if set != 0 {
			break
		}
		at++
	}
	a.next = at
	if len(slots) > 0 {
		a.pieces = append(a.pieces, t.copy(slots))
		a.bytes += size - farBytes*int64(len(slots))
	}
}

// rawBytes is how long the byte strings of a slot are.
func (t *Table) rawBytes(slot uint32) (n int64) {
	for i := range t.cols {
		if c := &t.cols[i]; c.Type == Bytes {
			n += int64(len(c.raw[slot]))
		}
	}
	return n
}

// cover gives the bitmap the length of the table's, which may have grown.
func (a *ahead) cover(t *Table) {
	if a.full && len(a.todo) < len(t.live) {
		a.todo = Larger(a.todo, len(t.live))
	}
}

// prepare drops what was copied for a snapshot of the other kind.
func (t *Table) prepare(full bool) {
	if t.ahead == nil || t.ahead.full == full {
		return
	}
	for _, p := range t.ahead.pieces {
		for _, slot := range p.slots {
			t.Touch(slot)
		}
	}
	t.ahead = nil
}

// whole makes one piece of a snapshot whose rows were copied in several: of each slot the last copy.
func (s *Snapshot) whole() {
	if len(s.early) == 0 {
		return
	}
	all, rows := append(s.early, s.piece), 0
	last := make([]uint32, s.high) // piece that has the slot's last copy, plus one
	for i := range all {
		for _, slot := range all[i].slots {
			last[slot] = uint32(i + 1)
		}
		rows += len(all[i].slots)
	}
	out := piece{slots: make([]uint32, 0, rows), kinds: make([]uint8, 0, rows), cols: make([]snapColumn, len(s.cols))}
	var runs []run
	at := make([]int, len(all))
	for slot, p := range last {
		if p == 0 {
			continue
		}
		i := int(p - 1)
		for int(all[i].slots[at[i]]) < slot {
			at[i]++
		}
		row := at[i]
		if s.full && all[i].kinds[row] == rowDeleted {
			continue // it was copied while it was live
		}
		out.slots, out.kinds = append(out.slots, uint32(slot)), append(out.kinds, all[i].kinds[row])
		if n := len(runs); n > 0 && runs[n-1].piece == i && runs[n-1].to == row {
			runs[n-1].to++
		} else {
			runs = append(runs, run{i, row, row + 1})
		}
	}
	out.keys = joined(runs, func(i int) *blob { return &all[i].keys })
	for c, col := range s.decl.Columns {
		w := col.width()
		switch v := &out.cols[c]; col.Type {
		case F64:
			v.f64 = strung(runs, len(out.slots), w, func(i int) []float64 { return all[i].cols[c].f64 })
		case I64:
			v.i64 = strung(runs, len(out.slots), w, func(i int) []int64 { return all[i].cols[c].i64 })
		case U32:
			v.u32 = strung(runs, len(out.slots), w, func(i int) []uint32 { return all[i].cols[c].u32 })
		case Bytes:
			v.raw = joined(runs, func(i int) *blob { return &all[i].cols[c].raw })
		}
		for i := range all { // what has been taken over need not be held twice
			all[i].cols[c] = snapColumn{}
		}
	}
	s.piece, s.early = out, nil
}

// run is rows of one piece that follow one another in the whole.
type run struct{ piece, from, to int }

func strung[T any](runs []run, rows, w int, of func(piece int) []T) []T {
	out := make([]T, 0, rows*w)
	for _, r := range runs {
		out = append(out, of(r.piece)[r.from*w:r.to*w]...)
	}
	return out
}

func joined(runs []run, of func(piece int) *blob) blob {
	rows, total := 0, int64(0)
	for _, r := range runs {
		b := of(r.piece)
		rows, total = rows+r.to-r.from, total+b.offs[r.to]-b.offs[r.from]
	}
	out := newBlob(rows, int(total))
	for _, r := range runs {
		b := of(r.piece)
		shift := int64(len(out.data)) - b.offs[r.from]
		out.data = append(out.data, b.data[b.offs[r.from]:b.offs[r.to]]...)
		for _, end := range b.offs[r.from+1 : r.to+1] {
			out.offs = append(out.offs, end+shift)
		}
	}
	return out
}
