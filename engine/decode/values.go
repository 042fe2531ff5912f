package decode

import (
	"fmt"
	"unicode/utf8"

	"github.com/tidemill/tidemill/engine/flow"
)

// set reads the value at p and sets row of c by it. why says what is wrong
// with a value that is JSON but does not fit; row is then in no good state.
func (d *jsonDecoder) set(c *column, row, p, depth int) (end int, why string) {
	switch b := d.s[p]; {
	case b == 'n':
		if end = d.word(p, "null"); end >= 0 {
			c.setNull(row)
		}
		return end, ""
	case b == '"' && c.kind == kindText:
		return d.setText(c, row, p)
	case b == '"' && c.kind == kindTime:
		return d.setTime(c, row, p)
	case (b == 't' || b == 'f') && c.kind == kindBool:
		word := "true"
		if b == 'f' {
			word = "false"
		}
		if end = d.word(p, word); end >= 0 && !c.skip {
			c.setBool(row, b == 't')
		}
		return end, ""
	case (b == '-' || b-'0' <= 9) && c.kind <= kindTime:
		if end = d.number(p); end < 0 {
			return -1, ""
		}
		return end, c.setNumber(row, d.s[p:end])
	case b == '[' && c.kind == kindList:
		return d.setList(c, row, p, depth+1)
	}
	if end = d.skip(p, depth); end < 0 {
		return -1, ""
	}
	return end, "found " + d.glimpse(p) + " where " + c.kind.wanted() + " should be"
}

func (d *jsonDecoder) setText(c *column, row, p int) (end int, why string) {
	end, plain := d.str(p)
	if end < 0 {
		return -1, ""
	}
	if !c.skip && !c.setText(row, d.s[p+1:end-1], !plain) {
		return end, tooMuch
	}
	return end, ""
}

// tooMuch is the reason where the limits of a batch are met.
const tooMuch = "found more than the 2 GiB that a column of one block can hold"

func (d *jsonDecoder) setTime(c *column, row, p int) (end int, why string) {
	end, plain := d.str(p)
	if end < 0 {
		return -1, ""
	}
	raw := d.s[p+1 : end-1]
	if !plain && len(raw) < 1024 {
		d.scratch = unescape(d.scratch[:0], raw)
		raw = d.scratch
	}
	us, ok := flow.ParseTime(raw)
	if !ok {
		return end, "found " + d.glimpse(p) + ` where a time such as "2006-01-02T15:04:05Z" should be`
	}
	if !c.skip {
		c.setInt(row, us)
	}
	return end, ""
}

// setNumber sets row by a number; it returns what is wrong with it.
func (c *column) setNumber(row int, tok []byte) (why string) {
	switch c.kind {
	case kindFloat:
		v, ok := parseFloat(tok)
		if !ok {
			return fmt.Sprintf("found %s, which is out of range; a number should be within ±1.797693e308", clip(tok))
		}
		if !c.skip {
			c.setFloat(row, v)
		}
	case kindInt:
		v, fit := parseDecimal(tok).toInt()
		switch fit {
		case broken:
			return fmt.Sprintf("found %s where a whole number should be", clip(tok))
		case outOfRange:
			return fmt.Sprintf("found %s, which is out of range; a whole number should be from -2^63 to 2^63-1", clip(tok))
		}
		if !c.skip {
			c.setInt(row, v)
		}
	default:
		v, ok := numberTime(parseDecimal(tok), c.field.Unit)
		if !ok {
			return fmt.Sprintf("found %s, which is out of range; a time should be in the years 0000 to 9999 (is the unit right?)", clip(tok))
		}
		if !c.skip {
			c.setInt(row, v)
		}
	}
	return ""
}

// setList sets row by the list at p, the depth-th container.
func (d *jsonDecoder) setList(c *column, row, p, depth int) (end int, why string) {
	if !d.enter(p, depth) {
		return -1, ""
	}
	start, child := p, c.child
	if !c.skip {
		child.cut(c.ends[row])
	}
	for first := true; ; first = false {
		p = d.space(p + 1)
		if first && p < len(d.s) && d.s[p] == ']' {
			break
		}
		if p >= len(d.s) {
			return d.expected(p, "a value"), ""
		}
		if !c.skip && !child.add() {
			return d.skip(start, depth-1), tooMuch
		}
		if end, why = d.set(child, int(child.count), p, depth); end < 0 {
			return -1, ""
		}
		if why != "" {
			return d.skip(start, depth-1), fmt.Sprintf("in the list, at byte %d: %s", p+1, why)
		}
		if !c.skip {
			child.count++
		}
		if p = d.more(end, ']'); p < 0 {
			return -1, ""
		}
		if d.s[p] == ']' {
			break
		}
	}
	if !c.skip {
		c.ends[row+1] = child.count
		c.markSet(row)
	}
	return p + 1, ""
}

// glimpse describes the value at p, which is known to be good.
func (d *jsonDecoder) glimpse(p int) string {
	switch d.s[p] {
	case '{':
		return "an object {…}"
	case '[':
		return "a list […]"
	case '"':
		end, _ := d.str(p)
		return "the text " + clip(d.s[p:end])
	}
	return clip(d.s[p:d.skip(p, 0)])
}

// clip shortens a value for a message.
func clip(b []byte) string {
	const most = 60
	if len(b) <= most {
		return string(b)
	}
	return fmt.Sprintf("%s… (%d bytes)", cut(b, most), len(b))
}

// cut returns the first n bytes of b, or one to three fewer where a character would be cut.
func cut(b []byte, n int) []byte {
	if len(b) <= n {
		return b
	}
	for n > 0 && !utf8.RuneStart(b[n]) {
		n--
	}
	return b[:n]
}
