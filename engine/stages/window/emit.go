package window

import (
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/flow"
)

// emitRows limits a batch that goes out.
const emitRows = 8192

// emit sends the queued panes and deletes the dead ones. All rows of queued
// panes must have been added.
func (w *window) emit(out flow.Emitter) {
	for q := w.queue; len(q) > 0; {
		n := min(len(q), emitRows)
		out.Emit(w.batch(q[:n]))
		q = q[n:]
	}
	for _, e := range w.queue {
		w.paneLinks(e.pane)[paneFlags] &^= flagQueued
		w.rest(e.pane, false)
	}
	for _, p := range w.dead {
		w.rest(p, true)
		w.panes.Delete(p)
	}
	w.queue, w.dead = w.queue[:0], w.dead[:0]
}

func (w *window) rest(p uint32, deleted bool) {
	for i, a := range w.accs {
		if w.drawn[i] != nil {
			w.drawn[i].rest(w.panes, a.col, p, deleted)
		}
		if w.uniq[i] != nil {
			w.uniq[i].rest(w.panes, a.col, p, deleted)
		}
	}
}

// batch makes the rows of emissions.
func (w *window) batch(q []emission) arrow.RecordBatch {
	n := len(q)
	var cols []arrow.Array
	defer func() {
		for _, c := range cols {
			c.Release()
		}
	}()
	last := func(e emission) int64 { return w.cells(e.pane)[paneStart] + w.every - 1 }
	start := func(e emission) int64 { return w.cells(e.pane)[paneStart] }
	cols = append(cols,
		w.longs(arrow.PrimitiveTypes.Int64, q, func(e emission) int64 { return w.cells(e.pane)[paneOffset] }),
		w.shorts(arrow.PrimitiveTypes.Int32, q, func(e emission) uint32 { return uint32(w.cells(e.pane)[paneIndex]) }),
		w.longs(flow.Timestamp, q, func(e emission) int64 { return w.cells(e.pane)[paneReceived] }),
		w.longs(flow.Timestamp, q, last),
		w.shorts(arrow.PrimitiveTypes.Uint32, q, func(e emission) uint32 { return w.groupLinks(e.group)[groupSlot] }),
		w.longs(arrow.PrimitiveTypes.Int64, q, last))
	keys := w.keyColumns(q)
	cols = append(cols, keys...)
	cols = append(cols, w.longs(flow.Timestamp, q, start),
		w.longs(flow.Timestamp, q, func(e emission) int64 { return start(e) + w.every }))
	cols = append(cols, w.values(q, keys)...)
	cols = append(cols,
		w.longs(arrow.PrimitiveTypes.Int64, q, func(e emission) int64 { return int64(e.revision) }),
		w.bools(q, func(e emission) bool { return e.final }))
	return array.NewRecordBatch(w.out, cols, int64(n))
}

// values computes the members of emit.
func (w *window) values(q []emission, keys []arrow.Array) []arrow.Array {
	results := make([]arrow.Array, len(w.results))
	for i := range w.results {
		results[i] = w.result(&w.results[i], q)
		defer results[i].Release()
	}
	var out []arrow.Array
	for _, m := range w.members {
		cols := append([]arrow.Array{}, keys...)
		for _, r := range m.results {
			cols = append(cols, results[r])
		}
		rows := array.NewRecordBatch(m.schema, cols, int64(len(q)))
		out = append(out, m.prog.Eval(rows, w.o.Alloc))
		rows.Release()
	}
	return out
}

func (w *window) buffer(n int) *memory.Buffer {
	b := memory.NewResizableBuffer(w.o.Alloc)
	b.Resize(n)
	return b
}

// wrap makes an array of buffers, which it takes.
func wrap(t arrow.DataType, n, nulls int, bufs ...*memory.Buffer) arrow.Array {
	d := array.NewData(t, n, bufs, nil, nulls, 0)
	defer d.Release()
	for _, b := range bufs {
		if b != nil {
			b.Release()
		}
	}
	return array.MakeFromData(d)
}

func (w *window) longs(t arrow.DataType, q []emission, f func(emission) int64) arrow.Array {
	b := w.buffer(len(q) * 8)
	out := arrow.Int64Traits.CastFromBytes(b.Bytes())
	for i, e := range q {
		out[i] = f(e)
	}
	return wrap(t, len(q), 0, nil, b)
}

func (w *window) shorts(t arrow.DataType, q []emission, f func(emission) uint32) arrow.Array {
	b := w.buffer(len(q) * 4)
	out := arrow.Uint32Traits.CastFromBytes(b.Bytes())
	for i, e := range q {
		out[i] = f(e)
	}
	return wrap(t, len(q), 0, nil, b)
}

func (w *window) bools(q []emission, f func(emission) bool) arrow.Array {
	b := w.buffer(int(bitutil.BytesForBits(int64(len(q)))))
	clear(b.Bytes())
	for i, e := range q {
		if f(e) {
			bitutil.SetBit(b.Bytes(), i)
		}
	}
	return wrap(arrow.FixedWidthTypes.Boolean, len(q), 0, nil, b)
}

// nullable makes a column of 64-bit words of which some are null, or of bits
// when t is bool.
func (w *window) nullable(t arrow.DataType, q []emission, f func(emission) (v int64, ok bool)) arrow.Array {
	valid, words := w.buffer(int(bitutil.BytesForBits(int64(len(q))))), w.buffer(len(q)*8)
	clear(valid.Bytes())
	out := arrow.Int64Traits.CastFromBytes(words.Bytes())
	nulls := 0
	for i, e := range q {
		v, ok := f(e)
		if out[i] = v; ok {
			bitutil.SetBit(valid.Bytes(), i)
		} else {
			out[i] = 0
			nulls++
		}
	}
	if t.ID() == arrow.BOOL {
		flags := w.buffer(int(bitutil.BytesForBits(int64(len(q)))))
		clear(flags.Bytes())
		for i, v := range out {
			if v != 0 {
				bitutil.SetBit(flags.Bytes(), i)
			}
		}
		words.Release()
		words = flags
	}
	return wrap(t, len(q), nulls, valid, words)
}

// texts makes a column of strings of which some are null.
func (w *window) texts(q []emission, f func(emission) (v []byte, ok bool)) arrow.Array {
	valid, offs := w.buffer(int(bitutil.BytesForBits(int64(len(q))))), w.buffer((len(q)+1)*4)
	clear(valid.Bytes())
	at := arrow.Int32Traits.CastFromBytes(offs.Bytes())
	total, nulls := 0, 0
	for i, e := range q {
		at[i] = int32(total)
		v, ok := f(e)
		if ok {
			bitutil.SetBit(valid.Bytes(), i)
		} else {
			nulls++
		}
		total += len(v)
	}
	at[len(q)] = int32(total)
	data := w.buffer(total)
	for i, e := range q {
		v, _ := f(e)
		copy(data.Bytes()[at[i]:], v)
	}
	return wrap(arrow.BinaryTypes.String, len(q), nulls, valid, offs, data)
}

// keyColumns gives the groups' keys back as columns.
func (w *window) keyColumns(q []emission) []arrow.Array {
	groups := make([]uint32, len(q))
	for i, e := range q {
		groups[i] = e.group
	}
	return w.keys.Columns(w.groups, groups, w.o.Alloc)
}

// result computes one aggregate of every pane.
func (w *window) result(r *result, q []emission) arrow.Array {
	a := &w.accs[r.accs[0]]
	word := func(e emission, at int) int64 { return w.cells(e.pane)[at] }
	switch a.kind {
	case accMinS, accMaxS:
		return w.texts(q, func(e emission) ([]byte, bool) { return w.panes.Bytes(a.col, e.pane), word(e, a.at) != 0 })
	case accFirstS, accLastS:
		none := a.kind.start()[0]
		return w.texts(q, func(e emission) ([]byte, bool) { return w.panes.Bytes(a.col, e.pane), word(e, a.at) != none })
	}
	return w.nullable(r.typ, q, func(e emission) (int64, bool) {
		c := w.cells(e.pane)
		n := int64(1)
		if r.accs[1] >= 0 {
			n = c[w.accs[r.accs[1]].at]
		}
		switch a.kind {
		case accSketch:
			return w.percentile(r, a, e.pane)
		case accUnique:
			return w.uniq[r.accs[0]].at(w.panes, a.col, e.pane, false).count(), true
		}
		return a.value(r.fn, c[a.at:], n)
	})
}

func (w *window) percentile(r *result, a *acc, p uint32) (int64, bool) {
	s := w.drawn[r.accs[0]].at(w.panes, a.col, p, false)
	if s.IsEmpty() {
		return 0, false
	}
	v, err := s.GetValueAtQuantile(r.p / 100)
	if err != nil {
		return 0, false
	}
	return floatWord(v)
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
		if fn == "avg" {
			sum /= float64(n)
		}
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
	case accWelford:
		if c[0] < 2 {
			return 0, false
		}
		return floatWord(math.Sqrt(math.Float64frombits(uint64(c[2])) / float64(c[0]-1)))
	}
	return c[0], true
}
