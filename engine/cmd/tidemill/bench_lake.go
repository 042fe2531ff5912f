package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"runtime"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/decode"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/journal"
	"github.com/tidemill/tidemill/engine/lake"
	"github.com/tidemill/tidemill/engine/objects"
	"github.com/tidemill/tidemill/engine/parquet"
)

const (
	lakeWork    = "W5"
	parquetWork = "parquet"
)

// verifyLake compares what was written with a plain recount of the input.
func (b *bencher) verifyLake(output string, in *benchInput) error {
	ctx, place := context.Background(), objects.Config{Place: output}
	t, err := lake.Source{Name: "rows", Place: place}.Open(ctx, b.app.env)
	if err != nil {
		return err
	}
	files, err := t.Local(ctx, "", nil)
	if err != nil {
		return err
	}
	rows, temp := int64(0), 0.0
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		batches, err := parquet.Read(data, memory.DefaultAllocator)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for _, rb := range batches {
			rows += rb.NumRows()
			for _, v := range rb.Column(rb.Schema().FieldIndices("temp")[0]).(*array.Float64).Float64Values() {
				temp += v
			}
			rb.Release()
		}
	}
	if rows != in.Records || math.Abs(temp-in.Temp) > 1e-9*math.Abs(in.Temp) {
		return fmt.Errorf("the lake is wrong by a plain recount of the input: %d rows and a sum of temp of %v, not %d and %v", rows, temp, in.Records, in.Temp)
	}
	return nil
}

// parquet measures the encoder alone, in this process, and arrow-go's as it comes beside it.
func (b *bencher) parquet(r *benchResult, in *benchInput) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(r.Procs))
	lines, err := readLines(in.Name, benchDecoded)
	if err != nil {
		return err
	}
	r.Records = int64(len(lines))
	batches, err := plainBatches(blocksOf(lines))
	if err != nil {
		return err
	}
	var refs []parquet.Ref
	for i, rb := range batches {
		for j := range int(rb.NumRows()) {
			refs = append(refs, parquet.Ref{Batch: uint32(i), Row: uint32(j)})
		}
	}
	e, err := parquet.NewEncoder(batches[0].Schema())
	if err != nil {
		return err
	}
	var out []byte
	if r.CPU, err = cpuPerRecord(len(lines), 2*b.runs+1, func() error {
		out = e.Encode(out, batches, refs, nil)
		return nil
	}); err != nil {
		return err
	}
	var theirs []byte
	r.Peer = "pqarrow"
	if r.PeerCPU, err = cpuPerRecord(len(lines), b.runs, func() error {
		theirs, err = parquet.Library(batches[0].Schema(), batches)
		return err
	}); err != nil {
		return err
	}
	r.Wall, r.Ratio = r.CPU, r.PeerCPU/r.CPU
	fmt.Fprintf(b.app.err, "parquet: %.1f bytes a record, pqarrow %.1f\n", float64(len(out))/float64(len(lines)), float64(len(theirs))/float64(len(lines)))
	return nil
}

// plainBatches decodes blocks and leaves the engine's own columns out.
func plainBatches(blocks []*journal.Block) ([]arrow.RecordBatch, error) {
	d, err := decode.NewJSON(decode.Config{Fields: benchFields(), Alloc: memory.DefaultAllocator})
	if err != nil {
		return nil, err
	}
	var out []arrow.RecordBatch
	var result decode.Result
	for _, block := range blocks {
		d.Decode(block, block.First, &result)
		if len(result.Rejects) > 0 {
			return nil, fmt.Errorf("a record was rejected: %s", result.Rejects[0].Reason)
		}
		var fields []arrow.Field
		for _, f := range flow.UserFields(result.Rows.Schema()) {
			f.Nullable = true
			fields = append(fields, f)
		}
		out = append(out, array.NewRecordBatch(arrow.NewSchema(fields, nil), result.Rows.Columns()[flow.MetaColumns:], result.Rows.NumRows()))
	}
	return out, nil
}
