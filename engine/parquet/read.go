package parquet

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
)

// readRows is how many rows a batch has that Read returns.
const readRows = 1 << 14

// Read reads a whole file into batches, which the caller releases; only some columns of it if any
// are named. An error tells that the file is damaged: checksums of pages are looked at.
func Read(data []byte, alloc memory.Allocator, columns ...string) (rows []arrow.RecordBatch, err error) {
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
	var at []int // nil: all
	for _, name := range columns {
		if i := f.MetaData().Schema.ColumnIndexByName(name); i >= 0 {
			at = append(at, i)
		}
	}
	if len(at) < len(columns) {
		return nil, fmt.Errorf("some of the columns %s are not in it", strings.Join(columns, ", "))
	}
	from, err := r.GetRecordReader(context.Background(), at, nil)
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
