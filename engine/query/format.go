package query

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Printer writes rows. Values are nil, bool, int64, uint64, float64, Number, string, time.Time, []any or
// Object; a row is the printer's until it returns. End is called once, with what has gone wrong on the way, if anything.
type Printer interface {
	Begin(cols []Column) error
	Row(values []any) error
	End(s *Summary, err error) error
}

// Column is a column of an answer; Type is as SQL calls it.
type Column struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// Number is a number that fits no type of Go's, in decimal digits.
type Number string

// Object is a struct or a map, with its members in order.
type Object []Field

// Field is a member of an Object.
type Field struct {
	Name  string
	Value any
}

// NewPrinter returns the printer of a request's format.
func NewPrinter(q *Request, out io.Writer) Printer {
	w := bufio.NewWriterSize(out, 64<<10)
	switch q.Format {
	case FormatCSV:
		return &csvPrinter{out: csv.NewWriter(w), buf: w}
	case FormatJSON:
		return &jsonPrinter{out: w}
	case FormatDocument:
		return &documentPrinter{jsonPrinter{out: w}, 0}
	case FormatPlot:
		return &plotter{out: w, width: q.Width, height: q.Height}
	}
	return &tablePrinter{out: w, width: q.Width}
}

// stamp is a time as its type shows it.
func stamp(t time.Time, typ string) string {
	switch typ {
	case "DATE":
		return t.UTC().Format("2006-01-02")
	case "TIME":
		return t.UTC().Format("15:04:05.999999")
	case "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS":
		return t.UTC().Format("2006-01-02T15:04:05.999999999")
	}
	return t.UTC().Format("2006-01-02T15:04:05.999999999Z07:00")
}

// display is a value as people read it. Of null it is "".
func display(v any, typ string) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case Number:
		return string(v)
	case time.Time:
		return stamp(v, typ)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case []any, Object:
		return string(appendJSON(nil, v, ""))
	}
	return fmt.Sprint(v)
}

// appendJSON adds a value as JSON. Floats that JSON has no number for become texts.
func appendJSON(dst []byte, v any, typ string) []byte {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...)
	case bool:
		return strconv.AppendBool(dst, v)
	case int64:
		return strconv.AppendInt(dst, v, 10)
	case uint64:
		return strconv.AppendUint(dst, v, 10)
	case Number:
		return append(dst, v...)
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return appendText(dst, strconv.FormatFloat(v, 'g', -1, 64))
		}
		out, err := json.Marshal(v)
		if err != nil {
			panic("BUG: a finite number that is no JSON")
		}
		return append(dst, out...)
	case []any:
		dst = append(dst, '[')
		for i, x := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendJSON(dst, x, "")
		}
		return append(dst, ']')
	case Object:
		dst = append(dst, '{')
		for i, f := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendText(dst, f.Name), ':')
			dst = appendJSON(dst, f.Value, "")
		}
		return append(dst, '}')
	}
	return appendText(dst, display(v, typ))
}

func appendText(dst []byte, s string) []byte {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic("BUG: a text that is no JSON")
	}
	return append(dst, strings.TrimSuffix(b.String(), "\n")...)
}

// csvPrinter writes RFC 4180, with a line of names. Null is an empty field.
type csvPrinter struct {
	out  *csv.Writer
	buf  *bufio.Writer
	cols []Column
	row  []string
}

func (p *csvPrinter) Begin(cols []Column) error {
	p.cols, p.row = cols, make([]string, len(cols))
	for i, c := range cols {
		p.row[i] = c.Name
	}
	return p.out.Write(p.row)
}

func (p *csvPrinter) Row(values []any) error {
	for i, v := range values {
		p.row[i] = display(v, p.cols[i].Type)
	}
	return p.out.Write(p.row)
}

func (p *csvPrinter) End(*Summary, error) error {
	p.out.Flush()
	if err := p.out.Error(); err != nil {
		return err
	}
	return p.buf.Flush()
}

// jsonPrinter writes an object a line.
type jsonPrinter struct {
	out  *bufio.Writer
	cols []Column
	line []byte
}

func (p *jsonPrinter) Begin(cols []Column) error {
	p.cols = cols
	return nil
}

func (p *jsonPrinter) Row(values []any) error {
	p.line = append(p.line[:0], '{')
	for i, v := range values {
		if i > 0 {
			p.line = append(p.line, ',')
		}
		p.line = append(appendText(p.line, p.cols[i].Name), ':')
		p.line = appendJSON(p.line, v, p.cols[i].Type)
	}
	p.line = append(p.line, "}\n"...)
	_, err := p.out.Write(p.line)
	return err
}

func (p *jsonPrinter) End(*Summary, error) error { return p.out.Flush() }

// documentPrinter writes {"columns": [...], "rows": [[...], ...], "summary": {...}}, with "problem" in
// place of "summary" where something has gone wrong on the way.
type documentPrinter struct {
	jsonPrinter
	n int
}

func (p *documentPrinter) Begin(cols []Column) error {
	p.cols = cols
	head, err := json.Marshal(append([]Column{}, cols...))
	if err == nil {
		_, err = fmt.Fprintf(p.out, "{\"columns\":%s,\n\"rows\":[", head)
	}
	return err
}

func (p *documentPrinter) Row(values []any) error {
	p.line = p.line[:0]
	if p.n++; p.n > 1 {
		p.line = append(p.line, ',')
	}
	p.line = append(p.line, "\n["...)
	for i, v := range values {
		if i > 0 {
			p.line = append(p.line, ',')
		}
		p.line = appendJSON(p.line, v, p.cols[i].Type)
	}
	p.line = append(p.line, ']')
	_, err := p.out.Write(p.line)
	return err
}

func (p *documentPrinter) End(s *Summary, err error) error {
	name, value := "summary", any(s)
	if err != nil {
		name, value = "problem", asProblem(err)
	}
	tail, bad := json.Marshal(value)
	if bad != nil {
		return bad
	}
	if _, err := fmt.Fprintf(p.out, "],\n%q:%s}\n", name, tail); err != nil {
		return err
	}
	return p.out.Flush()
}

// asProblem makes a Problem of any error.
func asProblem(err error) *Problem {
	if p, ok := err.(*Problem); ok {
		return p
	}
	return &Problem{Message: err.Error(), Ours: true}
}

// tablePrinter lines columns up: numbers to the right, the rest to the left.
type tablePrinter struct {
	out   *bufio.Writer
	width int
	cols  []Column
	rows  [][]string
	right []bool
}

func (p *tablePrinter) Begin(cols []Column) error {
	p.cols = cols
	p.right = make([]bool, len(cols))
	return nil
}

func (p *tablePrinter) Row(values []any) error {
	row := make([]string, len(values))
	for i, v := range values {
		switch v.(type) {
		case int64, uint64, float64, Number:
			p.right[i] = true
		}
		row[i] = cell(display(v, p.cols[i].Type))
		if v == nil {
			row[i] = "-"
		}
	}
	p.rows = append(p.rows, row)
	return nil
}

// cell keeps a text on one line. Plans are drawn in several, and shown as they are.
func cell(s string) string {
	if strings.ContainsRune(s, '─') {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

func (p *tablePrinter) End(*Summary, error) error {
	if len(p.cols) == 2 && p.cols[0].Name == "explain_key" {
		for _, r := range p.rows {
			fmt.Fprintln(p.out, r[1])
		}
		return p.out.Flush()
	}
	widths := make([]int, len(p.cols))
	for i, c := range p.cols {
		widths[i] = utf8.RuneCountInString(c.Name)
		for _, r := range p.rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(r[i]))
		}
	}
	head, rule := make([]string, len(p.cols)), make([]string, len(p.cols))
	for i, c := range p.cols {
		head[i], rule[i] = cell(c.Name), strings.Repeat("─", widths[i])
	}
	for _, row := range append([][]string{head, rule}, p.rows...) {
		var line strings.Builder
		for i, text := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(text))
			if i > 0 {
				line.WriteString("  ")
			}
			if p.right[i] {
				line.WriteString(pad + text)
			} else {
				line.WriteString(text + pad)
			}
		}
		if _, err := fmt.Fprintln(p.out, strings.TrimRight(line.String(), " ")); err != nil {
			return err
		}
	}
	return p.out.Flush()
}
