package window

import (
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"

	"github.com/tidemill/tidemill/engine/flow"
)

// result computes one aggregate of every window.
func (w *window) result(r *result, q []emission) arrow.Array {
	a := &w.accs[r.accs[0]]
	if r.typ.ID() == arrow.LIST {
		return w.listOf(r, a, q)
	}
	switch a.kind {
	case accMinS, accMaxS, accFirstS, accLastS, accArgMinS, accArgMaxS:
		return w.texts(q, func(e emission) ([]byte, bool) { return w.textOf(a, e) })
	}
	return w.nullable(r.typ, q, w.valueOf(r, a))
}

// isMean tells whether a result is a mean of accSumF, which is computed while the words of its window are near.
func (w *window) isMean(r *result) bool {
	return w.accs[r.accs[0]].kind == accSumF && r.fn == "avg" && r.typ.ID() == arrow.FLOAT64
}

const exponent = 0x7ff << 52 // all of its bits: no number, or none that is finite

// means computes means of windows whose sums stand at word at of slots ats of words, and returns what is negative if one is no number, or none that is finite.
func means(values []int64, ats []uint32, words slots, at int) (odd int64) {
	values = values[:len(ats)]
	for i, slot := range ats {
		c := words.sumAt(slot, at)
		v := bitsOf((float(c[0]) + float(c[1])) / float64(c[2]))
		values[i] = v
		odd |= v&exponent + 1<<52
	}
	return odd
}

// meansArray is the column of means, null where there is none.
func (w *window) meansArray(m *mean) arrow.Array {
	n, nulls := len(m.v), 0
	if m.odd >= 0 {
		return wrap(arrow.PrimitiveTypes.Float64, n, 0, nil, m.buf)
	}
	valid := w.allSet(n)
	for i, v := range m.v {
		if v&exponent == exponent {
			bitutil.ClearBit(valid.Bytes(), i)
			m.v[i] = 0
			nulls++
		}
	}
	return wrap(arrow.PrimitiveTypes.Float64, n, nulls, valid, m.buf)
}

// valueOf returns the function that says what an aggregate is in one window.
func (w *window) valueOf(r *result, a *acc) func(e *emission, c []int64) (int64, bool) {
	at := a.at
	switch a.kind {
	case accSketch:
		return func(e *emission, _ []int64) (int64, bool) { return w.percentile(r, a, *e) }
	case accUnique:
		return func(e *emission, _ []int64) (int64, bool) {
			return w.uniq[r.accs[0]].union(w.panes, a.col, w.panesOf(*e)).count(), true
		}
	case accSeries:
		return func(e *emission, _ []int64) (int64, bool) {
			s := w.lists[r.accs[0]].union(w.panes, a.col, w.panesOf(*e))
			v, ok := s.increase(), len(s.t) > 0
			if r.fn == "time_avg" {
				v, ok = s.mean(r.linear)
			}
			word, finite := floatWord(v)
			return word, ok && finite
		}
	case accRows, accCount:
		return func(_ *emission, c []int64) (int64, bool) { return c[at], true }
	}
	if r.fn == "delta" || r.fn == "rate" {
		return func(_ *emission, c []int64) (int64, bool) { return w.change(r, c) }
	}
	known := -1
	if r.accs[1] >= 0 {
		known = w.accs[r.accs[1]].at
	}
	return func(_ *emission, c []int64) (int64, bool) {
		n := int64(1)
		if known >= 0 {
			n = c[known]
		}
		return a.value(r.fn, c[at:], n)
	}
}

// textOf is what an accumulator of texts holds; of several panes, that of the one that goes before the others.
func (w *window) textOf(a *acc, e emission) ([]byte, bool) {
	none := a.kind.start()
	at := 0
	if len(none) > 1 { // argmin and argmax: the event time tells
		at = 1
	}
	words := w.wordsOf(e)
	if words[a.at+at] == none[at] {
		return nil, false
	}
	var best []byte
	var of []int64
	for _, p := range w.panesOf(e) {
		c, text := w.cells(p), w.panes.Bytes(a.col, p)
		if s := c[a.at : a.at+a.n]; of == nil || a.better(of, s, best, text) {
			of, best = s, text
		}
	}
	return best, true
}

func (w *window) percentile(r *result, a *acc, e emission) (int64, bool) {
	s := w.drawn[r.accs[0]].union(w.panes, a.col, w.panesOf(e))
	if s.IsEmpty() {
		return 0, false
	}
	return floatWord(nearestRank(s, r.p))
}

// change is delta or rate.
func (w *window) change(r *result, c []int64) (int64, bool) {
	first, last := &w.accs[r.accs[0]], &w.accs[r.accs[1]]
	f, l := c[first.at:first.at+2], c[last.at:last.at+2]
	if f[0] == first.kind.start()[0] {
		return 0, false
	}
	whole := r.typ.ID() == arrow.INT64 || r.fn == "rate" && !w.isFloat(first.arg)
	if whole {
		d := l[1] - f[1]
		if over := (l[1] >= 0) != (f[1] >= 0) && (d >= 0) != (l[1] >= 0); !over && r.fn == "delta" {
			return d, true
		} else if over && r.fn == "delta" {
			return 0, false
		}
	}
	by := float(l[1]) - float(f[1])
	if whole {
		by = float64(l[1]) - float64(f[1])
	}
	if r.fn == "delta" {
		return floatWord(by)
	}
	if l[0] <= f[0] {
		return 0, false
	}
	return floatWord(by / (float64(l[0]-f[0]) / 1e6))
}

func (w *window) isFloat(arg int) bool { return w.args[arg].Type().ID() == arrow.FLOAT64 }

// listOf makes a column of lists.
func (w *window) listOf(r *result, a *acc, q []emission) arrow.Array {
	b := array.NewListBuilder(w.o.Alloc, r.typ.(*arrow.ListType).Elem())
	defer b.Release()
	for _, e := range q {
		switch a.kind {
		case accHist:
			b.Append(true)
			for _, n := range w.wordsOf(e)[a.at : a.at+a.n] {
				b.ValueBuilder().(*array.Int64Builder).Append(n)
			}
		case accTop:
			b.Append(true)
			w.appendTop(b.ValueBuilder(), w.tops[r.accs[0]].union(w.panes, a.col, w.panesOf(e)).most(r.k))
		case accSeries:
			b.Append(true)
			appendSeries(b.ValueBuilder(), w.lists[r.accs[0]].union(w.panes, a.col, w.panesOf(e)))
		}
	}
	return b.NewArray()
}

func appendSeries(b array.Builder, s *series) {
	for i := range s.t {
		switch b := b.(type) {
		case *array.StringBuilder:
			b.Append(s.s[i])
		case *array.Float64Builder:
			b.Append(float(s.w[i]))
		case *array.Int64Builder:
			b.Append(s.w[i])
		case *array.TimestampBuilder:
			b.Append(arrow.Timestamp(s.w[i]))
		case *array.BooleanBuilder:
			b.Append(s.w[i] != 0)
		}
	}
}

// appendTop adds values that flow.AppendKey wrote.
func (w *window) appendTop(b array.Builder, values []string) {
	keys := make([][]byte, len(values))
	for i, v := range values {
		keys[i] = []byte(v)
	}
	cols, err := flow.KeyColumns(keys, []arrow.DataType{b.Type()}, func(t arrow.DataType) array.Builder { return array.NewBuilder(w.o.Alloc, t) })
	if err != nil {
		panic("BUG: a counter holds a value that is none: " + err.Error())
	}
	defer cols[0].Release()
	for i := range values {
		switch a := cols[0].(type) {
		case *array.String:
			b.(*array.StringBuilder).Append(a.Value(i))
		case *array.Float64:
			b.(*array.Float64Builder).Append(a.Value(i))
		case *array.Int64:
			b.(*array.Int64Builder).Append(a.Value(i))
		case *array.Timestamp:
			b.(*array.TimestampBuilder).Append(a.Value(i))
		case *array.Boolean:
			b.(*array.BooleanBuilder).Append(a.Value(i))
		}
	}
}

// floatWord is a number as a word; what is no number is null.
func floatWord(v float64) (int64, bool) {
	return int64(math.Float64bits(v)), !math.IsNaN(v) && !math.IsInf(v, 0)
}

// value is what an accumulator says. c are its words; n is how many values were
// not null, where an accCount beside it tells.
func (a *acc) value(fn string, c []int64, n int64) (int64, bool) {
	switch a.kind {
	case accSumF:
		n = c[2]
		sum := math.Float64frombits(uint64(c[0])) + math.Float64frombits(uint64(c[1]))
		v, ok := floatWord(sum)
		return v, ok && n > 0
	case accSumI:
		n = c[2]
		if fn == "avg" {
			sum := float64(c[0])
			if c[1] != c[0]>>63 { // beyond an int64
				sum = float64(float64(c[1])*(1<<64)) + float64(uint64(c[0]))
			}
			v, ok := floatWord(sum / float64(n))
			return v, ok && n > 0
		}
		return c[0], n > 0 && c[1] == c[0]>>63 // null when the sum is no int64
	case accMinF, accMaxF:
		return floatWord(math.Float64frombits(uint64(c[0])))
	case accMinI, accMaxI:
		return c[0], n > 0
	case accFirst, accLast:
		return c[1], c[0] != a.kind.start()[0]
	case accArgMin, accArgMax:
		return c[2], c[1] != math.MaxInt64
	case accWelford:
		if c[0] < 2 {
			return 0, false
		}
		return floatWord(math.Sqrt(math.Float64frombits(uint64(c[2])) / float64(c[0]-1)))
	}
	return c[0], true
}
