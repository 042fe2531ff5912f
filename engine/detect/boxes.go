package detect

import "unsafe"

const (
	lanes  = 8 // dimensions that are summed side by side; the order of sums is part of a score's bits
	gather = 4 // dimensions from which gathers are worth their call
)

// span is the width of a node's box, all dimensions together, and how far a point is outside of it.
func (f *Forest) span(at, g int, x []float32) (total, gap float32) {
	face, vals := &f.face[at*2*f.dims], &f.value[g*f.cfg.Samples*f.dims]
	if f.gathers {
		return boxGap(face, vals, &x[0], len(x))
	}
	return plainGap(face, vals, x)
}

// plainGap sums dimension d in lane d mod 8, and then the lanes by halves, as vectors do. The
// slots of a model are below its Samples, and their bounds are not checked again: this is where the time goes.
func plainGap(face *uint8, vals *float32, x []float32) (total, gap float32) {
	dims := uintptr(len(x))
	low, box := unsafe.Pointer(face), unsafe.Pointer(vals)
	var t, o [lanes]float32
	for d, v := range x {
		i, k := uintptr(*(*uint8)(unsafe.Add(low, d))), uintptr(*(*uint8)(unsafe.Add(low, uintptr(d)+dims)))
		a := *(*float32)(unsafe.Add(box, 4*(i*dims+uintptr(d))))
		b := *(*float32)(unsafe.Add(box, 4*(k*dims+uintptr(d))))
		t[d%lanes] += b - a
		o[d%lanes] += max(a-v, v-b, 0)
	}
	total = ((t[0] + t[4]) + (t[2] + t[6])) + ((t[1] + t[5]) + (t[3] + t[7]))
	gap = ((o[0] + o[4]) + (o[2] + o[6])) + ((o[1] + o[5]) + (o[3] + o[7]))
	return total, gap
}

// separation is the probability that a random cut of a node's box and a point
// separates the two.
func (f *Forest) separation(at, g int, x []float32) float64 {
	total, gap := f.span(at, g, x)
	if gap <= 0 {
		return 0
	}
	return float64(gap / (total + gap))
}
