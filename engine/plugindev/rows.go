package plugindev

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/wasm"
)

// Rows are rows for a plugin: a column for each one that it reads. A value is nil, float64, int64 (also
// microseconds), bool, string or []byte.
type Rows struct {
	Keys    []string // whose state
	Columns [][]any
}

// Len is the number of rows.
func (r *Rows) Len() int { return len(r.Keys) }

// Add appends the rows of others.
func (r *Rows) Add(others *Rows) {
	r.Keys = append(r.Keys, others.Keys...)
	for len(r.Columns) < len(others.Columns) {
		r.Columns = append(r.Columns, nil)
	}
	for i, c := range others.Columns {
		r.Columns[i] = append(r.Columns[i], c...)
	}
}

// take is the rows with these numbers.
func (r *Rows) take(rows []int) *Rows {
	out := &Rows{Columns: make([][]any, len(r.Columns))}
	for _, row := range rows {
		out.Keys = append(out.Keys, r.Keys[row])
		for c := range r.Columns {
			out.Columns[c] = append(out.Columns[c], r.Columns[c][row])
		}
	}
	return out
}

// arrow builds the columns of rows from to to.
func (r *Rows) arrow(m *wasm.Manifest, from, to int) []arrow.Array {
	var out []arrow.Array
	for i, c := range m.Reads {
		b := array.NewBuilder(memory.DefaultAllocator, c.Arrow())
		for _, v := range r.Columns[i][from:to] {
			appendValue(b, v)
		}
		out = append(out, b.NewArray())
		b.Release()
	}
	return out
}

func appendValue(b array.Builder, v any) {
	if v == nil {
		b.AppendNull()
		return
	}
	switch b := b.(type) {
	case *array.Float64Builder:
		b.Append(v.(float64))
	case *array.Int64Builder:
		b.Append(v.(int64))
	case *array.TimestampBuilder:
		b.Append(arrow.Timestamp(v.(int64)))
	case *array.BooleanBuilder:
		b.Append(v.(bool))
	case *array.StringBuilder:
		b.Append(v.(string))
	case *array.BinaryBuilder:
		b.Append(v.([]byte))
	default:
		panic("BUG: a column of another type than manifests have")
	}
}

// valueOf is a value of a column that a plugin wrote.
func valueOf(c arrow.Array, row int) any {
	if c.IsNull(row) {
		return nil
	}
	switch c := c.(type) {
	case *array.Float64:
		return c.Value(row)
	case *array.Int64:
		return c.Value(row)
	case *array.Timestamp:
		return int64(c.Value(row))
	case *array.Boolean:
		return c.Value(row)
	case *array.String:
		return strings.Clone(c.Value(row))
	}
	panic("BUG: a plugin wrote a column of another type than manifests have")
}

// cell writes a value as a cell of a table.
func cell(v any) string {
	switch v := v.(type) {
	case nil:
		return "-"
	case float64:
		if math.IsNaN(v) {
			return "NaN"
		}
		return strconv.FormatFloat(v, 'g', -1, 64)
	case int64:
		return strconv.FormatInt(v, 10)
	case bool:
		return strconv.FormatBool(v)
	case []byte:
		return "hex:" + hex.EncodeToString(v)
	case string:
		if v == "" || v == "-" || strings.HasPrefix(v, "#") || strings.HasPrefix(v, "hex:") || strings.ContainsAny(v, " \t\n\r\"[]{}\\") || !printable(v) {
			out, err := json.Marshal(v)
			if err != nil {
				panic("BUG: a text that is no JSON: " + err.Error())
			}
			return string(out)
		}
		return v
	}
	panic("BUG: a value of a type that columns do not have")
}

func printable(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return !strconv.IsPrint(r) }) < 0
}

// parseCell reads a cell of a table as a value of a column's type.
func parseCell(text, typ string) (any, error) {
	if text == "-" {
		return nil, nil
	}
	word := text
	if strings.HasPrefix(text, `"`) {
		if err := json.Unmarshal([]byte(text), &word); err != nil {
			return nil, fmt.Errorf("%s is no text in quotes", text)
		}
	}
	switch typ {
	case "number":
		v, err := strconv.ParseFloat(word, 64)
		if err != nil {
			return nil, fmt.Errorf("%s is no number", text)
		}
		return v, nil
	case "integer":
		v, err := strconv.ParseInt(word, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s is no whole number", text)
		}
		return v, nil
	case "bool":
		v, err := strconv.ParseBool(word)
		if err != nil {
			return nil, fmt.Errorf("%s is neither true nor false", text)
		}
		return v, nil
	case "timestamp":
		if v, err := strconv.ParseInt(word, 10, 64); err == nil {
			return v, nil
		}
		at, err := time.Parse(time.RFC3339Nano, word)
		if err != nil {
			return nil, fmt.Errorf("%s is no time: write 2026-01-31T12:00:00Z, or microseconds since 1970", text)
		}
		return at.UnixMicro(), nil
	case "bytes":
		if digits, ok := strings.CutPrefix(word, "hex:"); ok {
			v, err := hex.DecodeString(digits)
			if err != nil {
				return nil, fmt.Errorf("%s: behind hex: stand pairs of hex digits", text)
			}
			return v, nil
		}
		return []byte(word), nil
	}
	return word, nil
}

// same compares values; numbers to 1e-9 of their size.
func same(a, b any) bool {
	x, ok1 := a.(float64)
	y, ok2 := b.(float64)
	if ok1 && ok2 {
		return x == y || math.IsNaN(x) && math.IsNaN(y) || math.Abs(x-y) <= 1e-9*max(math.Abs(x), math.Abs(y), 1e-3)
	}
	return cell(a) == cell(b)
}

// table is rows as a person writes them: a header, then a line a row. Cells are separated by
// spaces; "-" is null; texts with spaces stand in quotes; bytes are text, or hex:00ff.
type table struct {
	names []string
	cells [][]string
}

func parseTable(text string) (*table, error) {
	t := &table{}
	for i, line := range strings.Split(text, "\n") {
		words, err := splitCells(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		switch {
		case len(words) == 0:
		case t.names == nil:
			t.names = words
		case len(words) != len(t.names):
			return nil, fmt.Errorf("line %d has %d cells, and the header %d: %s", i+1, len(words), len(t.names), strings.Join(t.names, ", "))
		default:
			t.cells = append(t.cells, words)
		}
	}
	if t.names == nil {
		return nil, fmt.Errorf("the first line of a table names its columns")
	}
	return t, nil
}

// splitCells cuts a line at spaces outside of quotes.
func splitCells(line string) (cells []string, err error) {
	line = strings.TrimSpace(line)
	if strings.HasPrefix(line, "#") {
		return nil, nil
	}
	for i := 0; i < len(line); {
		if line[i] == ' ' || line[i] == '\t' {
			i++
			continue
		}
		start, quoted := i, false
		for ; i < len(line) && (quoted || line[i] != ' ' && line[i] != '\t'); i++ {
			switch {
			case quoted && line[i] == '\\':
				i++
			case line[i] == '"':
				quoted = !quoted
			}
		}
		if quoted || i > len(line) {
			return nil, fmt.Errorf("a quote is not closed: %s", line[start:])
		}
		cells = append(cells, line[start:i])
	}
	return cells, nil
}

// writeTable lays rows of cells out in columns.
func writeTable(names []string, rows [][]string) string {
	widths := make([]int, len(names))
	all := append([][]string{names}, rows...)
	for _, row := range all {
		for i, c := range row {
			widths[i] = max(widths[i], len([]rune(c)))
		}
	}
	var b strings.Builder
	for _, row := range all {
		var line strings.Builder
		for i, c := range row {
			line.WriteString(c + strings.Repeat(" ", widths[i]-len([]rune(c))+2))
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return b.String()
}
