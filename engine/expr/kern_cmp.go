package expr

import "encoding/binary"

// Kernels of comparison. V is a value a row, C a constant: VC is row op
// constant. They write a byte a row, 1 or 0, which packBytes makes bits of:
// half the cost of shifting each outcome to its place. Every operator is
// written out, since NaN makes none of them the opposite of another.

type ordered interface{ float64 | int64 }

func b2b(b bool) byte {
	var x byte
	if b {
		x = 1
	}
	return x
}

// packBytes makes a bit of each byte, which is 0 or 1: the multiplication
// brings the lowest bits of eight bytes together in the highest.
func packBytes(d []uint64, b []byte) {
	const gather = 0x0102040810204080
	for w := range d {
		p := (*[64]byte)(b[w*64:])
		d[w] = binary.LittleEndian.Uint64(p[0:])*gather>>56 |
			binary.LittleEndian.Uint64(p[8:])*gather>>56<<8 |
			binary.LittleEndian.Uint64(p[16:])*gather>>56<<16 |
			binary.LittleEndian.Uint64(p[24:])*gather>>56<<24 |
			binary.LittleEndian.Uint64(p[32:])*gather>>56<<32 |
			binary.LittleEndian.Uint64(p[40:])*gather>>56<<40 |
			binary.LittleEndian.Uint64(p[48:])*gather>>56<<48 |
			binary.LittleEndian.Uint64(p[56:])*gather>>56<<56
	}
}

func ltVV[T ordered](o []byte, a, b []T) {
	a, b = a[:len(o)], b[:len(o)]
	for i := range o {
		o[i] = b2b(a[i] < b[i])
	}
}

func leVV[T ordered](o []byte, a, b []T) {
	a, b = a[:len(o)], b[:len(o)]
	for i := range o {
		o[i] = b2b(a[i] <= b[i])
	}
}

func eqVV[T ordered](o []byte, a, b []T) {
	a, b = a[:len(o)], b[:len(o)]
	for i := range o {
		o[i] = b2b(a[i] == b[i])
	}
}

func neVV[T ordered](o []byte, a, b []T) {
	a, b = a[:len(o)], b[:len(o)]
	for i := range o {
		o[i] = b2b(a[i] != b[i])
	}
}

func ltVC[T ordered](o []byte, a []T, c T) {
	a = a[:len(o)]
	for i := range o {
		o[i] = b2b(a[i] < c)
	}
}

func leVC[T ordered](o []byte, a []T, c T) {
	a = a[:len(o)]
	for i := range o {
		o[i] = b2b(a[i] <= c)
	}
}

func gtVC[T ordered](o []byte, a []T, c T) {
	a = a[:len(o)]
	for i := range o {
		o[i] = b2b(a[i] > c)
	}
}

func geVC[T ordered](o []byte, a []T, c T) {
	a = a[:len(o)]
	for i := range o {
		o[i] = b2b(a[i] >= c)
	}
}

func eqVC[T ordered](o []byte, a []T, c T) {
	a = a[:len(o)]
	for i := range o {
		o[i] = b2b(a[i] == c)
	}
}

func neVC[T ordered](o []byte, a []T, c T) {
	a = a[:len(o)]
	for i := range o {
		o[i] = b2b(a[i] != c)
	}
}
