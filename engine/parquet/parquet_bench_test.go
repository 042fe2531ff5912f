package parquet

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// BenchmarkEncode writes records of a fleet as the sink does: sorted by device, from many batches.
// The figure is ns a row.
func BenchmarkEncode(b *testing.B) {
	const rows, batch, devices = 1 << 19, 1200, 8000
	fields := []arrow.Field{{Name: "device", Type: arrow.BinaryTypes.String}, {Name: "ts", Type: arrow.FixedWidthTypes.Timestamp_us},
		{Name: "site", Type: arrow.BinaryTypes.String}, {Name: "open", Type: arrow.FixedWidthTypes.Boolean}, {Name: "seq", Type: arrow.PrimitiveTypes.Int64}}
	for i := range 8 {
		fields = append(fields, arrow.Field{Name: "f" + strconv.Itoa(i), Type: arrow.PrimitiveTypes.Float64})
	}
	schema := arrow.NewSchema(fields, nil)
	build := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	rnd := rand.New(rand.NewPCG(1, 2))
	of := make([][]Ref, devices)
	var batches []arrow.RecordBatch
	turn := rnd.Perm(devices) // in which devices send
	for i := range rows {
		d := turn[i%devices]
		of[d] = append(of[d], Ref{uint32(len(batches)), uint32(i % batch)})
		build.Field(0).(*array.StringBuilder).Append("truck-" + strconv.Itoa(100000+d))
		build.Field(1).(*array.TimestampBuilder).Append(arrow.Timestamp(1_700_000_000_000_000 + i/devices*30_000_000 + d*3000))
		build.Field(2).(*array.StringBuilder).Append("site-" + strconv.Itoa(d%40))
		build.Field(3).(*array.BooleanBuilder).Append(rnd.IntN(20) == 0)
		build.Field(4).(*array.Int64Builder).Append(int64(i / devices))
		for f := range 8 {
			build.Field(5 + f).(*array.Float64Builder).Append(float64(rnd.IntN(900)) / 10)
		}
		if (i+1)%batch == 0 || i == rows-1 {
			batches = append(batches, build.NewRecordBatch())
		}
	}
	var refs []Ref
	for _, d := range of {
		refs = append(refs, d...)
	}
	e, err := NewEncoder(schema)
	if err != nil {
		b.Fatal(err)
	}
	var out []byte
	for b.Loop() {
		out = e.Encode(out, batches, refs, nil)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
	b.ReportMetric(float64(len(out))/rows, "B/row")
}
