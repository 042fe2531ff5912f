package expr

// Kernels of comparison: a bit a row, packed eight rows at a time. V is a value
// a row, C a constant: VC is row op constant. Every operator is written out,
// since NaN makes none of them the opposite of another.

type ordered interface{ float64 | int64 }

// pack8 packs eight bits into a byte, the first into the lowest bit.
func pack8(a, b, c, d, e, f, g, h bool) uint64 {
	return b2u(a) | b2u(b)<<1 | b2u(c)<<2 | b2u(d)<<3 | b2u(e)<<4 | b2u(f)<<5 | b2u(g)<<6 | b2u(h)<<7
}

func ltVV[T ordered](d []uint64, a, b []T) {
	b = b[:len(a)]
	for w := range d {
		x := a[w*64 : min(w*64+64, len(a))]
		y := b[w*64:][:len(x)]
		var z uint64
		k := 0
		for ; k+8 <= len(x); k += 8 {
			p, q := (*[8]T)(x[k:]), (*[8]T)(y[k:])
			z |= pack8(p[0] < q[0], p[1] < q[1], p[2] < q[2], p[3] < q[3],
				p[4] < q[4], p[5] < q[5], p[6] < q[6], p[7] < q[7]) << (k & 63)
		}
		for ; k < len(x); k++ {
			z |= b2u(x[k] < y[k]) << (k & 63)
		}
		d[w] = z
	}
}

func leVV[T ordered](d []uint64, a, b []T) {
	b = b[:len(a)]
	for w := range d {
		x := a[w*64 : min(w*64+64, len(a))]
		y := b[w*64:][:len(x)]
		var z uint64
		k := 0
		for ; k+8 <= len(x); k += 8 {
			p, q := (*[8]T)(x[k:]), (*[8]T)(y[k:])
			z |= pack8(p[0] <= q[0], p[1] <= q[1], p[2] <= q[2], p[3] <= q[3],
				p[4] <= q[4], p[5] <= q[5], p[6] <= q[6], p[7] <= q[7]) << (k & 63)
		}
		for ; k < len(x); k++ {
			z |= b2u(x[k] <= y[k]) << (k & 63)
		}
		d[w] = z
	}
}

func eqVV[T ordered](d []uint64, a, b []T) {
	b = b[:len(a)]
	for w := range d {
		x := a[w*64 : min(w*64+64, len(a))]
		y := b[w*64:][:len(x)]
		var z uint64
		k := 0
		for ; k+8 <= len(x); k += 8 {
			p, q := (*[8]T)(x[k:]), (*[8]T)(y[k:])
			z |= pack8(p[0] == q[0], p[1] == q[1], p[2] == q[2], p[3] == q[3],
				p[4] == q[4], p[5] == q[5], p[6] == q[6], p[7] == q[7]) << (k & 63)
		}
		for ; k < len(x); k++ {
			z |= b2u(x[k] == y[k]) << (k & 63)
		}
		d[w] = z
	}
}

func neVV[T ordered](d []uint64, a, b []T) {
	b = b[:len(a)]
	for w := range d {
		x := a[w*64 : min(w*64+64, len(a))]
		y := b[w*64:][:len(x)]
		var z uint64
		k := 0
		for ; k+8 <= len(x); k += 8 {
			p, q := (*[8]T)(x[k:]), (*[8]T)(y[k:])
			z |= pack8(p[0] != q[0], p[1] != q[1], p[2] != q[2], p[3] != q[3],
				p[4] != q[4], p[5] != q[5], p[6] != q[6], p[7] != q[7]) << (k & 63)
		}
		for ; k < len(x); k++ {
			z |= b2u(x[k] != y[k]) << (k & 63)
		}
		d[w] = z
	}
}

func ltVC[T ordered](d []uint64, a []T, c T) {
	for w := range d {
		x := a[w*64 : min(w*64+64, len(a))]
		var z uint64
		k := 0
		for ; k+8 <= len(x); k += 8 {
			p := (*[8]T)(x[k:])
			z |= pack8(p[0] < c, p[1] < c, p[2] < c, p[3] < c,
				p[4] < c, p[5] < c, p[6] < c, p[7] < c) << (k & 63)
		}
		for ; k < len(x); k++ {
			z |= b2u(x[k] < c) << (k & 63)
		}
		d[w] = z
	}
}

func leVC[T ordered](d []uint64, a []T, c T) {
	for w := range d {
		x := a[w*64 : min(w*64+64, len(a))]
		var z uint64
		k := 0
		for ; k+8 <= len(x); k += 8 {
			p := (*[8]T)(x[k:])
			z |= pack8(p[0] <= c, p[1] <= c, p[2] <= c, p[3] <= c,
				p[4] <= c, p[5] <= c, p[6] <= c, p[7] <= c) << (k & 63)
		}
		for ; k < len(x); k++ {
			z |= b2u(x[k] <= c) << (k & 63)
		}
		d[w] = z
	}
}

func gtVC[T ordered](d []uint64, a []T, c T) {
	for w := range d {
		x := a[w*64 : min(w*64+64, len(a))]
		var z uint64
		k := 0
		for ; k+8 <= len(x); k += 8 {
			p := (*[8]T)(x[k:])
			z |= pack8(p[0] > c, p[1] > c, p[2] > c, p[3] > c,
				p[4] > c, p[5] > c, p[6] > c, p[7] > c) << (k & 63)
		}
		for ; k < len(x); k++ {
			z |= b2u(x[k] > c) << (k & 63)
		}
		d[w] = z
	}
}

func geVC[T ordered](d []uint64, a []T, c T) {
	for w := range d {
		x := a[w*64 : min(w*64+64, len(a))]
		var z uint64
		k := 0
		for ; k+8 <= len(x); k += 8 {
			p := (*[8]T)(x[k:])
			z |= pack8(p[0] >= c, p[1] >= c, p[2] >= c, p[3] >= c,
				p[4] >= c, p[5] >= c, p[6] >= c, p[7] >= c) << (k & 63)
		}
		for ; k < len(x); k++ {
			z |= b2u(x[k] >= c) << (k & 63)
		}
		d[w] = z
	}
}

func eqVC[T ordered](d []uint64, a []T, c T) {
	for w := range d {
		x := a[w*64 : min(w*64+64, len(a))]
		var z uint64
		k := 0
		for ; k+8 <= len(x); k += 8 {
			p := (*[8]T)(x[k:])
			z |= pack8(p[0] == c, p[1] == c, p[2] == c, p[3] == c,
				p[4] == c, p[5] == c, p[6] == c, p[7] == c) << (k & 63)
		}
		for ; k < len(x); k++ {
			z |= b2u(x[k] == c) << (k & 63)
		}
		d[w] = z
	}
}

func neVC[T ordered](d []uint64, a []T, c T) {
	for w := range d {
		x := a[w*64 : min(w*64+64, len(a))]
		var z uint64
		k := 0
		for ; k+8 <= len(x); k += 8 {
			p := (*[8]T)(x[k:])
			z |= pack8(p[0] != c, p[1] != c, p[2] != c, p[3] != c,
				p[4] != c, p[5] != c, p[6] != c, p[7] != c) << (k & 63)
		}
		for ; k < len(x); k++ {
			z |= b2u(x[k] != c) << (k & 63)
		}
		d[w] = z
	}
}
