package decode

import (
	"math"
	"math/bits"
	"strconv"
)

// decimal is a JSON number taken apart: mant * 10^exp. At most 19 significant
// digits are in mant; tail says that a further one, dropped, was not 0.
type decimal struct {
	mant uint64
	exp  int64
	neg  bool
	tail bool
}

// maxExponent stands for every larger exponent. A record is much shorter, so
// that no digits before the exponent can make up for it.
const maxExponent = 1 << 40

// parseDecimal takes a number that scanner.number has accepted apart.
func parseDecimal(tok []byte) (d decimal) {
	i := 0
	if tok[0] == '-' {
		d.neg = true
		i++
	}
	point := false
	for ; i < len(tok); i++ {
		c := tok[i]
		switch {
		case c == '.':
			point = true
			continue
		case c-'0' > 9: // an e
			d.exp += parseExponent(tok[i+1:])
			return d
		case d.mant < 1e18:
			d.mant = d.mant*10 + uint64(c-'0')
		default:
			d.tail = d.tail || c != '0'
			d.exp++
		}
		if point {
			d.exp--
		}
	}
	return d
}

// parseExponent reads what follows an e.
func parseExponent(b []byte) (e int64) {
	neg := b[0] == '-'
	if neg || b[0] == '+' {
		b = b[1:]
	}
	for _, c := range b {
		if e = e*10 + int64(c-'0'); e > maxExponent {
			e = maxExponent
		}
	}
	if neg {
		return -e
	}
	return e
}

// exactPow10 returns 10^n, 0 <= n <= 22: those that a float64 holds exactly.
func exactPow10(n int64) float64 {
	return [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
		1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}[n]
}

// inverse is 1/10^n as the sum of the float64 nearest to it and the float64
// nearest to what is left: 106 bits of it.
type inverse struct{ near, rest float64 }

// inverseOf returns the inverse of 10^n, 0 <= n <= 7. For every whole m below
// 10^8, fma(m, near, m*rest) is the float64 nearest to m/10^n, as the quotient
// would be, for a third of its time: m/10^n is at least 2^-78 of itself away
// from the middle of two float64s, and the sum is within 2^-104 of it
// (N. Brisebarre, J.-M. Muller, Correctly rounded multiplication by arbitrary
// precision constants, 2008).
func inverseOf(n int64) inverse {
	by := exactPow10(n)
	near := 1 / by
	// What near*by lacks to 1 is exact by the fused operation.
	return inverse{near, -math.FMA(near, by, -1) / by}
}

// parseFloat converts a number that scanner.number has accepted to the nearest
// float64; false when it is out of range. What is too small becomes 0.
func parseFloat(tok []byte) (float64, bool) {
	d := parseDecimal(tok)
	if d.mant < 1<<53 && !d.tail && d.exp >= -22 && d.exp <= 22 {
		// Both operands are exact, so that the one operation rounds correctly
		// (Clinger, How to read floating point numbers accurately, 1990).
		f := float64(d.mant)
		if d.exp < 0 {
			f /= exactPow10(-d.exp)
		} else {
			f *= exactPow10(d.exp)
		}
		if d.neg {
			f = -f
		}
		return f, true
	}
	f, err := strconv.ParseFloat(text(tok), 64)
	return f, err == nil && !math.IsInf(f, 0)
}

// wholeness says how a decimal fits an int64.
type wholeness uint8

const (
	whole wholeness = iota
	broken
	outOfRange
)

// toInt converts exactly: 5.0 and 5e0 are 5.
func (d decimal) toInt() (int64, wholeness) {
	for d.exp < 0 && d.mant != 0 && d.mant%10 == 0 {
		d.mant /= 10
		d.exp++
	}
	switch {
	case d.mant == 0:
		return 0, whole
	case d.exp < 0 || d.tail && d.exp <= 0:
		return 0, broken
	case d.tail || d.exp > 18:
		return 0, outOfRange
	}
	for ; d.exp > 0; d.exp-- {
		hi, lo := bits.Mul64(d.mant, 10)
		if hi != 0 {
			return 0, outOfRange
		}
		d.mant = lo
	}
	switch {
	case d.neg && d.mant <= 1<<63:
		return -int64(d.mant), whole
	case d.mant < 1<<63:
		return int64(d.mant), whole
	}
	return 0, outOfRange
}

// below says whether the number, without its sign, is less than 10^n, n >= 0.
func (d decimal) below(n int64) bool {
	digits := int64(0)
	for m := d.mant; m != 0; m /= 10 {
		digits++
	}
	return d.mant == 0 || digits+d.exp <= n
}

// scaled returns floor(d * 10^shift); false when it does not fit.
func (d decimal) scaled(shift int64) (int64, bool) {
	e, m, rest := d.exp+shift, d.mant, d.tail
	for ; e < 0 && m != 0; e++ {
		rest = rest || m%10 != 0
		m /= 10
	}
	for ; e > 0 && m != 0; e-- {
		hi, lo := bits.Mul64(m, 10)
		if hi != 0 {
			return 0, false
		}
		m = lo
	}
	if m >= 1<<63-1 {
		return 0, false
	}
	if d.neg && rest {
		m++
	}
	if d.neg {
		return -int64(m), true
	}
	return int64(m), true
}
