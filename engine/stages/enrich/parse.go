package enrich

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/carry"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/parquet"
)

// table is a version of what is looked up.
type table struct {
	rows map[string]int32
	cols []arrow.Array // of program.fields; of memory that nobody counts
}

// parse reads a whole table. Of several rows with one key the last counts; a row without key cannot be found.
func (p *program) parse(data []byte) (*table, error) {
	if int64(len(data)) > p.bytes {
		return nil, fmt.Errorf("it has more than max_bytes = %d bytes", p.bytes)
	}
	var types []arrow.DataType
	for _, f := range p.fields {
		types = append(types, f.Type)
	}
	r := &reader{p: p, cols: carry.NewColumns(types)}
	var err error
	switch p.format {
	case "csv":
		err = r.csv(data)
	case "parquet":
		err = r.parquet(data)
	case "ndjson":
		if err = whole(data); err == nil {
			err = r.ndjson(data)
		}
	default:
		err = r.json(data)
	}
	if err != nil {
		return nil, err
	}
	t := &table{rows: map[string]int32{}, cols: carry.Finish(r.cols)}
	var key []byte
	for i := range t.cols[0].Len() {
		key = key[:0]
		null := false
		for _, k := range p.with {
			null = null || t.cols[k].IsNull(i)
			key = flow.AppendKey(key, t.cols[k], i)
		}
		if !null {
			t.rows[string(key)] = int32(i)
		}
	}
	return t, nil
}

// whole says whether a text of lines is not cut in its last one.
func whole(data []byte) error {
	if len(data) == 0 || data[len(data)-1] != '\n' {
		return errors.New("it does not end with a line end: perhaps it is half written")
	}
	return nil
}

type reader struct {
	p    *program
	cols []*carry.Column
}

func (r *reader) full() error {
	if r.cols[0].Len() >= r.p.maxRows {
		return fmt.Errorf("it has more than max_rows = %d rows", r.p.maxRows)
	}
	return nil
}

func (r *reader) csv(data []byte) error {
	if err := whole(data); err != nil {
		return err
	}
	in := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))))
	in.ReuseRecord = true
	head, err := in.Read()
	if err != nil {
		return err
	}
	at := make([]int, len(r.p.fields))
	for i, f := range r.p.fields {
		at[i] = -1
		for k, name := range head {
			if name == f.Name {
				at[i] = k
			}
		}
		if at[i] < 0 {
			return fmt.Errorf("it has no column %q", f.Name)
		}
	}
	for {
		record, err := in.Read()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = r.full()
		}
		if err != nil {
			return err
		}
		for i, c := range r.cols {
			if err := put(c, r.p.fields[i].Type, record[at[i]], record[at[i]] == ""); err != nil {
				line, _ := in.FieldPos(0)
				return fmt.Errorf("line %d, column %s: %w", line, r.p.fields[i].Name, err)
			}
		}
	}
}

// put appends a value that is written as text.
func put(c *carry.Column, t arrow.DataType, text string, null bool) error {
	if null {
		c.Null()
		return nil
	}
	switch t.ID() {
	case arrow.STRING:
		c.Text([]byte(text))
	case arrow.FLOAT64:
		v, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsInf(v, 0) || math.IsNaN(v) {
			return errors.New("not a number")
		}
		c.Fixed(math.Float64bits(v))
	case arrow.INT64:
		v, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return errors.New("not an integer")
		}
		c.Fixed(uint64(v))
	case arrow.BOOL:
		v, err := strconv.ParseBool(text)
		if err != nil {
			return errors.New("not a bool")
		}
		c.Bool(v)
	default:
		us, ok := flow.ParseTime([]byte(text))
		if !ok {
			return errors.New("not a timestamp as 2026-01-31T12:00:00Z is one")
		}
		c.Fixed(uint64(us))
	}
	return nil
}

func (r *reader) object(o map[string]json.RawMessage) error {
	if err := r.full(); err != nil {
		return err
	}
	row := r.cols[0].Len() + 1
	for i, c := range r.cols {
		raw, t := o[r.p.fields[i].Name], r.p.fields[i].Type
		text, null := string(raw), len(raw) == 0 || string(raw) == "null"
		quoted := !null && raw[0] == '"'
		if quoted {
			if err := json.Unmarshal(raw, &text); err != nil {
				return err
			}
		}
		var err error
		if wants := t.ID() == arrow.STRING || t.ID() == arrow.TIMESTAMP; !null && wants != quoted {
			err = errors.New("a value of another type")
		}
		if err == nil {
			err = put(c, t, text, null)
		}
		if err != nil {
			return fmt.Errorf("row %d, column %s: %w", row, r.p.fields[i].Name, err)
		}
	}
	return nil
}

func (r *reader) ndjson(data []byte) error {
	for line := range bytes.Lines(data) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		var o map[string]json.RawMessage
		if err := json.Unmarshal(line, &o); err != nil {
			return fmt.Errorf("row %d: %w", r.cols[0].Len()+1, notJSON(line, err, "an object, {...}"))
		}
		if err := r.object(o); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) json(data []byte) error {
	var all []map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		return notJSON(data, err, "a list of objects, [{...}, {...}]")
	}
	for _, o := range all {
		if err := r.object(o); err != nil {
			return err
		}
	}
	return nil
}

// notJSON says in words of their author what is wrong with a text that should have been something.
func notJSON(data []byte, err error, wanted string) error {
	var syntax *json.SyntaxError
	text := bytes.TrimSpace(data)
	switch {
	case len(text) == 0:
		return errors.New("it is empty")
	case text[0] == '<':
		return errors.New("it is no JSON, but HTML or XML: perhaps the page of a login, or of an error")
	case !errors.As(err, &syntax):
		return fmt.Errorf("it is JSON, but not %s", wanted)
	case syntax.Offset >= int64(len(data)):
		return errors.New("it breaks off: perhaps it is half written")
	}
	before := data[:max(0, syntax.Offset-1)]
	return fmt.Errorf("it is no JSON: what is wrong begins in line %d, at byte %d of that", bytes.Count(before, []byte{'\n'})+1, len(before)-bytes.LastIndexByte(before, '\n'))
}

func (r *reader) parquet(data []byte) error {
	batches, err := parquet.Read(data, memory.DefaultAllocator)
	if err != nil {
		return err
	}
	defer func() {
		for _, b := range batches {
			b.Release()
		}
	}()
	for _, b := range batches {
		for i, f := range r.p.fields {
			at := b.Schema().FieldIndices(f.Name)
			if len(at) == 0 || !arrow.TypeEqual(b.Column(at[0]).DataType(), f.Type) {
				return fmt.Errorf("it has no column %q of type %s", f.Name, f.Type)
			}
			for row := range int(b.NumRows()) {
				if i == 0 {
					if err := r.full(); err != nil {
						return err
					}
				}
				r.cols[i].From(b.Column(at[0]), row)
			}
		}
	}
	return nil
}
