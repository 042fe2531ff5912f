package state

import (
	"encoding/binary"
	"math/bits"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/engine/flow"
)

// index is a hash table with open addressing and linear probing. A cell is the
// key's 32-bit hash above slot+1; 0 is an empty cell. The cell alone tells where
// it wants to be, so growing and removing do not look at keys.
type index struct {
	cells []uint64
	mask  uint32
	n     int
}

func (x *index) init(keys int) {
	size := 1 << bits.Len(uint(max(3*keys, 32)-1))
	x.cells, x.mask, x.n = make([]uint64, size), uint32(size-1), 0
}

func (x *index) add(h, slot uint32) {
	if 3*(x.n+1) > len(x.cells) {
		old := x.cells
		x.init(2 * (x.n + 1))
		for _, c := range old {
			if c != 0 {
				x.put(c)
			}
		}
	}
	x.put(uint64(h)<<32 | uint64(slot+1))
}

func (x *index) put(cell uint64) {
	p := uint32(cell>>32) & x.mask
	for x.cells[p] != 0 {
		p = (p + 1) & x.mask
	}
	x.cells[p] = cell
	x.n++
}

// remove takes out the cell of a slot and moves the cells behind it up, so that
// no mark of the deleted remains (Knuth, volume 3, section 6.4, algorithm R).
func (x *index) remove(h, slot uint32) {
	cell := uint64(h)<<32 | uint64(slot+1)
	hole := h & x.mask
	for x.cells[hole] != cell {
		if x.cells[hole] == 0 {
			panic("BUG: the key of a live slot is not in the index")
		}
		hole = (hole + 1) & x.mask
	}
	for p := hole; ; {
		p = (p + 1) & x.mask
		c := x.cells[p]
		if c == 0 {
			break
		}
		home := uint32(c>>32) & x.mask
		if (p-home)&x.mask >= (p-hole)&x.mask {
			x.cells[hole] = c
			hole = p
		}
	}
	x.cells[hole] = 0
	x.n--
}

// Odd constants with about half of their bits set (fractional parts of square roots).
const (
	mix0 = 0x6a09e667f3bcc909
	mix1 = 0xbb67ae8584caa73b
	mix2 = 0x3c6ef372fe94f82b
)

// words packs a key of at most 16 bytes into two words, which together with
// the length tell it from every other; ok is false for longer ones.
func words(b []byte) (lo, hi uint64, ok bool) {
	switch n := len(b); {
	case n > 16:
		return 0, 0, false
	case n >= 8:
		return binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[n-8:]), true
	case n >= 4:
		return uint64(binary.LittleEndian.Uint32(b)), uint64(binary.LittleEndian.Uint32(b[n-4:])), true
	case n > 0:
		return uint64(b[0]) | uint64(b[n>>1])<<8, uint64(b[n-1]), true
	}
	return 0, 0, true
}

// mix is a short hash for a table in memory: never stored, may change. One wide
// multiplication, in the manner of wyhash; adding the words again keeps a
// factor of 0 harmless.
func mix(lo, hi uint64, n int) uint32 {
	p, q := bits.Mul64(lo^mix0, hi^mix1^uint64(n)<<56)
	h := p ^ q + bits.ReverseBytes64(lo) + hi*mix2
	return uint32(h) ^ uint32(h>>32)
}

// newRef is the reference of a key that will stand at off, and its hash. A long
// key has its whole hash in place of the words.
func newRef(key []byte, off int) (keyRef, uint32) {
	lo, hi, ok := words(key)
	ref := keyRef{off: uint32(off), n: uint32(len(key)), lo: lo, hi: hi}
	if !ok {
		ref.lo = flow.Hash(key)
		return ref, uint32(ref.lo) ^ uint32(ref.lo>>32)
	}
	return ref, mix(lo, hi, len(key))
}

// hash is the hash of the key that the reference is of, as newRef told it.
func (r keyRef) hash() uint32 {
	if r.n > 16 {
		return uint32(r.lo) ^ uint32(r.lo>>32)
	}
	return mix(r.lo, r.hi, int(r.n))
}

// find looks for the key that ref describes; off of ref means nothing.
func (t *Table) find(ref *keyRef, h uint32, key []byte) (uint32, bool) {
	for p := h & t.index.mask; ; p = (p + 1) & t.index.mask {
		c := t.index.cells[p]
		if c == 0 {
			return noSlot, false
		}
		if uint32(c>>32) != h {
			continue
		}
		slot := uint32(c) - 1
		r := &t.refs[slot]
		if r.lo == ref.lo && r.hi == ref.hi && r.n == ref.n && (r.n <= 16 || string(t.arena[r.off:r.off+r.n]) == string(key)) {
			return slot, true
		}
	}
}

// InternStrings is Slot for each value of a string column: out[i] is the slot
// of row i, and a null is the null key. out must be as long as the column. On
// an error the rows before the one that did not fit have their slots.
func (t *Table) InternStrings(a *array.String, out []uint32) error {
	if a.Len() != len(out) {
		panic("BUG: InternStrings with a result of another length")
	}
	if len(out) == 0 {
		return nil
	}
	for from := 0; from < len(out); from += together {
		if err := t.internSome(a, from, out[from:min(from+together, len(out))]); err != nil {
			return err
		}
	}
	return nil
}

// together is how many keys are looked for at one time. What is known of a key has mostly left the processor's caches since its last row:
// first all cells are read, then what they point to, so that the processor waits for many at once. Looked for one after the other, each
// that is not in its first cell (one of eight) let it begin anew with those behind it.
const together = 64

// internSome is InternStrings for some rows from one on, up to together.
func (t *Table) internSome(a *array.String, from int, out []uint32) error {
	data, offs := a.ValueBytes(), a.ValueOffsets()
	base, nulls := offs[0], a.NullN() > 0
	offs = offs[from : from+len(out)+1]
	cells, mask, refs := t.index.cells, t.index.mask, t.refs
	var found [together]uint64
	near := uint64(0)
	for i := range out {
		key := data[offs[i]-base : offs[i+1]-base]
		if n := len(key); n-8 <= 8 && n >= 8 {
			found[i] = cells[mix(binary.LittleEndian.Uint64(key), binary.LittleEndian.Uint64(key[n-8:]), n)&mask]
		}
	}
	for _, c := range found[:len(out)] {
		if slot := uint32(c) - 1; slot < uint32(len(refs)) {
			near += refs[slot].lo
		}
	}
	t.near = near
	for i := range out {
		key := data[offs[i]-base : offs[i+1]-base]
		n := len(key)
		if n-8 <= 8 && n >= 8 && (!nulls || a.IsValid(from+i)) {
			// The common case without calls: a short key that is in the first cell. What else has found that cell is another key.
			if slot := uint32(found[i]) - 1; slot < uint32(len(refs)) {
				lo, hi := binary.LittleEndian.Uint64(key), binary.LittleEndian.Uint64(key[n-8:])
				if r := &refs[slot]; r.lo == lo && r.hi == hi && int(r.n) == n {
					out[i] = slot
					continue
				}
			}
		}
		if nulls && a.IsNull(from+i) {
			key = nil
		} else if key == nil {
			key = []byte{}
		}
		slot, _, err := t.Slot(key)
		if err != nil {
			return err
		}
		out[i] = slot
		refs = t.refs
	}
	return nil
}
