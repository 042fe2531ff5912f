package detect

import (
	"math"
	"unsafe"
)

// words views the n values of type T that begin at byte off of a model.
func words[T any](mem []byte, off, n int) []T {
	if n == 0 {
		return nil
	}
	var t T
	size := int(unsafe.Sizeof(t))
	_ = mem[off+n*size-1]
	return unsafe.Slice((*T)(unsafe.Pointer(&mem[off])), n)
}

// carver deals out consecutive pieces of a model, each at a multiple of 8 bytes.
type carver struct{ at int }

func (c *carver) take(n, size int) int {
	off := c.at
	c.at += (n*size + 7) &^ 7
	return off
}

// most is the largest magnitude that a model takes in: what is beyond is cut to
// it, so that no sum over a model overflows.
const most = 1e30

// tame makes a number of a model's input: NaN is missing, and what is too
// big is cut.
func tame(x float64) (float64, bool) {
	if math.IsNaN(x) {
		return 0, false
	}
	return min(max(x, -most), most), true
}
