package expr

import (
	"math"
	"math/bits"
)

// Kernels of arithmetic. V is a value a row, C a constant: VC is row op
// constant. Cutting the arguments to the length of the result takes the checks
// of bounds out of the loops, which makes them as fast as unrolled ones.

func addVV(m *machine, in *instr, n int) {
	d := m.regs[in.dst].floats(n)
	a, b := m.regs[in.args[0]].f[:len(d)], m.regs[in.args[1]].f[:len(d)]
	for i := range d {
		d[i] = a[i] + b[i]
	}
}

func addVC(m *machine, in *instr, n int) {
	d := m.regs[in.dst].floats(n)
	a, c := m.regs[in.args[0]].f[:len(d)], in.f
	for i := range d {
		d[i] = a[i] + c
	}
}

func subVV(m *machine, in *instr, n int) {
	d := m.regs[in.dst].floats(n)
	a, b := m.regs[in.args[0]].f[:len(d)], m.regs[in.args[1]].f[:len(d)]
	for i := range d {
		d[i] = a[i] - b[i]
	}
}

func subVC(m *machine, in *instr, n int) {
	d := m.regs[in.dst].floats(n)
	a, c := m.regs[in.args[0]].f[:len(d)], in.f
	for i := range d {
		d[i] = a[i] - c
	}
}

func subCV(m *machine, in *instr, n int) {
	d := m.regs[in.dst].floats(n)
	b, c := m.regs[in.args[0]].f[:len(d)], in.f
	for i := range d {
		d[i] = c - b[i]
	}
}

func mulVV(m *machine, in *instr, n int) {
	d := m.regs[in.dst].floats(n)
	a, b := m.regs[in.args[0]].f[:len(d)], m.regs[in.args[1]].f[:len(d)]
	for i := range d {
		d[i] = a[i] * b[i]
	}
}

func mulVC(m *machine, in *instr, n int) {
	d := m.regs[in.dst].floats(n)
	a, c := m.regs[in.args[0]].f[:len(d)], in.f
	for i := range d {
		d[i] = a[i] * c
	}
}

// The divisions look for what is not finite themselves: the divider is so slow
// that it costs nothing there.

func divVV(m *machine, in *instr, n int) {
	r := &m.regs[in.dst]
	d := r.floats(n)
	a, b := m.regs[in.args[0]].f[:len(d)], m.regs[in.args[1]].f[:len(d)]
	zero, bad := 0.0, 0.0
	for i := range d {
		q := a[i] / b[i]
		d[i] = q
		bad += q * zero
	}
	r.dropIf(bad != 0, n)
}

func divVC(m *machine, in *instr, n int) {
	r := &m.regs[in.dst]
	d := r.floats(n)
	a, c := m.regs[in.args[0]].f[:len(d)], in.f
	zero, bad := 0.0, 0.0
	for i := range d {
		q := a[i] / c
		d[i] = q
		bad += q * zero
	}
	r.dropIf(bad != 0, n)
}

func divCV(m *machine, in *instr, n int) {
	r := &m.regs[in.dst]
	d := r.floats(n)
	b, c := m.regs[in.args[0]].f[:len(d)], in.f
	zero, bad := 0.0, 0.0
	for i := range d {
		q := c / b[i]
		d[i] = q
		bad += q * zero
	}
	r.dropIf(bad != 0, n)
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

// expBits are all set in what is infinite or NaN.
const expBits = 0x7ff << 52

// finite makes the rows of its register null whose value is infinite or NaN.
// It works in place, on a register that an instruction has written.
func finite(m *machine, in *instr, n int) {
	r := &m.regs[in.dst]
	f := r.f[:n]
	// Nothing times zero is zero, but for what is infinite or NaN: one multiply
	// and one add a row, no branch.
	zero := 0.0
	var w, x, y, z float64
	i := 0
	for ; i+4 <= len(f); i += 4 {
		p := (*[4]float64)(f[i:])
		w += p[0] * zero
		x += p[1] * zero
		y += p[2] * zero
		z += p[3] * zero
	}
	for ; i < len(f); i++ {
		w += f[i] * zero
	}
	r.dropIf(w+x+y+z != 0, n)
}

// dropIf makes the rows null whose number is infinite or NaN, if there are any.
func (r *reg) dropIf(any bool, n int) {
	if !any {
		return
	}
	for i, v := range r.f[:n] {
		if !isFinite(v) {
			r.f[i] = 0
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
