package wasm

import (
	"encoding/binary"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// output gathers one column of what goes out: rows of pieces are copied from the
// guest's memory to its end, once.
type output struct {
	typ      columnType
	alloc    memory.Allocator
	n, nulls int
	validity *memory.Buffer // nil while there are no nulls
	data     *memory.Buffer
	offsets  *memory.Buffer
}

// begin makes it empty. What it held is given away.
func (o *output) begin() {
	*o = output{typ: o.typ, alloc: o.alloc, data: memory.NewResizableBuffer(o.alloc)}
	if o.typ == text || o.typ == raw {
		o.offsets = memory.NewResizableBuffer(o.alloc)
	}
}

// longer makes room for more bytes at a buffer's end and returns them.
func longer(b *memory.Buffer, n int) []byte {
	was := b.Len()
	if need := was + n; was > 0 && need > b.Cap() {
		b.Reserve(max(need, 2*b.Cap()))
	}
	b.ResizeNoShrink(was + n)
	return b.Bytes()[was:]
}

// add copies rows lo to hi of a column.
func (o *output) add(c *column, lo, hi int) {
	n := hi - lo
	o.addValidity(c, lo, hi)
	switch o.typ {
	case boolean:
		if missing := int(bitutil.BytesForBits(int64(o.n+n))) - o.data.Len(); missing > 0 {
			clear(longer(o.data, missing))
		}
		bitutil.CopyBitmap(c.data, c.offset+lo, n, o.data.Bytes(), o.n)
	case text, raw:
		o.addTexts(c, lo, hi)
	default:
		copy(longer(o.data, 8*n), c.data[8*lo:8*hi])
	}
	o.n += n
}

func (o *output) addTexts(c *column, lo, hi int) {
	if o.offsets.Len() == 0 {
		clear(longer(o.offsets, 4))
	}
	first, end, base := c.at(lo), c.at(hi), int32(o.data.Len())
	offs := longer(o.offsets, 4*(hi-lo))
	for i := lo; i < hi; i++ {
		binary.LittleEndian.PutUint32(offs[4*(i-lo):], uint32(base+c.at(i+1)-first))
	}
	copy(longer(o.data, int(end-first)), c.data[first:end])
}

func (o *output) addValidity(c *column, lo, hi int) {
	n := hi - lo
	if c.validity == nil && o.validity == nil {
		return
	}
	had := o.validity != nil
	if !had {
		o.validity = memory.NewResizableBuffer(o.alloc)
	}
	if missing := int(bitutil.BytesForBits(int64(o.n+n))) - o.validity.Len(); missing > 0 {
		clear(longer(o.validity, missing))
	}
	bits := o.validity.Bytes()
	if !had {
		bitutil.SetBitsTo(bits, 0, int64(o.n), true)
	}
	if c.validity == nil {
		bitutil.SetBitsTo(bits, int64(o.n), int64(n), true)
		return
	}
	bitutil.CopyBitmap(c.validity, c.offset+lo, n, bits, o.n)
	o.nulls += n - bitutil.CountSetBits(bits, o.n, n)
}

// done makes an array of what was gathered. The caller releases it.
func (o *output) done() arrow.Array {
	buffers := []*memory.Buffer{o.validity, o.data}
	if o.offsets != nil {
		if o.offsets.Len() == 0 {
			clear(longer(o.offsets, 4))
		}
		buffers = []*memory.Buffer{o.validity, o.offsets, o.data}
	}
	d := array.NewData(o.typ.arrow(), o.n, buffers, nil, o.nulls, 0)
	o.release()
	var made arrow.Array
	if o.typ == number {
		made = array.NewFloat64Data(d)
	} else {
		made = array.MakeFromData(d)
	}
	d.Release()
	return made
}

func (o *output) release() {
	for _, b := range []*memory.Buffer{o.validity, o.data, o.offsets} {
		if b != nil {
			b.Release()
		}
	}
	o.validity, o.data, o.offsets = nil, nil, nil
}
