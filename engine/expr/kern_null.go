package expr

import "bytes"

// sameAt compares row i of two registers of one kind.
func sameAt(a, b *reg, i int) bool {
	switch a.kind {
	case kNum:
		return a.f[i&a.mask] == b.f[i&b.mask]
	case kInt, kTime:
		return a.i[i&a.mask] == b.i[i&b.mask]
	case kBool:
		return a.bit(i) == b.bit(i)
	case kText:
		return bytes.Equal(a.text(i), b.text(i))
	}
	panic("BUG: comparison of " + a.kind.String())
}

// nullIfKernel is a, but null where a equals b.
func nullIfKernel(m *machine, in *instr, n int) {
	a, b, r := &m.regs[in.args[0]], &m.regs[in.args[1]], &m.regs[in.dst]
	r.valid = nil
	if a.valid != nil {
		copy(r.validity(n), a.valid)
	}
	switch r.kind {
	case kNum:
		spread(r.floats(n), a.f, a.mask)
	case kInt, kTime:
		spread(r.ints(n), a.i, a.mask)
	case kBool:
		copy(r.bools(n), a.b)
	case kText:
		r.startText(n)
		for i := range n {
			if !r.isNull(i) {
				r.ownData = append(r.ownData, a.text(i)...)
			}
			r.endText(i, n)
		}
	default:
		panic("BUG: nullif of " + r.kind.String())
	}
	for i := range n {
		if !b.isNull(i) && !a.isNull(i) && sameAt(a, b, i) {
			r.setNull(i, n)
		}
	}
}

func spread[T float64 | int64](d, a []T, mask int) {
	for i := range d {
		d[i] = a[i&mask]
	}
}

// inKernel is SQL's IN: true if the first argument equals one of the others,
// else null if one of all is null, else false.
func inKernel(m *machine, in *instr, n int) {
	x, r := &m.regs[in.args[0]], &m.regs[in.dst]
	d := r.bools(n)
	clear(d)
	r.valid = nil
	for i := range n {
		unknown := x.isNull(i)
		found := false
		for _, a := range in.args[1:] {
			if found || x.isNull(i) {
				break
			}
			e := &m.regs[a]
			if e.isNull(i) {
				unknown = true
				continue
			}
			found = sameAt(x, e, i)
		}
		d[i>>6] |= b2u(found) << (i & 63)
		if unknown && !found {
			r.setNull(i, n)
		}
	}
}
