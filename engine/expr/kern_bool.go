package expr

import "math"

// Kernels of logic and of null. They work on 64 rows a word.

func b2u(b bool) uint64 {
	var x uint64
	if b {
		x = 1
	}
	return x
}

func andWords(dst, a, b []uint64) {
	a, b = a[:len(dst)], b[:len(dst)]
	for w := range dst {
		dst[w] = a[w] & b[w]
	}
}

// validAt is word w of v, where a missing v is all ones.
func validAt(v []uint64, w int) uint64 {
	if v == nil {
		return ^uint64(0)
	}
	return v[w]
}

// andKernel is SQL's AND: false wins over null, null over true.
func andKernel(m *machine, in *instr, n int) {
	a, b, r := &m.regs[in.args[0]], &m.regs[in.args[1]], &m.regs[in.dst]
	d := r.bools(n)
	andWords(d, a.b, b.b)
	r.valid = nil
	if a.valid == nil && b.valid == nil {
		return
	}
	v := r.validity(n)
	for w := range v {
		va, vb := validAt(a.valid, w), validAt(b.valid, w)
		v[w] = va&vb | va&^a.b[w] | vb&^b.b[w]
	}
}

// orKernel is SQL's OR: true wins over null, null over false.
func orKernel(m *machine, in *instr, n int) {
	a, b, r := &m.regs[in.args[0]], &m.regs[in.args[1]], &m.regs[in.dst]
	d := r.bools(n)
	for w := range d {
		d[w] = a.b[w] | b.b[w]
	}
	r.valid = nil
	if a.valid == nil && b.valid == nil {
		return
	}
	v := r.validity(n)
	for w := range v {
		va, vb := validAt(a.valid, w), validAt(b.valid, w)
		v[w] = va&vb | va&a.b[w] | vb&b.b[w]
	}
}

func notKernel(m *machine, in *instr, n int) {
	a := m.regs[in.args[0]].b
	d := m.regs[in.dst].bools(n)
	for w := range d {
		d[w] = ^a[w]
	}
}

// isNullKernel is never null; with sub 1 it says what is not null.
func isNullKernel(m *machine, in *instr, n int) {
	a, r := &m.regs[in.args[0]], &m.regs[in.dst]
	d := r.bools(n)
	r.valid = nil
	flip := -uint64(1 - in.sub)
	for w := range d {
		d[w] = validAt(a.valid, w) ^ flip
	}
}

// eqBool compares bits; with sub 1 it says what differs.
func eqBool(m *machine, in *instr, n int) {
	a, b := m.regs[in.args[0]].b, m.regs[in.args[1]].b
	d := m.regs[in.dst].bools(n)
	flip := -uint64(1 - in.sub)
	for w := range d {
		d[w] = a[w] ^ b[w] ^ flip
	}
}

// condValid sets the result's validity: that of the branch taken, null where
// the condition is.
func condValid(c, a, b, r *reg, n int) {
	r.valid = nil
	if c.valid == nil && a.valid == nil && b.valid == nil {
		return
	}
	v := r.validity(n)
	for w := range v {
		v[w] = validAt(c.valid, w) & (validAt(a.valid, w)&c.b[w] | validAt(b.valid, w)&^c.b[w])
	}
}

// condKernel is condition ? then : else.
func condKernel(m *machine, in *instr, n int) {
	c, a, b, r := &m.regs[in.args[0]], &m.regs[in.args[1]], &m.regs[in.args[2]], &m.regs[in.dst]
	condValid(c, a, b, r, n)
	switch r.kind {
	case kNum:
		pickNum(r.floats(n), c.b, a.f, b.f, a.mask, b.mask)
	case kInt, kTime:
		pick(r.ints(n), c.b, a.i, b.i, a.mask, b.mask)
	case kBool:
		d := r.bools(n)
		for w := range d {
			d[w] = a.b[w]&c.b[w] | b.b[w]&^c.b[w]
		}
	case kText:
		r.startText(n)
		for i := range n {
			if r.isNull(i) {
				r.endText(i, n)
				continue
			}
			t := b.text(i)
			if c.bit(i) {
				t = a.text(i)
			}
			r.ownData = append(r.ownData, t...)
			r.endText(i, n)
		}
	default:
		panic("BUG: conditional of kind " + r.kind.String())
	}
}

// pick takes a's value where sel has a 1, else b's.
func pick(d []int64, sel []uint64, a, b []int64, am, bm int) {
	for i := range d {
		m := -int64(sel[i>>6] >> (i & 63) & 1)
		x, y := a[i&am], b[i&bm]
		d[i] = y ^ (x^y)&m
	}
}

// pickNum does it on the bits of numbers, since a choice of numbers would be a branch.
func pickNum(d []float64, sel []uint64, a, b []float64, am, bm int) {
	for i := range d {
		m := -(sel[i>>6] >> (i & 63) & 1)
		x, y := math.Float64bits(a[i&am]), math.Float64bits(b[i&bm])
		d[i] = math.Float64frombits(y ^ (x^y)&m)
	}
}

// coalesceKernel is the first of two that is not null.
func coalesceKernel(m *machine, in *instr, n int) {
	a, b, r := &m.regs[in.args[0]], &m.regs[in.args[1]], &m.regs[in.dst]
	r.valid = nil
	if a.valid != nil && b.valid != nil {
		v := r.validity(n)
		for w := range v {
			v[w] = a.valid[w] | b.valid[w]
		}
	}
	sel := in.aux.(*coalesceBits).of(a.valid, n)
	switch r.kind {
	case kNum:
		pickNum(r.floats(n), sel, a.f, b.f, a.mask, b.mask)
	case kInt, kTime:
		pick(r.ints(n), sel, a.i, b.i, a.mask, b.mask)
	case kBool:
		d := r.bools(n)
		for w := range d {
			d[w] = a.b[w]&sel[w] | b.b[w]&^sel[w]
		}
	case kText:
		r.startText(n)
		for i := range n {
			t := b.text(i)
			if !a.isNull(i) {
				t = a.text(i)
			}
			if !r.isNull(i) {
				r.ownData = append(r.ownData, t...)
			}
			r.endText(i, n)
		}
	default:
		panic("BUG: coalesce of kind " + r.kind.String())
	}
}

// coalesceBits is all ones for an argument that has no nulls.
type coalesceBits struct{ ones []uint64 }

func (c *coalesceBits) of(valid []uint64, n int) []uint64 {
	if valid != nil {
		return valid
	}
	c.ones = room(c.ones, words(n))
	for w := range c.ones {
		c.ones[w] = ^uint64(0)
	}
	return c.ones
}
