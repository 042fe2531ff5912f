package run

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// A record of a spool holds a batch of rows, or a mark. Numbers are little-endian.
//
//	rows  | input u16 | channel partition u16 | n u32 | schema u32 | a column, ... |
//	      | input u16 | channel partition u16 | Arrow IPC stream of one batch |
//	mark  | 0xffffffff | tick, us, i64 | 1 if the input has ended |   for sinks that keep rows (keeping.go)
//
// Columns are drawn in feed_rows.go; the schema is a number of the list in the spool's token. An IPC stream
// begins with 0xffffffff, which n never is. It stands there for rows of a type that columns
// do not have, and of a spool that has had too many schemas to list them.
const (
	spoolHead    = 4
	spoolRows    = 8 // n and schema
	spoolSchemas = 64
	streamStart  = 0xffffffff
)

// encode writes the record of a batch into s.buf.
func (s *spool) encode(in int, rows arrow.RecordBatch) error {
	head := uint32(in) | uint32(s.from)<<16
	if no, ok := s.number(rows.Schema()); ok && rows.NumRows() <= columnMost {
		b := binary.LittleEndian.AppendUint32(s.buf[:0], head)
		b = binary.LittleEndian.AppendUint32(b, uint32(rows.NumRows()))
		b = binary.LittleEndian.AppendUint32(b, uint32(no))
		for _, c := range rows.Columns() {
			b = appendColumn(b, c)
		}
		s.buf = b
		return nil
	}
	buf := bytes.NewBuffer(binary.LittleEndian.AppendUint32(s.buf[:0], head))
	w := ipc.NewWriter(buf, ipc.WithSchema(rows.Schema()))
	if err := w.Write(rows); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	s.buf = buf.Bytes()
	return nil
}

// number returns the number of a schema in the list; ok is false where it cannot stand there.
func (s *spool) number(schema *arrow.Schema) (no int, ok bool) {
	have := *s.schemas.Load()
	for i, old := range have {
		if old == schema || old.Equal(schema) && old.Metadata().Equal(schema.Metadata()) {
			return i, true
		}
	}
	if len(have) == spoolSchemas {
		return 0, false
	}
	for _, f := range schema.Fields() {
		if !plain(f.Type) {
			return 0, false
		}
	}
	now := append(have[:len(have):len(have)], schema)
	s.schemas.Store(&now)
	return len(have), true
}

// plain tells whether a column can hold the type.
func plain(t arrow.DataType) bool {
	switch t := t.(type) {
	case *arrow.Float64Type, *arrow.Int64Type, *arrow.TimestampType, *arrow.Int32Type, *arrow.Uint32Type, *arrow.BooleanType, *arrow.StringType:
		return true
	case *arrow.ListType:
		return plain(t.Elem())
	}
	return false
}

// decode makes the batch of a record of rows again. The caller releases it.
func (s *spool) decode(record []byte, alloc memory.Allocator) (arrow.RecordBatch, error) {
	r := &fedReader{b: record, alloc: alloc}
	r.take(spoolHead)
	if len(r.b) >= 4 && binary.LittleEndian.Uint32(r.b) == streamStart {
		return readStream(r.b, alloc)
	}
	head := r.take(spoolRows)
	if r.err != nil {
		return nil, r.err
	}
	n, no := binary.LittleEndian.Uint32(head), binary.LittleEndian.Uint32(head[4:])
	have := *s.schemas.Load()
	if n > columnMost || int64(no) >= int64(len(have)) {
		return nil, fmt.Errorf("it has %d rows of schema %d, which there is not", n, no)
	}
	schema := have[no]
	cols := make([]arrow.Array, 0, schema.NumFields())
	defer func() {
		for _, c := range cols {
			c.Release()
		}
	}()
	for _, f := range schema.Fields() {
		c := r.column(f.Type, int(n))
		if c == nil {
			return nil, r.err
		}
		cols = append(cols, c)
	}
	if len(r.b) > 0 {
		return nil, fmt.Errorf("%d bytes stand behind its rows", len(r.b))
	}
	return array.NewRecordBatch(schema, cols, int64(n)), nil
}

func readStream(stream []byte, alloc memory.Allocator) (arrow.RecordBatch, error) {
	r, err := ipc.NewReader(bytes.NewReader(stream), ipc.WithAllocator(alloc))
	if err != nil {
		return nil, err
	}
	defer r.Release()
	rows, err := r.Read()
	if err != nil {
		return nil, err
	}
	rows.Retain()
	return rows, nil
}

// schemaBytes and schemaOfBytes put a schema, with all that is said of its fields, into a token.
func schemaBytes(s *arrow.Schema) ([]byte, error) {
	var buf bytes.Buffer
	w := ipc.NewWriter(&buf, ipc.WithSchema(s))
	err := w.Close()
	return buf.Bytes(), err
}

func schemaOfBytes(b []byte) (*arrow.Schema, error) {
	r, err := ipc.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	defer r.Release()
	return r.Schema(), nil
}
