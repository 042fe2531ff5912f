package run

import (
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// spoolFields are all types that columns hold; decimals they do not.
func spoolFields(withDecimal bool) []arrow.Field {
	fields := []arrow.Field{
		{Name: "count", Type: arrow.PrimitiveTypes.Int64},
		{Name: "same", Type: arrow.PrimitiveTypes.Int32},
		{Name: "f", Type: arrow.PrimitiveTypes.Float64, Nullable: true, Metadata: arrow.MetadataFrom(map[string]string{"unit": "K"})},
		{Name: "u", Type: arrow.PrimitiveTypes.Uint32},
		{Name: "t", Type: arrow.FixedWidthTypes.Timestamp_us},
		{Name: "b", Type: arrow.FixedWidthTypes.Boolean, Nullable: true},
		{Name: "s", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "l", Type: arrow.ListOf(arrow.PrimitiveTypes.Float64), Nullable: true},
		{Name: "none", Type: arrow.BinaryTypes.String, Nullable: true},
	}
	if withDecimal {
		fields = append(fields, arrow.Field{Name: "d", Type: &arrow.Decimal128Type{Precision: 9, Scale: 2}})
	}
	return fields
}

func spoolBatch(alloc memory.Allocator, rows int, withDecimal bool) arrow.RecordBatch {
	b := array.NewRecordBuilder(alloc, arrow.NewSchema(spoolFields(withDecimal), nil))
	defer b.Release()
	for i := range rows {
		b.Field(0).(*array.Int64Builder).Append(int64(7 + i))
		b.Field(1).(*array.Int32Builder).Append(-3)
		b.Field(3).(*array.Uint32Builder).Append(uint32(i * i))
		b.Field(4).(*array.TimestampBuilder).Append(arrow.Timestamp(1000 - i))
		b.Field(8).AppendNull()
		l := b.Field(7).(*array.ListBuilder)
		if i%3 == 0 {
			b.Field(2).AppendNull()
			b.Field(5).AppendNull()
			b.Field(6).AppendNull()
			l.AppendNull()
		} else {
			b.Field(2).(*array.Float64Builder).Append(float64(i) / 4)
			b.Field(5).(*array.BooleanBuilder).Append(i%2 == 0)
			b.Field(6).(*array.StringBuilder).Append("text"[:i%5])
			l.Append(true)
			for j := range i % 4 {
				l.ValueBuilder().(*array.Float64Builder).Append(float64(j))
			}
		}
		if withDecimal {
			b.Field(9).(*array.Decimal128Builder).Append(decimal128.FromI64(int64(i)))
		}
	}
	return b.NewRecordBatch()
}

// TestSpoolRows: what a record says is what was put into it, of whole batches and of parts; one that is cut
// short is an error.
func TestSpoolRows(t *testing.T) {
	if RaceDetector {
		t.Skip("one goroutine")
	}
	alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer alloc.AssertSize(t, 0)
	for _, c := range []struct {
		name         string
		rows, cut, n int // of rows those from cut on, n
		decimal      bool
		before       int // schemas that there are already
	}{
		{"whole", 100, 0, 100, false, 0},
		{"a part", 100, 13, 60, false, 0},
		{"a part with nulls alone", 100, 3, 1, false, 0},
		{"one row", 2, 1, 1, false, 0},
		{"no rows", 5, 2, 0, false, 0},
		{"a type that columns do not have", 50, 0, 50, true, 0},
		{"too many schemas", 50, 9, 30, false, spoolSchemas},
	} {
		t.Run(c.name, func(t *testing.T) {
			all := spoolBatch(alloc, c.rows, c.decimal)
			defer all.Release()
			rows := all.NewSlice(int64(c.cut), int64(c.cut+c.n))
			defer rows.Release()
			s := &spool{from: 5}
			have := make([]*arrow.Schema, c.before)
			for i := range have {
				have[i] = arrow.NewSchema(nil, nil)
			}
			s.schemas.Store(&have)
			if err := s.encode(3, rows); err != nil {
				t.Fatal(err)
			}
			got, err := s.decode(s.buf, alloc)
			if err != nil {
				t.Fatal(err)
			}
			defer got.Release()
			if !got.Schema().Equal(rows.Schema()) || !array.RecordEqual(rows, got) {
				t.Errorf("%v became %v", rows, got)
			}
			for n := range len(s.buf) {
				// A stream that ends behind its rows has said all.
				if got, err := s.decode(s.buf[:n], alloc); err == nil {
					if !array.RecordEqual(rows, got) {
						t.Errorf("%d of %d bytes make other rows", n, len(s.buf))
					}
					got.Release()
					if !c.decimal && c.before == 0 {
						t.Errorf("%d of %d bytes are taken for a record", n, len(s.buf))
					}
				}
			}
		})
	}
}

// TestSpoolSchema: a token gives a schema back with all that is said of its fields.
func TestSpoolSchema(t *testing.T) {
	want := arrow.NewSchema(spoolFields(true), nil)
	b, err := schemaBytes(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := schemaOfBytes(b)
	if err != nil || !got.Equal(want) {
		t.Errorf("%v became %v, %v", want, got, err)
	}
}

// TestTail: rows are there for as long as there is room and the sink takes them, and let go of behind the reader.
func TestTail(t *testing.T) {
	alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer alloc.AssertSize(t, 0)
	rows := spoolBatch(alloc, 10, false)
	defer rows.Release()
	var l tail
	add := func(from, to uint64) {
		for at := from; at < to; at++ {
			l.add(spooled{offset: at, rows: rows})
		}
	}
	has := func(want bool, offsets ...uint64) {
		t.Helper()
		for _, at := range offsets {
			if r, ok := l.find(at); ok != want || ok && r.offset != at {
				t.Errorf("offset %d is there: %v", at, ok)
			}
		}
	}
	add(3, 10)
	has(false, 2)
	has(true, 3, 4, 4, 9)
	has(false, 10, 5)
	add(10, 11)
	l.add(spooled{offset: 11, mark: spoolMark{tick: 8}})
	has(true, 10, 11)
	l.cool(true)
	add(12, 14)
	has(false, 11, 12)
	l.cool(false)
	add(14, 15)
	has(true, 14)
	most := uint64(tailBytes / memoryOf(rows))
	add(15, 15+min(2*most, 2*tailRecords))
	if l.bytes > tailBytes || len(l.queue)-l.head > tailRecords {
		t.Errorf("the tail holds %d bytes in %d records", l.bytes, len(l.queue)-l.head)
	}
	l.cool(true)
}
