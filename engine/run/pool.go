package run

import (
	"math/bits"
	"sync"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow/memory"
)

// pool is an allocator that keeps freed buffers by size class, so that batches
// cost no garbage. Buffers are aligned to 64 bytes. Safe for concurrent use.
type pool struct {
	classes [poolClasses]sync.Pool
}

// Classes are powers of two from 64 bytes to 16 MiB; larger buffers are the
// garbage collector's.
const (
	poolLeast   = 6
	poolClasses = 19
)

func newPool() memory.Allocator { return &pool{} }

// Buffers makes an allocator such as an engine gives to its stages, for whoever runs a stage without an engine.
func Buffers() memory.Allocator { return newPool() }

func class(size int) int {
	if size <= 1<<poolLeast {
		return 0
	}
	return bits.Len(uint(size-1)) - poolLeast
}

func (p *pool) Allocate(size int) []byte {
	c := class(size)
	if c >= poolClasses {
		return make([]byte, size)
	}
	if b, ok := p.classes[c].Get().(*byte); ok {
		return unsafe.Slice(b, 1<<(c+poolLeast))[:size]
	}
	return aligned(1 << (c + poolLeast))[:size]
}

// aligned makes a buffer of n bytes, a power of two, that starts on a 64-byte line.
func aligned(n int) []byte {
	const line = 64
	buf := make([]byte, n+line)
	shift := int(-uintptr(unsafe.Pointer(&buf[0])) & (line - 1))
	return buf[shift : shift+n : shift+n]
}

func (p *pool) Reallocate(size int, b []byte) []byte {
	if cap(b) >= size {
		return b[:size]
	}
	bigger := p.Allocate(size)
	copy(bigger, b)
	p.Free(b)
	return bigger
}

func (p *pool) Free(b []byte) {
	n := cap(b)
	if n < 1<<poolLeast || n&(n-1) != 0 || class(n) >= poolClasses {
		return
	}
	p.classes[class(n)].Put(unsafe.SliceData(b[:n]))
}
