// Rows as text, for tests and for people:
//
//	_time    device:string  temp:number  ok:bool  tags:list(string)  note:string
//	00:00:30 t1             -17.5        true     [a,b]              "two words"
//	00:01:00 t2             -            false    []                 -
//
//	table  = header { row }
//	header = column { column }          columns and cells are separated by spaces or tabs
//	column = name [ ":" type ]          a metadata column has no type
//	name   = bare | quoted
//	type   = "number" | "integer" | "bool" | "string" | "timestamp" | "list(" type ")"
//	cell   = "-" | value | "[" [ item { "," item } ] "]"      "-" is null
//	value  = number | "true" | "false" | time | bare | quoted
//	time   = RFC 3339 | HH:MM[:SS[.ffffff]] on 1970-01-01 | whole microseconds since 1970
//	quoted = a JSON string              needed for "", "-" and what holds any of  space " [ ] , #
//
// Empty lines, and lines whose first character is '#', are left out. Lists have
// no spaces inside. Metadata columns that the header does not name are filled
// in: _offset counts rows from 0, _index and _slot are 0, _time and _received
// equal each other or are 0, _mark is NoMark. _mark is written as a time, with
// "-" for NoMark and "end" for EndMark.

package flow

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// ParseRows makes a batch of a text table, see the grammar above. The caller
// releases the batch. Errors name the line and the cell.
func ParseRows(alloc memory.Allocator, text string) (arrow.RecordBatch, error) {
	p := textParser{}
	for i, line := range strings.Split(text, "\n") {
		p.line = i + 1
		words, err := splitCells(line)
		if err == nil && len(words) > 0 {
			err = p.take(alloc, words)
		}
		if err != nil {
			p.release()
			return nil, fmt.Errorf("line %d: %w", p.line, err)
		}
	}
	if p.build == nil {
		return nil, fmt.Errorf("the table has no header line")
	}
	defer p.release()
	p.fill()
	return p.build.NewRecordBatch(), nil
}

// textParser holds a table while it is read.
type textParser struct {
	line  int
	build *array.RecordBuilder
	at    []int // schema column of each column of the text
	given [MetaColumns]bool
	rows  int
	times [][2]int64 // _received and _time of each row, as far as given
}

func (p *textParser) release() {
	if p.build != nil {
		p.build.Release()
	}
}

func (p *textParser) take(alloc memory.Allocator, words []string) error {
	if p.build == nil {
		return p.header(alloc, words)
	}
	if len(words) != len(p.at) {
		return fmt.Errorf("found %d cells, the header has %d columns", len(words), len(p.at))
	}
	p.times = append(p.times, [2]int64{})
	for i, w := range words {
		f := p.build.Schema().Field(p.at[i])
		if err := p.cell(p.at[i], w); err != nil {
			return fmt.Errorf("column %s: %w", f.Name, err)
		}
	}
	p.rows++
	return nil
}

func (p *textParser) header(alloc memory.Allocator, words []string) error {
	var user []arrow.Field
	seen := map[string]bool{}
	for _, w := range words {
		name, typ, err := splitColumn(w)
		if err != nil {
			return err
		}
		if seen[name] {
			return fmt.Errorf("column %s stands there twice", name)
		}
		seen[name] = true
		if at := metaColumn(name); at >= 0 {
			p.at, p.given[at] = append(p.at, at), true
			continue
		}
		if typ == nil {
			return fmt.Errorf("column %s has no type; write %s:number, :integer, :bool, :string, :timestamp or :list(number)", name, name)
		}
		p.at = append(p.at, MetaColumns+len(user))
		user = append(user, arrow.Field{Name: name, Type: typ, Nullable: true})
	}
	p.build = array.NewRecordBuilder(alloc, NewSchema(user))
	return nil
}

// cell appends one cell to its column; times of the metadata wait for fill.
func (p *textParser) cell(col int, w string) error {
	switch col {
	case ColMark:
		mark := int64(NoMark)
		var err error
		switch w {
		case "-":
		case "end":
			mark = EndMark
		default:
			mark, err = parseTextTime(w)
		}
		p.build.Field(col).(*array.Int64Builder).Append(mark)
		return err
	case ColReceived, ColTime:
		us, err := parseTextTime(w)
		p.times[p.rows][col-ColReceived] = us
		return err
	}
	if w == "-" && col < MetaColumns {
		return fmt.Errorf("metadata holds no nulls")
	}
	return appendCell(p.build.Field(col), w)
}

// fill gives the metadata that the table does not name.
func (p *textParser) fill() {
	for row := range p.rows {
		t := p.times[row]
		if !p.given[ColReceived] {
			t[0] = t[1]
		}
		if !p.given[ColTime] {
			t[1] = t[0]
		}
		p.build.Field(ColReceived).(*array.TimestampBuilder).Append(arrow.Timestamp(t[0]))
		p.build.Field(ColTime).(*array.TimestampBuilder).Append(arrow.Timestamp(t[1]))
		if !p.given[ColOffset] {
			p.build.Field(ColOffset).(*array.Int64Builder).Append(int64(row))
		}
		if !p.given[ColIndex] {
			p.build.Field(ColIndex).(*array.Int32Builder).Append(0)
		}
		if !p.given[ColSlot] {
			p.build.Field(ColSlot).(*array.Uint32Builder).Append(0)
		}
		if !p.given[ColMark] {
			p.build.Field(ColMark).(*array.Int64Builder).Append(NoMark)
		}
	}
}

func metaColumn(name string) int {
	for i, f := range MetaFields() {
		if f.Name == name {
			return i
		}
	}
	return -1
}

// splitCells cuts a line at spaces that are not inside a quoted string.
func splitCells(line string) ([]string, error) {
	line = strings.TrimRight(line, "\r")
	var words []string
	for i := 0; i < len(line); {
		if line[i] == ' ' || line[i] == '\t' {
			i++
			continue
		}
		if line[i] == '#' && len(words) == 0 {
			return nil, nil
		}
		start, quoted := i, false
		for ; i < len(line) && (quoted || line[i] != ' ' && line[i] != '\t'); i++ {
			switch {
			case line[i] == '\\' && quoted:
				i++
			case line[i] == '"':
				quoted = !quoted
			}
		}
		if quoted {
			return nil, fmt.Errorf("a quoted string is not closed: %s", line[start:])
		}
		words = append(words, line[start:i])
	}
	return words, nil
}

// splitColumn reads "name:type" or "name".
func splitColumn(w string) (string, arrow.DataType, error) {
	name, typ := w, ""
	if at := strings.LastIndexByte(w, ':'); at >= 0 && !strings.HasSuffix(w, `"`) {
		name, typ = w[:at], w[at+1:]
	}
	name, err := unquoteText(name)
	if err != nil || typ == "" {
		return name, nil, err
	}
	t := textType(typ)
	if t == nil {
		return name, nil, fmt.Errorf("column %s: unknown type %q; there are number, integer, bool, string, timestamp and list(...)", name, typ)
	}
	return name, t, nil
}

func textType(s string) arrow.DataType {
	switch s {
	case "number":
		return arrow.PrimitiveTypes.Float64
	case "integer":
		return arrow.PrimitiveTypes.Int64
	case "bool":
		return arrow.FixedWidthTypes.Boolean
	case "string":
		return arrow.BinaryTypes.String
	case "timestamp":
		return Timestamp
	}
	if inner, ok := strings.CutPrefix(s, "list("); ok && strings.HasSuffix(inner, ")") {
		if t := textType(strings.TrimSuffix(inner, ")")); t != nil && t.ID() != arrow.LIST {
			return arrow.ListOf(t)
		}
	}
	return nil
}

func textTypeName(t arrow.DataType) string {
	switch t := t.(type) {
	case *arrow.Float64Type:
		return "number"
	case *arrow.Int64Type:
		return "integer"
	case *arrow.BooleanType:
		return "bool"
	case *arrow.StringType:
		return "string"
	case *arrow.TimestampType:
		return "timestamp"
	case *arrow.ListType:
		return "list(" + textTypeName(t.Elem()) + ")"
	}
	panic("BUG: a column of type " + t.String() + " travels")
}

func unquoteText(w string) (string, error) {
	if !strings.HasPrefix(w, `"`) {
		return w, nil
	}
	var s string
	if err := json.Unmarshal([]byte(w), &s); err != nil {
		return "", fmt.Errorf("%s is not a JSON string", w)
	}
	return s, nil
}

func appendCell(b array.Builder, w string) error {
	if w == "-" {
		b.AppendNull()
		return nil
	}
	switch b := b.(type) {
	case *array.Float64Builder:
		v, err := strconv.ParseFloat(w, 64)
		if err != nil {
			return fmt.Errorf("%q is not a number", w)
		}
		b.Append(v)
	case *array.BooleanBuilder:
		if w != "true" && w != "false" {
			return fmt.Errorf("%q is not true or false", w)
		}
		b.Append(w == "true")
	case *array.StringBuilder:
		s, err := unquoteText(w)
		if err != nil {
			return err
		}
		b.Append(s)
	case *array.TimestampBuilder:
		us, err := parseTextTime(w)
		if err != nil {
			return err
		}
		b.Append(arrow.Timestamp(us))
	case *array.ListBuilder:
		return appendList(b, w)
	default:
		return appendInteger(b, w)
	}
	return nil
}

func appendInteger(b array.Builder, w string) error {
	bits := map[arrow.Type]int{arrow.INT64: 64, arrow.INT32: 32, arrow.UINT32: 33}[b.Type().ID()]
	v, err := strconv.ParseInt(w, 10, bits)
	if err != nil || bits == 33 && v < 0 {
		return fmt.Errorf("%q is not an integer that fits", w)
	}
	switch b := b.(type) {
	case *array.Int64Builder:
		b.Append(v)
	case *array.Int32Builder:
		b.Append(int32(v))
	case *array.Uint32Builder:
		b.Append(uint32(v))
	}
	return nil
}

func appendList(b *array.ListBuilder, w string) error {
	if len(w) < 2 || w[0] != '[' || w[len(w)-1] != ']' {
		return fmt.Errorf("%q is not a list such as [1,2]", w)
	}
	b.Append(true)
	inner := w[1 : len(w)-1]
	for inner != "" {
		end, quoted := 0, false
		for ; end < len(inner) && (quoted || inner[end] != ','); end++ {
			switch {
			case inner[end] == '\\' && quoted:
				end++
			case inner[end] == '"':
				quoted = !quoted
			}
		}
		if err := appendCell(b.ValueBuilder(), inner[:min(end, len(inner))]); err != nil {
			return err
		}
		if end >= len(inner) {
			break
		}
		inner = inner[end+1:]
	}
	return nil
}

func parseTextTime(w string) (int64, error) {
	if us, err := strconv.ParseInt(w, 10, 64); err == nil {
		return us, nil
	}
	for _, layout := range []string{time.RFC3339Nano, "15:04:05.999999", "15:04"} {
		if t, err := time.Parse(layout, w); err == nil {
			if layout != time.RFC3339Nano {
				t = t.AddDate(1970, 0, 0)
			}
			return t.UnixMicro(), nil
		}
	}
	return 0, fmt.Errorf("%q is not a time; write 00:05:00 or 2026-11-22T10:15:30Z", w)
}
