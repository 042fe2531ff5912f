package parquet

import (
	"bytes"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
)

// Library makes a file by arrow-go's encoder as it comes: what Encode is compared with.
func Library(schema *arrow.Schema, batches []arrow.RecordBatch) ([]byte, error) {
	var out bytes.Buffer
	w, err := pqarrow.NewFileWriter(schema, &out, parquet.NewWriterProperties(), pqarrow.DefaultWriterProps())
	if err != nil {
		return nil, err
	}
	for _, b := range batches {
		if err := w.WriteBuffered(b); err != nil {
			return nil, err
		}
	}
	err = w.Close()
	return out.Bytes(), err
}
