package pipetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/config"
)

// table is rows as a person writes them:
//
//	device  time  temp   note
//	t1      +5m   -17.5  "two words"
//	t2      +6m   -      -
//
//	header = name { name }
//	cell   = "-" | number | "true" | "false" | "+" duration | word | JSON string
//
// "-" is null, +5m the time five minutes after the test's start. Empty lines,
// and lines that begin with #, are left out.
type table struct {
	columns []string
	rows    [][]string
	lines   []int // in the file, of each row
	at      hcl.Range
	src     []byte // of the file
}

// line is the place of one line of the table.
func (t *table) line(n int) hcl.Range {
	r := t.at
	r.Start.Byte, r.End.Byte = 0, 0
	for k := 1; k < n; k++ {
		next := bytes.IndexByte(t.src[r.Start.Byte:], '\n')
		if next < 0 {
			break
		}
		r.Start.Byte += next + 1
	}
	whole, _, _ := bytes.Cut(t.src[r.Start.Byte:], []byte("\n"))
	indent := len(whole) - len(bytes.TrimLeft(whole, " \t"))
	r.End.Byte, r.Start.Byte = r.Start.Byte+len(whole), r.Start.Byte+indent
	r.Start.Line, r.Start.Column = n, 1+indent
	r.End.Line, r.End.Column = n, 1+len(whole)
	return r
}

// readTable reads a table argument of a file.
func readTable(x hcl.Expression, src []byte) (*table, hcl.Diagnostics) {
	content, diags := text(x, "table")
	if diags.HasErrors() {
		return nil, diags
	}
	t := &table{at: x.Range(), src: src}
	for i, line := range strings.Split(content, "\n") {
		at := x.Range().Start.Line + i
		if x.Range().End.Line > x.Range().Start.Line {
			at++ // a heredoc begins on the line after
		}
		cells, err := splitCells(line)
		if err != nil {
			diags = append(diags, config.Errorf(t.line(at), "Not a row", "%v", err)...)
			continue
		}
		switch {
		case len(cells) == 0:
		case t.columns == nil:
			t.columns = cells
		case len(cells) != len(t.columns):
			diags = append(diags, config.Errorf(t.line(at), "Not a row", "This row has %d cells, and the header %d: %s.", len(cells), len(t.columns), strings.Join(t.columns, ", "))...)
		default:
			t.rows, t.lines = append(t.rows, cells), append(t.lines, at)
		}
	}
	if t.columns == nil {
		diags = append(diags, config.Errorf(x.Range(), "No header", "The first line of a table names its columns.")...)
	}
	return t, diags
}

// splitCells cuts a line at spaces outside of quotes and brackets.
func splitCells(line string) ([]string, error) {
	line = strings.TrimSpace(line)
	if strings.HasPrefix(line, "#") {
		return nil, nil
	}
	var cells []string
	for i := 0; i < len(line); {
		if line[i] == ' ' || line[i] == '\t' {
			i++
			continue
		}
		start, quoted, depth := i, false, 0
		for ; i < len(line) && (quoted || depth > 0 || line[i] != ' ' && line[i] != '\t'); i++ {
			switch c := line[i]; {
			case c == '\\' && quoted:
				i++
			case c == '"':
				quoted = !quoted
			case quoted:
			case c == '[' || c == '{':
				depth++
			case c == ']' || c == '}':
				depth--
			}
		}
		if quoted || depth > 0 {
			return nil, fmt.Errorf("a quote or bracket is not closed: %s", line[start:])
		}
		cells = append(cells, line[start:i])
	}
	return cells, nil
}

// offset reads "+5m" and "5m" as time since the start.
func offset(cell string) (time.Duration, bool) {
	d, err := config.ParseDuration(strings.TrimPrefix(cell, "+"))
	return d, err == nil
}

// member writes a cell as a JSON value.
func member(cell string, start time.Time) (string, error) {
	switch {
	case cell == "-":
		return "null", nil
	case strings.HasPrefix(cell, "+"):
		d, ok := offset(cell)
		if !ok {
			return "", fmt.Errorf("%q is no time since the start; write +5m or +1h30m", cell)
		}
		return strconv.Quote(start.Add(d).UTC().Format(time.RFC3339Nano)), nil
	case json.Valid([]byte(cell)):
		return cell, nil
	}
	quoted, err := json.Marshal(cell)
	return string(quoted), err
}
