package state

import (
	"encoding/binary"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Texts returns the keys of live slots as a column of strings, which the caller
// releases; the null key and a slot without a key are null. It is the way back from InternStrings.
func (t *Table) Texts(slots []uint32, alloc memory.Allocator) arrow.Array {
	if t.refs == nil && len(slots) > 0 { // all are null
		t.refer(slots[0], keyRef{n: isAnon})
	}
	offs, data := sized(alloc, (len(slots)+1)*4), sized(alloc, len(slots)*shortKey)
	at, nulls, ends, room, refs := 0, 0, arrow.Int32Traits.CastFromBytes(offs.Bytes())[:len(slots)+1], data.Bytes(), t.refs
	for _, s := range slots {
		if !t.Live(s) {
			t.mustLive(s)
		}
	}
	for i := 0; i < len(slots); i++ {
		var k int
		k, at = shortTexts(refs, slots[i:], ends[i:], room, at)
		if i += k; i == len(slots) {
			break
		}
		ends[i] = int32(at)
		r := &refs[slots[i]]
		if r.n >= isAnon {
			nulls++
			continue
		}
		n := int(r.n)
		if at+n > len(room) {
			data.Resize(max(2*len(room), at+n))
			room = data.Bytes()
		}
		at += copy(room[at:], t.arena[r.off:r.off+r.n])
	}
	data.ResizeNoShrink(at)
	ends[len(slots)] = int32(at)
	var valid *memory.Buffer
	if nulls > 0 {
		valid = sized(alloc, int(bitutil.BytesForBits(int64(len(slots)))))
		defer valid.Release()
		clear(valid.Bytes())
		for i, s := range slots {
			if t.refs[s].n < isAnon {
				bitutil.SetBit(valid.Bytes(), i)
			}
		}
	}
	defer offs.Release()
	defer data.Release()
	d := array.NewData(arrow.BinaryTypes.String, len(slots), []*memory.Buffer{valid, offs, data}, nil, nulls, 0)
	defer d.Release()
	return array.NewStringData(d)
}

// shortTexts writes keys of 8 to 16 bytes, which are in the references themselves, and where each begins, as long as keys are such
// and there is room for any. It returns how many, and where the next one begins. Within Texts its loop has too few registers.
//
//go:noinline
func shortTexts(refs []keyRef, slots []uint32, starts []int32, room []byte, at int) (n, next int) {
	starts = starts[:len(slots)]
	for i, s := range slots {
		r := &refs[s]
		rest := r.n - 8
		if rest > shortKey-8 || len(room)-at < shortKey {
			return i, at
		}
		starts[i] = int32(at)
		own := (*[shortKey]byte)(room[at:])
		binary.LittleEndian.PutUint64(own[:], r.lo)
		binary.LittleEndian.PutUint64(own[rest:], r.hi)
		at += int(rest) + 8
	}
	return len(slots), at
}

// shortKey is up to which length a key is in its reference.
const shortKey = 16

func sized(alloc memory.Allocator, n int) *memory.Buffer {
	b := memory.NewResizableBuffer(alloc)
	b.Resize(n)
	return b
}
