package carry

import (
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Column gathers the values of one column. One goroutine.
type Column struct {
	typ   arrow.DataType
	n     int
	nulls int
	valid []byte   // a bit a value, once one is null
	fixed []uint64 // number, integer, timestamp
	bits  []byte   // bool
	offs  []int32  // string, list: 0, and where each value ends
	data  []byte
	child *Column
	room  int // how many values the batch before had

	alloc  memory.Allocator // of what Words and Texts make; nil: the garbage collector's
	made   []*memory.Buffer // that they made: values, or where texts end and texts
	bitmap *memory.Buffer   // that Words made
}

// Carries says whether values of a type can be carried.
func Carries(t arrow.DataType) bool {
	switch t := t.(type) {
	case *arrow.ListType:
		return t.Elem().ID() != arrow.LIST && Carries(t.Elem())
	}
	switch t.ID() {
	case arrow.BOOL, arrow.INT64, arrow.FLOAT64, arrow.TIMESTAMP, arrow.STRING, arrow.NULL:
		return true
	}
	return false
}

// NewColumn returns an empty column of a type that Carries.
func NewColumn(t arrow.DataType) *Column {
	if !Carries(t) {
		panic("BUG: a " + t.String() + " cannot be carried")
	}
	c := &Column{typ: t}
	if l, ok := t.(*arrow.ListType); ok {
		c.child = NewColumn(l.Elem())
	}
	return c
}

// NewColumns is NewColumn for several.
func NewColumns(types []arrow.DataType) []*Column {
	out := make([]*Column, len(types))
	for i, t := range types {
		out[i] = NewColumn(t)
	}
	return out
}

// Use has Words and Texts of columns take memory from an allocator, to which it comes back when what Finish has made is released.
func Use(alloc memory.Allocator, cols []*Column) {
	for _, c := range cols {
		c.alloc = alloc
	}
}

// zeros is a buffer of n bytes, all 0.
func zeros(alloc memory.Allocator, n int) *memory.Buffer {
	if alloc == nil {
		return memory.NewBufferBytes(make([]byte, n))
	}
	b := memory.NewResizableBuffer(alloc)
	b.Resize(n)
	clear(b.Bytes())
	return b
}

// Len is how many values there are.
func (c *Column) Len() int { return c.n }

func (c *Column) mark(valid bool) {
	if valid && c.nulls == 0 {
		c.n++
		return
	}
	c.markBit(valid)
}

// markBit is mark where there are nulls.
func (c *Column) markBit(valid bool) {
	if c.nulls == 0 { // all before are values
		c.valid = make([]byte, 0, max(c.room, c.n)/8+1)
		for range c.n / 8 {
			c.valid = append(c.valid, 0xff)
		}
		if c.n&7 != 0 {
			c.valid = append(c.valid, 1<<(c.n&7)-1)
		}
	}
	if c.n&7 == 0 {
		c.valid = append(c.valid, 0)
	}
	if valid {
		c.valid[c.n>>3] |= 1 << (c.n & 7)
	} else {
		c.nulls++
	}
	c.n++
}

// Null appends a null.
func (c *Column) Null() {
	switch c.typ.ID() {
	case arrow.BOOL:
		c.bit(false)
	case arrow.STRING:
		c.end(len(c.data))
	case arrow.LIST:
		c.end(c.child.n)
	case arrow.NULL:
	default:
		c.put(0)
	}
	c.mark(false)
}

// Fixed appends a value of eight bytes.
func (c *Column) Fixed(v uint64) {
	c.put(v)
	c.mark(true)
}

func (c *Column) put(v uint64) {
	if c.fixed == nil {
		c.fixed = make([]uint64, 0, c.room+1)
	}
	c.fixed = append(c.fixed, v)
}

// Words makes an empty column one of n values of eight bytes each, nulls at first, for a caller that
// writes them: fixed[i], and bit i&7 of valid[i>>3] where the value is no null. Nulls says how many are left.
func (c *Column) Words(n int) (fixed []uint64, valid []byte) {
	c.mustBeEmpty()
	values := zeros(c.alloc, 8*n)
	c.made, c.bitmap = append(c.made, values), zeros(c.alloc, n/8+1)
	c.fixed, c.valid, c.n, c.nulls = arrow.Uint64Traits.CastFromBytes(values.Bytes()), c.bitmap.Bytes(), n, n
	return c.fixed, c.valid
}

func (c *Column) mustBeEmpty() {
	if c.n > 0 {
		panic("BUG: the column is not empty")
	}
}

// Texts makes an empty column one of n strings of size bytes together, none of them null, for a caller that writes data, and into
// ends[i+1] where string i ends in it.
func (c *Column) Texts(n, size int) (ends []int32, data []byte) {
	c.mustBeEmpty()
	if size > math.MaxInt32 {
		panic("BUG: a batch of more than 2 GiB of text")
	}
	at, texts := zeros(c.alloc, 4*(n+1)), zeros(c.alloc, size)
	c.made, c.n = append(c.made, at, texts), n
	return arrow.Int32Traits.CastFromBytes(at.Bytes()), texts.Bytes()
}

// Nulls says how many values of a column that Words made are null.
func (c *Column) Nulls(n int) { c.nulls = n }

// Bool appends a bool.
func (c *Column) Bool(v bool) {
	c.bit(v)
	c.mark(true)
}

func (c *Column) bit(v bool) {
	if c.n&7 == 0 {
		c.bits = append(c.bits, 0)
	}
	if v {
		c.bits[c.n>>3] |= 1 << (c.n & 7)
	}
}

// Text appends a string, copied.
func (c *Column) Text(v []byte) {
	if len(c.data)+len(v) > math.MaxInt32 {
		panic("BUG: a batch of more than 2 GiB of text")
	}
	c.data = append(c.data, v...)
	c.end(len(c.data))
	c.mark(true)
}

func (c *Column) end(at int) {
	if c.offs == nil { // the first offset is where the first value begins
		c.offs = append(make([]int32, 0, c.room+2), 0)
	}
	c.offs = append(c.offs, int32(at))
}

// From appends a value of an array of the column's type, or a null where the type is another.
func (c *Column) From(a arrow.Array, i int) {
	if a.IsNull(i) {
		c.Null()
		return
	}
	switch a := a.(type) {
	case *array.Float64:
		c.Fixed(math.Float64bits(a.Value(i)))
	case *array.Int64:
		c.Fixed(uint64(a.Value(i)))
	case *array.Timestamp:
		c.Fixed(uint64(a.Value(i)))
	case *array.Boolean:
		c.Bool(a.Value(i))
	case *array.String:
		c.data = append(c.data, a.Value(i)...)
		c.end(len(c.data))
		c.mark(true)
	case *array.List:
		from, to := a.ValueOffsets(i)
		for k := from; k < to; k++ {
			c.child.From(a.ListValues(), int(k))
		}
		c.end(c.child.n)
		c.mark(true)
	default:
		c.Null()
	}
}

// Finish returns the column, which the caller releases, and starts anew.
func (c *Column) Finish() arrow.Array {
	defer func() {
		for _, b := range c.made {
			b.Release()
		}
		if c.bitmap != nil {
			c.bitmap.Release()
		}
		*c = Column{typ: c.typ, child: c.child, room: c.n, alloc: c.alloc, made: c.made[:0]}
	}()
	if c.typ.ID() == arrow.NULL {
		return array.NewNull(c.n)
	}
	bufs := []*memory.Buffer{nil}
	switch {
	case c.nulls > 0 && c.bitmap != nil:
		bufs[0] = c.bitmap
	case c.nulls > 0:
		bufs[0] = memory.NewBufferBytes(c.valid)
	}
	var children []arrow.ArrayData
	switch id := c.typ.ID(); {
	case len(c.made) > 0:
		bufs = append(bufs, c.made...)
	case id == arrow.BOOL:
		bufs = append(bufs, memory.NewBufferBytes(c.bits))
	case id == arrow.STRING:
		bufs = append(bufs, c.ends(), memory.NewBufferBytes(c.data))
	case id == arrow.LIST:
		child := c.child.Finish()
		defer child.Release()
		bufs, children = append(bufs, c.ends()), []arrow.ArrayData{child.Data()}
	default:
		bufs = append(bufs, memory.NewBufferBytes(arrow.Uint64Traits.CastToBytes(c.fixed)))
	}
	data := array.NewData(c.typ, c.n, bufs, children, c.nulls, 0)
	defer data.Release()
	return array.MakeFromData(data)
}

func (c *Column) ends() *memory.Buffer {
	if c.offs == nil {
		c.offs = []int32{0}
	}
	return memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(c.offs))
}

// Finish returns several columns, which the caller releases.
func Finish(cols []*Column) []arrow.Array {
	out := make([]arrow.Array, len(cols))
	for i, c := range cols {
		out[i] = c.Finish()
	}
	return out
}

// Release releases columns.
func Release(cols []arrow.Array) {
	for _, c := range cols {
		c.Release()
	}
}
