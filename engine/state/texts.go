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
	total, nulls := 0, 0
	if t.refs == nil && len(slots) > 0 { // all are null
		t.refer(slots[0], keyRef{n: isAnon})
	}
	for _, s := range slots {
		t.mustLive(s)
		if n := t.refs[s].n; n < isAnon {
			total += int(n)
		} else {
			nulls++
		}
	}
	offs, data := sized(alloc, (len(slots)+1)*4), sized(alloc, total)
	at, ends, room := 0, arrow.Int32Traits.CastFromBytes(offs.Bytes()), data.Bytes()
	for i, s := range slots {
		ends[i] = int32(at)
		r := &t.refs[s]
		switch n := int(r.n); {
		case r.n >= isAnon:
		case n >= 8 && n <= 16: // the key is in the reference itself
			own := room[at : at+n]
			binary.LittleEndian.PutUint64(own, r.lo)
			binary.LittleEndian.PutUint64(own[n-8:], r.hi)
			at += n
		default:
			at += copy(room[at:], t.arena[r.off:r.off+r.n])
		}
	}
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

func sized(alloc memory.Allocator, n int) *memory.Buffer {
	b := memory.NewResizableBuffer(alloc)
	b.Resize(n)
	return b
}
