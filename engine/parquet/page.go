package parquet

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math"
)

// Types of pages, by their numbers in the format.
const (
	pageData       = 0
	pageDictionary = 2
)

// boundBytes is the longest text that stands in statistics. Where one is longer
// there are none, rather than cut ones that readers could take for values.
const boundBytes = 256

// page compresses and writes a page; it returns its size before compression, its
// header included.
func (e *Encoder) page(raw []byte, header func(*thrift), kind int) (size int64) {
	e.packed = e.zstd.EncodeAll(raw, e.packed[:0])
	t := thrift{buf: e.out}
	before := len(e.out)
	t.begin()
	t.i32(1, kind)
	t.i32(2, len(raw))
	t.i32(3, len(e.packed))
	t.i32(4, int(int32(crc32.ChecksumIEEE(e.packed))))
	header(&t)
	t.end()
	size = int64(len(t.buf)-before) + int64(len(raw))
	e.out = append(t.buf, e.packed...)
	return size
}

// bounds are the least and the greatest of some values, as statistics have them.
type bounds struct {
	least, most []byte // nil where there is no value
	ok          bool   // false where they are not known
}

func ordered(least, most []byte) bounds { return bounds{least, most, true} }

// widen takes other bounds in.
func (b *bounds) widen(physical int, o *bounds) {
	b.ok = b.ok && o.ok
	switch {
	case o.least == nil || !o.ok:
	case b.least == nil:
		b.least, b.most = o.least, o.most
	default:
		if less(physical, o.least, b.least) {
			b.least = o.least
		}
		if less(physical, b.most, o.most) {
			b.most = o.most
		}
	}
}

// less compares values as they stand in statistics.
func less(physical int, x, y []byte) bool {
	le := binary.LittleEndian
	switch physical {
	case typeInt32:
		return int32(le.Uint32(x)) < int32(le.Uint32(y))
	case typeInt64:
		return int64(le.Uint64(x)) < int64(le.Uint64(y))
	case typeDouble:
		return math.Float64frombits(le.Uint64(x)) < math.Float64frombits(le.Uint64(y))
	}
	return bytes.Compare(x, y) < 0
}

func intBytes(v int64, physical int) []byte {
	if physical == typeInt32 {
		return binary.LittleEndian.AppendUint32(nil, uint32(v))
	}
	return binary.LittleEndian.AppendUint64(nil, uint64(v))
}

// doubleBytes: a zero stands for both, as the format wants it of bounds; readers
// take it so, since -0 and 0 are equal.
func doubleBytes(v float64) []byte { return binary.LittleEndian.AppendUint64(nil, math.Float64bits(v)) }

func boolByte(v bool) []byte {
	if v {
		return []byte{1}
	}
	return []byte{0}
}

// pageMeta is what the page index tells of a page.
type pageMeta struct {
	offset int64
	size   int   // bytes, its header included
	row    int64 // its first, in the row group
	nulls  int
	bounds bounds
}

// chunkMeta is what the footer tells of a chunk.
type chunkMeta struct {
	column     *column
	encoding   int
	start      int64 // of its first page
	dictionary int64 // page of the dictionary, -1 if there is none
	data       int64 // first page of data
	size, raw  int64 // bytes, as they stand and before compression
	entries    int
	nulls      int
	bounds     bounds
	pages      []pageMeta

	columnIndex, offsetIndex span
}

// span is a part of the file.
type span struct {
	at int64
	n  int
}

// index writes a chunk's part of the page index; chunks whose bounds are not known have offsets only.
func (e *Encoder) index(m *chunkMeta) {
	if m.bounds.ok {
		t := thrift{buf: e.out}
		t.columnIndex(m)
		m.columnIndex = span{int64(len(e.out)), len(t.buf) - len(e.out)}
		e.out = t.buf
	}
	t := thrift{buf: e.out}
	t.begin()
	t.list(1, thriftStruct, len(m.pages))
	for _, p := range m.pages {
		t.begin()
		t.i64(1, p.offset)
		t.i32(2, p.size)
		t.i64(3, p.row)
		t.end()
	}
	t.end()
	m.offsetIndex = span{int64(len(e.out)), len(t.buf) - len(e.out)}
	e.out = t.buf
}

func (t *thrift) columnIndex(m *chunkMeta) {
	t.begin()
	t.list(1, thriftTrue, len(m.pages))
	for _, p := range m.pages {
		if p.bounds.least == nil {
			t.buf = append(t.buf, thriftTrue)
		} else {
			t.buf = append(t.buf, thriftFalse)
		}
	}
	t.list(2, thriftBinary, len(m.pages))
	for _, p := range m.pages {
		t.bytes(p.bounds.least)
	}
	t.list(3, thriftBinary, len(m.pages))
	for _, p := range m.pages {
		t.bytes(p.bounds.most)
	}
	t.i32(4, m.order())
	t.list(5, thriftI64, len(m.pages))
	for _, p := range m.pages {
		t.varint(int64(p.nulls))
	}
	t.end()
}

// order tells whether the bounds of pages rise: 1, fall: 2, or neither: 0.
func (m *chunkMeta) order() int {
	rises, falls := true, true
	var before *bounds
	for i := range m.pages {
		b := &m.pages[i].bounds
		if b.least == nil {
			continue
		}
		if before != nil {
			p := m.column.physical
			rises = rises && !less(p, b.least, before.least) && !less(p, b.most, before.most)
			falls = falls && !less(p, before.least, b.least) && !less(p, before.most, b.most)
		}
		before = b
	}
	switch {
	case rises:
		return 1
	case falls:
		return 2
	}
	return 0
}
