package parquet

import (
	"bytes"
	"context"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
)

// readRows is how many rows a batch has that Read returns.
const readRows = 1 << 14

// Read reads a whole file into batches, which the caller releases. An error tells that
// the file is damaged: checksums of pages are looked at.
func Read(data []byte, alloc memory.Allocator) (rows []arrow.RecordBatch, err error) {
	defer func() {
		// The library panics on some damage, such as levels that do not add up.
		if p := recover(); p != nil {
			err = fmt.Errorf("damaged: %v", p)
		}
		if err != nil {
			release(rows)
			rows = nil
		}
	}()
	f, err := file.NewParquetReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := pqarrow.NewFileReader(f, pqarrow.ArrowReadProperties{BatchSize: readRows}, alloc)
	if err != nil {
		return nil, err
	}
	from, err := r.GetRecordReader(context.Background(), nil, nil)
	if err != nil {
		return nil, err
	}
	defer from.Release()
	total := int64(0)
	for from.Next() {
		b := from.RecordBatch()
		b.Retain()
		rows = append(rows, b)
		total += b.NumRows()
	}
	if err := from.Err(); err != nil {
		return rows, err
	}
	if total != f.NumRows() {
		return rows, fmt.Errorf("damaged: it says that it has %d rows and has %d", f.NumRows(), total)
	}
	return rows, nil
}

func release(rows []arrow.RecordBatch) {
	for _, b := range rows {
		b.Release()
	}
}

// Metadata returns the entries of a file's metadata, such as the lineage that its writer left.
func Metadata(data []byte) ([]KeyValue, error) {
	f, err := file.NewParquetReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	kv := f.MetaData().KeyValueMetadata()
	out := make([]KeyValue, 0, len(kv.Keys()))
	for i, k := range kv.Keys() {
		out = append(out, KeyValue{k, kv.Values()[i]})
	}
	return out, nil
}
