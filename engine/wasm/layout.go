package wasm

import (
	"encoding/binary"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
)

const (
	schemaBytes = 48
	arrayBytes  = 64
	batchBytes  = 48
	resultBytes = 16
	bufferAlign = 64
)

// arena writes structures and columns into the host's region of a guest's
// memory. A dry one only counts how much that takes; one whose region is full
// becomes dry, so that a single pass does where there is room, as there nearly always is.
type arena struct {
	mem []byte // the guest's memory; nil: dry
	at  uint64
	top uint64 // end of the region
}

// take returns a place for n bytes.
func (a *arena) take(n, align int) uint32 {
	at := (a.at + uint64(align) - 1) &^ (uint64(align) - 1)
	a.at = at + uint64(n)
	if a.at > a.top {
		a.mem = nil
	}
	return uint32(at)
}

func (a *arena) put32(at, v uint32) {
	if a.mem != nil {
		binary.LittleEndian.PutUint32(a.mem[at:], v)
	}
}

func (a *arena) put64(at uint32, v int64) {
	if a.mem != nil {
		binary.LittleEndian.PutUint64(a.mem[at:], uint64(v))
	}
}

// pointers writes an array of pointers.
func (a *arena) pointers(p ...uint32) uint32 {
	at := a.take(4*len(p), 8)
	for i, v := range p {
		a.put32(at+uint32(4*i), v)
	}
	return at
}

func (a *arena) cstring(s string) uint32 {
	at := a.take(len(s)+1, 1)
	if a.mem != nil {
		copy(a.mem[at:], s)
		a.mem[at+uint32(len(s))] = 0
	}
	return at
}

// bytes returns a place for a buffer and the buffer itself, nil when dry.
func (a *arena) bytes(n int) (uint32, []byte) {
	at := a.take((n+bufferAlign-1)&^(bufferAlign-1), bufferAlign)
	if a.mem == nil {
		return at, nil
	}
	return at, a.mem[at : at+uint32(n) : at+uint32(n)]
}

// childSchema describes one column.
type childSchema struct {
	name, format string
	nullable     bool
}

func (a *arena) schema(format, name string, nullable bool, children []uint32) uint32 {
	at := a.take(schemaBytes, 16)
	flags := int64(0)
	if nullable {
		flags = 2
	}
	a.put32(at, a.cstring(format))
	a.put32(at+4, a.cstring(name))
	a.put64(at+8, 0)
	a.put64(at+16, flags)
	a.put64(at+24, int64(len(children)))
	a.put32(at+32, 0)
	if len(children) > 0 {
		a.put32(at+32, a.pointers(children...))
	}
	a.put32(at+36, 0)
	a.put64(at+40, 0)
	return at
}

// schemaImage is a description of columns as it was last written: it is the same
// as long as it stands at the same place.
type schemaImage struct {
	columns []childSchema
	size    int
	at      uint32 // where bytes holds it for
	root    uint32
	bytes   []byte
}

func newSchemaImage(columns []childSchema) schemaImage {
	dry := &arena{}
	dry.structSchema(columns)
	return schemaImage{columns: columns, size: int(dry.at)}
}

// lay writes the description anew, whatever the guest did to the last one.
func (s *schemaImage) lay(a *arena) uint32 {
	at := a.take(s.size, 16)
	if a.mem == nil {
		return 0
	}
	area := a.mem[at : int(at)+s.size]
	if s.bytes == nil || s.at != at {
		clear(area)
		within := &arena{mem: a.mem, at: uint64(at), top: a.at}
		s.at, s.root = at, within.structSchema(s.columns)
		s.bytes = append(s.bytes[:0], area...)
		return s.root
	}
	copy(area, s.bytes)
	return s.root
}

// structSchema describes a set of columns.
func (a *arena) structSchema(cols []childSchema) uint32 {
	children := make([]uint32, len(cols))
	for i, c := range cols {
		children[i] = a.schema(c.format, c.name, c.nullable, nil)
	}
	return a.schema("+s", "", false, children)
}

func (a *arena) array(length, nulls int, buffers []uint32, children []uint32) uint32 {
	at := a.take(arrayBytes, 16)
	a.put64(at, int64(length))
	a.put64(at+8, int64(nulls))
	a.put64(at+16, 0)
	a.put64(at+24, int64(len(buffers)))
	a.put64(at+32, int64(len(children)))
	a.put32(at+40, a.pointers(buffers...))
	a.put32(at+44, 0)
	if len(children) > 0 {
		a.put32(at+44, a.pointers(children...))
	}
	a.put64(at+48, 0)
	a.put64(at+56, 0)
	return at
}

func (a *arena) structArray(length int, children []uint32) uint32 {
	return a.array(length, 0, []uint32{0}, children)
}

// column copies a column; a nil one is all null.
func (a *arena) column(col arrow.Array, t columnType, n int) uint32 {
	if col == nil {
		return a.nothing(t, n)
	}
	nulls := col.NullN()
	validity := uint32(0)
	if nulls > 0 {
		at, b := a.bytes((n + 7) / 8)
		if validity = at; b != nil {
			clear(b)
			bitutil.CopyBitmap(col.NullBitmapBytes(), col.Data().Offset(), n, b, 0)
		}
	}
	buffers := [3]uint32{validity}
	used := 2
	switch c := col.(type) {
	case *array.Float64:
		buffers[1] = a.words(arrow.Float64Traits.CastToBytes(c.Float64Values()), col, nulls)
	case *array.Timestamp:
		buffers[1] = a.words(arrow.TimestampTraits.CastToBytes(c.TimestampValues()), col, nulls)
	case *array.Int64:
		if t == number {
			buffers[1] = a.converted(c)
		} else {
			buffers[1] = a.words(arrow.Int64Traits.CastToBytes(c.Int64Values()), col, nulls)
		}
	case *array.Boolean:
		at, b := a.bytes((n + 7) / 8)
		if b != nil {
			clear(b)
			bitutil.CopyBitmap(c.Data().Buffers()[1].Bytes(), c.Data().Offset(), n, b, 0)
			if validity != 0 { // a value under a null is 0
				for i, v := range a.mem[validity : validity+uint32(len(b))] {
					b[i] &= v
				}
			}
		}
		buffers[1] = at
	case *array.String:
		buffers[1], buffers[2] = a.texts(c.ValueOffsets(), c.ValueBytes())
		used = 3
	case *array.Binary:
		buffers[1], buffers[2] = a.texts(c.ValueOffsets(), c.ValueBytes())
		used = 3
	default:
		panic("BUG: a plugin is given a column of type " + col.DataType().Name())
	}
	return a.array(n, nulls, buffers[:used], nil)
}

// words copies values of 8 bytes, with 0 under nulls.
func (a *arena) words(values []byte, col arrow.Array, nulls int) uint32 {
	at, b := a.bytes(len(values))
	if b != nil {
		copy(b, values)
		if nulls > 0 {
			for i := range col.Len() {
				if col.IsNull(i) {
					clear(b[8*i : 8*i+8])
				}
			}
		}
	}
	return at
}

func (a *arena) converted(c *array.Int64) uint32 {
	at, b := a.bytes(8 * c.Len())
	if b != nil {
		to := arrow.Float64Traits.CastFromBytes(b)
		for i, v := range c.Int64Values() {
			to[i] = float64(v)
			if c.IsNull(i) {
				to[i] = 0
			}
		}
	}
	return at
}

func (a *arena) texts(offsets []int32, data []byte) (offsetsAt, dataAt uint32) {
	at, b := a.bytes(4 * len(offsets))
	if b != nil {
		to := arrow.Int32Traits.CastFromBytes(b)
		base := offsets[0]
		for i, o := range offsets {
			to[i] = o - base
		}
	}
	dataAt, d := a.bytes(len(data))
	if d != nil {
		copy(d, data)
	}
	return at, dataAt
}

// nothing is a column of nulls.
func (a *arena) nothing(t columnType, n int) uint32 {
	zero := func(size int) uint32 {
		at, b := a.bytes(size)
		clear(b)
		return at
	}
	buffers := []uint32{zero((n + 7) / 8)}
	switch t {
	case boolean:
		buffers = append(buffers, zero((n+7)/8))
	case text, raw:
		buffers = append(buffers, zero(4*(n+1)), zero(0))
	default:
		buffers = append(buffers, zero(8*n))
	}
	return a.array(n, n, buffers, nil)
}
