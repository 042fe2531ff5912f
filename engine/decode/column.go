package decode

import (
	"fmt"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/flow"
)

// kind is a type that a field can have.
type kind uint8

const (
	kindFloat kind = iota
	kindInt
	kindTime
	kindBool
	kindText
	kindList
)

// kindOf returns the kind of a field's type.
func kindOf(t arrow.DataType) (kind, error) {
	if t == nil {
		return 0, fmt.Errorf("the type is missing")
	}
	switch t.ID() {
	case arrow.FLOAT64:
		return kindFloat, nil
	case arrow.INT64:
		return kindInt, nil
	case arrow.BOOL:
		return kindBool, nil
	case arrow.STRING:
		return kindText, nil
	case arrow.TIMESTAMP:
		if arrow.TypeEqual(t, flow.Timestamp) {
			return kindTime, nil
		}
	case arrow.LIST:
		k, err := kindOf(t.(*arrow.ListType).Elem())
		if err == nil && k != kindList {
			return kindList, nil
		}
	}
	return 0, fmt.Errorf("a field cannot have the type %s; number, integer, bool, string, timestamp and lists of these are possible", t)
}

// wanted says for a person what a kind takes.
func (k kind) wanted() string {
	return [...]string{"a number", "a whole number", `a time ("2006-01-02T15:04:05Z" or a number)`,
		"true or false", "a text in quotes", "a list"}[k]
}

// column is one column of the batch that is being made. Every row up to the
// current one has been set or made null; the slices are as long as the
// buffers' capacity. A column that nobody reads (skip) has no buffers.
type column struct {
	field Field
	kind  kind
	skip  bool
	below *topicColumns // the field comes from topics, and is a column of the payload only where they lack it; nil: it is the payload's

	f64   []float64 // kindFloat
	i64   []int64   // kindInt, kindTime
	data  []byte    // kindBool: bits; kindText: bytes
	n     int32     // kindText: bytes used
	count int32     // a list's child: values
	ends  []int32   // kindText, kindList: ends[row+1]; ends[0] is 0
	valid []byte    // bits, all 1 beyond the current row; nil until the first null
	words []uint64  // kindFloat: tokens in place of f64 (tokens.go)
	spans []uint8   // kindFloat: what of words is a token
	child *column   // kindList

	alloc            memory.Allocator
	room             int // rows that there is room for
	vals, offs, bits *memory.Buffer

	scratch []uint64 // words of a column without buffers

	stamp uint64 // the record, or element, that set it last
}

func newColumn(f Field) *column {
	k, err := kindOf(f.Type)
	if err != nil {
		panic("BUG: a field's type was not checked: " + err.Error())
	}
	c := &column{field: f, kind: k, skip: f.Skip}
	if k == kindList {
		c.child = newColumn(Field{Name: f.Name, Type: f.Type.(*arrow.ListType).Elem(), Unit: f.Unit, Skip: f.Skip})
	}
	return c
}

// open makes the buffers of a batch of up to rows rows.
func (c *column) open(rows int, a memory.Allocator) {
	if c.skip {
		return
	}
	c.alloc, c.n, c.count, c.valid, c.bits, c.offs = a, 0, 0, nil, nil, nil
	c.vals = memory.NewResizableBuffer(a)
	if c.kind == kindText || c.kind == kindList {
		c.offs = memory.NewResizableBuffer(a)
	}
	c.reserve(rows)
	if c.offs != nil {
		c.ends[0] = 0
	}
	switch c.kind {
	case kindText:
		c.reserveText(16 * rows)
	case kindList:
		c.child.open(rows, a)
	}
}

// reserve makes room for rows rows.
func (c *column) reserve(rows int) {
	if c.skip {
		return
	}
	c.room = rows
	switch c.kind {
	case kindFloat:
		c.f64 = arrow.Float64Traits.CastFromBytes(reserved(c.vals, 8*rows))
	case kindInt, kindTime:
		c.i64 = arrow.Int64Traits.CastFromBytes(reserved(c.vals, 8*rows))
	case kindBool:
		c.data = reserved(c.vals, rows/8+1)
	default:
		c.ends = arrow.Int32Traits.CastFromBytes(reserved(c.offs, 4*(rows+1)))
	}
	if c.bits != nil {
		old := len(c.valid)
		c.valid = reserved(c.bits, rows/8+1)
		fill(c.valid[old:])
	}
}

// reserved returns all of b after it has grown to at least n bytes.
func reserved(b *memory.Buffer, n int) []byte {
	if n > b.Cap() {
		b.Reserve(max(n, 2*b.Cap()))
	}
	return b.Buf()
}

func fill(b []byte) {
	for i := range b {
		b[i] = 0xff
	}
}

// textSlack is how far blind copies may write past a text's end.
const textSlack = 16

// maxText is how many bytes of text a column of a batch can hold.
const maxText = math.MaxInt32 - 64

// reserveText makes room for n more bytes of text; false when that is too much.
func (c *column) reserveText(n int) bool {
	if int64(c.n)+int64(n) > maxText-textSlack {
		return false
	}
	if need := int(c.n) + n + textSlack; need > len(c.data) {
		c.data = reserved(c.vals, need)
	}
	return true
}

// setNull makes row null.
func (c *column) setNull(row int) {
	c.noToken(row)
	if c.skip {
		return
	}
	switch c.kind {
	case kindFloat:
		c.f64[row] = 0
	case kindInt, kindTime:
		c.i64[row] = 0
	case kindBool:
		c.data[row>>3] &^= 1 << (row & 7)
	case kindText:
		c.n = c.ends[row]
		c.ends[row+1] = c.n
	case kindList:
		c.child.cut(c.ends[row])
		c.ends[row+1] = c.child.count
	}
	c.markNull(row)
}

// markNull clears the validity bit of row.
func (c *column) markNull(row int) {
	if c.valid == nil {
		c.bits = memory.NewResizableBuffer(c.alloc)
		c.valid = reserved(c.bits, c.room/8+1)
		fill(c.valid)
	}
	c.valid[row>>3] &^= 1 << (row & 7)
}

// cut takes back the values of a child from number n on.
func (c *column) cut(n int32) {
	if c.count == n {
		return
	}
	for i := int(n); i < int(c.count); i++ {
		c.markSet(i)
	}
	c.count = n
	if c.kind == kindText {
		c.n = c.ends[n]
	}
}

// back takes back what stands in the rows from row to end.
func (c *column) back(row, end int) {
	if c.skip {
		return
	}
	for i := row; i < end; i++ {
		c.markSet(i)
	}
	switch c.kind {
	case kindText:
		c.n = c.ends[row]
	case kindList:
		c.child.cut(c.ends[row])
	}
}

// markSet sets the validity bit of row, which an abandoned record may have cleared.
func (c *column) markSet(row int) {
	if c.valid != nil {
		c.valid[row>>3] |= 1 << (row & 7)
	}
}

// setFloat, setInt, setBool and setText set row, the current one or one after it.
func (c *column) setFloat(row int, v float64) {
	c.f64[row] = v
	c.noToken(row)
	c.markSet(row)
}

func (c *column) setInt(row int, v int64) {
	c.i64[row] = v
	c.markSet(row)
}

func (c *column) setBool(row int, v bool) {
	if v {
		c.data[row>>3] |= 1 << (row & 7)
	} else {
		c.data[row>>3] &^= 1 << (row & 7)
	}
	c.markSet(row)
}

// setText copies v, of which esc says that it still has escapes; false when
// the column has no room for it in this batch.
func (c *column) setText(row int, v []byte, esc bool) bool {
	c.n = c.ends[row]
	if !c.reserveText(len(v)) {
		return false
	}
	if esc {
		c.n += int32(len(unescape(c.data[c.n:c.n], v)))
	} else {
		c.n += int32(copy(c.data[c.n:], v))
	}
	c.ends[row+1] = c.n
	c.markSet(row)
	return true
}

// repeat copies row from, which is set or null, to row to.
func (c *column) repeat(from, to int) bool {
	if c.skip {
		return true
	}
	if c.valid != nil && c.valid[from>>3]>>(from&7)&1 == 0 {
		c.setNull(to)
		return true
	}
	switch c.kind {
	case kindFloat:
		c.setFloat(to, c.f64[from])
	case kindInt, kindTime:
		c.setInt(to, c.i64[from])
	case kindBool:
		c.setBool(to, c.data[from>>3]>>(from&7)&1 != 0)
	case kindText:
		return c.setText(to, c.data[c.ends[from]:c.ends[from+1]], false)
	case kindList:
		for i := c.ends[from]; i < c.ends[from+1]; i++ {
			if !c.child.add() || !c.child.repeat(int(i), int(c.child.count)) {
				return false
			}
			c.child.count++
		}
		c.ends[to+1] = c.child.count
		c.markSet(to)
	}
	return true
}

// add makes room for one more value of a child; false when that is too much.
func (c *column) add() bool {
	if int(c.count) < c.room {
		return true
	}
	if c.count >= math.MaxInt32/16 {
		return false
	}
	c.reserve(max(64, 2*c.room))
	return true
}

// close gives the first rows rows away as an array.
func (c *column) close(rows int, shells *flow.Shells) arrow.Array {
	var valid *memory.Buffer
	nulls := 0
	if c.bits != nil {
		nulls = rows - bitutil.CountSetBits(c.valid, 0, rows)
	}
	if nulls > 0 {
		c.bits.ResizeNoShrink((rows + 7) / 8)
		valid, c.bits = c.bits, nil
	}
	first, second := c.vals, (*memory.Buffer)(nil)
	var children []arrow.ArrayData
	switch c.kind {
	case kindBool:
		c.vals.ResizeNoShrink((rows + 7) / 8)
	case kindText:
		c.offs.ResizeNoShrink(4 * (rows + 1))
		c.vals.ResizeNoShrink(int(c.n))
		first, second = c.offs, c.vals
	case kindList:
		c.offs.ResizeNoShrink(4 * (rows + 1))
		first = c.offs
		child := c.child.close(int(c.child.count), shells)
		defer child.Release()
		children = []arrow.ArrayData{child.Data()}
	default:
		c.vals.ResizeNoShrink(8 * rows)
	}
	c.vals, c.offs = nil, nil // they are the array's
	c.drop()
	if second == nil {
		return shells.Column(c.field.Type, rows, nulls, children, valid, first)
	}
	return shells.Column(c.field.Type, rows, nulls, children, valid, first, second)
}

// discard gives the buffers of a batch without rows back.
func (c *column) discard() {
	if c.skip {
		return
	}
	if c.kind == kindList {
		c.child.discard()
	}
	c.drop()
}

// drop lets go of the buffers.
func (c *column) drop() {
	for _, b := range []*memory.Buffer{c.vals, c.offs, c.bits} {
		if b != nil {
			b.Release()
		}
	}
	c.vals, c.offs, c.bits = nil, nil, nil
	c.f64, c.i64, c.data, c.ends, c.valid = nil, nil, nil, nil, nil
}
