package flow

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Take makes a batch of the rows of a batch that sel lists, in its order; sel
// is rising. All of them, or rows side by side, are shared instead of copied.
// The caller releases the result.
func Take(rows arrow.RecordBatch, sel []int32, alloc memory.Allocator) arrow.RecordBatch {
	if int64(len(sel)) == rows.NumRows() {
		rows.Retain()
		return rows
	}
	return take(rows.Columns(), rows.Schema(), sel, alloc)
}

// TakeColumns is Take of the columns at these places, which the schema is of.
func TakeColumns(rows arrow.RecordBatch, at []int, schema *arrow.Schema, sel []int32, alloc memory.Allocator) arrow.RecordBatch {
	cols := make([]arrow.Array, len(at))
	for i, c := range at {
		cols[i] = rows.Column(c)
	}
	if int64(len(sel)) == rows.NumRows() {
		return array.NewRecordBatch(schema, cols, rows.NumRows())
	}
	return take(cols, schema, sel, alloc)
}

func take(from []arrow.Array, schema *arrow.Schema, sel []int32, alloc memory.Allocator) arrow.RecordBatch {
	n := len(sel)
	cols := make([]arrow.Array, len(from))
	if n > 0 && int(sel[n-1]-sel[0]) == n-1 {
		for i, c := range from {
			cols[i] = array.NewSlice(c, int64(sel[0]), int64(sel[0])+int64(n))
		}
	} else {
		runs, p := runsOf(sel), newPacker(len(from), n, alloc)
		for i, c := range from {
			cols[i] = takeArray(c, sel, runs, p)
		}
	}
	rows := array.NewRecordBatch(schema, cols, int64(n))
	for _, c := range cols {
		c.Release()
	}
	return rows
}

// run is n values side by side.
type run struct{ from, to, n int }

// runLeast is how many values a run must have on average to be copied as one.
const runLeast = 16

// runsOf gives sel as runs, where these are long: mostly a row is missing here and there. nil otherwise.
func runsOf(sel []int32) []run {
	var runs []run
	for i := 0; i < len(sel); {
		k := i + 1
		for k < len(sel) && sel[k] == sel[k-1]+1 {
			k++
		}
		if len(runs) > len(sel)/runLeast {
			return nil
		}
		runs = append(runs, run{int(sel[i]), i, k - i})
		i = k
	}
	return runs
}

// TakeArray makes a column of the values that sel lists, in its order; values
// may come more than once. The caller releases the result.
func TakeArray(a arrow.Array, sel []int32, alloc memory.Allocator) arrow.Array {
	return takeArray(a, sel, nil, &packer{alloc: alloc})
}

// takeArray is TakeArray; runs are sel, or nil.
func takeArray(a arrow.Array, sel []int32, runs []run, p *packer) arrow.Array {
	var valid, first, second *memory.Buffer
	nulls := 0
	if a.NullN() > 0 && a.DataType().ID() != arrow.NULL {
		valid, nulls = takeValidity(a, sel, runs, p)
	}
	switch a := a.(type) {
	case *array.Null:
		return array.NewNull(len(sel))
	case *array.Float64:
		first = takeFixed(a.Float64Values(), sel, runs, 8, arrow.Float64Traits.CastFromBytes, p)
	case *array.Int64:
		first = takeFixed(a.Int64Values(), sel, runs, 8, arrow.Int64Traits.CastFromBytes, p)
	case *array.Timestamp:
		first = takeFixed(a.TimestampValues(), sel, runs, 8, arrow.TimestampTraits.CastFromBytes, p)
	case *array.Int32:
		first = takeFixed(a.Int32Values(), sel, runs, 4, arrow.Int32Traits.CastFromBytes, p)
	case *array.Uint32:
		first = takeFixed(a.Uint32Values(), sel, runs, 4, arrow.Uint32Traits.CastFromBytes, p)
	case *array.Boolean:
		first = takeBits(a, sel, runs, p)
	case *array.String:
		first, second = takeText(a, sel, runs, p)
	case *array.Binary:
		first, second = takeText(a, sel, runs, p)
	case *array.List:
		offs, child := takeList(a, sel, p)
		defer child.Release()
		return p.Column(a.DataType(), len(sel), nulls, []arrow.ArrayData{child.Data()}, valid, offs)
	default:
		panic("BUG: rows hold a column of type " + a.DataType().Name())
	}
	if second != nil {
		return p.Column(a.DataType(), len(sel), nulls, nil, valid, first, second)
	}
	return p.Column(a.DataType(), len(sel), nulls, nil, valid, first)
}

func takeFixed[T any](vals []T, sel []int32, runs []run, size int, cast func([]byte) []T, p *packer) *memory.Buffer {
	b := p.buffer(len(sel) * size)
	out := cast(b.Bytes())[:len(sel)]
	if runs != nil {
		for _, r := range runs {
			copy(out[r.to:r.to+r.n], vals[r.from:])
		}
		return b
	}
	for i, r := range sel {
		out[i] = vals[r]
	}
	return b
}

func takeValidity(a arrow.Array, sel []int32, runs []run, p *packer) (*memory.Buffer, int) {
	b := p.buffer(int(bitutil.BytesForBits(int64(len(sel)))))
	out := b.Bytes()
	clear(out)
	if runs != nil {
		copyBits(a.NullBitmapBytes(), a.Data().Offset(), out, runs)
		return someNull(b, len(sel)-bitutil.CountSetBits(out, 0, len(sel)))
	}
	nulls := 0
	for i, r := range sel {
		if a.IsValid(int(r)) {
			out[i>>3] |= 1 << (i & 7)
		} else {
			nulls++
		}
	}
	return someNull(b, nulls)
}

// someNull gives a validity up that says that nothing is null.
func someNull(b *memory.Buffer, nulls int) (*memory.Buffer, int) {
	if nulls == 0 {
		b.Release()
		return nil, 0
	}
	return b, nulls
}

func copyBits(src []byte, at int, out []byte, runs []run) {
	for _, r := range runs {
		bitutil.CopyBitmap(src, at+r.from, r.n, out, r.to)
	}
}

func takeBits(a *array.Boolean, sel []int32, runs []run, p *packer) *memory.Buffer {
	b := p.buffer(int(bitutil.BytesForBits(int64(len(sel)))))
	out := b.Bytes()
	clear(out)
	src, at := a.Data().Buffers()[1].Bytes(), a.Data().Offset()
	if runs != nil {
		copyBits(src, at, out, runs)
		return b
	}
	for i, r := range sel {
		k := at + int(r)
		out[i>>3] |= (src[k>>3] >> (k & 7) & 1) << (i & 7)
	}
	return b
}

// texts is what columns of texts and of bytes have in common.
type texts interface {
	ValueOffsets() []int32
	ValueBytes() []byte
}

func takeText(a texts, sel []int32, runs []run, p *packer) (offsets, text *memory.Buffer) {
	b := p.buffer((len(sel) + 1) * 4)
	offs := arrow.Int32Traits.CastFromBytes(b.Bytes())
	from := a.ValueOffsets()
	if runs != nil {
		return takeTextRuns(a, runs, offs, b, p)
	}
	total := int32(0)
	for i, r := range sel {
		offs[i] = total
		total += from[r+1] - from[r]
	}
	offs[len(sel)] = total
	d := p.buffer(int(total))
	if total > 0 {
		data, base, out := a.ValueBytes(), from[0], d.Bytes()
		for i, r := range sel {
			copy(out[offs[i]:], data[from[r]-base:from[r+1]-base])
		}
	}
	return b, d
}

// takeTextRuns is takeText for runs; b holds offs.
func takeTextRuns(a texts, runs []run, offs []int32, b *memory.Buffer, p *packer) (offsets, text *memory.Buffer) {
	from, total := a.ValueOffsets(), int32(0)
	for _, r := range runs {
		shift := total - from[r.from]
		for i, at := range from[r.from : r.from+r.n] {
			offs[r.to+i] = at + shift
		}
		total = from[r.from+r.n] + shift
	}
	offs[len(offs)-1] = total
	d := p.buffer(int(total))
	if total > 0 {
		data, base, out := a.ValueBytes(), from[0], d.Bytes()
		for _, r := range runs {
			copy(out[offs[r.to]:], data[from[r.from]-base:from[r.from+r.n]-base])
		}
	}
	return b, d
}

func takeList(a *array.List, sel []int32, p *packer) (*memory.Buffer, arrow.Array) {
	b := p.buffer((len(sel) + 1) * 4)
	offs := arrow.Int32Traits.CastFromBytes(b.Bytes())
	var items []int32
	for i, r := range sel {
		offs[i] = int32(len(items))
		lo, hi := a.ValueOffsets(int(r))
		for j := lo; j < hi; j++ {
			items = append(items, int32(j))
		}
	}
	offs[len(sel)] = int32(len(items))
	return b, takeArray(a.ListValues(), items, nil, p)
}
