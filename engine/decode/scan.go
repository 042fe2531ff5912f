package decode

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"unicode/utf8"
)

// scanner walks over one JSON text and checks every byte of it against RFC
// 8259. Its methods take a position and return the position after what they
// read, or -1 after they noted the first fault in at and fault.
type scanner struct {
	s     []byte
	max   int // containers within each other
	at    int // where the fault is, from 0; -1: it says so itself
	fault string
}

// fail notes a fault. It keeps the first one.
func (s *scanner) fail(at int, format string, args ...any) int {
	if s.fault == "" {
		s.at, s.fault = at, fmt.Sprintf(format, args...)
	}
	return -1
}

// expected notes that something else stands at p.
func (s *scanner) expected(p int, what string) int {
	return s.fail(p, "found %s where %s should be", s.found(p), what)
}

// found describes the byte at p for a person.
func (s *scanner) found(p int) string {
	switch {
	case p >= len(s.s):
		return "the end of the record"
	case s.s[p] < 0x20 || s.s[p] == 0x7f:
		return fmt.Sprintf("the control character 0x%02x", s.s[p])
	case s.s[p] < utf8.RuneSelf:
		return fmt.Sprintf("%q", rune(s.s[p]))
	}
	if r, n := utf8.DecodeRune(s.s[p:]); n > 1 {
		return fmt.Sprintf("%q", r)
	}
	return fmt.Sprintf("the byte 0x%02x", s.s[p])
}

// space returns the position of the first byte at or after p that is not white space.
func (s *scanner) space(p int) int {
	for p < len(s.s) && (s.s[p] == ' ' || s.s[p] == '\n' || s.s[p] == '\r' || s.s[p] == '\t') {
		p++
	}
	return p
}

// byte reads the one byte c, after white space.
func (s *scanner) byte(p int, c byte, what string) int {
	p = s.space(p)
	if p >= len(s.s) || s.s[p] != c {
		return s.expected(p, what)
	}
	return p + 1
}

// skip reads any value at p, where depth containers are open already.
func (s *scanner) skip(p, depth int) int {
	if p >= len(s.s) {
		return s.expected(p, "a value")
	}
	switch c := s.s[p]; c {
	case '"':
		end, _ := s.str(p)
		return end
	case '{':
		return s.skipObject(p, depth+1)
	case '[':
		return s.skipList(p, depth+1)
	case 't':
		return s.word(p, "true")
	case 'f':
		return s.word(p, "false")
	case 'n':
		return s.word(p, "null")
	default:
		if c == '-' || c-'0' <= 9 {
			return s.number(p)
		}
		return s.expected(p, "a value")
	}
}

// enter checks the depth of the container that opens at p.
func (s *scanner) enter(p, depth int) bool {
	if depth <= s.max {
		return true
	}
	s.fail(p, "objects and lists are nested deeper than %d", s.max)
	return false
}

func (s *scanner) skipObject(p, depth int) int {
	if !s.enter(p, depth) {
		return -1
	}
	for first := true; ; first = false {
		p = s.space(p + 1)
		if first && p < len(s.s) && s.s[p] == '}' {
			return p + 1
		}
		if p = s.key(p); p < 0 {
			return -1
		}
		if p = s.skip(p, depth); p < 0 {
			return -1
		}
		if p = s.more(p, '}'); p < 0 || s.s[p] == '}' {
			return s.past(p)
		}
	}
}

func (s *scanner) skipList(p, depth int) int {
	if !s.enter(p, depth) {
		return -1
	}
	for first := true; ; first = false {
		p = s.space(p + 1)
		if first && p < len(s.s) && s.s[p] == ']' {
			return p + 1
		}
		if p = s.skip(p, depth); p < 0 {
			return -1
		}
		if p = s.more(p, ']'); p < 0 || s.s[p] == ']' {
			return s.past(p)
		}
	}
}

// past steps over a closing byte, and keeps a fault a fault.
func (s *scanner) past(p int) int {
	if p < 0 {
		return -1
	}
	return p + 1
}

// key reads a member's name, the colon and the white space around them.
func (s *scanner) key(p int) int {
	if p >= len(s.s) || s.s[p] != '"' {
		return s.expected(p, `a member's name in quotes ("name": value)`)
	}
	end, _ := s.str(p)
	if end < 0 {
		return -1
	}
	if end = s.byte(end, ':', `a ":" after the member's name`); end < 0 {
		return -1
	}
	return s.space(end)
}

// more finds the "," or the closing byte that must follow a value and returns its position.
func (s *scanner) more(p int, closing byte) int {
	p = s.space(p)
	if p < len(s.s) && (s.s[p] == ',' || s.s[p] == closing) {
		return p
	}
	return s.expected(p, fmt.Sprintf(`a "," or %q`, rune(closing)))
}

// word reads one of true, false and null.
func (s *scanner) word(p int, w string) int {
	if !bytes.HasPrefix(s.s[p:], []byte(w)) {
		return s.expected(p, "a value (true, false and null are the only bare words)")
	}
	return p + len(w)
}

// number reads a number. What follows it is the caller's to check, except
// for a few faults that deserve a message of their own.
func (s *scanner) number(p int) int {
	start, b := p, s.s
	if b[p] == '-' {
		p++
	}
	switch {
	case p >= len(b) || b[p]-'0' > 9:
		return s.expected(p, "a digit")
	case b[p] == '0':
		if p++; p < len(b) && b[p]-'0' <= 9 {
			return s.fail(start, "found a number that starts with a superfluous 0")
		}
	default:
		p = digits(b, p)
	}
	if p < len(b) && b[p] == '.' {
		q := digits(b, p+1)
		if q == p+1 {
			return s.expected(q, `a digit after the "."`)
		}
		p = q
	}
	if p < len(b) && b[p]|0x20 == 'e' {
		if p++; p < len(b) && (b[p] == '+' || b[p] == '-') {
			p++
		}
		q := digits(b, p)
		if q == p {
			return s.expected(q, "a digit of the exponent")
		}
		p = q
	}
	return p
}

// digits returns the position of the first byte at or after p that is no digit.
func digits(b []byte, p int) int {
	for p < len(b) && b[p]-'0' <= 9 {
		p++
	}
	return p
}

// str reads the string that opens at p. plain says that it holds no escapes.
func (s *scanner) str(p int) (end int, plain bool) {
	b, start := s.s, p+1
	plain = true
	high := false
	for p = start; ; {
		p, high = run(b, p, high)
		switch {
		case p >= len(b):
			return s.fail(start-1, "found a string that does not end"), false
		case b[p] == '"':
			if high && !utf8.Valid(b[start:p]) {
				return s.badText(start), false
			}
			return p + 1, plain
		case b[p] == '\\':
			plain = false
			if p = s.escape(p); p < 0 {
				return -1, false
			}
		default:
			return s.fail(p, "found the control character 0x%02x in a string; it should be written as an escape (\\u%04x)", b[p], b[p]), false
		}
	}
}

// run steps over bytes of a string that mean themselves. high says that one
// of them, or of those before, is not ASCII.
func run(b []byte, p int, high bool) (int, bool) {
	for p < len(b) {
		if p+8 <= len(b) {
			m := special(binary.LittleEndian.Uint64(b[p:]))
			if m == 0 {
				p += 8
				continue
			}
			p += firstByte(m)
		}
		if c := b[p]; c >= utf8.RuneSelf {
			high = true
		} else if c < 0x20 || c == '"' || c == '\\' {
			break
		}
		p++
	}
	return p, high
}

// badText notes where the text from start on is not UTF-8.
func (s *scanner) badText(start int) int {
	for p := start; ; {
		r, n := utf8.DecodeRune(s.s[p:])
		if r == utf8.RuneError && n == 1 {
			return s.fail(p, "found the byte 0x%02x, which is not valid UTF-8 here; text should be UTF-8", s.s[p])
		}
		p += n
	}
}

// escape reads the escape at p; the two halves of a surrogate pair are one.
func (s *scanner) escape(p int) int {
	if p+1 >= len(s.s) {
		return s.expected(p+1, "the rest of an escape")
	}
	switch s.s[p+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return p + 2
	case 'u':
	default:
		return s.fail(p, `found a "\" before %s; it should stand before one of "\/bfnrtu`, s.found(p+1))
	}
	r, ok := hex4(s.s, p+2)
	switch {
	case !ok:
		return s.fail(p, `found "\u" without four hexadecimal digits`)
	case r < 0xd800 || r > 0xdfff:
		return p + 6
	case r < 0xdc00 && p+7 < len(s.s) && s.s[p+6] == '\\' && s.s[p+7] == 'u':
		if low, ok := hex4(s.s, p+8); ok && low >= 0xdc00 && low <= 0xdfff {
			return p + 12
		}
	}
	return s.fail(p, `found \u%04x, half of a surrogate pair, without its other half`, r)
}

// hex4 reads four hexadecimal digits.
func hex4(b []byte, p int) (r rune, ok bool) {
	if p+4 > len(b) {
		return 0, false
	}
	for _, c := range b[p : p+4] {
		switch {
		case c-'0' <= 9:
			r = r<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

// unescape appends to dst what raw, the inside of a string that str has
// accepted, stands for. It is never longer than raw.
func unescape(dst, raw []byte) []byte {
	for {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 {
			return append(dst, raw...)
		}
		dst = append(dst, raw[:i]...)
		c := raw[i+1]
		raw = raw[i+2:]
		switch c {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r, _ := hex4(raw, 0)
			raw = raw[4:]
			if r >= 0xd800 && r <= 0xdbff {
				low, _ := hex4(raw, 2)
				r = (r-0xd800)<<10 + (low - 0xdc00) + 0x10000
				raw = raw[6:]
			}
			dst = utf8.AppendRune(dst, r)
		default: // a quote, a backslash, a slash
			dst = append(dst, c)
		}
	}
}
