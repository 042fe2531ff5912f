package sinkparquet

import (
	"cmp"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/ledger"
	"github.com/tidemill/tidemill/engine/parquet"
)

// held are rows that wait to be a file.
type held struct {
	rows  int
	bytes int64
	first uint64 // place of the first
	last  uint64 // and of the last
	since int64  // first tick after the first row, us; 0 before it
	sets  []*set
	files []*file
	found map[fileKey]*file
	parts *divider
	none  uint32 // the partition of rows that have none, plus one

	done []ledger.File // put already, while publishing
	room []parquet.Ref // memory for a file's rows
	keys ranker
}

// set are batches of one shape.
type set struct {
	shape   *shape
	batches []arrow.RecordBatch
	slots   []arrow.Array // of each batch, its _slot
	from    []int         // partition of each
	keys    []*array.String
}

// file is a file to be: rows of one partition and one shape.
type file struct {
	dir   uint32
	set   *set
	place uint64 // of its first row
	refs  []parquet.Ref
}

type fileKey struct {
	dir uint32
	set *set
}

func newHeld(o *options) *held {
	h := &held{found: map[fileKey]*file{}}
	var parts []part
	if len(o.parts) > 0 {
		parts = o.parts[0]
	}
	h.parts = newDivider(parts)
	return h
}

// following returns what holds the rows behind those of h, in h's memory; h is done with.
func (h *held) following(o *options) *held {
	next := newHeld(o)
	for _, f := range h.files {
		if cap(f.refs) > cap(next.room) {
			next.room = f.refs[:0]
		}
	}
	next.keys.at, next.keys.out = h.keys.at, h.keys.out
	h.release()
	return next
}

// full tells that what is held makes files.
func (h *held) full(o *options) bool {
	return h.rows >= o.rows || h.bytes >= o.bytes || len(h.files) >= o.writers && h.rows > 0
}

// take keeps a batch.
func (h *held) take(s *sink, sh *shape, in int, rows arrow.RecordBatch) {
	if h.rows == 0 {
		h.first = s.place
	}
	h.last = s.place
	st := h.setOf(sh)
	n := int(rows.NumRows())
	at := uint32(len(st.batches))
	st.batches = append(st.batches, sh.convert(rows, s.from, s.op.Alloc))
	slots := rows.Column(flow.ColSlot)
	slots.Retain()
	st.slots, st.from = append(st.slots, slots), append(st.from, s.from)
	st.keys = append(st.keys, keyColumn(s.opts, in, rows))
	dirs := h.divide(s, in, rows)
	var f *file
	for r := range n {
		d := uint32(0)
		if dirs != nil {
			d = dirs[r]
		}
		if f == nil || f.dir != d {
			f = h.fileOf(d, st, s.place)
		}
		f.refs = append(f.refs, parquet.Ref{Batch: at, Row: uint32(r)})
	}
	h.rows += n
	h.bytes += sizeOf(rows) + int64(n)*16
}

// divide returns the partition of each row; nil where all are in one.
func (h *held) divide(s *sink, in int, rows arrow.RecordBatch) []uint32 {
	switch {
	case in < len(s.opts.parts) && len(s.opts.parts[in]) == 0, len(s.opts.parts) == 0:
		return nil
	case in < len(s.opts.parts):
		return h.parts.divide(s.opts.parts[in], rows, s.op.Alloc)
	}
	if h.none == 0 { // rejects have no such columns
		var names []string
		for _, p := range s.opts.parts[0] {
			names = append(names, escape(p.name)+"="+nullValue)
		}
		h.parts.dirs = append(h.parts.dirs, dir{name: strings.Join(names, "/"), values: map[string]string{}})
		h.none = uint32(len(h.parts.dirs))
	}
	return slices.Repeat([]uint32{h.none - 1}, int(rows.NumRows()))
}

func (h *held) setOf(sh *shape) *set {
	for _, st := range h.sets {
		if st.shape == sh || st.shape.digest == sh.digest {
			return st
		}
	}
	st := &set{shape: sh}
	h.sets = append(h.sets, st)
	return st
}

func (h *held) fileOf(d uint32, st *set, place uint64) *file {
	k := fileKey{d, st}
	f := h.found[k]
	if f == nil {
		f = &file{dir: d, set: st, place: place, refs: h.room}
		h.room = nil
		h.found[k] = f
		h.files = append(h.files, f)
	}
	return f
}

func (h *held) release() {
	for _, st := range h.sets {
		for i, b := range st.batches {
			b.Release()
			st.slots[i].Release()
		}
	}
	h.sets, h.files, h.rows = nil, nil, 0
}

// keyColumn is the column of the channel's key if it is a text; nil otherwise.
func keyColumn(o *options, in int, rows arrow.RecordBatch) *array.String {
	if in >= len(o.keys) || o.keys[in] == "" {
		return nil
	}
	at := rows.Schema().FieldIndices(o.keys[in])
	if len(at) != 1 {
		return nil
	}
	col, _ := rows.Column(at[0]).(*array.String)
	return col // of a batch that is held
}

// sizeOf is the memory that a batch's values take.
func sizeOf(rows arrow.RecordBatch) int64 {
	n := int64(0)
	for i := range int(rows.NumCols()) {
		switch c := rows.Column(i).(type) {
		case *array.String:
			n += int64(len(c.ValueBytes())) + 4*rows.NumRows()
		case *array.List:
			n += 32 * rows.NumRows()
		case *array.Boolean:
			n += rows.NumRows() / 8
		default:
			n += 8 * rows.NumRows()
		}
	}
	return n
}

// ranker puts the rows of a file into the order of their keys. Ranks are made
// once for all files of a publication.
type ranker struct {
	ready bool
	ranks [][][]uint32 // by set and batch: the rank of each row's key
	count int
	at    []uint32
	out   []parquet.Ref
}

type keyOf struct {
	text string
	part int
	id   uint32
}

// rank numbers keys in their order. A key is a slot of a partition; its text is that of
// its first row here.
func (h *held) rank() {
	if h.keys.ready {
		return
	}
	h.keys.ready = true
	ids := map[int][]uint32{} // by partition and slot: number of the key, plus one
	var keys []keyOf
	h.keys.ranks = make([][][]uint32, len(h.sets))
	for i, st := range h.sets {
		h.keys.ranks[i] = make([][]uint32, len(st.batches))
		for j := range st.batches {
			slots, p := st.slots[j].(*array.Uint32).Uint32Values(), st.from[j]
			of := make([]uint32, len(slots))
			known := ids[p]
			for r, slot := range slots {
				if int(slot) >= len(known) {
					known = append(known, make([]uint32, int(slot)+1-len(known)+len(known)/2)...)
				}
				if known[slot] == 0 {
					k := keyOf{part: p, id: uint32(len(keys))}
					if col := st.keys[j]; col != nil && col.IsValid(r) {
						k.text = col.Value(r)
					}
					keys = append(keys, k)
					known[slot] = uint32(len(keys))
				}
				of[r] = known[slot] - 1
			}
			ids[p] = known
			h.keys.ranks[i][j] = of
		}
	}
	h.keys.count = len(keys)
	slices.SortFunc(keys, func(x, y keyOf) int {
		return cmp.Or(cmp.Compare(x.text, y.text), cmp.Compare(x.part, y.part), cmp.Compare(x.id, y.id))
	})
	rank := make([]uint32, len(keys))
	for i, k := range keys {
		rank[k.id] = uint32(i)
	}
	for _, st := range h.keys.ranks {
		for _, b := range st {
			for r, id := range b {
				b[r] = rank[id]
			}
		}
	}
}

// order returns a file's rows by key, and of one key as they came. The result is
// valid until the next call.
func (h *held) order(f *file) []parquet.Ref {
	h.rank()
	k := &h.keys
	ranks := k.ranks[slices.Index(h.sets, f.set)]
	if k.count > 4*len(f.refs)+1024 {
		slices.SortStableFunc(f.refs, func(x, y parquet.Ref) int {
			return cmp.Compare(ranks[x.Batch][x.Row], ranks[y.Batch][y.Row])
		})
		return f.refs
	}
	// Sorting by counting (Seward 1954), which is stable.
	if cap(k.at) < k.count+1 {
		k.at = make([]uint32, k.count+1)
	}
	at := k.at[:k.count+1]
	clear(at)
	for _, r := range f.refs {
		at[ranks[r.Batch][r.Row]+1]++
	}
	for i := 1; i < len(at); i++ {
		at[i] += at[i-1]
	}
	if cap(k.out) < len(f.refs) {
		k.out = make([]parquet.Ref, len(f.refs))
	}
	out := k.out[:len(f.refs)]
	for _, r := range f.refs {
		i := &at[ranks[r.Batch][r.Row]]
		out[*i] = r
		*i++
	}
	return out
}
