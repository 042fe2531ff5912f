package parquet

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// Ref is a row of one of several batches.
type Ref struct{ Batch, Row uint32 }

// values are a column of a row group, gathered: one of the slices, by the
// column's physical type, has the values that are not null.
type values struct {
	rows    int
	ints    []int64
	doubles []float64
	bools   []bool
	texts   [][]byte // borrowed from the batches
	nulls   int      // entries without a value
	// valid tells, by row, whether there is a value; nil when all rows have one. With lists it is unused.
	valid []bool
	// Of lists: by entry (an element, or a list without any).
	defs, reps []uint32
}

// gather reads a column's values of some rows.
func (v *values) gather(c *column, batches []arrow.RecordBatch, refs []Ref) {
	v.rows, v.nulls, v.valid = len(refs), 0, nil
	v.ints, v.doubles, v.bools, v.texts = v.ints[:0], v.doubles[:0], v.bools[:0], v.texts[:0]
	cols := make([]arrow.Array, len(batches))
	nulls := false
	for i, b := range batches {
		cols[i] = b.Column(c.at)
		nulls = nulls || cols[i].NullN() > 0
	}
	if c.list {
		v.gatherLists(c, cols, refs)
		return
	}
	if nulls {
		refs = v.gatherValid(cols, refs)
	}
	switch c.physical {
	case typeInt64:
		v.ints = gather64(v.ints, cols, refs)
	case typeInt32:
		v.ints = grow(v.ints, len(refs))
		each(cols, refs, func(a arrow.Array) []int32 { return a.(*array.Int32).Int32Values() }, func(i int, x int32) { v.ints[i] = int64(x) })
	case typeDouble:
		v.doubles = grow(v.doubles, len(refs))
		slices := make([][]float64, len(cols))
		for i, a := range cols {
			slices[i] = a.(*array.Float64).Float64Values()
		}
		for i, r := range refs {
			v.doubles[i] = slices[r.Batch][r.Row]
		}
	case typeBool:
		v.bools = grow(v.bools, len(refs))
		for i, r := range refs {
			v.bools[i] = cols[r.Batch].(*array.Boolean).Value(int(r.Row))
		}
	case typeByteArray:
		v.texts = gatherTexts(v.texts, cols, refs)
	}
}

func each[T any](cols []arrow.Array, refs []Ref, of func(arrow.Array) []T, put func(int, T)) {
	slices := make([][]T, len(cols))
	for i, a := range cols {
		slices[i] = of(a)
	}
	for i, r := range refs {
		put(i, slices[r.Batch][r.Row])
	}
}

func gather64(out []int64, cols []arrow.Array, refs []Ref) []int64 {
	slices := make([][]int64, len(cols))
	for i, a := range cols {
		slices[i] = longs(a)
	}
	out = grow(out, len(refs))
	for i, r := range refs {
		out[i] = slices[r.Batch][r.Row]
	}
	return out
}

// longs is a column of integers or times as a borrowed slice.
func longs(a arrow.Array) []int64 {
	if t, ok := a.(*array.Timestamp); ok {
		return arrow.Int64Traits.CastFromBytes(arrow.TimestampTraits.CastToBytes(t.TimestampValues()))
	}
	return a.(*array.Int64).Int64Values()
}

func gatherTexts(out [][]byte, cols []arrow.Array, refs []Ref) [][]byte {
	type text struct {
		offs []int32
		data []byte
	}
	slices := make([]text, len(cols))
	for i, a := range cols {
		s := a.(*array.String)
		// ValueBytes begins at the first value, ValueOffsets do not.
		slices[i] = text{s.ValueOffsets(), s.ValueBytes()}
	}
	out = grow(out, len(refs))
	for i, r := range refs {
		s := &slices[r.Batch]
		base := s.offs[0]
		out[i] = s.data[s.offs[r.Row]-base : s.offs[r.Row+1]-base]
	}
	return out
}

// gatherValid notes which rows have a value and returns those rows.
func (v *values) gatherValid(cols []arrow.Array, refs []Ref) []Ref {
	v.valid = make([]bool, len(refs))
	some := make([]Ref, 0, len(refs))
	for i, r := range refs {
		if cols[r.Batch].IsValid(int(r.Row)) {
			v.valid[i] = true
			some = append(some, r)
		}
	}
	v.nulls = len(refs) - len(some)
	return some
}

// gatherLists gathers elements, with the levels of each entry (Dremel: Melnik
// et al. 2010): definition 0 is no list, 1 an empty one, 2 a null in it, 3 a value.
func (v *values) gatherLists(c *column, cols []arrow.Array, refs []Ref) {
	v.defs, v.reps = v.defs[:0], v.reps[:0]
	elems := make([]arrow.Array, len(cols))
	for i, a := range cols {
		elems[i] = a.(*array.List).ListValues()
	}
	for _, r := range refs {
		list := cols[r.Batch].(*array.List)
		if list.IsNull(int(r.Row)) {
			v.entry(0, 0)
			continue
		}
		from, to := list.ValueOffsets(int(r.Row))
		if from == to {
			v.entry(1, 0)
		}
		for i := from; i < to; i++ {
			rep := uint32(1)
			if i == from {
				rep = 0
			}
			e := elems[r.Batch]
			if e.IsNull(int(i)) {
				v.entry(2, rep)
				continue
			}
			v.entry(3, rep)
			v.element(c, e, int(i))
		}
	}
}

func (v *values) entry(def, rep uint32) {
	v.defs, v.reps = append(v.defs, def), append(v.reps, rep)
	if def < 3 {
		v.nulls++
	}
}

func (v *values) element(c *column, a arrow.Array, i int) {
	switch c.physical {
	case typeInt64:
		v.ints = append(v.ints, longs(a)[i])
	case typeInt32:
		v.ints = append(v.ints, int64(a.(*array.Int32).Value(i)))
	case typeDouble:
		v.doubles = append(v.doubles, a.(*array.Float64).Value(i))
	case typeBool:
		v.bools = append(v.bools, a.(*array.Boolean).Value(i))
	case typeByteArray:
		s := a.(*array.String)
		base := s.ValueOffset(0)
		v.texts = append(v.texts, s.ValueBytes()[s.ValueOffset(i)-base:s.ValueOffset(i)-base+s.ValueLen(i)])
	}
}
