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
		rows := w.batch(lo, hi)
		out.Emit(w.let(w.queue[lo:hi], rows))
	}
	if w.straight < len(w.queue) {
		links := w.panes.U32(1)
		for i := range w.queue {
			if e := &w.queue[i]; !e.ring {
				links[e.pane*paneLinks+paneFlags] &^= flagQueued
			}
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
	w.queue, w.dead, w.straight = w.queue[:0], w.dead[:0], 0
	if w.kind == sliding {
		w.mergedFrom, w.mergedTo = 0, 0
		w.expireStale()
		w.enterRings()
	}
}

// let lets those windows out for which having is true, and those of which an earlier revision was
// let out. Others have no revision yet, and are counted. It takes rows.
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
	if back := len(q) - len(sel); back > 0 {
		w.o.Count("held_back", int64(back))
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
	means                                              []mean // by result; those that are no mean of accSumF are empty
}

// mean is the column of the means of accSumF, the commonest aggregate.
type mean struct {
	column64
	odd int64 // negative when one of them is no number, or none that is finite
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

// source notes of which groups the emissions are that stand in rows lo and after, and where the words of their windows are, and fills in what
// these say of rows.
func (w *window) source(f *frame, q []emission, lo int) {
	n := len(q)
	ats, groups, slot := w.ats[lo:][:n], w.groupsOf[lo:][:n], f.slot.v[lo:][:n]
	slots := w.groups.U32(1)
	if w.kind == sliding {
		if q[n-1].merged-q[0].merged != uint32(n-1) {
			panic("BUG: the words of windows do not stand in the order in which these are emitted")
		}
		for i := range ats {
			ats[i] = q[0].merged + uint32(i)
		}
	} else {
		for i := range q {
			ats[i] = q[i].pane
		}
	}
	revisions, open := uint32(0), false
	for i := range q {
		e := &q[i]
		groups[i], slot[i] = e.group, slots[int(e.group)*groupLinks+groupSlot]
		revisions |= e.revision
		if !e.final {
			open = true
		}
	}
	revision, final := f.revision.v[lo:][:n], f.final.Bytes()
	clear(revision)
	for i := 0; i < n && revisions != 0; i++ {
		revision[i] = int64(q[i].revision)
	}
	for i := 0; i < n && open; i++ {
		if !q[i].final {
			bitutil.ClearBit(final, lo+i)
		}
	}
}

// frameRows is how many rows of a frame are filled in a column at a time: their words stay near, from when they are merged.
const frameRows = 256

// frame fills the frame of the windows from lo to hi of the queue.
func (w *window) frame(lo, hi int) frame {
	n := hi - lo
	f := frame{offset: w.column64(n), received: w.column64(n), time: w.column64(n), mark: w.column64(n), start: w.column64(n),
		end: w.column64(n), revision: w.column64(n), index: w.column32(n), slot: w.column32(n), final: w.allSet(n), means: make([]mean, len(w.results))}
	if w.kind >= session {
		f.extra = w.column64(n)
	}
	for i := range w.results {
		if w.isMean(&w.results[i]) {
			f.means[i].column64 = w.column64(n)
		}
	}
	w.ats, w.groupsOf = grown(w.ats[:cap(w.ats)], n)[:n], grown(w.groupsOf[:cap(w.groupsOf)], n)[:n]
	w.from = w.panes.I64(0)
	for from, to := 0, 0; from < n; from = to {
		to = min(n, from+frameRows)
		if w.kind == sliding {
			if made := w.slideRows(&f, lo, from, to); made > 0 {
				to = from + made
				continue
			}
			w.merge(lo, lo+to)
			w.from = w.merged
		}
		w.source(&f, w.queue[lo+from:lo+to], from)
		w.rowsOfFrame(&f, from, to)
		for i := range f.means {
			if m := &f.means[i]; m.buf != nil {
				m.odd |= means(m.v[from:to], w.ats[from:to], slotsOf(w.from, w.words), w.accs[w.results[i].accs[0]].at)
			}
		}
	}
	return f
}

// rowsOfFrame fills in what the panes say of rows lo to hi.
func (w *window) rowsOfFrame(f *frame, lo, hi int) {
	ats, words := w.ats[lo:hi], slotsOf(w.from, w.words)
	n := len(ats)
	start, end, time, mark := f.start.v[lo:][:n], f.end.v[lo:][:n], f.time.v[lo:][:n], f.mark.v[lo:][:n]
	differ := wordsOfPanes(ats, words, f.offset.v[lo:][:n], f.received.v[lo:][:n], start, f.index.v[lo:][:n])
	length := w.every
	if w.kind == sliding {
		length = w.size
	}
	if differ == 0 {
		fill(end, start[0]+length)
		fill(time, start[0]+length-1)
		copy(mark, time)
	} else {
		for i, s := range start {
			time[i], mark[i], end[i] = s+length-1, s+length-1, s+length
		}
	}
	if w.kind < session {
		return
	}
	for i, at := range ats {
		c := (*[metaWordsLong]int64)(w.from[int(at)*w.words:])
		end[i] = c[paneEnd]
		last := max(start[i], end[i]-1)
		if w.kind == counting {
			last = end[i]
		}
		time[i], mark[i], f.extra.v[lo+i] = last, last, w.extra(start[i], end[i], c[paneExtra])
	}
}

// wordsOfPanes gathers the words that every pane has, and returns 0 if all start together.
func wordsOfPanes(ats []uint32, words slots, offset, received, start []int64, index []uint32) (differ int64) {
	offset, received, start, index = offset[:len(ats)], received[:len(ats)], start[:len(ats)], index[:len(ats)]
	first := words.meta(ats[0])[paneStart]
	for i, at := range ats {
		c := words.meta(at)
		offset[i], received[i], index[i], start[i] = c[paneOffset], c[paneReceived], uint32(c[paneIndex]), c[paneStart]
		differ |= c[paneStart] ^ first
	}
	return differ
}

// fill sets all of values: a few, and then twice as many by copying.
func fill(values []int64, v int64) {
	few := values[:min(len(values), 16)]
	for i := range few {
		few[i] = v
	}
	for n := len(few); n < len(values); n *= 2 {
		copy(values[n:], values[:n])
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

// batch makes the rows of the windows from lo to hi of the queue.
func (w *window) batch(lo, hi int) arrow.RecordBatch {
	f, q := w.frame(lo, hi), w.queue[lo:hi]
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
	cols = append(cols, w.values(q, own, f.means)...)
	cols = append(cols, f.revision.array(arrow.PrimitiveTypes.Int64), wrap(arrow.FixedWidthTypes.Boolean, len(q), 0, nil, f.final))
	return array.NewRecordBatch(w.out, cols, int64(len(q)))
}

// values computes the members of emit, and having.
func (w *window) values(q []emission, keys []arrow.Array, means []mean) []arrow.Array {
	results := make([]arrow.Array, len(w.results))
	for i := range w.results {
		if means[i].buf != nil {
			results[i] = w.meansArray(&means[i])
		} else {
			results[i] = w.result(&w.results[i], q)
		}
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
		v, ok := f(&q[i], w.from[int(at)*w.words:][:w.words])
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
