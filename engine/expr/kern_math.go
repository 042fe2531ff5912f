package expr

import (
	"bytes"
	"math"
)

func each1(m *machine, in *instr, n int) {
	a, f := &m.regs[in.args[0]], in.aux.(func(float64) float64)
	d := m.regs[in.dst].floats(n)
	for i := range d {
		d[i] = f(a.f[i&a.mask])
	}
}

func each2(m *machine, in *instr, n int) {
	a, b, f := &m.regs[in.args[0]], &m.regs[in.args[1]], in.aux.(func(a, b float64) float64)
	d := m.regs[in.dst].floats(n)
	for i := range d {
		d[i] = f(a.f[i&a.mask], b.f[i&b.mask])
	}
}

func sqrtNum(m *machine, in *instr, n int) {
	a := m.regs[in.args[0]].f[:n]
	d := m.regs[in.dst].floats(n)
	for i := range d {
		d[i] = math.Sqrt(a[i])
	}
}

func absNum(m *machine, in *instr, n int) {
	a := m.regs[in.args[0]].f[:n]
	d := m.regs[in.dst].floats(n)
	for i := range d {
		d[i] = math.Abs(a[i])
	}
}

// absInt makes the one integer null that has no opposite.
func absInt(m *machine, in *instr, n int) {
	a, r := m.regs[in.args[0]].i[:n], &m.regs[in.dst]
	d := r.ints(n)
	for i, x := range a {
		d[i] = max(x, -x)
		if x == math.MinInt64 {
			r.setNull(i, n)
		}
	}
}

func signNum(m *machine, in *instr, n int) {
	a := m.regs[in.args[0]].f[:n]
	d := m.regs[in.dst].floats(n)
	for i, x := range a {
		d[i] = float64(b2u(x > 0)) - float64(b2u(x < 0))
	}
}

func signInt(m *machine, in *instr, n int) {
	a := m.regs[in.args[0]].i[:n]
	d := m.regs[in.dst].ints(n)
	for i, x := range a {
		d[i] = int64(b2u(x > 0)) - int64(b2u(x < 0))
	}
}

func copyInt(m *machine, in *instr, n int) {
	copy(m.regs[in.dst].ints(n), m.regs[in.args[0]].i[:n])
}

func ceilNum(m *machine, in *instr, n int) {
	a := m.regs[in.args[0]].f[:n]
	d := m.regs[in.dst].floats(n)
	for i := range d {
		d[i] = math.Ceil(a[i])
	}
}

func floorNum(m *machine, in *instr, n int) {
	a := m.regs[in.args[0]].f[:n]
	d := m.regs[in.dst].floats(n)
	for i := range d {
		d[i] = math.Floor(a[i])
	}
}

func roundNum(m *machine, in *instr, n int) {
	a := m.regs[in.args[0]].f[:n]
	d := m.regs[in.dst].floats(n)
	for i := range d {
		d[i] = math.Round(a[i])
	}
}

// roundDigits rounds halves away from zero. Numbers so great that they have no
// digits there stay as they are.
func roundDigits(m *machine, in *instr, n int) {
	a, digits := m.regs[in.args[0]].f[:n], in.aux.(int)
	d := m.regs[in.dst].floats(n)
	p := math.Pow10(max(digits, -digits))
	for i, x := range a {
		switch {
		case digits < 0:
			d[i] = math.Round(x/p) * p
			if !isFinite(d[i]) {
				d[i] = x
			}
		case math.Abs(x) >= 1<<52:
			d[i] = x
		default:
			d[i] = math.Round(x*p) / p
		}
	}
}

// extremeKernel is the argument that comes first in the order of aux.
func extremeKernel(m *machine, in *instr, n int) {
	a, b, r := &m.regs[in.args[0]], &m.regs[in.args[1]], &m.regs[in.dst]
	less := in.aux.(cmpOp) == cmpLT
	switch r.kind {
	case kNum:
		extremes(r.floats(n), a.f, b.f, a.mask, b.mask, less)
	case kInt, kTime:
		extremes(r.ints(n), a.i, b.i, a.mask, b.mask, less)
	case kText:
		r.startText(n)
		for i := range n {
			x, y := a.text(i), b.text(i)
			if c := bytes.Compare(y, x); less && c < 0 || !less && c > 0 {
				x = y
			}
			r.ownData = append(r.ownData, x...)
			r.endText(i, n)
		}
	default:
		panic("BUG: least of kind " + r.kind.String())
	}
}

func extremes[T float64 | int64](d, a, b []T, am, bm int, less bool) {
	for i := range d {
		x, y := a[i&am], b[i&bm]
		if y < x == less && y != x {
			x = y
		}
		d[i] = x
	}
}

// earthRadius is the Earth's mean radius in metres, (2a+b)/3 of WGS 84 (IUGG).
const earthRadius = 6371008.8

// haversine is the distance on a sphere in metres of two points in degrees
// (R. W. Sinnott, "Virtues of the Haversine", Sky and Telescope, 1984).
func haversine(m *machine, in *instr, n int) {
	var arg [4]*reg
	for k := range arg {
		arg[k] = &m.regs[in.args[k]]
	}
	d := m.regs[in.dst].floats(n)
	const rad = math.Pi / 180
	for i := range d {
		lat1, lon1 := arg[0].f[i&arg[0].mask]*rad, arg[1].f[i&arg[1].mask]*rad
		lat2, lon2 := arg[2].f[i&arg[2].mask]*rad, arg[3].f[i&arg[3].mask]*rad
		s, t := math.Sin((lat2-lat1)/2), math.Sin((lon2-lon1)/2)
		h := s*s + math.Cos(lat1)*math.Cos(lat2)*t*t
		d[i] = 2 * earthRadius * math.Asin(math.Sqrt(min(h, 1)))
	}
}
