package decode

import (
	"math"
	"math/bits"
	"unsafe"
)

// This file holds everything that takes bytes eight at a time, and all of the
// package's unsafe code.

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
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

// fastNumber reads a number of at most 15 bytes without an exponent. It takes
// the token as a little-endian word, shifts it so that its last digit is in
// the highest byte and zeros come in front, closes the gap where the point
// was, and has eight digits in a row. The token ends at the first byte like
// the one that ended it in the plan; any other byte in it is no digit and
// leads to slow, which decides.
func (d *jsonDecoder) fastNumber(s *step, f *feed, p int) int {
	w := word(f.base, p)
	z := equal(w, s.delim)
	minus := (w&0xff ^ '-' - 1) >> 63
	x := w ^ 0x30*ones
	// The first two bytes after the sign: a digit from 1 to 9, or a 0 and no digit.
	if uint16(bits.ReverseBytes16(uint16(x>>(8*minus)))-0x000a) > 0x09ff-0x000a {
		return d.slow(s, f, p)
	}
	x ^= minus * ('-' ^ '0') // a minus is one more 0 in front
	if z == 0 {
		return d.longNumber(s, f, p, x, minus)
	}
	n := firstByte(z)
	x <<= (64 - 8*n) & 63
	dot := equal(x, ('.'^'0')*ones)
	dot &= -dot
	below := dot>>7 - 1 // the bytes before the point; all of them if there is none
	x = x&^(below<<8|0xff) | x&below<<((dot|-dot)>>63<<3)
	if noDigit(x) != 0 || dot>>63 != 0 {
		return d.slow(s, f, p)
	}
	if dot != 0 && s.kind != stepFloat {
		return d.slow(s, f, p)
	}
	return d.store(s, f, p+n, eight(x), bits.LeadingZeros64(dot)>>3&7, minus)
}

// longNumber does what fastNumber does, with 8 to 15 bytes: lo and the word
// after it make a word of 16 bytes.
func (d *jsonDecoder) longNumber(s *step, f *feed, p int, lo, minus uint64) int {
	hi := word(f.base, p+8)
	z := equal(hi, s.delim)
	if z == 0 {
		return d.slow(s, f, p)
	}
	n := 8 + firstByte(z)
	up := uint(8 * (16 - n))
	hi, lo = (hi^0x30*ones)<<up|lo>>(64-up), lo<<up
	frac := 0
	if dot := equal(hi, ('.'^'0')*ones); dot != 0 {
		dot &= -dot
		below := dot>>7 - 1
		frac = bits.LeadingZeros64(dot) >> 3
		hi, lo = hi&^(below<<8|0xff)|hi&below<<8|lo>>56, lo<<8
	} else if dot := equal(lo, ('.'^'0')*ones); dot != 0 {
		dot &= -dot
		below := dot>>7 - 1
		frac = 8 + bits.LeadingZeros64(dot)>>3
		lo = lo&^(below<<8|0xff) | lo&below<<8
	}
	if noDigit(hi) != 0 || noDigit(lo) != 0 || byteAt(f.base, p+n-1) == '.' || frac != 0 && s.kind != stepFloat {
		return d.slow(s, f, p)
	}
	return d.store(s, f, p+n, eight(lo)*1e8+eight(hi), frac, minus)
}

// store sets the row of s to mant / 10^frac, where frac 0 says that the number
// had no point, and returns p. A float64 holds mant, under 10^15, and the
// power of ten exactly, so that the quotient is the nearest float64.
func (d *jsonDecoder) store(s *step, f *feed, p int, mant uint64, frac int, minus uint64) int {
	c := s.col
	switch {
	case s.kind == stepFloat:
		if !c.skip {
			v := float64(int64(mant)) / d.pow[frac&15]
			c.f64[f.row] = math.Float64frombits(math.Float64bits(v) | minus<<63)
		}
		return p
	case frac != 0:
		panic("BUG: a whole number with a point was not left to slow")
	}
	v := int64(mant)
	if minus != 0 {
		v = -v
	}
	if s.kind == stepNumberTime {
		us, ok := numberTime(decimal{mant: mant, neg: minus != 0}, c.field.Unit)
		if !ok {
			return -1
		}
		v = us
	}
	if !c.skip {
		c.i64[f.row] = v
	}
	return p
}
