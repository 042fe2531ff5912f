package decode

import (
	"math"
	"math/bits"
	"unsafe"

	"github.com/tidemill/tidemill/engine/flow"
)

// This file decodes records by plans. It holds everything that takes bytes
// eight at a time, and, with strips.go and strip_values.go, all of the package's unsafe code, which is safe because
//
//   - a payload has journal.Slack readable bytes after it: Decode checks that;
//   - nothing is read more than 32 bytes past the record's end: every step begins
//     at or before the end (follow), and values look at most that far ahead;
//   - in a strip a literal begins within its record, and 64 bytes are read from there;
//     a value begins and ends within it, or is a word behind the literal (stripLiteral);
//   - everything that is written goes through slices, whose bounds Go checks, or, in assembly, to as many
//     rows of slices of that length; texts are checked for room before (strip_values.go).

// fit decodes the record payload[start:end] into the current row by one of the
// plans; false when it fits none, and then nothing has happened. There are
// journal.Slack readable bytes after payload.
func (p *plans) fit(payload []byte, start, end int, d *jsonDecoder) bool {
	if p.credit < maxCredit {
		p.credit++
	}
	if p.n == 0 || start == end {
		return false
	}
	// Field by field: a struct literal is written in words and copied in pairs of
	// them, which the processor can only do after the words have left for memory.
	f := &d.feed
	f.base = unsafe.Pointer(unsafe.SliceData(payload))
	f.start, f.pos, f.end = start, start, end
	f.step, f.row, f.ignored = 0, d.rows, 0
	tried := -1
	for i := range p.n {
		id := p.order[i]
		if tried >= 0 && p.common[tried][id] < f.step {
			continue // it differs before the step where the last plan failed
		}
		pl := &p.list[id]
		if d.follow(pl.steps, f) {
			for _, c := range pl.null {
				c.setNull(f.row)
			}
			if i > 0 {
				p.first(i)
			}
			d.out.Stats.Ignored += f.ignored
			d.index = 0
			return true
		}
		tried = id
	}
	return false
}

// feed is how far a record has been followed: up to pos, before the literal of
// the step numbered step.
type feed struct {
	base       unsafe.Pointer // of the block's payload
	start, end int            // of the record
	pos, step  int
	row        int
	ignored    int
}

// follow goes on with f by steps, from f.step on.
//
// A position is checked against the record's end once a step, before the
// literal. Values are located by what must follow them and may be read up to
// 24 bytes past the end, into the slack or the next record: then the next
// literal finds itself past the end, and the record fits no plan.
func (d *jsonDecoder) follow(steps []step, f *feed) bool {
	base, p := f.base, f.pos
	for k := f.step; k < len(steps); k++ {
		s := &steps[k]
		q := p + s.n
		if q > f.end || (word(base, p)^s.lit[0])&s.mask[0]|(word(base, p+8)^s.lit[1])&s.mask[1] != 0 ||
			s.more != "" && bytesAt(base, p+16, q) != s.more {
			f.pos, f.step = p, k
			return false
		}
		if s.kind <= stepInt {
			at := q
			if s.kind != stepToken {
				q = d.number8(s, f, at)
			} else if q = s.col.token(s, f, at); q < 0 {
				s.col.noToken(f.row)
				q = d.number16(s, f, at)
			}
		} else {
			q = d.other(s, f, q)
		}
		if q < 0 {
			f.pos, f.step = p, k
			return false
		}
		p = q
	}
	return true
}

// other reads a value at p that is not a short float.
func (d *jsonDecoder) other(s *step, f *feed, p int) int {
	switch s.kind {
	case stepText:
		return d.fastText(s, f, p)
	case stepTextTime:
		return d.fastTime(s, f, p)
	case stepBool:
		return d.fastBool(s, f, p)
	case stepNumberTime:
		return d.number16(s, f, p)
	case stepEnd:
		if p != f.end {
			return -1
		}
		return p
	case stepIgnore:
		return d.fastIgnore(s, f, p)
	}
	return d.slow(s, f, p)
}

// after returns the position n bytes after p. Where a value mostly has the
// length that it had before, the processor may go on with that one before it
// has found the end of the value: a branch that is foretold in place of a
// chain of loads and counts from each value to the next. That is half the time.
func (s *step) after(p, n int) int {
	if s.steady {
		if n == s.width {
			return p + s.width
		}
		s.width = n
		s.wrong++
		return p + n
	}
	wrong := 0
	if n != s.width {
		wrong = 1
	}
	s.wrong += wrong
	s.width = n
	return p + n
}

// slow reads any value of s at p as the general decoder does; -1 when it is
// none that the column can take.
func (d *jsonDecoder) slow(s *step, f *feed, p int) int {
	if p >= f.end {
		return -1
	}
	d.s, d.fault = unsafe.Slice((*byte)(unsafe.Add(f.base, f.start)), f.end-f.start), ""
	end, why := d.set(s.col, f.row, p-f.start, s.depth)
	if end < 0 || why != "" {
		return -1
	}
	return f.start + end
}

// fastIgnore counts a value that nobody asked for. With Learn an object or a
// list may hold something that is to be learned.
func (d *jsonDecoder) fastIgnore(s *step, f *feed, p int) int {
	if p >= f.end {
		return -1
	}
	d.s, d.fault = unsafe.Slice((*byte)(unsafe.Add(f.base, f.start)), f.end-f.start), ""
	first := d.s[p-f.start]
	if d.c.Learn && (first == '{' || first == '[') {
		return -1
	}
	end := d.skip(p-f.start, s.depth)
	if end < 0 {
		return -1
	}
	if first != 'n' {
		f.ignored++
	}
	return f.start + end
}

// true and false as words.
const (
	yesWord = 'e'<<24 | 'u'<<16 | 'r'<<8 | 't'
	noWord  = 'e'<<32 | 's'<<24 | 'l'<<16 | 'a'<<8 | 'f'
)

func (d *jsonDecoder) fastBool(s *step, f *feed, p int) int {
	w := word(f.base, p)
	no := w >> 1 & 1 // bit 1 tells 't' (0x74) from 'f' (0x66)
	want := yesWord ^ (yesWord^noWord)&-no
	if (w^want)<<(32-8*no) != 0 {
		return d.slow(s, f, p)
	}
	if c := s.col; !c.skip {
		at := &c.data[f.row>>3]
		bit := uint(f.row & 7)
		*at = *at&^(1<<bit) | byte(no^1)<<bit
	}
	return s.after(p, 4+int(no))
}

// fastText copies a text of plain ASCII; the rest is for slow.
func (d *jsonDecoder) fastText(s *step, f *feed, p int) int {
	q := p
	for { // both words are looked at, so that no branch depends on which has the quote
		m, at := special(word(f.base, q)), q
		if m2 := special(word(f.base, q+8)); m == 0 {
			m, at = m2, q+8
		}
		if m != 0 {
			q = at + firstByte(m)
			break
		}
		if q += 16; q >= f.end {
			return -1
		}
	}
	if q >= f.end || byteAt(f.base, q) != '"' {
		return d.slow(s, f, p-1)
	}
	c := s.col
	if c.skip {
		return s.after(p, q-p+1)
	}
	n := q - p
	c.n = c.ends[f.row]
	if int(c.n)+n+textSlack > len(c.data) && !c.reserveText(n) {
		return -1
	}
	if n <= textSlack {
		*(*[textSlack]byte)(c.data[c.n:]) = *(*[textSlack]byte)(unsafe.Add(f.base, p))
	} else {
		copy(c.data[c.n:], bytesAt(f.base, p, q))
	}
	c.n += int32(n)
	c.ends[f.row+1] = c.n
	return s.after(p, n+1)
}

// dayCache is the date that the last time had: the same for most of a block.
type dayCache struct {
	lo, hi uint64 // its first and last eight bytes
	us     int64
}

// fastTime reads "2006-01-02T15:04:05Z" or the same with three digits of fraction.
func (d *jsonDecoder) fastTime(s *step, f *feed, p int) int {
	if p+20 > f.end {
		return d.slow(s, f, p-1)
	}
	lo, hi := word(f.base, p), word(f.base, p+2)
	if lo != d.day.lo || hi != d.day.hi || lo == 0 {
		day, ok := flow.ParseDate([]byte(bytesAt(f.base, p, p+10)))
		if !ok {
			return -1
		}
		d.day = dayCache{lo, hi, day * 86400e6}
	}
	us, ok := clock(word(f.base, p+11))
	if t := byteAt(f.base, p+10); !ok || t != 'T' && t != ' ' {
		return d.slow(s, f, p-1)
	}
	us += d.day.us
	end := word(f.base, p+19)
	switch {
	case end&0xffff == '"'<<8|'Z':
		p += 21
	case end&0xffff_0000_00ff == '"'<<40|'Z'<<32|'.':
		x := end>>8&0xffffff ^ 0x303030
		if (x+0x767676|x)&0x808080 != 0 {
			return d.slow(s, f, p-1)
		}
		us += int64(x&0xff*100+x>>8&0xff*10+x>>16) * 1000
		p += 25
	default:
		return d.slow(s, f, p-1)
	}
	if !s.col.skip {
		s.col.i64[f.row] = us
	}
	return p
}

// number8 reads a number of at most eight bytes and leaves others to number16.
// Shifted as a little-endian word until its last digit is in the highest byte
// and zeros stand in front, and without the gap where the point was, it is
// eight digits in a row. The number ends at the first byte like the one that
// ended it in the plan; if that is wrong, there is something else in it.
func (d *jsonDecoder) number8(s *step, f *feed, p int) int {
	w := word(f.base, p)
	z := equal(w, s.delim)
	end := 71 // the bits of the number, and 7
	if z != 0 {
		end = bits.TrailingZeros64(z)
	} else if byteAt(f.base, p+8) != byte(s.delim) {
		return d.number16(s, f, p)
	}
	minus := (w&0xff ^ '-' - 1) >> 63
	x := w ^ 0x30*ones
	good := startsNumber(x >> (8 * minus & 63))
	x = (x ^ minus*('-'^'0')) << ((71 - end) & 63) // a minus is one more 0 in front
	dot := equal(x, point)
	dot &= -dot
	x = closeGap(x, dot)
	if noDigit(x)|dot>>63 != 0 || !good {
		return d.slow(s, f, p)
	}
	if s.kind <= stepFloat {
		if !s.col.skip {
			m, by := float64(int64(eight(x))), &d.scale[bits.TrailingZeros64(dot)>>3&15]
			v := math.FMA(m, by.near, m*by.rest)
			s.col.f64[f.row] = math.Float64frombits(math.Float64bits(v) | minus<<63)
		}
	} else if dot != 0 {
		return d.slow(s, f, p)
	} else if !s.col.skip {
		s.col.i64[f.row] = (int64(eight(x)) ^ -int64(minus)) + int64(minus)
	}
	return s.after(p, end>>3)
}

// number16 reads a number of at most 15 bytes without an exponent, and leaves
// others to slow. Two words make one of 16 bytes, with which it does what
// number8 does with one of 8.
func (d *jsonDecoder) number16(s *step, f *feed, p int) int {
	lo, hi := word(f.base, p), word(f.base, p+8)
	zlo, zhi := equal(lo, s.delim), equal(hi, s.delim)
	minus := (lo&0xff ^ '-' - 1) >> 63
	lo, hi = lo^0x30*ones, hi^0x30*ones
	n := 8
	if zlo != 0 {
		n = firstByte(zlo)
	} else if zhi != 0 {
		n += firstByte(zhi)
	}
	if !startsNumber(lo>>(8*minus&63)) || zlo|zhi == 0 {
		return d.slow(s, f, p)
	}
	lo ^= minus * ('-' ^ '0')
	if n < 8 {
		hi, lo = lo<<(64-8*n), 0
	} else {
		up := uint(8 * (16 - n))
		hi, lo = hi<<up|lo>>(64-up), lo<<up
	}
	frac := 0
	if dot := equal(hi, point); dot != 0 {
		dot &= -dot
		frac = bits.LeadingZeros64(dot) >> 3
		hi, lo = closeGap(hi, dot)|lo>>56, lo<<8
	} else if dot := equal(lo, point); dot != 0 {
		dot &= -dot
		frac = 8 + bits.LeadingZeros64(dot)>>3
		lo = closeGap(lo, dot)
	}
	if noDigit(hi) != 0 || noDigit(lo) != 0 || byteAt(f.base, p+n-1) == '.' || frac != 0 && s.kind > stepFloat {
		return d.slow(s, f, p)
	}
	if !d.store(s, f, eight(lo)*1e8+eight(hi), frac, minus) {
		return -1
	}
	return s.after(p, n)
}

// store sets the row of s to mant / 10^frac; false when it is out of range. A
// float64 holds mant, under 10^15, and the power of ten exactly, so that the
// quotient is the nearest float64.
func (d *jsonDecoder) store(s *step, f *feed, mant uint64, frac int, minus uint64) bool {
	c, v := s.col, int64(mant)
	if minus != 0 {
		v = -v
	}
	switch s.kind {
	case stepToken, stepFloat:
		if !c.skip {
			c.f64[f.row] = math.Float64frombits(math.Float64bits(float64(int64(mant))/d.pow[frac&15]) | minus<<63)
		}
		return true
	case stepNumberTime:
		us, ok := numberTime(decimal{mant: mant, neg: minus != 0}, c.field.Unit)
		if !ok {
			return false
		}
		v = us
	}
	if !c.skip {
		c.i64[f.row] = v
	}
	return true
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
	point = ('.' ^ '0') * ones
)

// special marks (0x80) the bytes of w that end or interrupt a run of plain
// ASCII in a string: a quote, a backslash, a control character, or a byte over
// 0x7f. The lowest mark is exact; those above it may be false.
func special(w uint64) uint64 {
	// Flipping bit 1 maps the quote to 0x20 and keeps controls below it.
	low := (w ^ 0x02*ones) - 0x21*ones
	back := w ^ 0x5c*ones
	return (low&^w | (back-ones)&^back | w) & highs
}

// text views b as a string, for calls that do not keep it.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// word loads eight bytes, the first of which is in the low byte. amd64 and
// arm64 load unaligned words in this order.
func word(base unsafe.Pointer, p int) uint64 { return *(*uint64)(unsafe.Add(base, p)) }

func byteAt(base unsafe.Pointer, p int) byte { return *(*byte)(unsafe.Add(base, p)) }

// bytesAt views the bytes from p to end as a string.
func bytesAt(base unsafe.Pointer, p, end int) string {
	return unsafe.String((*byte)(unsafe.Add(base, p)), end-p)
}

// firstByte returns which byte has the lowest mark in m, which is not 0.
func firstByte(m uint64) int { return bits.TrailingZeros64(m) >> 3 }

// equal marks (0x80) the bytes of w that equal those of pattern, eight times
// one byte. The lowest mark is exact; those above it may be false.
func equal(w, pattern uint64) uint64 {
	w ^= pattern
	return (w - ones) &^ w & highs
}

// noDigit marks (0x80) bytes over 9 of x; it is 0 only if there are none.
func noDigit(x uint64) uint64 { return (x + 0x76*ones | x) & highs }

// eight returns the number whose decimal digits are the bytes of x, the first
// digit in the low byte (D. Lemire, quickly parsing eight digits, 2022).
func eight(x uint64) uint64 {
	x = x*10 + x>>8
	return (x&0x000000ff_000000ff*(100+1000000<<32) + x>>16&0x000000ff_000000ff*(1+10000<<32)) >> 32
}

// clock reads "15:04:05" and returns it as microseconds.
func clock(w uint64) (us int64, ok bool) {
	const colons, at = ':'<<16 | ':'<<40, 0xff<<16 | 0xff<<40
	x := (w ^ 0x30*ones) &^ at
	y := x*10 + x>>8
	h, m, s := y&0xff, y>>24&0xff, y>>48&0xff
	return int64(h*3600+m*60+s) * 1e6, w&at == colons && noDigit(x) == 0 && h < 24 && m < 60 && s < 60
}

// startsNumber says whether x, the first bytes of a token without its sign and
// with 0x30 flipped, begins like a number: a digit from 1 to 9, or a 0 and no digit.
func startsNumber(x uint64) bool {
	return bits.ReverseBytes16(uint16(x))-0x000a <= 0x09ff-0x000a
}

// closeGap takes the byte that dot marks out of x and moves those below it up
// by one. Without a mark x stays as it is.
func closeGap(x, dot uint64) uint64 {
	below := dot>>7 - 1 // the bytes before the point; all of them if there is none
	return x&^(below<<8|0xff) | x&below<<((dot|-dot)>>63<<3&63)
}
