// Command goguest is a guest in Go without an SDK: four numbers in, one out. The benchmarks compile it.
package main

import "unsafe"

type array struct {
	length, nullCount, offset, nBuffers, nChildren  int64
	buffers, children, dictionary, release, private uint32
	_                                               uint32
}
type batch struct {
	schema, rows, keys, stateSchema, state uint32
	rest                                   [7]uint32
}

var region []byte
var out [65536]float64
var outBuffers, noBuffers, kids [2]uint32
var outArray, rows array
var res [4]uint32

//go:wasmexport tidemill_alloc
func alloc(n uint32) uint32 {
	region = make([]byte, n+64)
	return (uint32(uintptr(unsafe.Pointer(&region[0]))) + 63) &^ 63
}

func at[T any](p uint32) *T { return (*T)(unsafe.Pointer(uintptr(p))) }

func floats(b *array, n int) []float64 {
	bufs := unsafe.Slice(at[uint32](b.buffers), 2)
	return unsafe.Slice(at[float64](bufs[1]), n)
}

//go:wasmexport tidemill_run
func run(p uint32) uint32 {
	b := at[batch](p)
	r := at[array](b.rows)
	n := int(r.length)
	ch := unsafe.Slice(at[uint32](r.children), 4)
	t, s, a, f := floats(at[array](ch[0]), n), floats(at[array](ch[1]), n), floats(at[array](ch[2]), n), floats(at[array](ch[3]), n)
	if t[0] < -1000 {
		_ = out[int(t[0])] // what Go's runtime panics at
	}
	o := out[:n]
	for i := range o {
		o[i] = (t[i]-s[i])*a[i] + f[i]
	}
	outBuffers[1] = uint32(uintptr(unsafe.Pointer(&out)))
	outArray = array{length: r.length, nBuffers: 2, buffers: uint32(uintptr(unsafe.Pointer(&outBuffers)))}
	kids[0] = uint32(uintptr(unsafe.Pointer(&outArray)))
	rows = array{length: r.length, nBuffers: 1, nChildren: 1, buffers: uint32(uintptr(unsafe.Pointer(&noBuffers))), children: uint32(uintptr(unsafe.Pointer(&kids)))}
	res[0] = uint32(uintptr(unsafe.Pointer(&rows)))
	return uint32(uintptr(unsafe.Pointer(&res)))
}

func main() {}
