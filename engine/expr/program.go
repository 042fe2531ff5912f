package expr

import (
	"math/bits"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// program is instructions, their registers, and where the result will be.
type program struct {
	machine
	typ    arrow.DataType
	result int
	column int // when the program is a column as it stands: index into cols; else -1

	outV    []uint64 // validity of the whole result
	outOff  []int32
	outText []byte
}

func (p *program) columns() []string { return p.columnNames() }

// eval fills a fresh array with the results of all chunks.
func (p *program) eval(rows arrow.RecordBatch, alloc memory.Allocator) arrow.Array {
	if p.column >= 0 {
		if p.schema != rows.Schema() {
			p.bind(rows.Schema())
		}
		c := p.cols[p.column]
		if c.index < 0 {
			return array.MakeArrayOfNull(alloc, p.typ, int(rows.NumRows()))
		}
		if col := rows.Column(c.index); arrow.TypeEqual(col.DataType(), p.typ) {
			col.Retain()
			return col
		}
	}
	n := int(rows.NumRows())
	switch p.regs[p.result].kind {
	case kNum:
		return p.evalNumbers(rows, n, alloc)
	case kInt, kTime:
		return p.evalInts(rows, n, alloc)
	case kBool:
		return p.evalBools(rows, n, alloc)
	case kText:
		return p.evalText(rows, n, alloc)
	}
	panic("BUG: a program whose result is a " + p.regs[p.result].kind.String())
}

// chunks runs the program chunk by chunk; before is called before a chunk's
// run, after when its result register is set.
func (p *program) chunks(rows arrow.RecordBatch, n int, before, after func(r *reg, lo, n int)) (nulls int) {
	p.outV = room(p.outV, words(n))
	r := &p.regs[p.result]
	for lo := 0; lo < n; lo += chunkRows {
		c := min(chunkRows, n-lo)
		before(r, lo, c)
		p.start(rows, lo, c)
		p.run(c)
		after(r, lo, c)
		v := p.outV[lo>>6 : words(lo+c)]
		if r.valid == nil {
			for w := range v {
				v[w] = ^uint64(0)
			}
			continue
		}
		copy(v, r.valid)
		nulls += countNulls(v, c)
	}
	return nulls
}

// finish makes an array of the buffers that follow the validity. It takes them.
func (p *program) finish(n, nulls int, alloc memory.Allocator, bufs ...*memory.Buffer) arrow.Array {
	var valid *memory.Buffer
	if nulls > 0 {
		valid = memory.NewResizableBuffer(alloc)
		valid.Resize(words(n) * 8)
		trimBits(p.outV, n)
		copy(arrow.Uint64Traits.CastFromBytes(valid.Bytes()), p.outV)
	}
	all := append([]*memory.Buffer{valid}, bufs...)
	data := array.NewData(p.typ, n, all, nil, nulls, 0)
	defer data.Release()
	for _, b := range all {
		if b != nil {
			b.Release()
		}
	}
	return array.MakeFromData(data)
}

// trimBits clears the bits after the first n.
func trimBits(b []uint64, n int) {
	if n&63 != 0 {
		b[n>>6] &= 1<<(n&63) - 1
	}
}

func (p *program) evalNumbers(rows arrow.RecordBatch, n int, alloc memory.Allocator) arrow.Array {
	buf := memory.NewResizableBuffer(alloc)
	buf.Resize(n * 8)
	out := arrow.Float64Traits.CastFromBytes(buf.Bytes())
	r := &p.regs[p.result]
	own := r.ownF
	nulls := p.chunks(rows, n, func(r *reg, lo, n int) {
		r.ownF = out[lo : lo+n : lo+n]
	}, func(r *reg, lo, n int) {
		settle(out[lo:lo+n], r.f, r, n)
	})
	r.ownF = own
	return p.finish(n, nulls, alloc, buf)
}

func (p *program) evalInts(rows arrow.RecordBatch, n int, alloc memory.Allocator) arrow.Array {
	buf := memory.NewResizableBuffer(alloc)
	buf.Resize(n * 8)
	out := arrow.Int64Traits.CastFromBytes(buf.Bytes())
	r := &p.regs[p.result]
	own := r.ownI
	nulls := p.chunks(rows, n, func(r *reg, lo, n int) {
		r.ownI = out[lo : lo+n : lo+n]
	}, func(r *reg, lo, n int) {
		settle(out[lo:lo+n], r.i, r, n)
	})
	r.ownI = own
	return p.finish(n, nulls, alloc, buf)
}

// settle brings the result values to dst, where most programs wrote them to
// begin with, and sets what is null to 0, so that equal results have equal bytes.
func settle[T float64 | int64](dst, src []T, r *reg, n int) {
	if r.mask == 0 {
		for i := range dst {
			dst[i] = src[0]
		}
	} else if n > 0 && &dst[0] != &src[0] {
		copy(dst, src)
	}
	if r.valid == nil {
		return
	}
	for w, v := range r.valid[:words(n)] {
		for x := ^v; x != 0; x &= x - 1 {
			if i := w*64 + bits.TrailingZeros64(x); i < n {
				dst[i] = 0
			}
		}
	}
}

func (p *program) evalBools(rows arrow.RecordBatch, n int, alloc memory.Allocator) arrow.Array {
	buf := memory.NewResizableBuffer(alloc)
	buf.Resize(words(n) * 8)
	out := arrow.Uint64Traits.CastFromBytes(buf.Bytes())
	nulls := p.chunks(rows, n, func(*reg, int, int) {}, func(r *reg, lo, n int) {
		d := out[lo>>6 : words(lo+n)]
		copy(d, r.b)
		if r.valid != nil {
			andWords(d, d, r.valid[:len(d)])
		}
	})
	trimBits(out, n)
	return p.finish(n, nulls, alloc, buf)
}

func (p *program) evalText(rows arrow.RecordBatch, n int, alloc memory.Allocator) arrow.Array {
	p.outOff = room(p.outOff, n+1)
	p.outOff[0] = 0
	p.outText = p.outText[:0]
	nulls := p.chunks(rows, n, func(*reg, int, int) {}, p.appendText)
	off := memory.NewResizableBuffer(alloc)
	off.Resize((n + 1) * 4)
	copy(arrow.Int32Traits.CastFromBytes(off.Bytes()), p.outOff)
	data := memory.NewResizableBuffer(alloc)
	data.Resize(len(p.outText))
	copy(data.Bytes(), p.outText)
	return p.finish(n, nulls, alloc, off, data)
}

// maxTextBatch is what a column of text can hold: its offsets have 31 bits.
const maxTextBatch = 1<<31 - 1

// appendText adds a chunk's texts to the result. What would pass the limit of
// a column, 32,768 texts of the greatest length, becomes null.
func (p *program) appendText(r *reg, lo, n int) {
	for i := range n {
		if !r.isNull(i) {
			t := r.text(i)
			if len(p.outText)+len(t) > maxTextBatch {
				r.setNull(i, n)
				t = nil
			}
			p.outText = append(p.outText, t...)
		}
		p.outOff[lo+i+1] = int32(len(p.outText))
	}
}

// selectRows appends the numbers of rows where the program is true and not null.
func (p *program) selectRows(rows arrow.RecordBatch, sel []int32) []int32 {
	if p.regs[p.result].kind != kBool {
		panic("BUG: Select of a program that is no bool")
	}
	n := int(rows.NumRows())
	r := &p.regs[p.result]
	for lo := 0; lo < n; lo += chunkRows {
		c := min(chunkRows, n-lo)
		p.start(rows, lo, c)
		p.run(c)
		// A copy: the register may be a constant, which is set once for all chunks.
		p.outV = room(p.outV, words(c))
		b := p.outV
		copy(b, r.b)
		if r.valid != nil {
			andWords(b, b, r.valid)
		}
		trimBits(b, c)
		sel = appendOnes(sel, b, int32(lo))
	}
	return sel
}

// appendOnes appends the numbers of the bits that are set, the first being base.
func appendOnes(sel []int32, b []uint64, base int32) []int32 {
	for _, x := range b {
		at := len(sel)
		sel = slices.Grow(sel, 64)[:at+bits.OnesCount64(x)]
		out := sel[at:]
		if len(out) == 64 {
			for k := range out {
				out[k] = base + int32(k)
			}
		} else {
			for k := range out {
				out[k] = base + int32(bits.TrailingZeros64(x))
				x &= x - 1
			}
		}
		base += 64
	}
	return sel
}
