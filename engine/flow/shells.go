package flow

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Shells make arrays of buffers. What an array is beside its bytes comes out of two pieces of memory for all columns of a
// batch, and not out of three for each: a batch of a few hundred rows, as small groups of records give, costs more by
// its columns than by its rows.
type Shells struct {
	data    []array.Data
	buffers []*memory.Buffer
}

// mostBuffers is how many buffers a column has, where it is neither a view nor of a run-end encoding.
const mostBuffers = 3

// NewShells makes what a number of columns need. More can be made of it, for more memory.
func NewShells(columns int) Shells {
	return Shells{make([]array.Data, columns), make([]*memory.Buffer, 0, mostBuffers*columns)}
}

// Column makes an array of buffers, of which it takes ownership; children are retained. The caller releases the result.
func (s *Shells) Column(typ arrow.DataType, rows, nulls int, children []arrow.ArrayData, buffers ...*memory.Buffer) arrow.Array {
	if len(s.data) == 0 {
		s.data = make([]array.Data, 1)
	}
	if cap(s.buffers)-len(s.buffers) < len(buffers) {
		s.buffers = make([]*memory.Buffer, 0, mostBuffers)
	}
	at := len(s.buffers)
	s.buffers = append(s.buffers, buffers...)
	d := &s.data[0]
	s.data = s.data[1:]
	// A Data that NewData did not make has no reference but those of the arrays over it.
	d.Reset(typ, rows, s.buffers[at:len(s.buffers):len(s.buffers)], children, nulls, 0)
	for _, b := range buffers {
		if b != nil {
			b.Release()
		}
	}
	return array.MakeFromData(d)
}

// packedBytes is what a batch that is copied may hold for its columns to stand in one piece of memory, which is
// the garbage collector's: less work than a buffer of the allocator for each.
const packedBytes = 16 << 10

// packer makes buffers and arrays for the columns of a batch.
type packer struct {
	Shells
	alloc memory.Allocator
	// packs says that buffers are cut off a piece, of which free is left; heads are what they are beside their bytes.
	packs bool
	free  []byte
	heads []memory.Buffer
}

// newPacker makes a packer for a batch of so many columns and rows.
func newPacker(columns, rows int, alloc memory.Allocator) *packer {
	p := &packer{Shells: NewShells(columns), alloc: alloc}
	const width = 8 // about, of a value
	if bytes := columns * (rows + 1) * width; bytes <= packedBytes {
		p.packs, p.free, p.heads = true, make([]byte, bytes), make([]memory.Buffer, 2*columns)
	}
	return p
}

// buffer makes a buffer of n bytes. Those that are cut off a piece are zero.
func (p *packer) buffer(n int) *memory.Buffer {
	if !p.packs {
		b := memory.NewResizableBuffer(p.alloc)
		b.Resize(n)
		return b
	}
	const word = 8 // what values are aligned to
	whole := (n + word - 1) &^ (word - 1)
	if whole > len(p.free) {
		p.free = make([]byte, max(whole, packedBytes/8))
	}
	if len(p.heads) == 0 {
		p.heads = make([]memory.Buffer, 4)
	}
	b := &p.heads[0]
	b.Reset(p.free[:n:n])
	p.heads, p.free = p.heads[1:], p.free[whole:]
	return b
}
