package parquet

import (
	"slices"

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

// picks are the rows of a row group in the order in which they stand in memory. Those of a file are
// sorted by key, so that neighbours come from far apart: were they read in the order in which they are written, each
// value would be a cache miss. Read batch by batch they are near each other, and what is written at
// random, a row group of one column, stays in the processor's second cache.
type picks struct {
	refs []Ref // as they are written, for lists
	list []pick
	ends []int // by batch: where its picks end
}

// pick is a row of a batch and the place to which it goes.
type pick struct{ row, to uint32 }

// sort sorts rows by batch, by counting.
func (p *picks) sort(batches int, refs []Ref) {
	p.refs, p.list, p.ends = refs, grow(p.list, len(refs)), grow(p.ends, batches)
	clear(p.ends)
	for _, r := range refs {
		p.ends[r.Batch]++
	}
	at := 0
	for i, n := range p.ends {
		p.ends[i] = at
		at += n
	}
	for i, r := range refs {
		p.list[p.ends[r.Batch]] = pick{r.Row, uint32(i)}
		p.ends[r.Batch]++
	}
}

// each calls f for each batch that has picks.
func (p *picks) each(batches []arrow.RecordBatch, column int, f func(a arrow.Array, list []pick)) {
	from := 0
	for i, to := range p.ends {
		if from < to {
			f(batches[i].Column(column), p.list[from:to])
		}
		from = to
	}
}

// gather reads a column's values of some rows.
func (v *values) gather(c *column, batches []arrow.RecordBatch, p *picks) {
	n := len(p.list)
	v.rows, v.nulls, v.valid = n, 0, nil
	v.ints, v.doubles, v.bools, v.texts = v.ints[:0], v.doubles[:0], v.bools[:0], v.texts[:0]
	if c.list {
		cols := make([]arrow.Array, len(batches))
		for i, b := range batches {
			cols[i] = b.Column(c.at)
		}
		v.gatherLists(c, cols, p.refs)
		return
	}
	switch c.physical {
	case typeInt64:
		v.ints = grow(v.ints, n)
		p.each(batches, c.at, func(a arrow.Array, list []pick) { scatter(v.ints, longs(a), list) })
	case typeInt32:
		v.ints = grow(v.ints, n)
		p.each(batches, c.at, func(a arrow.Array, list []pick) {
			values := a.(*array.Int32).Int32Values()
			for _, p := range list {
				v.ints[p.to] = int64(values[p.row])
			}
		})
	case typeDouble:
		v.doubles = grow(v.doubles, n)
		p.each(batches, c.at, func(a arrow.Array, list []pick) { scatter(v.doubles, a.(*array.Float64).Float64Values(), list) })
	case typeBool:
		v.bools = grow(v.bools, n)
		p.each(batches, c.at, func(a arrow.Array, list []pick) {
			bits, at := a.Data().Buffers()[1].Bytes(), a.Data().Offset()
			for _, p := range list {
				i := at + int(p.row)
				v.bools[p.to] = bits[i>>3]>>(i&7)&1 != 0
			}
		})
	case typeByteArray:
		v.texts = grow(v.texts, n)
		p.each(batches, c.at, func(a arrow.Array, list []pick) {
			// ValueBytes begins at the first value, ValueOffsets do not.
			offsets, data := a.(*array.String).ValueOffsets(), a.(*array.String).ValueBytes()
			base := offsets[0]
			for _, p := range list {
				v.texts[p.to] = data[offsets[p.row]-base : offsets[p.row+1]-base]
			}
		})
	}
	v.dropNulls(c, batches, p)
}

func scatter[T any](out, values []T, list []pick) {
	for _, p := range list {
		out[p.to] = values[p.row]
	}
}

// longs is a column of integers or times as a borrowed slice.
func longs(a arrow.Array) []int64 {
	if t, ok := a.(*array.Timestamp); ok {
		return arrow.Int64Traits.CastFromBytes(arrow.TimestampTraits.CastToBytes(t.TimestampValues()))
	}
	return a.(*array.Int64).Int64Values()
}

// dropNulls notes which rows have a value and moves the values together.
func (v *values) dropNulls(c *column, batches []arrow.RecordBatch, p *picks) {
	p.each(batches, c.at, func(a arrow.Array, list []pick) {
		if a.NullN() == 0 {
			return
		}
		if v.valid == nil {
			v.valid = slices.Repeat([]bool{true}, v.rows)
		}
		for _, p := range list {
			if a.IsNull(int(p.row)) {
				v.valid[p.to] = false
				v.nulls++
			}
		}
	})
	if v.nulls == 0 {
		v.valid = nil // batches have nulls, but none of these rows
		return
	}
	v.ints, v.doubles, v.bools, v.texts = those(v.ints, v.valid), those(v.doubles, v.valid), those(v.bools, v.valid), those(v.texts, v.valid)
}

// those keeps the values for which valid says so.
func those[T any](values []T, valid []bool) []T {
	n := 0
	for i := range values {
		if valid[i] {
			values[n] = values[i]
			n++
		}
	}
	return values[:n]
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
