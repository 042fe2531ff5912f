package parquet

import "encoding/binary"

// Types of the compact protocol, as they stand in field and list headers.
const (
	thriftTrue   = 1
	thriftFalse  = 2
	thriftByte   = 3
	thriftI16    = 4
	thriftI32    = 5
	thriftI64    = 6
	thriftBinary = 8
	thriftList   = 9
	thriftStruct = 12
)

// thrift writes structures in Thrift's compact protocol (Apache Thrift,
// doc/specs/thrift-compact-protocol.md). Fields are written in rising order.
type thrift struct {
	buf  []byte
	last []int16 // the latest field's number, by nesting
}

// begin starts a structure that is not a field: the outermost, or an element.
func (t *thrift) begin() { t.last = append(t.last, 0) }

// end ends a structure.
func (t *thrift) end() {
	t.buf = append(t.buf, 0)
	t.last = t.last[:len(t.last)-1]
}

func (t *thrift) field(id int16, kind byte) {
	at := &t.last[len(t.last)-1]
	if d := id - *at; d > 0 && d < 16 {
		t.buf = append(t.buf, byte(d)<<4|kind)
	} else {
		panic("BUG: fields of a Thrift structure out of order")
	}
	*at = id
}

func (t *thrift) varint(v int64) { t.buf = binary.AppendVarint(t.buf, v) } // zigzag, as Thrift's

func (t *thrift) i32(id int16, v int) {
	t.field(id, thriftI32)
	t.varint(int64(v))
}

func (t *thrift) i64(id int16, v int64) {
	t.field(id, thriftI64)
	t.varint(v)
}

func (t *thrift) i16(id int16, v int) {
	t.field(id, thriftI16)
	t.varint(int64(v))
}

func (t *thrift) boolean(id int16, v bool) {
	if v {
		t.field(id, thriftTrue)
	} else {
		t.field(id, thriftFalse)
	}
}

func (t *thrift) bytes(v []byte) {
	t.buf = binary.AppendUvarint(t.buf, uint64(len(v)))
	t.buf = append(t.buf, v...)
}

func (t *thrift) binary(id int16, v []byte) {
	t.field(id, thriftBinary)
	t.bytes(v)
}

func (t *thrift) text(id int16, v string) { t.binary(id, []byte(v)) }

// structure starts a field that is a structure; end ends it.
func (t *thrift) structure(id int16) {
	t.field(id, thriftStruct)
	t.begin()
}

// empty writes a field that is a structure without fields.
func (t *thrift) empty(id int16) {
	t.structure(id)
	t.end()
}

// list starts a field that is a list of n elements.
func (t *thrift) list(id int16, kind byte, n int) {
	t.field(id, thriftList)
	if n < 15 {
		t.buf = append(t.buf, byte(n)<<4|kind)
		return
	}
	t.buf = binary.AppendUvarint(append(t.buf, 0xf0|kind), uint64(n))
}
