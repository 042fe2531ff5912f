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
	if w.latest && len(w.queue) > 0 {
		w.renew()
	}
	for lo, hi := 0, 0; lo < len(w.queue); lo = hi {
		hi = min(len(w.queue), lo+emitRows)
		if w.kind == sliding {
			w.merge(lo, hi)
		}
		q := w.queue[lo:hi]
		out.Emit(w.let(q, w.batch(q)))
	}
	links, queue := w.panes.U32(1), w.queue
	for i := range queue {
		if !queue[i].ring {
			links[queue[i].pane*paneLinks+paneFlags] &^= flagQueued
		}
	}
	if w.sketched {
		for _, e := range w.queue {
			w.rest(e.pane, false)
		}
	}
	for _, p := range w.dead {
		if w.kind == holding {
			w.groupTimes(w.paneLinks(p)[paneGroup])[groupAgain] = int64(w.paneLinks(p)[paneRevision])
		}
		if w.sketched {
			w.rest(p, true)
		}
		if w.latest {
			w.letGo(p)
		}
		w.panes.Delete(p)
	}
	w.emitted += uint32(len(w.queue))
	w.queue, w.dead = w.queue[:0], w.dead[:0]
	if w.kind == sliding {
		w.mergedFrom, w.mergedTo = 0, 0
		w.expireStale()
		w.enterRings()
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
		return w.merged[int(e.merged)*w.words : int(e.merged+1)*w.words]
	}
	return w.cells(e.pane)
}

// frame is the columns that every window has, but for its keys. They are filled in one pass, since each
// emission costs a look into the tables.
type frame struct {
	offset, received, time, mark, start, end, revision column64
	extra                                              column64 // duration (session, state) or number (count)
	index, slot                                        column32
	final                                              *memory.Buffer
}

type column64 struct {
	buf *memory.Buffer
	v   []int64
}

type column32 struct {
	buf *memory.Buffer
	v   []uint32
}

func (w *window) column64(n int) column64 {
	b := w.buffer(n * 8)
	return column64{b, arrow.Int64Traits.CastFromBytes(b.Bytes())[:n]}
}

func (w *window) column32(n int) column32 {
	b := w.buffer(n * 4)
	return column32{b, arrow.Uint32Traits.CastFromBytes(b.Bytes())[:n]}
}

func (c column64) array(t arrow.DataType) arrow.Array { return wrap(t, len(c.v), 0, nil, c.buf) }
func (c column32) array(t arrow.DataType) arrow.Array { return wrap(t, len(c.v), 0, nil, c.buf) }

// source notes which groups the emissions are of, and where the words of their windows are.
func (w *window) source(q []emission) {
	w.ats, w.groupsOf = grown(w.ats[:cap(w.ats)], len(q))[:len(q)], grown(w.groupsOf[:cap(w.groupsOf)], len(q))[:len(q)]
	ats, groups, words := w.ats[:len(q)], w.groupsOf[:len(q)], w.words
	if w.kind == sliding {
		w.from = w.merged
		for i := range q {
			ats[i], groups[i] = int(q[i].merged)*words, q[i].group
		}
		return
	}
	w.from = w.panes.I64(0)
	for i := range q {
		ats[i], groups[i] = int(q[i].pane)*words, q[i].group
	}
}

// frameRows is how many rows of a frame are filled in a column at a time: their panes stay near.
const frameRows = 256

// frame fills the frame of emissions whose source is noted.
func (w *window) frame(q []emission) frame {
	n := len(q)
	f := frame{offset: w.column64(n), received: w.column64(n), time: w.column64(n), mark: w.column64(n), start: w.column64(n),
		end: w.column64(n), revision: w.column64(n), index: w.column32(n), slot: w.column32(n), final: w.allSet(n)}
	if w.kind >= session {
		f.extra = w.column64(n)
	}
	slots, final := w.groups.U32(1), f.final.Bytes()
	slot, revision := f.slot.v[:n], f.revision.v[:n]
	for i := range q {
		e := &q[i]
		slot[i], revision[i] = slots[e.group*groupLinks+groupSlot], int64(e.revision)
		if !e.final {
			bitutil.ClearBit(final, i)
		}
	}
	for lo := 0; lo < n; lo += frameRows {
		w.rowsOfFrame(&f, lo, min(n, lo+frameRows))
	}
	return f
}

// rowsOfFrame fills in what the panes say of rows lo to hi.
func (w *window) rowsOfFrame(f *frame, lo, hi int) {
	ats, cells := w.ats[lo:hi], w.from
	n := len(ats)
	offset, received, index, start := f.offset.v[lo:][:n], f.received.v[lo:][:n], f.index.v[lo:][:n], f.start.v[lo:][:n]
	for i, at := range ats {
		c := (*[metaWords]int64)(cells[at:])
		offset[i], received[i], index[i], start[i] = c[paneOffset], c[paneReceived], uint32(c[paneIndex]), c[paneStart]
	}
	time, mark, end := f.time.v[lo:][:n], f.mark.v[lo:][:n], f.end.v[lo:][:n]
	length := w.every
	if w.kind == sliding {
		length = w.size
	}
	for i, s := range start {
		time[i], mark[i], end[i] = s+length-1, s+length-1, s+length
	}
	if w.kind < session {
		return
	}
	for i, at := range ats {
		c := (*[metaWordsLong]int64)(cells[at:])
		end[i] = c[paneEnd]
		last := max(start[i], end[i]-1)
		if w.kind == counting {
			last = end[i]
		}
		time[i], mark[i], f.extra.v[lo+i] = last, last, w.extra(start[i], end[i], c[paneExtra])
	}
}

// extra is what a session, count or state window adds to its borders.
func (w *window) extra(start, end, extra int64) int64 {
	switch w.kind {
	case counting:
		return extra
	case session:
		end = extra
	}
	return bitsOf(float64(end-start) / 1e6)
}

// batch makes the rows of emissions.
func (w *window) batch(q []emission) arrow.RecordBatch {
	w.source(q)
	f := w.frame(q)
	cols := append(make([]arrow.Array, 0, w.out.NumFields()), f.offset.array(arrow.PrimitiveTypes.Int64), f.index.array(arrow.PrimitiveTypes.Int32),
		f.received.array(flow.Timestamp), f.time.array(flow.Timestamp), f.slot.array(arrow.PrimitiveTypes.Uint32), f.mark.array(arrow.PrimitiveTypes.Int64))
	defer func() {
		for _, c := range cols {
			c.Release()
		}
	}()
	own := w.keys.Columns(w.groups, w.groupsOf, w.o.Alloc)
	if w.kind == counting {
		own = append(own, f.extra.array(arrow.PrimitiveTypes.Int64))
	}
	own = append(own, f.start.array(flow.Timestamp), f.end.array(flow.Timestamp))
	if w.kind == session || w.kind == holding {
		own = append(own, f.extra.array(arrow.PrimitiveTypes.Float64))
	}
	cols = append(cols, own...)
	cols = append(cols, w.values(q, own)...)
	cols = append(cols, f.revision.array(arrow.PrimitiveTypes.Int64), wrap(arrow.FixedWidthTypes.Boolean, len(q), 0, nil, f.final))
	return array.NewRecordBatch(w.out, cols, int64(len(q)))
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

// bitmap is n bits that are not set.
func (w *window) bitmap(n int) *memory.Buffer {
	b := w.buffer(int(bitutil.BytesForBits(int64(n))))
	clear(b.Bytes())
	return b
}

// nullable makes a column of 64-bit words, or of bits when t is bool. f gets the
// words of each window, and says which values are null.
func (w *window) nullable(t arrow.DataType, q []emission, f func(e *emission, words []int64) (v int64, ok bool)) arrow.Array {
	n := len(q)
	out := w.column64(n)
	var valid *memory.Buffer
	nulls := 0
	for i, at := range w.ats {
		v, ok := f(&q[i], w.from[at:at+w.words])
		if !ok {
			if valid == nil {
				valid = w.allSet(n)
			}
			bitutil.ClearBit(valid.Bytes(), i)
			v = 0
			nulls++
		}
		out.v[i] = v
	}
	if t.ID() == arrow.BOOL {
		flags := w.bitmap(n)
		for i, v := range out.v {
			if v != 0 {
				bitutil.SetBit(flags.Bytes(), i)
			}
		}
		out.buf.Release()
		return wrap(t, n, nulls, valid, flags)
	}
	return wrap(t, n, nulls, valid, out.buf)
}

// allSet is n bits that are set.
func (w *window) allSet(n int) *memory.Buffer {
	b := w.bitmap(n)
	bitutil.SetBitsTo(b.Bytes(), 0, int64(n), true)
	return b
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
