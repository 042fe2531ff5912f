package expr

import (
	"bytes"
	"math"
	"regexp"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// eachText runs f over the rows that are not null; f appends row i's text to
// dst and says whether there is one, else the row is null.
func eachText(r *reg, n int, f func(dst []byte, i int) ([]byte, bool)) {
	r.startText(n)
	for i := range n {
		if r.isNull(i) {
			r.endText(i, n)
			continue
		}
		t, ok := f(r.ownData, i)
		r.ownData = t
		if !ok {
			r.nullText(i, n)
			continue
		}
		r.endText(i, n)
	}
}

// joinText writes all arguments one after the other. It does not write more
// than a text may have.
func joinText(m *machine, in *instr, n int) {
	r := &m.regs[in.dst]
	r.startText(n)
	for i := range n {
		if !r.isNull(i) {
			for _, a := range in.args {
				r.ownData = m.regs[a].appendTo(r.ownData, i)
				if len(r.ownData)-int(r.ownOff[i]) > maxText {
					break
				}
			}
		}
		r.endText(i, n)
	}
}

// appendTo writes row i as to_string does.
func (r *reg) appendTo(dst []byte, i int) []byte {
	switch r.kind {
	case kText:
		return append(dst, r.text(i)...)
	case kNum:
		return appendNumber(dst, r.f[i&r.mask])
	case kInt:
		return strconv.AppendInt(dst, r.i[i&r.mask], 10)
	case kBool:
		return strconv.AppendBool(dst, r.bit(i))
	case kTime:
		return appendInstant(dst, r.i[i&r.mask])
	}
	panic("BUG: text of " + r.kind.String())
}

// appendNumber writes the shortest digits that read back as f, the way JSON does.
func appendNumber(dst []byte, f float64) []byte {
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		return strconv.AppendFloat(dst, f, 'e', -1, 64)
	}
	return strconv.AppendFloat(dst, f, 'f', -1, 64)
}

func lowerText(m *machine, in *instr, n int) {
	mapText(m, in, n, 'A', 'Z', unicode.ToLower)
}

func upperText(m *machine, in *instr, n int) {
	mapText(m, in, n, 'a', 'z', unicode.ToUpper)
}

// mapText changes letters from lo to hi by their one bit, and what is not
// ASCII by f. Bytes that are not UTF-8 stay.
func mapText(m *machine, in *instr, n int, lo, hi byte, f func(rune) rune) {
	a := &m.regs[in.args[0]]
	eachText(&m.regs[in.dst], n, func(dst []byte, i int) ([]byte, bool) {
		t := a.text(i)
		for k := 0; k < len(t); {
			b := t[k]
			if b < utf8.RuneSelf {
				if b >= lo && b <= hi {
					b ^= 0x20
				}
				dst = append(dst, b)
				k++
				continue
			}
			c, size := utf8.DecodeRune(t[k:])
			if c == utf8.RuneError && size == 1 {
				dst = append(dst, b)
			} else {
				dst = utf8.AppendRune(dst, f(c))
			}
			k += size
		}
		return dst, true
	})
}

func trimText(m *machine, in *instr, n int) {
	a := &m.regs[in.args[0]]
	eachText(&m.regs[in.dst], n, func(dst []byte, i int) ([]byte, bool) {
		return append(dst, bytes.TrimSpace(a.text(i))...), true
	})
}

// substrText takes characters. A start before the text or after it is taken
// for its end there; a negative length is 0.
func substrText(m *machine, in *instr, n int) {
	a, from := &m.regs[in.args[0]], &m.regs[in.args[1]]
	eachText(&m.regs[in.dst], n, func(dst []byte, i int) ([]byte, bool) {
		t := a.text(i)
		start, size := from.i[i&from.mask], int64(len(t))
		if len(in.args) > 2 {
			l := &m.regs[in.args[2]]
			size = min(size, max(0, l.i[i&l.mask]))
		}
		if start < 0 {
			start = max(0, start+int64(utf8.RuneCount(t)))
		}
		t = t[skipRunes(t, start):]
		return append(dst, t[:skipRunes(t, size)]...), true
	})
}

// skipRunes is the number of bytes of the first k characters of t.
func skipRunes(t []byte, k int64) int {
	if k >= int64(len(t)) {
		return len(t)
	}
	at := 0
	for ; k > 0 && at < len(t); k-- {
		_, size := utf8.DecodeRune(t[at:])
		at += size
	}
	return at
}

// replaceText leaves a text as it is when what to replace is empty.
func replaceText(m *machine, in *instr, n int) {
	a, old, by := &m.regs[in.args[0]], &m.regs[in.args[1]], &m.regs[in.args[2]]
	eachText(&m.regs[in.dst], n, func(dst []byte, i int) ([]byte, bool) {
		t, o, b, from := a.text(i), old.text(i), by.text(i), len(dst)
		for len(o) > 0 && len(dst)-from <= maxText {
			at := bytes.Index(t, o)
			if at < 0 {
				break
			}
			dst = append(append(dst, t[:at]...), b...)
			t = t[at+len(o):]
		}
		return append(dst, t...), true
	})
}

// splitPart is part k of a text; an empty separator splits nothing.
func splitPart(m *machine, in *instr, n int) {
	a, sep, index := &m.regs[in.args[0]], &m.regs[in.args[1]], &m.regs[in.args[2]]
	eachText(&m.regs[in.dst], n, func(dst []byte, i int) ([]byte, bool) {
		t, s, k := a.text(i), sep.text(i), index.i[i&index.mask]
		if len(s) == 0 {
			return append(dst, t...), k == 0 || k == -1
		}
		if k < 0 {
			k += int64(bytes.Count(t, s)) + 1
		}
		if k < 0 {
			return dst, false
		}
		for ; k > 0; k-- {
			at := bytes.Index(t, s)
			if at < 0 {
				return dst, false
			}
			t = t[at+len(s):]
		}
		if at := bytes.Index(t, s); at >= 0 {
			t = t[:at]
		}
		return append(dst, t...), true
	})
}

func textLength(m *machine, in *instr, n int) {
	a := &m.regs[in.args[0]]
	d := m.regs[in.dst].ints(n)
	for i := range d {
		d[i] = int64(utf8.RuneCount(a.text(i)))
	}
}

// test2 fills a bool register with f of two texts.
func test2(m *machine, in *instr, n int, f func(a, b []byte) bool) {
	a, b := &m.regs[in.args[0]], &m.regs[in.args[1]]
	d := m.regs[in.dst].bools(n)
	clear(d)
	for i := range n {
		d[i>>6] |= b2u(f(a.text(i), b.text(i))) << (i & 63)
	}
}

func textContains(m *machine, in *instr, n int) { test2(m, in, n, bytes.Contains) }
func textStarts(m *machine, in *instr, n int)   { test2(m, in, n, bytes.HasPrefix) }
func textEnds(m *machine, in *instr, n int)     { test2(m, in, n, bytes.HasSuffix) }

func regexMatch(m *machine, in *instr, n int) {
	a, re := &m.regs[in.args[0]], in.aux.(*regexp.Regexp)
	r := &m.regs[in.dst]
	d := r.bools(n)
	clear(d)
	for i := range n {
		if !r.isNull(i) {
			d[i>>6] |= b2u(re.Match(a.text(i))) << (i & 63)
		}
	}
}
