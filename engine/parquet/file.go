// A file:
//
//	+------+-----------------+-----+-----------------+------------+--------+--------+------+
//	| PAR1 | row group       | ... | row group       | page index | footer | length | PAR1 |
//	|      | chunk, chunk... |     |                 |            | Thrift | u32    |      |
//	+------+-----------------+-----+-----------------+------------+--------+--------+------+
//
// A chunk is the pages of one column: a dictionary if there is one, then data (version 1).

package parquet

import (
	"encoding/binary"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/klauspost/compress/zstd"
)

const (
	// RowGroupRows is how many rows a row group has at most: what a reader takes at a time.
	RowGroupRows = 1 << 17
	// PageRows is how many rows a page has at most: what a reader can leave out by the page index.
	PageRows = 1 << 14

	magic     = "PAR1"
	createdBy = "tidemill"
	codecZstd = 6
)

// KeyValue is an entry of a file's metadata.
type KeyValue struct{ Key, Value string }

// Encoder makes files of one schema. It is used by one goroutine; its memory serves file after file.
type Encoder struct {
	schema *arrow.Schema
	arrow  string // the schema as readers of Arrow want it
	cols   []column

	zstd     *zstd.Encoder
	decimals decimals
	picks    picks
	values   values
	ids      []uint32
	raw      []byte // a page before compression
	packed   []byte // and after

	out    []byte
	groups []groupMeta
}

// groupMeta is what the footer tells of a row group.
type groupMeta struct {
	rows   int
	raw    int64
	chunks []chunkMeta
}

// NewEncoder makes an encoder. The error names a column whose type cannot be written.
func NewEncoder(schema *arrow.Schema) (*Encoder, error) {
	cols, err := columnsOf(schema)
	if err != nil {
		return nil, err
	}
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(true))
	if err != nil {
		panic("BUG: zstd does not take its options: " + err.Error())
	}
	return &Encoder{schema: schema, arrow: arrowSchema(schema), cols: cols, zstd: z}, nil
}

// Encode makes a file of the rows that refs lists, in its order. All batches have
// the encoder's columns. The result belongs to the caller, who gives a slice whose memory may be used, or nil.
func (e *Encoder) Encode(dst []byte, batches []arrow.RecordBatch, refs []Ref, meta []KeyValue) []byte {
	const guess, most = 3, 32 << 20 // bytes of a value, and of all: growing copies, and memory that is not written to costs little
	e.out, e.groups = append(slices.Grow(dst[:0], min(guess*len(e.cols)*len(refs), most)), magic...), e.groups[:0]
	total := int64(len(refs))
	for len(refs) > 0 {
		n := min(len(refs), RowGroupRows)
		e.groups = append(e.groups, groupMeta{rows: n})
		e.picks.sort(len(batches), refs[:n])
		for i := range e.cols {
			e.values.gather(&e.cols[i], batches, &e.picks)
			e.chunk(&e.cols[i], &e.values)
		}
		refs = refs[n:]
	}
	for g := range e.groups {
		for i := range e.groups[g].chunks {
			e.index(&e.groups[g].chunks[i])
		}
	}
	at := len(e.out)
	t := thrift{buf: e.out}
	e.footer(&t, total, meta)
	out := binary.LittleEndian.AppendUint32(t.buf, uint32(len(t.buf)-at))
	out = append(out, magic...)
	e.out, e.values.texts = nil, nil
	return out
}

func (e *Encoder) footer(t *thrift, rows int64, meta []KeyValue) {
	t.begin()
	t.i32(1, 1) // version of the format
	t.schema(e.cols)
	t.i64(3, rows)
	t.list(4, thriftStruct, len(e.groups))
	for i := range e.groups {
		t.group(&e.groups[i], i)
	}
	t.list(5, thriftStruct, len(meta)+1)
	for _, kv := range append([]KeyValue{{"ARROW:schema", e.arrow}}, meta...) {
		t.begin()
		t.text(1, kv.Key)
		t.text(2, kv.Value)
		t.end()
	}
	t.text(6, createdBy)
	t.list(7, thriftStruct, len(e.cols))
	for range e.cols {
		t.begin()
		t.empty(1) // the order of the type
		t.end()
	}
	t.end()
}

func (t *thrift) group(g *groupMeta, ordinal int) {
	size := int64(0)
	for i := range g.chunks {
		size += g.chunks[i].size
	}
	t.begin()
	t.list(1, thriftStruct, len(g.chunks))
	for i := range g.chunks {
		t.chunk(&g.chunks[i])
	}
	t.i64(2, g.raw)
	t.i64(3, int64(g.rows))
	t.i64(5, g.chunks[0].start)
	t.i64(6, size)
	t.i16(7, ordinal)
	t.end()
}

func (t *thrift) chunk(m *chunkMeta) {
	t.begin()
	t.i64(2, 0) // the metadata stands here and not elsewhere
	t.structure(3)
	t.i32(1, m.column.physical)
	encodings := []int{encRLE, m.encoding}
	if m.dictionary >= 0 {
		encodings = append(encodings, encPlain)
	}
	t.list(2, thriftI32, len(encodings))
	for _, e := range encodings {
		t.varint(int64(e))
	}
	t.list(3, thriftBinary, len(m.column.path))
	for _, p := range m.column.path {
		t.bytes([]byte(p))
	}
	t.i32(4, codecZstd)
	t.i64(5, int64(m.entries))
	t.i64(6, m.raw)
	t.i64(7, m.size)
	t.i64(9, m.data)
	if m.dictionary >= 0 {
		t.i64(11, m.dictionary)
	}
	t.structure(12)
	t.i64(3, int64(m.nulls))
	if m.bounds.ok && m.bounds.least != nil {
		t.binary(5, m.bounds.most)
		t.binary(6, m.bounds.least)
	}
	t.end()
	t.end()
	t.i64(4, m.offsetIndex.at)
	t.i32(5, m.offsetIndex.n)
	if m.columnIndex.n > 0 {
		t.i64(6, m.columnIndex.at)
		t.i32(7, m.columnIndex.n)
	}
	t.end()
}
