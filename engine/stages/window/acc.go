package window

import (
	"math"
	"math/bits"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// accKind is a way to gather values of a pane. Several aggregates may share one.
type accKind uint8

const (
	accRows    accKind = iota // n
	accCount                  // n of values that are not null
	accSumF                   // sum, compensation (two-sum, Knuth 1969), n
	accSumI                   // low, high half of a 128-bit sum, n
	accMinF                   // value, +Inf when none
	accMaxF                   // value, -Inf when none
	accMinI                   // value; beside an accCount that tells whether there is one
	accMaxI                   //
	accMinS                   // set?; the text is in a Bytes column
	accMaxS                   //
	accFirst                  // event time, value
	accLast                   //
	accFirstS                 // event time; the text is in a Bytes column
	accLastS                  //
	accWelford                // n, mean, sum of squared distances (Welford 1962)
	accSketch                 // DDSketch in a Bytes column
	accUnique                 // set of hashes, then HyperLogLog, in a Bytes column
	accHist                   // n of each bucket
	accArgMin                 // what it is by, event time, value
	accArgMax                 //
	accArgMinS                // what it is by, event time; the text is in a Bytes column
	accArgMaxS                //
	accSeries                 // values in order of event time, in a Bytes column
	accTop                    // counters of the most frequent values, in a Bytes column
)

// words is how many int64 words of a pane an accumulator takes.
func (k accKind) words() int {
	switch k {
	case accFirst, accLast:
		return 2
	case accSumF, accSumI, accWelford, accArgMin, accArgMax:
		return 3
	case accArgMinS, accArgMaxS:
		return 2
	case accSketch, accUnique, accSeries, accTop:
		return 0
	}
	return 1
}

// raw says whether an accumulator also has a Bytes column.
func (k accKind) raw() bool {
	switch k {
	case accMinS, accMaxS, accFirstS, accLastS, accSketch, accUnique, accArgMinS, accArgMaxS, accSeries, accTop:
		return true
	}
	return false
}

// decoded says whether an accumulator works on a decoded form of its Bytes column.
func (k accKind) decoded() bool {
	return k == accSketch || k == accUnique || k == accSeries || k == accTop
}

// acc is one accumulator of every pane.
type acc struct {
	kind accKind
	arg  int // index into the window's arguments; -1: none
	by   int // of argmin and argmax: index of what is compared
	at   int // its first word in a pane
	n    int // how many words
	col  int // its Bytes column of the panes table

	bounds []float64 // of a histogram
	limit  int       // of values in a series or counters of a top
	early  bool      // a series that is full keeps the earliest values
}

// start is what the words of an accumulator hold in a new pane.
func (k accKind) start() []int64 {
	float := func(v float64) int64 { return int64(math.Float64bits(v)) }
	switch k {
	case accMinF:
		return []int64{float(math.Inf(1))}
	case accMaxF:
		return []int64{float(math.Inf(-1))}
	case accMinI:
		return []int64{math.MaxInt64}
	case accMaxI:
		return []int64{math.MinInt64}
	case accFirst, accFirstS:
		return []int64{math.MaxInt64, 0}[:k.words()]
	case accLast, accLastS:
		return []int64{math.MinInt64, 0}[:k.words()]
	case accArgMin, accArgMinS, accArgMax, accArgMaxS:
		return []int64{0, math.MaxInt64, 0}[:k.words()]
	}
	return make([]int64, k.words())
}

// input is an argument's values over one batch, as numbers, integers (also of
// times and bools) or strings, whichever the accumulators ask for.
type input struct {
	arr   arrow.Array
	f     []float64
	i     []int64
	s     *array.String
	valid bool // no nulls
}

// set takes an argument's values; asFloat says that some accumulator wants
// numbers. f and i are used again from batch to batch where values are converted.
func (in *input) set(a arrow.Array, asFloat bool, room *scratch) {
	*in = input{arr: a, valid: a.NullN() == 0}
	switch a := a.(type) {
	case *array.Float64:
		in.f = a.Float64Values()
	case *array.Int64:
		in.i = a.Int64Values()
	case *array.Timestamp:
		in.i = arrow.Int64Traits.CastFromBytes(arrow.TimestampTraits.CastToBytes(a.TimestampValues()))
	case *array.Boolean:
		room.i = room.i[:0]
		for r := range a.Len() {
			v := int64(0)
			if a.IsValid(r) && a.Value(r) {
				v = 1
			}
			room.i = append(room.i, v)
		}
		in.i = room.i
	case *array.String:
		in.s = a
	}
	if asFloat && in.f == nil {
		room.f = room.f[:0]
		for _, v := range in.i {
			room.f = append(room.f, float64(v))
		}
		in.f = room.f
	}
}

// ordered is a value as a word whose order is that of the values; in is of numbers or integers.
func (in *input) ordered(row int) int64 {
	if in.i != nil {
		return in.i[row]
	}
	bits := int64(math.Float64bits(in.f[row] + 0)) // -0 becomes 0
	return bits ^ int64(uint64(bits>>63)>>1)
}

// word is a value that is no string as a word.
func (in *input) word(row int) int64 {
	if in.i != nil {
		return in.i[row]
	}
	return int64(math.Float64bits(in.f[row]))
}

// scratch is memory for converted values of one argument.
type scratch struct {
	f []float64
	i []int64
}

// each calls f for the rows from lo to hi that have a pane and a value.
func (in *input) each(idx []uint32, lo, hi int, f func(row int, pane uint32)) {
	for r := lo; r < hi; r++ {
		if p := idx[r]; p != noPane && (in.valid || in.arr.IsValid(r)) {
			f(r, p)
		}
	}
}

// addSums is addFloats for the commonest case, a sum of a column without nulls.
func (a *acc) addSums(cells []int64, w int, vals []float64, idx []uint32) {
	vals = vals[:len(idx)]
	for r, p := range idx {
		if p == noPane {
			continue
		}
		c := (*[3]int64)(cells[int(p)*w+a.at:])
		sum, comp := addExact(math.Float64frombits(uint64(c[0])), math.Float64frombits(uint64(c[1])), vals[r])
		c[0], c[1], c[2] = int64(math.Float64bits(sum)), int64(math.Float64bits(comp)), c[2]+1
	}
}

// addFloats gathers numbers into cells, w words a pane. idx says which pane each row is in.
func (a *acc) addFloats(cells []int64, w int, in *input, idx []uint32, lo, hi int) {
	if a.kind == accSumF && in.valid {
		a.addSums(cells, w, in.f[lo:hi], idx[lo:hi])
		return
	}
	vals, idx := in.f[:hi], idx[:hi]
	for r := lo; r < hi; r++ {
		p := idx[r]
		if p == noPane || !in.valid && in.arr.IsNull(r) {
			continue
		}
		v := vals[r]
		c := cells[int(p)*w+a.at:]
		switch a.kind {
		case accSumF:
			_ = c[2]
			sum, comp := addExact(math.Float64frombits(uint64(c[0])), math.Float64frombits(uint64(c[1])), v)
			c[0], c[1], c[2] = int64(math.Float64bits(sum)), int64(math.Float64bits(comp)), c[2]+1
		case accMinF:
			if v < math.Float64frombits(uint64(c[0])) {
				c[0] = int64(math.Float64bits(v))
			}
		case accMaxF:
			if v > math.Float64frombits(uint64(c[0])) {
				c[0] = int64(math.Float64bits(v))
			}
		case accWelford:
			_ = c[2]
			n := c[0] + 1
			mean := math.Float64frombits(uint64(c[1]))
			d := v - mean
			mean += d / float64(n)
			m2 := math.Float64frombits(uint64(c[2])) + float64(d*(v-mean))
			c[0], c[1], c[2] = n, int64(math.Float64bits(mean)), int64(math.Float64bits(m2))
		}
	}
}

// addExact adds v to a sum whose lost low bits are gathered in comp. It finds
// them by Knuth's two-sum, which has no branch on which of the two is larger.
// The conversions keep the compiler from fusing, so that all machines agree.
func addExact(sum, comp, v float64) (float64, float64) {
	t := sum + v
	u := t - sum
	return t, comp + (float64(sum-float64(t-u)) + float64(v-u))
}

// addInts is addFloats for integers, times, bools and counts.
func (a *acc) addInts(cells []int64, w int, in *input, idx []uint32, lo, hi int) {
	for r := lo; r < hi; r++ {
		p := idx[r]
		if p == noPane || in != nil && !in.valid && in.arr.IsNull(r) {
			continue
		}
		c := cells[int(p)*w+a.at:]
		switch a.kind {
		case accRows, accCount:
			c[0]++
		case accSumI:
			lo, carry := bits.Add64(uint64(c[0]), uint64(in.i[r]), 0)
			hi, _ := bits.Add64(uint64(c[1]), uint64(in.i[r]>>63), carry)
			c[0], c[1], c[2] = int64(lo), int64(hi), c[2]+1
		case accMinI:
			c[0] = min(c[0], in.i[r])
		case accMaxI:
			c[0] = max(c[0], in.i[r])
		}
	}
}

// addEdges keeps the value with the lowest or highest event time. Of equal
// times the first row counts as first and the last as last.
func (a *acc) addEdges(cells []int64, w int, in *input, times []arrow.Timestamp, idx []uint32, lo, hi int) {
	in.each(idx, lo, hi, func(r int, p uint32) {
		c, t := cells[int(p)*w+a.at:], int64(times[r])
		if a.kind == accFirst && t >= c[0] || a.kind == accLast && t < c[0] {
			return
		}
		c[0] = t
		if in.f != nil && in.i == nil {
			c[1] = int64(math.Float64bits(in.f[r]))
		} else {
			c[1] = in.i[r]
		}
	})
}
