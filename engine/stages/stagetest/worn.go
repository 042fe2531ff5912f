package stagetest

import "github.com/apache/arrow-go/v18/arrow/memory"

// worn is an allocator whose memory is full of something else, as that of an engine is, whose buffers go round: a stage that takes
// new memory for zeros, or reads memory that it has let go of, gives other results than expected.
type worn struct{}

const wear = 0xdb

func scribble(b []byte) {
	for i := range b {
		b[i] = wear
	}
}

// Allocate returns n bytes that are not zero.
func (worn) Allocate(n int) []byte {
	b := memory.DefaultAllocator.Allocate(n)
	scribble(b)
	return b
}

// Reallocate moves what is in b.
func (w worn) Reallocate(n int, b []byte) []byte {
	more := w.Allocate(n)
	copy(more, b)
	w.Free(b)
	return more
}

// Free makes b useless to whoever still has it.
func (worn) Free(b []byte) { scribble(b) }
