package tidemill

import "unsafe"

// This file is what crosses: columns in memory as ABI.md draws them. Places are 32-bit, though Go's own pointers have
// 64 on wasm.

type array struct {
	length, nullCount, offset, nBuffers, nChildren int64
	buffers, children, dictionary, release         uint32
	private, pad                                   uint32
}

type batch struct {
	rowsSchema, rows, keys, stateSchema, state uint32
	oldSchema, oldState, oldVersion            uint32
}

type answer struct {
	rows, rejects uint32
	zero          [2]uint32
}

// at turns a place in memory into a pointer.
func at[T any](place uint32) *T { return (*T)(unsafe.Add(unsafe.Pointer(nil), int(place))) }

// slice is n values at a place.
func slice[T any](place uint32, n int) []T {
	if n == 0 || place == 0 {
		return nil
	}
	return unsafe.Slice(at[T](place), n)
}

func place[T any](p *T) uint32 { return uint32(uintptr(unsafe.Pointer(p))) }

// child is a column of a struct array.
func childAt(structArray uint32, i int) *array {
	a := at[array](structArray)
	return at[array](slice[uint32](a.children, int(a.nChildren))[i])
}

// input is a column that is read, found once a batch.
type input struct {
	valid   []byte // nil: no nulls
	data    uint32
	numbers []float64
	text    uint32
}

// column is a column that goes out.
type column struct {
	format  byte
	valid   []byte
	values  []uint64
	bits    []byte
	ends    []uint32
	text    []byte
	buffers [3]uint32
	array   array
}

// zeroed is a slice of n zeros, in old's memory if there is room.
func zeroed[T any](old []T, n int) []T {
	if cap(old) < n {
		return make([]T, n, n+n/2+8)
	}
	clear(old[:n])
	return old[:n]
}

// longer keeps what is there and adds zeros.
func longer[T any](old []T, n int) []T {
	if n <= len(old) {
		return old
	}
	if n <= cap(old) {
		have := len(old)
		old = old[:n]
		clear(old[have:])
		return old
	}
	s := make([]T, n, 2*n)
	copy(s, old)
	return s
}

func (c *column) begin(rows int) {
	c.valid, c.text = zeroed(c.valid, (rows+7)/8), c.text[:0]
	switch c.format {
	case 'b':
		c.bits = zeroed(c.bits, (rows+7)/8)
	case 'u':
		c.ends = zeroed(c.ends, rows+1)
	default:
		c.values = zeroed(c.values, rows)
	}
}

func (c *column) reserve(rows int) {
	c.valid = longer(c.valid, (rows+7)/8)
	switch c.format {
	case 'b':
		c.bits = longer(c.bits, (rows+7)/8)
	case 'u':
		c.ends = longer(c.ends, rows+1)
	default:
		c.values = longer(c.values, rows)
	}
}

func (c *column) seal(rows int) uint32 {
	data := place(unsafe.SliceData(c.values))
	c.array = array{length: int64(rows), nullCount: -1, nBuffers: 2, buffers: place(&c.buffers)}
	switch c.format {
	case 'b':
		data = place(unsafe.SliceData(c.bits))
	case 'u':
		data, c.array.nBuffers = place(unsafe.SliceData(c.ends)), 3
	}
	c.buffers = [3]uint32{place(unsafe.SliceData(c.valid)), data, place(unsafe.SliceData(c.text))}
	return place(&c.array)
}
