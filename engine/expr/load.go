package expr

import (
	"encoding/binary"
	"sort"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// column is a column that a program reads.
type column struct {
	name  string
	kind  kind
	elem  kind
	reg   int
	open  bool // inferred in an open scope: may be missing, or be of another type
	index int  // in the batches of machine.schema; -1: missing
}

// bind finds the program's columns in s.
func (m *machine) bind(s *arrow.Schema) {
	for i := range m.cols {
		c := &m.cols[i]
		c.index = -1
		if at := s.FieldIndices(c.name); len(at) > 0 {
			k, e := kindOf(s.Field(at[0]).Type)
			switch {
			case k == c.kind && e == c.elem:
				c.index = at[0]
			case c.open && k == kInt && c.kind == kNum:
				c.index = at[0]
			case !c.open:
				panic("BUG: column " + c.name + " is not of the type that the expression was compiled for")
			}
		} else if !c.open {
			panic("BUG: column " + c.name + " is not in the batch")
		}
	}
	m.schema = s
}

func (m *machine) columnNames() []string {
	names := make([]string, len(m.cols))
	for i, c := range m.cols {
		names[i] = c.name
	}
	sort.Strings(names)
	return names
}

// loadNull makes r null in all rows.
func (r *reg) loadNull(n int) {
	clear(r.validity(n))
	switch r.kind {
	case kNum:
		clear(r.floats(n))
	case kInt, kTime:
		clear(r.ints(n))
	case kBool:
		clear(r.bools(n))
	case kText:
		r.ownOff = room(r.ownOff, n+1)
		clear(r.ownOff)
		r.off, r.data = r.ownOff, nil
	case kList:
		r.ownOff = room(r.ownOff, n+1)
		clear(r.ownOff)
		r.list = listView{off: r.ownOff}
	}
}

// load makes r show rows lo to lo+n of col. Numbers and texts of the right
// width are borrowed; bits are copied, since they may start anywhere.
func (r *reg) load(col arrow.Array, lo, n int) {
	r.valid = nil
	if col.NullN() > 0 {
		copyBits(r.validity(n), col.NullBitmapBytes(), col.Data().Offset()+lo)
	}
	switch a := col.(type) {
	case *array.Float64:
		r.f = a.Float64Values()[lo : lo+n]
	case *array.Float32:
		widen(r.floats(n), a.Float32Values()[lo:])
	case *array.Timestamp:
		r.i = arrow.Int64Traits.CastFromBytes(arrow.TimestampTraits.CastToBytes(a.TimestampValues()))[lo : lo+n]
	case *array.Boolean:
		r.loadBools(a, lo, n)
	case *array.String:
		r.loadText(a, lo, n)
	case *array.List:
		r.list.load(a, lo, n)
	default:
		r.loadInts(col, lo, n)
	}
}

// loadInts loads any width of integer; as numbers when an open scope took the
// column for one.
func (r *reg) loadInts(col arrow.Array, lo, n int) {
	switch a := col.(type) {
	case *array.Int64:
		r.i = a.Int64Values()[lo : lo+n]
	case *array.Int32:
		widen(r.ints(n), a.Int32Values()[lo:])
	case *array.Int16:
		widen(r.ints(n), a.Int16Values()[lo:])
	case *array.Int8:
		widen(r.ints(n), a.Int8Values()[lo:])
	case *array.Uint32:
		widen(r.ints(n), a.Uint32Values()[lo:])
	case *array.Uint16:
		widen(r.ints(n), a.Uint16Values()[lo:])
	case *array.Uint8:
		widen(r.ints(n), a.Uint8Values()[lo:])
	default:
		panic("BUG: column of type " + col.DataType().String())
	}
	if r.kind == kNum {
		widen(r.floats(n), r.i)
	}
}

type anyNumber interface {
	~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~float32 | ~float64
}

// widen fills dst with the first values of src.
func widen[D, S anyNumber](dst []D, src []S) {
	for i, x := range src[:len(dst)] {
		dst[i] = D(x)
	}
}

func (r *reg) loadBools(a *array.Boolean, lo, n int) {
	if n == 0 {
		r.bools(0)
		return
	}
	copyBits(r.bools(n), a.Data().Buffers()[1].Bytes(), a.Data().Offset()+lo)
}

func (r *reg) loadText(a *array.String, lo, n int) {
	if n == 0 {
		r.ownOff = room(r.ownOff, 1)
		r.ownOff[0] = 0
		r.off, r.data = r.ownOff, nil
		return
	}
	r.off = a.ValueOffsets()[lo : lo+n+1]
	r.data = nil
	if b := a.Data().Buffers()[2]; b != nil {
		r.data = b.Bytes()
	}
}

// copyBits fills dst with the bits of src from bit number from on. Bits past
// the end of src are 0.
func copyBits(dst []uint64, src []byte, from int) {
	src = src[from>>3:]
	shift := uint(from & 7)
	for w := range dst {
		x := wordAt(src, w*8)
		if shift != 0 {
			x >>= shift
			if w*8+8 < len(src) {
				x |= uint64(src[w*8+8]) << (64 - shift)
			}
		}
		dst[w] = x
	}
}

// wordAt is the little-endian word at src[at:], with zeros after the end.
func wordAt(src []byte, at int) uint64 {
	if at+8 <= len(src) {
		return binary.LittleEndian.Uint64(src[at:])
	}
	var x uint64
	for k := 0; at+k < len(src) && k < 8; k++ {
		x |= uint64(src[at+k]) << (8 * k)
	}
	return x
}
