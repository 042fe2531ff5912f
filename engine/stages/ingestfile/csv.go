package ingestfile

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/tidemill/tidemill/engine/flow"
)

// rows is CSV by RFC 4180: each row becomes a JSON object.
type rows struct {
	separator byte
	columns   []string
	keys      [][]byte // `{"name":` and `,"name":`, by column
	text      []bool   // by column: the channel wants a string
	headed    bool     // the header has been, or there is none
	scan      rowScan
	scanned   int
	skipping  bool
	from      int64
	cells     [][]byte
	unquoted  []byte // arena for cells with doubled quotes
	object    []byte
}

// newRows makes a framer of a file with these columns; headed says that the
// header is not in what it will see.
func newRows(o *options, columns []string, headed bool) *rows {
	r := &rows{separator: o.separator, columns: columns, headed: headed}
	for i, name := range columns {
		lead := ","
		if i == 0 {
			lead = "{"
		}
		r.keys = append(r.keys, append(flow.AppendJSONString([]byte(lead), name), ':'))
		r.text = append(r.text, o.text[name])
	}
	return r
}

// rowScan finds where a row ends: at a line end outside quotes. A quote opens
// only at the start of a cell, so that one in the middle of a cell swallows
// nothing.
type rowScan uint8

const (
	cellStart rowScan = iota
	inBare
	inQuotes
	afterQuote
)

// next looks at buf and returns the index of the row's line end, or -1.
func (s *rowScan) next(buf []byte, separator byte) int {
	state := *s
	for i, c := range buf {
		switch {
		case state == inQuotes:
			if c == '"' {
				state = afterQuote
			}
		case c == '\n':
			*s = cellStart
			return i
		case c == separator:
			state = cellStart
		case c == '"' && (state == cellStart || state == afterQuote):
			state = inQuotes
		default:
			state = inBare
		}
	}
	*s = state
	return -1
}

func (r *rows) frame(p piece, out *batch) int {
	at := 0
	for !out.full() {
		end := r.scan.next(p.buf[at+r.scanned:], r.separator)
		if end < 0 {
			break
		}
		end += at + r.scanned
		r.scanned = 0
		r.row(p.buf[at:end], p.base+int64(at), p.base+int64(end)+1, out)
		at = end + 1
	}
	if out.full() {
		return at
	}
	switch {
	case p.eof:
		if at < len(p.buf) || r.skipping {
			r.row(p.buf[at:], p.base+int64(at), p.base+int64(len(p.buf)), out)
		}
		r.scanned = 0
		return len(p.buf)
	case p.overlong, r.skipping:
		if !r.skipping {
			r.skipping, r.from = true, p.base+int64(at)
		}
		r.scanned = 0
		return len(p.buf)
	}
	r.scanned = len(p.buf) - at
	return at
}

func (r *rows) row(row []byte, from, pos int64, out *batch) {
	if r.skipping || len(row) > maxRecord {
		if r.skipping {
			from = r.from
		}
		r.skipping = false
		out.refuse(pos, "row of %d bytes from byte %d: a record has at most %d", pos-from, from, maxRecord)
		return
	}
	if n := len(row); n > 0 && row[n-1] == '\r' {
		row = row[:n-1]
	}
	if len(row) == 0 {
		out.empty++
		out.pass(pos)
		return
	}
	if !r.headed {
		r.headed = true
		out.pass(pos)
		return
	}
	var wrong string
	r.cells, r.unquoted, wrong = splitRow(r.cells[:0], r.unquoted[:0], row, r.separator)
	switch {
	case wrong != "":
		out.refuse(pos, "row at byte %d: %s: %s", from, wrong, row[:min(len(row), maxShown)])
	case len(r.cells) != len(r.columns):
		out.refuse(pos, "row at byte %d has %d cells, and there are %d columns (%s): %s",
			from, len(r.cells), len(r.columns), strings.Join(r.columns, ","), row[:min(len(row), maxShown)])
	case !utf8.Valid(row):
		out.refuse(pos, "row at byte %d is not UTF-8: %s", from, row[:min(len(row), maxShown)])
	default:
		out.add(out.keep(r.json()), pos)
	}
}

// json makes an object of r.cells.
func (r *rows) json() []byte {
	dst := r.object[:0]
	for i, cell := range r.cells {
		dst = append(dst, r.keys[i]...)
		switch {
		case len(cell) == 0:
			dst = append(dst, "null"...)
		case !r.text[i] && isBare(cell):
			dst = append(dst, cell...)
		default:
			dst = flow.AppendJSONString(dst, string(cell))
		}
	}
	r.object = append(dst, '}')
	return r.object
}

// splitRow cuts a row into cells. Those with doubled quotes are copied to arena.
func splitRow(cells [][]byte, arena, row []byte, separator byte) (_ [][]byte, _ []byte, wrong string) {
	for {
		if len(row) > 0 && row[0] == '"' {
			start := len(arena)
			rest := row[1:]
			for {
				end := bytes.IndexByte(rest, '"')
				if end < 0 {
					return cells, arena, "a quote is not closed"
				}
				arena = append(arena, rest[:end]...)
				rest = rest[end+1:]
				if len(rest) == 0 || rest[0] != '"' {
					break
				}
				arena = append(arena, '"')
				rest = rest[1:]
			}
			cells = append(cells, arena[start:len(arena):len(arena)])
			if len(rest) == 0 {
				return cells, arena, ""
			}
			if rest[0] != separator {
				return cells, arena, "something follows a closing quote"
			}
			row = rest[1:]
			continue
		}
		end := bytes.IndexByte(row, separator)
		cell := row
		if end >= 0 {
			cell = row[:end]
		}
		if bytes.IndexByte(cell, '"') >= 0 {
			return cells, arena, "a quote stands inside a cell that does not begin with one"
		}
		cells = append(cells, cell)
		if end < 0 {
			return cells, arena, ""
		}
		row = row[end+1:]
	}
}

// isBare reports whether a cell is true, false or a number as JSON writes them.
func isBare(b []byte) bool {
	if string(b) == "true" || string(b) == "false" {
		return true
	}
	if b[0] == '-' {
		b = b[1:]
	}
	n := digits(b)
	if n == 0 || n > 1 && b[0] == '0' {
		return false
	}
	b = b[n:]
	if len(b) > 0 && b[0] == '.' {
		n = digits(b[1:])
		if n == 0 {
			return false
		}
		b = b[1+n:]
	}
	if len(b) > 0 && b[0]|0x20 == 'e' {
		b = b[1:]
		if len(b) > 0 && (b[0] == '+' || b[0] == '-') {
			b = b[1:]
		}
		n = digits(b)
		return n > 0 && n == len(b)
	}
	return len(b) == 0
}

func digits(b []byte) int {
	n := 0
	for n < len(b) && b[n]-'0' <= 9 {
		n++
	}
	return n
}
