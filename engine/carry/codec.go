package carry

import (
	"encoding/binary"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// Append appends the values of a row of some columns.
func Append(dst []byte, cols []arrow.Array, row int) []byte {
	for _, c := range cols {
		dst = AppendValue(dst, c, row)
	}
	return dst
}

// AppendValue appends one value of a column.
func AppendValue(dst []byte, a arrow.Array, row int) []byte {
	if a.IsNull(row) {
		return append(dst, 0)
	}
	le := binary.LittleEndian
	switch a := a.(type) {
	case *array.Float64:
		return le.AppendUint64(append(dst, 1), math.Float64bits(a.Value(row)))
	case *array.Int64:
		return le.AppendUint64(append(dst, 1), uint64(a.Value(row)))
	case *array.Timestamp:
		return le.AppendUint64(append(dst, 1), uint64(a.Value(row)))
	case *array.Boolean:
		if a.Value(row) {
			return append(dst, 2)
		}
		return append(dst, 1)
	case *array.String:
		v := a.Value(row)
		return append(le.AppendUint32(append(dst, 1), uint32(len(v))), v...)
	case *array.List:
		from, to := a.ValueOffsets(row)
		dst = le.AppendUint32(append(dst, 1), uint32(to-from))
		for i := from; i < to; i++ {
			dst = AppendValue(dst, a.ListValues(), int(i))
		}
		return dst
	}
	panic("BUG: a " + a.DataType().String() + " cannot be carried")
}

// Read appends the values of a row, as Append wrote it over columns of these types, to columns.
func Read(data []byte, to []*Column) {
	for _, c := range to {
		data = c.read(data)
	}
	if len(data) > 0 {
		panic("BUG: a row in a table has more values than columns")
	}
}

// ReadValue appends one value, as AppendValue wrote it over a column of this type, to a column, and
// returns what is behind it.
func ReadValue(data []byte, to *Column) []byte { return to.read(data) }

func (c *Column) read(data []byte) []byte {
	tag := data[0]
	data = data[1:]
	if tag == 0 {
		c.Null()
		return data
	}
	switch c.typ.ID() {
	case arrow.BOOL:
		c.Bool(tag == 2)
		return data
	case arrow.STRING:
		n := binary.LittleEndian.Uint32(data)
		c.Text(data[4 : 4+n])
		return data[4+n:]
	case arrow.LIST:
		n := binary.LittleEndian.Uint32(data)
		data = data[4:]
		for range n {
			data = c.child.read(data)
		}
		c.end(c.child.n)
		c.mark(true)
		return data
	}
	c.Fixed(binary.LittleEndian.Uint64(data))
	return data[8:]
}
