package expr

import (
	"math"
	"math/bits"
)

// Kernels of arithmetic. V is a value a row, C a constant: VC is row op constant.

func addVV(m *machine, in *instr, n int) {
	a, b := m.regs[in.args[0]].f[:n], m.regs[in.args[1]].f[:n]
	d := m.regs[in.dst].floats(n)
	for i := range d {
		d[i] = a[i] + b[i]
	}
}

func addVC(m *machine, in *instr, n int) {
	a, c := m.regs[in.args[0]].f[:n], in.f
	d := m.regs[in.dst].floats(n)
	for i := range d {
		d[i] = a[i] + c
	}
}

func subVV(m *machine, in *instr, n int) {
	a, b := m.regs[in.args[0]].f[:n], m.regs[in.args[1]].f[:n]
	d := m.regs[in.dst].floats(n)
	for i := range d {
		d[i] = a[i] - b[i]
	}
}

func subVC(m *machine, in *instr, n int) {
	a, c := m.regs[in.args[0]].f[:n], in.f
	d := m.regs[in.dst].floats(n)
	for i := range d {
		d[i] = a[i] - c
	}
}

func subCV(m *machine, in *instr, n int) {
	b, c := m.regs[in.args[0]].f[:n], in.f
	d := m.regs[in.dst].floats(n)
	for i := range d {
		d[i] = c - b[i]
	}
}

func mulVV(m *machine, in *instr, n int) {
	a, b := m.regs[in.args[0]].f[:n], m.regs[in.args[1]].f[:n]
	d := m.regs[in.dst].floats(n)
	for i := range d {
		d[i] = a[i] * b[i]
	}
}

func mulVC(m *machine, in *instr, n int) {
	a, c := m.regs[in.args[0]].f[:n], in.f
	d := m.regs[in.dst].floats(n)
	for i := range d {
		d[i] = a[i] * c
	}
}

func divVV(m *machine, in *instr, n int) {
	a, b := m.regs[in.args[0]].f[:n], m.regs[in.args[1]].f[:n]
	d := m.regs[in.dst].floats(n)
	for i := range d {
		d[i] = a[i] / b[i]
	}
}

func divVC(m *machine, in *instr, n int) {
	a, c := m.regs[in.args[0]].f[:n], in.f
	d := m.regs[in.dst].floats(n)
	for i := range d {
		d[i] = a[i] / c
	}
}

func divCV(m *machine, in *instr, n int) {
	b, c := m.regs[in.args[0]].f[:n], in.f
	d := m.regs[in.dst].floats(n)
	for i := range d {
		d[i] = c / b[i]
	}
}

func modNum(m *machine, in *instr, n int) {
	a, b := &m.regs[in.args[0]], &m.regs[in.args[1]]
	d := m.regs[in.dst].floats(n)
	for i := range d {
		d[i] = math.Mod(a.f[i&a.mask], b.f[i&b.mask])
	}
}

func negNum(m *machine, in *instr, n int) {
	a := m.regs[in.args[0]].f[:n]
	d := m.regs[in.dst].floats(n)
	for i := range d {
		d[i] = -a[i]
	}
}

const (
	expBits = 0x7ff << 52 // all set: infinite or NaN
	signBit = 1 << 63
)

// finite makes the rows of its register null whose value is infinite or NaN.
// It works in place, on a register that an instruction has written.
func finite(m *machine, in *instr, n int) {
	r := &m.regs[in.dst]
	f := r.f[:n]
	// With all exponent bits set, adding one to the exponent carries into the
	// sign bit, and with none other: one add and one or a row, no branch.
	var x, y uint64
	i := 0
	for ; i+4 <= len(f); i += 4 {
		p := (*[4]float64)(f[i:])
		x |= math.Float64bits(p[0])&expBits + 1<<52
		y |= math.Float64bits(p[1])&expBits + 1<<52
		x |= math.Float64bits(p[2])&expBits + 1<<52
		y |= math.Float64bits(p[3])&expBits + 1<<52
	}
	for ; i < len(f); i++ {
		x |= math.Float64bits(f[i])&expBits + 1<<52
	}
	if (x|y)&signBit == 0 {
		return
	}
	for i, v := range f {
		if math.Float64bits(v)&expBits == expBits {
			f[i] = 0
			r.setNull(i, n)
		}
	}
}

// Integers: what passes 64 bits is null, as is a remainder by zero.

func addInt(m *machine, in *instr, n int) {
	a, b, r := &m.regs[in.args[0]], &m.regs[in.args[1]], &m.regs[in.dst]
	d := r.ints(n)
	for i := range d {
		x, y := a.i[i&a.mask], b.i[i&b.mask]
		s := x + y
		d[i] = s
		if (x^s)&(y^s) < 0 {
			r.setNull(i, n)
		}
	}
}

func subInt(m *machine, in *instr, n int) {
	a, b, r := &m.regs[in.args[0]], &m.regs[in.args[1]], &m.regs[in.dst]
	d := r.ints(n)
	for i := range d {
		x, y := a.i[i&a.mask], b.i[i&b.mask]
		s := x - y
		d[i] = s
		if (x^y)&(x^s) < 0 {
			r.setNull(i, n)
		}
	}
}

func mulInt(m *machine, in *instr, n int) {
	a, b, r := &m.regs[in.args[0]], &m.regs[in.args[1]], &m.regs[in.dst]
	d := r.ints(n)
	for i := range d {
		p, ok := mul64(a.i[i&a.mask], b.i[i&b.mask])
		d[i] = p
		if !ok {
			r.setNull(i, n)
		}
	}
}

// mul64 is x*y, and whether it fits.
func mul64(x, y int64) (int64, bool) {
	hi, lo := bits.Mul64(uint64(x), uint64(y))
	// The unsigned product is too great by y<<64 when x is negative, and the other way round.
	h := int64(hi) - x>>63&y - y>>63&x
	return int64(lo), h == int64(lo)>>63
}

func modInt(m *machine, in *instr, n int) {
	a, b, r := &m.regs[in.args[0]], &m.regs[in.args[1]], &m.regs[in.dst]
	d := r.ints(n)
	for i := range d {
		y := b.i[i&b.mask]
		if y == 0 {
			d[i] = 0
			r.setNull(i, n)
			continue
		}
		d[i] = a.i[i&a.mask] % y
	}
}

func negInt(m *machine, in *instr, n int) {
	a, r := &m.regs[in.args[0]], &m.regs[in.dst]
	d := r.ints(n)
	for i := range d {
		x := a.i[i&a.mask]
		d[i] = -x
		if x == math.MinInt64 {
			r.setNull(i, n)
		}
	}
}

// intToNum is exact up to 2^53, and the nearest number beyond.
func intToNum(m *machine, in *instr, n int) {
	a := m.regs[in.args[0]].i[:n]
	d := m.regs[in.dst].floats(n)
	for i := range d {
		d[i] = float64(a[i])
	}
}
