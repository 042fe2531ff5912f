package run

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/flow"
)

// A record of a channel that a pipeline feeds holds rows for one partition, or tells that the
// partition that they come from has met a tick or an end. Numbers are little-endian.
//
//	rows  | 1 | schema u16 | side u8 | n u32 | _received, n i64 | _time, n i64 | a column, ... |
//	cut   | 2 | flags u8: 1 ended | time i64, us |
//
//	column    | 0 |                                              all null
//	          | 1 or 2 | validity, n bits, with 2 only | values |
//	          | 3 | a word |                                     that in all rows
//	          | 4 | a word of 8 bytes |                          that in the first row, and one more in each
//	values    number, integer, time  n words of 8 bytes, or of 4 where the type has 32 bits
//	          bool                   n bits
//	          text                   n ends u32 | bytes
//	          list                   n ends u32 | a column of all elements
//
// The schema is the number of a list of names and types in the feed's token; a column
// stands for each, in that order.
const (
	feedRows = 1
	feedCut  = 2

	columnNull  = 0
	columnFull  = 1
	columnHoley = 2
	columnSame  = 3
	columnCount = 4

	// columnMost is how many rows a column may have that takes a word for all of them.
	columnMost = 1 << 24

	cutEnded = 1

	feedRowsHead = 8
	feedCutSize  = 10
)

// appendRows appends a record of rows. cols tells where in rows each column of the schema stands;
// -1 where it is not.
func appendRows(dst []byte, schema uint16, side uint8, rows arrow.RecordBatch, cols []int) []byte {
	n := int(rows.NumRows())
	dst = append(dst, feedRows)
	dst = binary.LittleEndian.AppendUint16(dst, schema)
	dst = append(dst, side)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(n))
	dst = append(dst, arrow.TimestampTraits.CastToBytes(flow.Received(rows))...)
	dst = append(dst, arrow.TimestampTraits.CastToBytes(flow.Times(rows))...)
	for _, c := range cols {
		if c < 0 {
			dst = append(dst, columnNull)
			continue
		}
		dst = appendColumn(dst, rows.Column(c))
	}
	return dst
}

func appendColumn(dst []byte, a arrow.Array) []byte {
	n := a.Len()
	nulls := a.NullN()
	if nulls == n {
		return append(dst, columnNull)
	}
	words, width := wordsOf(a)
	switch {
	case nulls > 0:
		dst = append(dst, columnHoley)
		dst = appendBits(dst, a.NullBitmapBytes(), a.Data().Offset(), n)
	case width > 0 && n <= columnMost && same(words, width):
		return append(append(dst, columnSame), words[:width]...)
	case width == 8 && n <= columnMost && counts(words):
		return append(append(dst, columnCount), words[:8]...)
	default:
		dst = append(dst, columnFull)
	}
	if width > 0 {
		return append(dst, words...)
	}
	switch a := a.(type) {
	case *array.Boolean:
		return appendBits(dst, a.Data().Buffers()[1].Bytes(), a.Data().Offset(), n)
	case *array.String:
		offsets := a.ValueOffsets()
		for _, end := range offsets[1:] {
			dst = binary.LittleEndian.AppendUint32(dst, uint32(end-offsets[0]))
		}
		return append(dst, a.ValueBytes()...)
	case *array.List:
		from, _ := a.ValueOffsets(0)
		to := from
		for i := range n {
			_, to = a.ValueOffsets(i)
			dst = binary.LittleEndian.AppendUint32(dst, uint32(to-from))
		}
		items := array.NewSlice(a.ListValues(), from, to)
		defer items.Release()
		return appendColumn(dst, items)
	}
	panic("BUG: rows hold a column of type " + a.DataType().Name())
}

// wordsOf returns the values of a column whose type has 4 or 8 bytes, and which; else 0.
func wordsOf(a arrow.Array) (words []byte, width int) {
	switch a := a.(type) {
	case *array.Float64:
		return arrow.Float64Traits.CastToBytes(a.Float64Values()), 8
	case *array.Int64:
		return arrow.Int64Traits.CastToBytes(a.Int64Values()), 8
	case *array.Timestamp:
		return arrow.TimestampTraits.CastToBytes(a.TimestampValues()), 8
	case *array.Int32:
		return arrow.Int32Traits.CastToBytes(a.Int32Values()), 4
	case *array.Uint32:
		return arrow.Uint32Traits.CastToBytes(a.Uint32Values()), 4
	}
	return nil, 0
}

// same tells whether all words are the same.
func same(words []byte, width int) bool {
	return bytes.Equal(words[width:], words[:len(words)-width])
}

// counts tells whether each word of 8 bytes is one more than that before.
func counts(words []byte) bool {
	v := arrow.Uint64Traits.CastFromBytes(words)
	for i := range v {
		if v[i] != v[0]+uint64(i) {
			return false
		}
	}
	return true
}

// appendBits appends n bits that begin at bit at of src.
func appendBits(dst, src []byte, at, n int) []byte {
	size := int(bitutil.BytesForBits(int64(n)))
	for range size {
		dst = append(dst, 0)
	}
	bitutil.CopyBitmap(src, at, n, dst[len(dst)-size:], 0)
	return dst
}

func appendCut(dst []byte, time int64, ended bool) []byte {
	flags := byte(0)
	if ended {
		flags = cutEnded
	}
	return binary.LittleEndian.AppendUint64(append(dst, feedCut, flags), uint64(time))
}

// readCut reads what appendCut has written.
func readCut(record []byte) (time int64, ended bool) {
	return int64(binary.LittleEndian.Uint64(record[2:])), record[1]&cutEnded != 0
}

// errFeed says that a record's bytes are not what appendRows writes.
var errFeed = errors.New("the record is cut short")

// fedReader reads a record's bytes. After an error everything reads as nothing.
type fedReader struct {
	b     []byte
	err   error
	alloc memory.Allocator
}

func (r *fedReader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.err, r.b = errFeed, nil
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

// rowsHead is what stands before the columns.
func (r *fedReader) rowsHead() (schema, side, n int) {
	h := r.take(feedRowsHead)
	if h == nil {
		return 0, 0, 0
	}
	n = int(binary.LittleEndian.Uint32(h[4:]))
	return int(binary.LittleEndian.Uint16(h[1:])), int(h[3]), n
}

// buffer copies n bytes into memory of the allocator.
func (r *fedReader) buffer(n int) *memory.Buffer {
	b := memory.NewResizableBuffer(r.alloc)
	from := r.take(n)
	b.Resize(len(from))
	copy(b.Bytes(), from)
	return b
}

// column reads a column of n values; the caller releases it. nil after an error.
func (r *fedReader) column(t arrow.DataType, n int) arrow.Array {
	kind := r.take(1)
	if kind == nil {
		return nil
	}
	if kind[0] == columnNull {
		return nulls(t, n, r.alloc)
	}
	if kind[0] == columnSame || kind[0] == columnCount {
		return r.repeated(t, n, kind[0] == columnCount)
	}
	bufs := []*memory.Buffer{nil}
	holes := 0
	if kind[0] == columnHoley {
		bufs[0] = r.buffer(int(bitutil.BytesForBits(int64(n))))
		if r.err == nil {
			holes = n - bitutil.CountSetBits(bufs[0].Bytes(), 0, n)
		}
	}
	var children []arrow.ArrayData
	switch t := t.(type) {
	case *arrow.Float64Type, *arrow.Int64Type, *arrow.TimestampType:
		bufs = append(bufs, r.buffer(8*n))
	case *arrow.Int32Type, *arrow.Uint32Type:
		bufs = append(bufs, r.buffer(4*n))
	case *arrow.BooleanType:
		bufs = append(bufs, r.buffer(int(bitutil.BytesForBits(int64(n)))))
	case *arrow.StringType:
		ends, total := r.ends(n)
		bufs = append(bufs, ends, r.buffer(total))
	case *arrow.ListType:
		ends, total := r.ends(n)
		bufs = append(bufs, ends)
		if items := r.column(t.Elem(), total); items != nil {
			defer items.Release()
			children = []arrow.ArrayData{items.Data()}
		}
	default:
		panic("BUG: a channel holds a column of type " + t.Name())
	}
	defer func() {
		for _, b := range bufs {
			if b != nil {
				b.Release()
			}
		}
	}()
	if r.err != nil {
		return nil
	}
	d := array.NewData(t, n, bufs, children, holes, 0)
	defer d.Release()
	return array.MakeFromData(d)
}

// repeated reads a column of which the first word tells all.
func (r *fedReader) repeated(t arrow.DataType, n int, counted bool) arrow.Array {
	width := 0
	if f, ok := t.(arrow.FixedWidthDataType); ok {
		width = f.BitWidth() / 8
	}
	word := r.take(width)
	if (width != 4 && width != 8) || counted && width != 8 || n > columnMost {
		r.err = errFeed
	}
	if r.err != nil {
		return nil
	}
	b := memory.NewResizableBuffer(r.alloc)
	b.Resize(n * width)
	switch {
	case counted:
		first := binary.LittleEndian.Uint64(word)
		for i, out := 0, arrow.Uint64Traits.CastFromBytes(b.Bytes()); i < n; i++ {
			out[i] = first + uint64(i)
		}
	default:
		for out := b.Bytes(); len(out) > 0; out = out[width:] {
			copy(out, word)
		}
	}
	d := array.NewData(t, n, []*memory.Buffer{nil, b}, nil, 0, 0)
	b.Release()
	defer d.Release()
	return array.MakeFromData(d)
}

// ends reads the ends of n texts or lists as offsets.
func (r *fedReader) ends(n int) (*memory.Buffer, int) {
	from := r.take(4 * n)
	b := memory.NewResizableBuffer(r.alloc)
	if from == nil && n > 0 {
		return b, 0
	}
	b.Resize(4 * (n + 1))
	out := arrow.Int32Traits.CastFromBytes(b.Bytes())
	out[0] = 0
	for i := range n {
		end := binary.LittleEndian.Uint32(from[4*i:])
		if end > math.MaxInt32 || int32(end) < out[i] {
			r.err = errFeed
			return b, 0
		}
		out[i+1] = int32(end)
	}
	return b, int(out[n])
}

// nulls makes a column of n nulls.
func nulls(t arrow.DataType, n int, alloc memory.Allocator) arrow.Array {
	zeros := func(size int) *memory.Buffer {
		b := memory.NewResizableBuffer(alloc)
		b.Resize(size)
		clear(b.Bytes())
		return b
	}
	bits := int(bitutil.BytesForBits(int64(n)))
	bufs := []*memory.Buffer{zeros(bits)}
	var children []arrow.ArrayData
	switch t := t.(type) {
	case *arrow.Float64Type, *arrow.Int64Type, *arrow.TimestampType:
		bufs = append(bufs, zeros(8*n))
	case *arrow.Int32Type, *arrow.Uint32Type:
		bufs = append(bufs, zeros(4*n))
	case *arrow.BooleanType:
		bufs = append(bufs, zeros(bits))
	case *arrow.StringType:
		bufs = append(bufs, zeros(4*(n+1)), zeros(0))
	case *arrow.ListType:
		bufs = append(bufs, zeros(4*(n+1)))
		items := nulls(t.Elem(), 0, alloc)
		defer items.Release()
		children = []arrow.ArrayData{items.Data()}
	default:
		panic("BUG: a channel holds a column of type " + t.Name())
	}
	d := array.NewData(t, n, bufs, children, n, 0)
	defer d.Release()
	for _, b := range bufs {
		b.Release()
	}
	return array.MakeFromData(d)
}

// decodeRows makes a batch of a record of rows. written is the schema that it was written with, want
// that of the batch: a column that is not there, or was of another type, is null. _offset
// counts on from first; _slot and _mark are to be filled in. The caller releases the batch.
func decodeRows(record []byte, written func(no int) (*arrow.Schema, error), want func(side int) *arrow.Schema, first uint64, alloc memory.Allocator) (arrow.RecordBatch, int, error) {
	r := &fedReader{b: record, alloc: alloc}
	no, side, n := r.rowsHead()
	if r.err != nil {
		return nil, 0, r.err
	}
	had, err := written(no)
	if err != nil {
		return nil, 0, err
	}
	is := want(side)
	if is == nil {
		return nil, 0, fmt.Errorf("it is of input %d, which there is not", side)
	}
	cols := make([]arrow.Array, is.NumFields())
	defer func() {
		for _, c := range cols {
			if c != nil {
				c.Release()
			}
		}
	}()
	cols[flow.ColReceived] = r.times(n)
	cols[flow.ColTime] = r.times(n)
	for i := flow.MetaColumns; i < had.NumFields() && r.err == nil; i++ {
		f := had.Field(i)
		c := r.column(f.Type, n)
		if c == nil {
			break
		}
		if at := is.FieldIndices(f.Name); len(at) == 1 && arrow.TypeEqual(is.Field(at[0]).Type, f.Type) {
			cols[at[0]] = c
		} else {
			c.Release()
		}
	}
	if r.err != nil {
		return nil, 0, r.err
	}
	fillMeta(cols, n, first, alloc)
	for i := flow.MetaColumns; i < len(cols); i++ {
		if cols[i] == nil {
			cols[i] = nulls(is.Field(i).Type, n, alloc)
		}
	}
	return array.NewRecordBatch(is, cols, int64(n)), side, nil
}

func (r *fedReader) times(n int) arrow.Array {
	b := r.buffer(8 * n)
	defer b.Release()
	if r.err != nil {
		return nil
	}
	d := array.NewData(flow.Timestamp, n, []*memory.Buffer{nil, b}, nil, 0, 0)
	defer d.Release()
	return array.MakeFromData(d)
}

// fillMeta makes the metadata columns that a record does not hold.
func fillMeta(cols []arrow.Array, n int, first uint64, alloc memory.Allocator) {
	for _, m := range [...]struct {
		col int
		typ arrow.FixedWidthDataType
	}{{flow.ColOffset, &arrow.Int64Type{}}, {flow.ColIndex, &arrow.Int32Type{}}, {flow.ColSlot, &arrow.Uint32Type{}}, {flow.ColMark, &arrow.Int64Type{}}} {
		b := memory.NewResizableBuffer(alloc)
		b.Resize(n * m.typ.Bytes())
		clear(b.Bytes())
		if m.col == flow.ColOffset {
			out := arrow.Int64Traits.CastFromBytes(b.Bytes())
			for i := range n {
				out[i] = int64(first) + int64(i)
			}
		}
		d := array.NewData(m.typ, n, []*memory.Buffer{nil, b}, nil, 0, 0)
		b.Release()
		cols[m.col] = array.MakeFromData(d)
		d.Release()
	}
}
