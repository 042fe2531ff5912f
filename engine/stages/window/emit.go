package window

import (
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
		if w.kind == sliding {
			w.mergeWindows(q[:n])
		}
		out.Emit(w.let(q[:n], w.batch(q[:n])))
		q = q[n:]
	}
	for _, e := range w.queue {
		w.paneLinks(e.pane)[paneFlags] &^= flagQueued
		w.rest(e.pane, false)
	}
	for _, p := range w.dead {
		if w.kind == holding {
			w.groupTimes(w.paneLinks(p)[paneGroup])[groupAgain] = int64(w.paneLinks(p)[paneRevision])
		}
		w.rest(p, true)
		w.panes.Delete(p)
	}
	w.queue, w.dead = w.queue[:0], w.dead[:0]
	if w.kind == sliding {
		w.expireStale()
	}
}

// let lets those windows out for which having is true, and those of which an earlier revision was
// let out. Others have no revision yet. It takes rows.
func (w *window) let(q []emission, rows arrow.RecordBatch) arrow.RecordBatch {
	if w.having == nil {
		return rows
	}
	defer rows.Release()
	sel := make([]int32, 0, len(q))
	for i, e := range q {
		links := w.paneLinks(e.pane)
		if links[paneFlags]&flagShown == 0 && !w.passes[i] {
			links[paneRevision]--
			continue
		}
		links[paneFlags] |= flagShown
		sel = append(sel, int32(i))
	}
	return flow.Take(rows, sel, w.o.Alloc)
}

// words are those of the emission's window.
func (w *window) wordsOf(e emission) []int64 {
	if w.kind == sliding {
		return w.merged[e.merged*w.words : (e.merged+1)*w.words]
	}
	return w.cells(e.pane)
}

// startOf and stopOf are the borders of the emission's window, us.
func (w *window) startOf(e emission) int64 { return w.wordsOf(e)[paneStart] }

func (w *window) stopOf(e emission) int64 { return w.endOf(e.pane) }

// batch makes the rows of emissions.
func (w *window) batch(q []emission) arrow.RecordBatch {
	n := len(q)
	var cols []arrow.Array
	defer func() {
		for _, c := range cols {
			c.Release()
		}
	}()
	last := func(e emission) int64 { return max(w.startOf(e), w.stopOf(e)-1) }
	if w.kind == counting {
		last = w.stopOf
	}
	cols = append(cols,
		w.longs(arrow.PrimitiveTypes.Int64, q, func(e emission) int64 { return w.wordsOf(e)[paneOffset] }),
		w.shorts(arrow.PrimitiveTypes.Int32, q, func(e emission) uint32 { return uint32(w.wordsOf(e)[paneIndex]) }),
		w.longs(flow.Timestamp, q, func(e emission) int64 { return w.wordsOf(e)[paneReceived] }),
		w.longs(flow.Timestamp, q, last),
		w.shorts(arrow.PrimitiveTypes.Uint32, q, func(e emission) uint32 { return w.groupLinks(e.group)[groupSlot] }),
		w.longs(arrow.PrimitiveTypes.Int64, q, last))
	keys := w.keyColumns(q)
	own := w.ownColumns(q)
	cols = append(append(cols, keys...), own...)
	cols = append(cols, w.values(q, append(keys[:len(keys):len(keys)], own...))...)
	cols = append(cols,
		w.longs(arrow.PrimitiveTypes.Int64, q, func(e emission) int64 { return int64(e.revision) }),
		w.bools(q, func(e emission) bool { return e.final }))
	return array.NewRecordBatch(w.out, cols, int64(n))
}

// ownColumns are those that a window adds before the columns of emit.
func (w *window) ownColumns(q []emission) []arrow.Array {
	var cols []arrow.Array
	if w.kind == counting {
		cols = append(cols, w.longs(arrow.PrimitiveTypes.Int64, q, func(e emission) int64 { return w.cells(e.pane)[paneExtra] }))
	}
	cols = append(cols, w.longs(flow.Timestamp, q, w.startOf), w.longs(flow.Timestamp, q, w.stopOf))
	if w.kind == session || w.kind == holding {
		cols = append(cols, w.longs(arrow.PrimitiveTypes.Float64, q, func(e emission) int64 {
			end := w.stopOf(e)
			if w.kind == session {
				end = w.cells(e.pane)[paneExtra]
			}
			return bitsOf(float64(end-w.startOf(e)) / 1e6)
		}))
	}
	return cols
}

// values computes the members of emit, and having.
func (w *window) values(q []emission, keys []arrow.Array) []arrow.Array {
	results := make([]arrow.Array, len(w.results))
	for i := range w.results {
		results[i] = w.result(&w.results[i], q)
		defer results[i].Release()
	}
	eval := func(m *member) arrow.Array {
		cols := append([]arrow.Array{}, keys...)
		for _, r := range m.results {
			cols = append(cols, results[r])
		}
		rows := array.NewRecordBatch(m.schema, cols, int64(len(q)))
		defer rows.Release()
		return m.prog.Eval(rows, w.o.Alloc)
	}
	var out []arrow.Array
	for i := range w.members {
		out = append(out, eval(&w.members[i]))
	}
	if w.having != nil {
		pass := eval(w.having).(*array.Boolean)
		defer pass.Release()
		w.passes = w.passes[:0]
		for i := range q {
			w.passes = append(w.passes, pass.IsValid(i) && pass.Value(i))
		}
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
