package expr

import (
	"bytes"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// listView shows some rows of a column of lists. Row i's elements are
// off[i] to off[i+1] of the values, of which one slice is set.
type listView struct {
	off      []int32
	f        []float64
	i        []int64
	textOff  []int32
	text     []byte
	bits     []byte // elements that are bools, from bit number bitsFrom
	bitsFrom int
	// valid has a bit for each element from bit number validFrom; nil: no nulls.
	valid     []byte
	validFrom int
}

func (v *listView) load(a *array.List, lo, n int) {
	if n == 0 {
		*v = listView{}
		return
	}
	*v = listView{off: a.Offsets()[a.Data().Offset()+lo:][:n+1]}
	child := a.ListValues()
	if child.NullN() > 0 {
		v.valid, v.validFrom = child.NullBitmapBytes(), child.Data().Offset()
	}
	switch c := child.(type) {
	case *array.Float64:
		v.f = c.Float64Values()
	case *array.Int64:
		v.i = c.Int64Values()
	case *array.Timestamp:
		v.i = arrow.Int64Traits.CastFromBytes(arrow.TimestampTraits.CastToBytes(c.TimestampValues()))
	case *array.Boolean:
		if c.Len() > 0 {
			v.bits, v.bitsFrom = c.Data().Buffers()[1].Bytes(), c.Data().Offset()
		}
	case *array.String:
		if c.Len() > 0 {
			v.textOff = c.ValueOffsets()
			if b := c.Data().Buffers()[2]; b != nil {
				v.text = b.Bytes()
			}
		}
	default:
		panic("BUG: list of " + child.DataType().String())
	}
}

func (v *listView) isNull(e int) bool {
	if v.valid == nil {
		return false
	}
	e += v.validFrom
	return v.valid[e>>3]>>(e&7)&1 == 0
}

func (v *listView) bit(e int) bool {
	e += v.bitsFrom
	return v.bits[e>>3]>>(e&7)&1 != 0
}

func (v *listView) textOf(e int) []byte { return v.text[v.textOff[e]:v.textOff[e+1]] }

// listLength counts the elements, null ones too.
func listLength(m *machine, in *instr, n int) {
	a := &m.regs[in.args[0]].list
	d := m.regs[in.dst].ints(n)
	for i := range d {
		d[i] = int64(a.off[i+1]) - int64(a.off[i])
	}
}

// listIndex is the element at an index that counts from 0; null past the end
// and below 0.
func listIndex(m *machine, in *instr, n int) {
	a, x, r := &m.regs[in.args[0]].list, &m.regs[in.args[1]], &m.regs[in.dst]
	at := func(i int) int {
		size := int64(a.off[i+1]) - int64(a.off[i])
		k := x.i[i&x.mask]
		if k < 0 || k >= size || r.isNull(i) {
			return -1
		}
		if e := int(a.off[i]) + int(k); !a.isNull(e) {
			return e
		}
		return -1
	}
	switch r.kind {
	case kNum:
		takeElems(r, r.floats(n), a.f, n, at)
	case kInt, kTime:
		takeElems(r, r.ints(n), a.i, n, at)
	case kBool:
		d := r.bools(n)
		clear(d)
		for i := range n {
			if e := at(i); e < 0 {
				r.setNull(i, n)
			} else {
				d[i>>6] |= b2u(a.bit(e)) << (i & 63)
			}
		}
	case kText:
		r.startText(n)
		for i := range n {
			if e := at(i); e < 0 {
				r.nullText(i, n)
			} else {
				r.ownData = append(r.ownData, a.textOf(e)...)
				r.endText(i, n)
			}
		}
	default:
		panic("BUG: element of kind " + r.kind.String())
	}
}

func takeElems[T float64 | int64](r *reg, d, values []T, n int, at func(i int) int) {
	for i := range d {
		e := at(i)
		if e < 0 {
			d[i] = 0
			r.setNull(i, n)
			continue
		}
		d[i] = values[e]
	}
}

// listContains is SQL's IN: true if an element equals the value, else null if
// an element is null, else false.
func listContains(m *machine, in *instr, n int) {
	a, x, r := &m.regs[in.args[0]].list, &m.regs[in.args[1]], &m.regs[in.dst]
	d := r.bools(n)
	clear(d)
	for i := range n {
		if r.isNull(i) {
			continue
		}
		found, unknown := false, false
		for e := int(a.off[i]); e < int(a.off[i+1]) && !found; e++ {
			if a.isNull(e) {
				unknown = true
				continue
			}
			found = a.equals(e, x, i)
		}
		d[i>>6] |= b2u(found) << (i & 63)
		if unknown && !found {
			r.setNull(i, n)
		}
	}
}

// equals compares element e with row i of x, which is of the elements' kind.
func (v *listView) equals(e int, x *reg, i int) bool {
	switch x.kind {
	case kNum:
		return v.f[e] == x.f[i&x.mask]
	case kInt, kTime:
		return v.i[e] == x.i[i&x.mask]
	case kBool:
		return v.bit(e) == x.bit(i)
	case kText:
		return bytes.Equal(v.textOf(e), x.text(i))
	}
	panic("BUG: element of kind " + x.kind.String())
}
