package expr

import "bytes"

// cmpOp is a comparison. Its bits say for which outcomes it is true: 1 for
// less, 2 for equal, 4 for greater.
type cmpOp = uint8

const (
	cmpLT cmpOp = 1
	cmpEQ cmpOp = 2
	cmpLE cmpOp = 3
	cmpGT cmpOp = 4
	cmpNE cmpOp = 5
	cmpGE cmpOp = 6
)

// swapped is the operator for exchanged sides.
func swapped(op cmpOp) cmpOp { return op&cmpEQ | op>>2&1 | op&1<<2 }

func compareVV[T ordered](op cmpOp, d []byte, a, b []T) {
	switch op {
	case cmpLT:
		ltVV(d, a, b)
	case cmpLE:
		leVV(d, a, b)
	case cmpGT:
		ltVV(d, b, a)
	case cmpGE:
		leVV(d, b, a)
	case cmpEQ:
		eqVV(d, a, b)
	case cmpNE:
		neVV(d, a, b)
	}
}

func compareVC[T ordered](op cmpOp, d []byte, a []T, c T) {
	switch op {
	case cmpLT:
		ltVC(d, a, c)
	case cmpLE:
		leVC(d, a, c)
	case cmpGT:
		gtVC(d, a, c)
	case cmpGE:
		geVC(d, a, c)
	case cmpEQ:
		eqVC(d, a, c)
	case cmpNE:
		neVC(d, a, c)
	}
}

func cmpNumVV(m *machine, in *instr, n int) {
	a, b := m.regs[in.args[0]].f[:n], m.regs[in.args[1]].f[:n]
	compareVV(in.sub, m.bytes[:n], a, b)
	packBytes(m.regs[in.dst].bools(n), m.bytes[:])
}

func cmpNumVC(m *machine, in *instr, n int) {
	compareVC(in.sub, m.bytes[:n], m.regs[in.args[0]].f[:n], in.f)
	packBytes(m.regs[in.dst].bools(n), m.bytes[:])
}

func cmpIntVV(m *machine, in *instr, n int) {
	a, b := m.regs[in.args[0]].i[:n], m.regs[in.args[1]].i[:n]
	compareVV(in.sub, m.bytes[:n], a, b)
	packBytes(m.regs[in.dst].bools(n), m.bytes[:])
}

func cmpIntVC(m *machine, in *instr, n int) {
	compareVC(in.sub, m.bytes[:n], m.regs[in.args[0]].i[:n], in.i)
	packBytes(m.regs[in.dst].bools(n), m.bytes[:])
}

// cmpText compares bytewise, which orders UTF-8 by code point.
func cmpText(m *machine, in *instr, n int) {
	a, b := &m.regs[in.args[0]], &m.regs[in.args[1]]
	d := m.regs[in.dst].bools(n)
	clear(d)
	if in.sub == cmpEQ || in.sub == cmpNE {
		want := in.sub == cmpEQ
		for i := range n {
			d[i>>6] |= b2u(bytes.Equal(a.text(i), b.text(i)) == want) << (i & 63)
		}
		return
	}
	for i := range n {
		c := bytes.Compare(a.text(i), b.text(i))
		d[i>>6] |= uint64(in.sub) >> (c + 1) & 1 << (i & 63)
	}
}
