package flow

import (
	"encoding/binary"
	"math"
	"math/bits"
	"strconv"
	"time"
	"unicode/utf8"
)

const digitPairs = "00010203040506070809" + "10111213141516171819" + "20212223242526272829" +
	"30313233343536373839" + "40414243444546474849" + "50515253545556575859" +
	"60616263646566676869" + "70717273747576777879" + "80818283848586878889" + "90919293949596979899"

// powers holds the powers of ten that a float64 represents exactly and that
// fit a 64-bit integer as well.
var powers = [...]uint64{
	1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
}

// digitCount is the number of decimal digits of u; 0 has one. 1233/4096 is
// log10(2) closely enough for 64 bits (Warren, Hacker's Delight, 11-4).
func digitCount(u uint64) int {
	t := bits.Len64(u|1) * 1233 >> 12
	if u >= powers[t] {
		return t + 1
	}
	return max(t, 1)
}

// putDigits fills b with the last len(b) decimal digits of u, zeros in front.
func putDigits(b []byte, u uint64) {
	i := len(b)
	for ; i >= 2; i -= 2 {
		q := u / 100
		p := (u - q*100) * 2
		b[i-1], b[i-2] = digitPairs[p+1], digitPairs[p]
		u = q
	}
	if i == 1 {
		b[0] = byte('0' + u%10)
	}
}

// digits8 returns the eight decimal digits of u, which is below 10^8, one a byte,
// the most significant in the lowest byte. Halves, quarters and digits are
// split in parallel lanes (Khuong, "How to print integers really fast", 2017).
func digits8(u uint64) uint64 {
	top := u / 10000
	x := top | (u-top*10000)<<32
	hundreds := x * 10486 >> 20 & (0x7f<<32 | 0x7f)
	x = (x-hundreds*100)<<16 + hundreds
	tens := x * 103 >> 10 & 0x000f000f000f000f
	return tens + (x-tens*10)<<8
}

const asciiZeros = 0x3030303030303030

// putFloat writes v into b, which has jsonScalarRoom bytes, and returns how
// many it took.
//
// When v times 10^k, rounded to an integer i below 10^15, divided by 10^k
// gives v back, then i with k decimals reads back as v: both are exact
// in a float64, and a division is correctly rounded. No other decimal of at
// most 15 digits reads as v, so without trailing zeros it is the shortest.
// guess is k as the column's last values had it. All else is left to strconv,
// which finds the same digits, and whose result corrects the guess.
func putFloat(b []byte, v float64, guess *int) int {
	a := math.Abs(v)
	b[0] = '-' // written over unless v is negative
	n := int(math.Float64bits(v) >> 63)
	k := *guess & 15
	scale := floatPowers[k]
	s := a * scale
	if s < 1e15 {
		i := int64(s + 0.5)
		if float64(i)/scale == a && (a >= 1e-6 || i == 0) {
			if i < 1e8 && k < 8 {
				return n + putShort(b[n:], uint64(i), k)
			}
			return n + putDecimal(b[n:], uint64(i), k)
		}
	}
	if !isPlain(v) {
		return copy(b, "null")
	}
	return n + putShortest(b[n:], a, guess)
}

// floatPowers are exact.
var floatPowers = [16]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

// putShort is putDecimal for i below 10^8 and k below 8.
func putShort(b []byte, i uint64, k int) int {
	x := digits8(i)
	zeros := bits.LeadingZeros64(x) / 8 // at the end of the number
	point := 8 - k
	first := min(bits.TrailingZeros64(x)/8, point-1)
	x |= asciiZeros
	n := point - first
	binary.LittleEndian.PutUint64(b, x>>(8*first&63))
	if zeros >= k {
		return n
	}
	binary.LittleEndian.PutUint64(b[n+1:], x>>(8*point&63))
	b[n] = '.'
	return n + 1 + k - zeros
}

// putDecimal writes i / 10^k without trailing zeros.
func putDecimal(b []byte, i uint64, k int) int {
	for k > 0 {
		q := i / 10
		if q*10 != i {
			break
		}
		i, k = q, k-1
	}
	d := max(digitCount(i), k+1)
	putDigits(b[:d], i)
	if k == 0 {
		return d
	}
	at := d - k // where the point goes
	copy(b[at+1:d+1], b[at:d])
	b[at] = '.'
	return d + 1
}

// putShortest writes a, not negative, as encoding/json would.
func putShortest(b []byte, a float64, guess *int) int {
	if a < 1e-6 && a != 0 || a >= 1e21 {
		out := strconv.AppendFloat(b[:0], a, 'e', -1, 64)
		if n := len(out); out[n-2] == '0' && (out[n-3] == '-' || out[n-3] == '+') {
			out[n-2] = out[n-1] // e-09 is written e-9
			out = out[:n-1]
		}
		return len(out)
	}
	out := strconv.AppendFloat(b[:0], a, 'f', -1, 64)
	point := len(out)
	for i, c := range out {
		if c == '.' {
			point = i
		}
	}
	if decimals := len(out) - point - 1; len(out) <= 16 && decimals < 15 {
		*guess = max(decimals, 0)
	}
	return len(out)
}

// clockCache writes times, and remembers the text of the last minute.
type clockCache struct {
	minute int64 // since 1970
	known  bool
	text   [24]byte // "2026-11-22T10:15:"
}

const clockText = 17 // bytes of text that count

// put writes a time, us since 1970, into b, which has jsonScalarRoom bytes.
func (c *clockCache) put(b []byte, us int64) int {
	minute := us / 60e6
	rest := us - minute*60e6
	if rest < 0 {
		minute, rest = minute-1, rest+60e6
	}
	if !c.known || minute != c.minute {
		t := time.UnixMicro(minute * 60e6).UTC()
		if t.Year() < 0 || t.Year() > 9999 {
			return putFarTime(b, us)
		}
		t.AppendFormat(c.text[:0], "2006-01-02T15:04:")
		c.minute, c.known = minute, true
	}
	*(*[24]byte)(b) = c.text
	second := uint64(rest) / 1e6
	micros := uint64(rest) - second*1e6
	b[clockText], b[clockText+1] = digitPairs[second*2], digitPairs[second*2+1]
	n := clockText + 2
	if micros != 0 {
		x := digits8(micros)
		b[n] = '.'
		binary.LittleEndian.PutUint64(b[n+1:], (x|asciiZeros)>>16)
		n += 1 + 6 - bits.LeadingZeros64(x)/8
	}
	b[n] = 'Z'
	return n + 1
}

// putFarTime writes a time whose year has not four digits.
func putFarTime(b []byte, us int64) int {
	t := time.UnixMicro(us).UTC()
	year := t.Year()
	b[0] = '+'
	if year < 0 {
		b[0] = '-'
		year = -year
	}
	putDigits(b[1:7], uint64(year))
	return len(t.AppendFormat(b[:7], "-01-02T15:04:05.999999Z"))
}

const hexDigits = "0123456789abcdef"

// appendEscaped appends the rest of a string and the closing quote.
func appendEscaped(dst, s []byte) []byte {
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRune(s[i:])
			dst = utf8.AppendRune(dst, r)
			i += size
			continue
		}
		i++
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c >= 0x20:
			dst = append(dst, c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c == '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(dst, '"')
}
