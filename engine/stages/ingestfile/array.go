package ingestfile

import "bytes"

// maxShown is how much of a misplaced value the text about it repeats, bytes.
const maxShown = 64 << 10

// values is a JSON array, element by element, or JSON values one after the
// other. It only looks for where they end; whether they are JSON the decoder
// will tell. What may stand where depends on all that came before, so it sees a
// file from its start again after a restart.
type values struct {
	array  bool // the file begins with a bracket
	closed bool // its closing bracket has been
	comma  bool // a comma stood before that
	state  valueState
	// Of a value that has begun:
	depth   int
	scanned int // bytes at the start of the next piece that have been looked at
	quoted  bool
	escaped bool
	long    bool   // overlong: what comes is passed over
	wrong   string // what is wrong about the place where it stands
	from    int64  // where it starts
}

// newValues makes a framer of a file that begins with head.
func newValues(head []byte) *values {
	head = bytes.TrimLeft(bytes.TrimPrefix(head, []byte(byteOrderMark)), " \n\r\t")
	return &values{array: len(head) > 0 && head[0] == '['}
}

type valueState uint8

const (
	// atStart expects the bracket, or the first value.
	atStart valueState = iota
	// afterBracket expects a value or the closing bracket.
	afterBracket
	// afterValue expects a comma or the bracket, or without an array a value.
	afterValue
	// afterComma expects a value.
	afterComma
	// inValue is inside one.
	inValue
	// afterEnd expects nothing but space.
	afterEnd
)

func (v *values) frame(p piece, out *batch) int {
	at := 0
	for at < len(p.buf) && !out.full() {
		if v.state == inValue {
			end, done := v.scan(p.buf[at:])
			if !done {
				if p.eof {
					break
				}
				if p.overlong || v.long {
					v.long, v.scanned = true, 0
					return len(p.buf)
				}
				return at
			}
			v.finish(p.buf[at:at+end], p.base+int64(at+end), out)
			at += end
			continue
		}
		at += v.between(p.buf[at], p.base+int64(at), out)
	}
	if p.eof && !out.full() {
		v.end(p, at, out)
		return len(p.buf)
	}
	return at
}

// between takes one byte outside values; it returns 0 when a value begins there.
func (v *values) between(c byte, pos int64, out *batch) int {
	switch {
	case c == ' ' || c == '\n' || c == '\r' || c == '\t':
		return 1
	case v.state == atStart && c == '[' && v.array:
		v.state = afterBracket
		return 1
	case c == ',' && v.array && v.state == afterValue:
		v.state = afterComma
		return 1
	case c == ']' && v.array && v.state != afterEnd:
		v.closed, v.comma = true, v.state == afterComma
		v.state = afterEnd
		return 1
	}
	v.wrong = ""
	switch {
	case v.state == afterEnd:
		v.wrong = "found something behind the end of the array"
	case v.array && v.state == afterValue:
		v.wrong = "a comma or ] is missing before an element"
	}
	v.state, v.from = inValue, pos
	v.depth, v.scanned, v.quoted, v.escaped, v.long = 0, 0, false, false, false
	return 0
}

// scan looks for the end of the value that buf begins with, or goes on with.
func (v *values) scan(buf []byte) (end int, done bool) {
	for i := v.scanned; i < len(buf); i++ {
		c := buf[i]
		switch {
		case v.escaped:
			v.escaped = false
		case v.quoted:
			v.escaped = c == '\\'
			v.quoted = c != '"'
			if !v.quoted && v.depth == 0 {
				return i + 1, true
			}
		case c == '"':
			v.quoted = true
		case c == '{' || c == '[':
			v.depth++
		case c == '}' || c == ']':
			if v.depth == 0 { // it closes what is around the value
				return max(i, 1), true
			}
			if v.depth--; v.depth == 0 {
				return i + 1, true
			}
		case v.depth == 0 && (c == ',' || c == ' ' || c == '\n' || c == '\r' || c == '\t'):
			return max(i, 1), true
		}
	}
	v.scanned = len(buf)
	return 0, false
}

func (v *values) finish(value []byte, pos int64, out *batch) {
	if v.long || len(value) > maxRecord {
		out.refuse(pos, "value of %d bytes from byte %d: a record has at most %d", pos-v.from, v.from, maxRecord)
	} else if v.wrong != "" {
		out.refuse(pos, "byte %d: %s: %s", v.from, v.wrong, value[:min(len(value), maxShown)])
	} else {
		out.add(value, pos)
	}
	v.scanned, v.long = 0, false
	v.state = afterValue
	if v.closed {
		v.state = afterEnd
	}
}

// end deals with what is open at the end of the file.
func (v *values) end(p piece, at int, out *batch) {
	pos := p.base + int64(len(p.buf))
	if v.state == inValue {
		v.finish(p.buf[at:], pos, out)
	}
	out.pass(pos)
	// One past the end of the file, since the record before may end there.
	switch {
	case v.array && !v.closed:
		out.refuse(pos+1, "byte %d: the file ends, and the array is not closed", pos)
	case v.comma:
		out.refuse(pos+1, "the last element of the array is followed by a comma and none")
	}
}
