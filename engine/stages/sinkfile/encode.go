package sinkfile

import (
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/engine/flow"
)

// options say what a sink writes, and where.
type options struct {
	name   string
	csv    bool
	table  bool
	meta   bool
	keep   bool     // append to what is there
	inputs []string // what the inputs are called
	reads  []reads  // what ingests read
}

// reads is a path that an ingest reads, perhaps with wildcards in its last part.
type reads struct{ ingest, path string }

// encoder turns the batches of all inputs into text.
type encoder struct {
	opts   options
	byIn   []*flow.JSONEncoder // by input
	schema []*arrow.Schema     // by input: of byIn
	header string              // CSV: the header that counts where the text ends
	empty  bool                // CSV: nothing stands before
}

func (e *encoder) rows(dst []byte, in int, rows arrow.RecordBatch) []byte {
	if e.opts.csv {
		return e.csvRows(dst, rows)
	}
	for in >= len(e.byIn) {
		e.byIn, e.schema = append(e.byIn, nil), append(e.schema, nil)
	}
	s := rows.Schema()
	if e.schema[in] != s && (e.schema[in] == nil || !e.schema[in].Equal(s)) {
		e.byIn[in], e.schema[in] = flow.NewJSONEncoder(s, e.opts.meta), s
	}
	return e.byIn[in].AppendRows(dst, rows)
}

// columns returns the numbers of the columns that are written.
func (o *options) columns(s *arrow.Schema) []int {
	var out []int
	for i := range s.NumFields() {
		if o.meta || i >= flow.MetaColumns {
			out = append(out, i)
		}
	}
	return out
}

func (e *encoder) csvRows(dst []byte, rows arrow.RecordBatch) []byte {
	cols := e.opts.columns(rows.Schema())
	var head []byte
	for i, c := range cols {
		if i > 0 {
			head = append(head, ',')
		}
		head = appendCSVText(head, rows.Schema().Field(c).Name)
	}
	if e.header != string(head) {
		if !e.empty {
			dst = append(dst, '\n')
		}
		dst = append(append(dst, head...), '\n')
		e.header = string(head)
	}
	e.empty = false
	for row := range int(rows.NumRows()) {
		for i, c := range cols {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendCSVCell(dst, rows.Column(c), row)
		}
		dst = append(dst, '\n')
	}
	return dst
}

// appendCSVCell writes a value as RFC 4180 has it. null is an empty cell, and
// an empty string is "".
func appendCSVCell(dst []byte, a arrow.Array, row int) []byte {
	if a.IsNull(row) {
		return dst
	}
	if s, ok := a.(*array.String); ok {
		return appendCSVText(dst, s.Value(row))
	}
	if a.DataType().ID() == arrow.LIST {
		return appendCSVText(dst, string(appendBare(nil, a, row)))
	}
	return appendBare(dst, a, row)
}

// appendBare writes a value that is not null as people and CSV want it:
// strings and times without quotes, lists as JSON.
func appendBare(dst []byte, a arrow.Array, row int) []byte {
	switch a := a.(type) {
	case *array.Float64:
		return flow.AppendFloat(dst, a.Value(row))
	case *array.Int64:
		return flow.AppendInt(dst, a.Value(row))
	case *array.Int32:
		return flow.AppendInt(dst, int64(a.Value(row)))
	case *array.Uint32:
		return flow.AppendInt(dst, int64(a.Value(row)))
	case *array.Boolean:
		if a.Value(row) {
			return append(dst, "true"...)
		}
		return append(dst, "false"...)
	case *array.Timestamp:
		return flow.AppendTime(dst, int64(a.Value(row)))
	case *array.String:
		return append(dst, a.Value(row)...)
	}
	return flow.AppendJSONValue(dst, a, row)
}

func appendCSVText(dst []byte, s string) []byte {
	if s != "" && !strings.ContainsAny(s, "\",\r\n") && s[0] != ' ' && s[len(s)-1] != ' ' {
		return append(dst, s...)
	}
	dst = append(dst, '"')
	for i := range len(s) {
		if s[i] == '"' {
			dst = append(dst, '"')
		}
		dst = append(dst, s[i])
	}
	return append(dst, '"')
}
