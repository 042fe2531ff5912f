package join

import (
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"

	"github.com/tidemill/tidemill/engine/carry"
	"github.com/tidemill/tidemill/engine/stage"
)

// layout says where the columns of a row that waits stand: values of eight bytes and bools in words behind
// the row's place, one a column, others in its byte string. A column that rows agree in anyway stands nowhere: the
// partner has it.
//
//	| place, see interval.go | bits: which are null | a word a value ... |
type layout struct {
	types []arrow.DataType
	words []int // by column: its word; 0: it has none
	keys  []int // by column: the key column that has it, plus one; 0: none
	nulls int   // the first word of bits
	end   int   // behind the last word
	texts bool  // some columns are in the byte string
}

// newLayout lays out columns. Those that are called like a key need not be kept.
func newLayout(fields []arrow.Field, keys []stage.Column) layout {
	l := layout{words: make([]int, len(fields)), keys: make([]int, len(fields)), nulls: rowWords, end: rowWords + (len(fields)+63)/64}
	for i, f := range fields {
		l.types = append(l.types, f.Type)
		switch f.Type.ID() {
		case arrow.FLOAT64, arrow.INT64, arrow.TIMESTAMP, arrow.BOOL:
			l.words[i] = l.end
			l.end++
		default:
			l.texts = true
		}
		if k := slices.IndexFunc(keys, func(c stage.Column) bool { return c.Name == f.Name }); k >= 0 && exact(f.Type) {
			l.drop(i, k)
		}
	}
	return l
}

// exact tells whether values of a type that are equal as keys are the same.
func exact(t arrow.DataType) bool {
	return t.ID() == arrow.STRING || t.ID() == arrow.INT64 || t.ID() == arrow.TIMESTAMP || t.ID() == arrow.BOOL
}

// drop takes the last column out of what is kept.
func (l *layout) drop(i, key int) {
	l.keys[i] = key + 1
	if l.words[i] > 0 {
		l.words[i] = 0
		l.end--
		return
	}
	l.texts = false
	for c := range i {
		l.texts = l.texts || l.words[c] == 0 && l.keys[c] == 0
	}
}

// source is a column of the batch at hand.
type source struct {
	arr   arrow.Array
	words []int64 // of values of eight bytes
	ends  []int32 // of texts: where each begins and ends in data
	data  []byte
	valid bool // no nulls
}

func sourceOf(a arrow.Array) source {
	s := source{arr: a, valid: a.NullN() == 0}
	switch a := a.(type) {
	case *array.Float64:
		s.words = arrow.Int64Traits.CastFromBytes(arrow.Float64Traits.CastToBytes(a.Float64Values()))
	case *array.Int64:
		s.words = a.Int64Values()
	case *array.Timestamp:
		s.words = arrow.Int64Traits.CastFromBytes(arrow.TimestampTraits.CastToBytes(a.TimestampValues()))
	case *array.String:
		if a.Len() > 0 {
			s.ends, s.data = a.ValueOffsets(), a.ValueBytes()
		}
	}
	return s
}

// to appends the value of row i to a column.
func (s *source) to(c *carry.Column, i int) {
	switch {
	case !s.valid && s.arr.IsNull(i):
		c.Null()
	case s.words != nil:
		c.Fixed(uint64(s.words[i]))
	case s.ends != nil:
		c.Text(s.data[s.ends[i]-s.ends[0] : s.ends[i+1]-s.ends[0]])
	default:
		c.From(s.arr, i)
	}
}

// put writes row i of the columns into the words of a row that waits, which are all set, and returns the byte
// string, in the memory of buf.
func (l *layout) put(row []int64, cols []source, i int, buf []byte) []byte {
	for k := l.nulls; k < l.nulls+(len(cols)+63)/64; k++ {
		row[k] = 0
	}
	for c := range cols {
		s, at := &cols[c], l.words[c]
		switch {
		case at == 0 && l.keys[c] == 0:
			buf = carry.AppendValue(buf, s.arr, i)
		case at == 0:
		case !s.valid && s.arr.IsNull(i):
			row[l.nulls+c>>6] |= 1 << (c & 63)
			row[at] = 0
		case s.words != nil:
			row[at] = s.words[i]
		default:
			row[at] = 0
			if s.arr.(*array.Boolean).Value(i) {
				row[at] = 1
			}
		}
	}
	return buf
}

// value appends the value of a column that is in words to a column.
func (l *layout) value(c int, row []int64, to *carry.Column) {
	switch at := l.words[c]; {
	case row[l.nulls+c>>6]>>(c&63)&1 != 0:
		to.Null()
	case l.isBool(c):
		to.Bool(row[at] != 0)
	default:
		to.Fixed(uint64(row[at]))
	}
}

func (l *layout) isBool(c int) bool { return l.types[c].ID() == arrow.BOOL }

// gather fills a column with the values of the pairs' rows, all of which are at hand.
func (s *source) gather(to *carry.Column, pairs []pair) {
	switch {
	case s.words != nil:
		s.gatherWords(to, pairs)
		return
	case s.ends != nil && s.valid:
		s.gatherTexts(to, pairs)
		return
	}
	for k := range pairs {
		s.to(to, int(pairs[k].row))
	}
}

// gatherTexts is gather for texts of which none is null. Rows that follow each other are copied at once.
func (s *source) gatherTexts(to *carry.Column, pairs []pair) {
	size := 0
	for k := range pairs {
		size += int(s.ends[pairs[k].row+1] - s.ends[pairs[k].row])
	}
	ends, data := to.Texts(len(pairs), size)
	at := int32(0)
	for k := 0; k < len(pairs); {
		first, n := int(pairs[k].row), 1
		for k+n < len(pairs) && int(pairs[k+n].row) == first+n {
			n++
		}
		from := s.ends[first]
		for i, end := range s.ends[first+1 : first+1+n] {
			ends[k+1+i] = at + end - from
		}
		at += int32(copy(data[at:], s.data[from-s.ends[0]:s.ends[first+n]-s.ends[0]]))
		k += n
	}
}

func (s *source) gatherWords(to *carry.Column, pairs []pair) {
	fixed, valid := to.Words(len(pairs))
	if s.valid {
		for k := range pairs {
			fixed[k] = uint64(s.words[pairs[k].row])
		}
		to.Nulls(0)
		return
	}
	bits, from, nulls := s.arr.NullBitmapBytes(), s.arr.Data().Offset(), 0
	for k := range pairs {
		i := int(pairs[k].row)
		if !bitutil.BitIsSet(bits, from+i) {
			nulls++
			continue
		}
		fixed[k] = uint64(s.words[i])
		valid[k>>3] |= 1 << (k & 7)
	}
	to.Nulls(nulls)
}
