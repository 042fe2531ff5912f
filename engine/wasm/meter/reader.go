package meter

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// ErrMalformed is wrapped by every error about a module that is none.
var ErrMalformed = errors.New("malformed module")

// reader reads from a part of a module. The first mistake stays, and what is read
// after it is zero.
type reader struct {
	b    []byte
	at   int
	base int // position of b in the module, for messages
	err  error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: at byte %d: %s", ErrMalformed, r.base+r.at, fmt.Sprintf(format, args...))
	}
	r.at = len(r.b)
}

func (r *reader) more() bool { return r.err == nil && r.at < len(r.b) }

func (r *reader) byte() byte {
	if r.at >= len(r.b) {
		r.fail("it ends too early")
		return 0
	}
	r.at++
	return r.b[r.at-1]
}

// bytes returns the next n bytes, which belong to the module.
func (r *reader) bytes(n uint32) []byte {
	if uint64(n) > uint64(len(r.b)-r.at) {
		r.fail("%d bytes are announced, and %d are there", n, len(r.b)-r.at)
		return nil
	}
	r.at += int(n)
	return r.b[r.at-int(n) : r.at : r.at]
}

// leb reads a LEB128 number of at most `bits` bits and returns its bits, not extended.
func (r *reader) leb(bits uint, signed bool) uint64 {
	var v uint64
	for shift := uint(0); ; shift += 7 {
		c := r.byte()
		if r.err != nil {
			return 0
		}
		v |= uint64(c&0x7f) << shift
		if left := bits - shift; left < 7 && !spareBits(c, left, signed) {
			r.fail("a number does not fit %d bits", bits)
			return 0
		}
		if c&0x80 == 0 {
			if signed && shift+7 < 64 && c&0x40 != 0 {
				v |= ^uint64(0) << (shift + 7)
			}
			return v
		}
		if shift+7 >= bits {
			r.fail("a number has too many bytes")
			return 0
		}
	}
}

// spareBits says whether the bits of the last byte that the number has no room for are as
// they must be: zero, or copies of the sign.
func spareBits(c byte, left uint, signed bool) bool {
	spare := c & 0x7f >> left
	if !signed {
		return spare == 0
	}
	all := byte(0x7f) >> left
	if c>>(left-1)&1 == 1 {
		return spare == all
	}
	return spare == 0
}

func (r *reader) u32() uint32 { return uint32(r.leb(32, false)) }

// count reads the length of a vector, of which every item takes a byte at least.
func (r *reader) count(what string, most uint32) uint32 {
	n := r.u32()
	if n > most {
		r.fail("%d %s; at most %d are allowed", n, what, most)
		return 0
	}
	if uint64(n) > uint64(len(r.b)-r.at) {
		r.fail("%d %s are announced in %d bytes", n, what, len(r.b)-r.at)
		return 0
	}
	return n
}

func (r *reader) name() string {
	b := r.bytes(r.u32())
	if !utf8.Valid(b) {
		r.fail("a name is not UTF-8")
		return ""
	}
	return string(b)
}

// sub returns a reader of the next n bytes.
func (r *reader) sub(n uint32) *reader {
	at := r.at
	return &reader{b: r.bytes(n), base: r.base + at, err: r.err}
}

func appendU32(b []byte, v uint32) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

func appendS64(b []byte, v int64) []byte {
	for {
		c := byte(v) & 0x7f
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

func appendName(b []byte, name string) []byte {
	return append(appendU32(b, uint32(len(name))), name...)
}
