package expr

// generator turns checked nodes into instructions. Registers are taken from
// free lists by kind and given back when their one reader has been generated.
type generator struct {
	p    *program
	free [kTuple + 1][]int
	cols map[string]int // name -> index into p.cols
}

// generate makes the program of a node that has no errors and no open kinds.
func generate(n *node) *program {
	g := &generator{p: &program{column: -1}, cols: map[string]int{}}
	if n.op == opColumn {
		g.p.result = g.column(n)
		g.p.column = 0
		return g.p
	}
	g.p.result = g.value(n)
	return g.p
}

func (g *generator) newReg(k kind) int {
	if f := g.free[k]; len(f) > 0 {
		g.free[k] = f[:len(f)-1]
		return f[len(f)-1]
	}
	g.p.regs = append(g.p.regs, reg{kind: k, mask: -1})
	return len(g.p.regs) - 1
}

// release gives back the registers of args, but for columns' and constants'.
func (g *generator) release(nodes []*node, regs []int) {
	for i, n := range nodes {
		if n.op != opConst && n.op != opColumn {
			k := g.p.regs[regs[i]].kind
			g.free[k] = append(g.free[k], regs[i])
		}
	}
}

// column is the register that shows a column; one for all its uses.
func (g *generator) column(n *node) int {
	if i, ok := g.cols[n.name]; ok {
		return g.p.cols[i].reg
	}
	r := len(g.p.regs)
	g.p.regs = append(g.p.regs, reg{kind: n.k(), mask: -1})
	g.cols[n.name] = len(g.p.cols)
	elem := n.elem
	if n.open != nil {
		elem = n.open.elem
	}
	g.p.cols = append(g.p.cols, column{name: n.name, kind: n.k(), elem: elem, reg: r, open: n.open != nil})
	return r
}

// constant is a register with one value for all rows.
func (g *generator) constant(n *node) int {
	r := reg{kind: n.kind}
	switch n.kind {
	case kNum:
		r.f = []float64{n.val.f}
	case kInt, kTime:
		r.i = []int64{n.val.i}
	case kBool:
		r.i = []int64{int64(b2u(n.val.b))}
	case kText:
		r.off, r.data = []int32{0, int32(len(n.val.s))}, []byte(n.val.s)
	case kNull: // only is-null asks for it
	default:
		panic("BUG: constant of kind " + n.kind.String())
	}
	if n.val.null {
		r.valid = []uint64{0}
	}
	g.p.consts = append(g.p.consts, len(g.p.regs))
	g.p.regs = append(g.p.regs, r)
	return len(g.p.regs) - 1
}

// value generates n and returns its register. What the register holds is finite.
func (g *generator) value(n *node) int {
	r, raw := g.rough(n)
	if raw {
		g.p.ins = append(g.p.ins, instr{run: finite, dst: r})
	}
	return r
}

// rough is value, but the result may be infinite or NaN if raw is true. + - *
// and the left side of / take such operands: they give such results again, so
// that one check at the end finds what a check after each operator would.
func (g *generator) rough(n *node) (r int, raw bool) {
	switch n.op {
	case opConst:
		return g.constant(n), false
	case opColumn:
		return g.column(n), false
	case opArith:
		return g.arith(n)
	case opCmp:
		return g.compare(n), false
	}
	regs := make([]int, len(n.args))
	for i, a := range n.args {
		regs[i] = g.value(a)
	}
	in := instr{args: regs, sub: n.sub}
	switch n.op {
	case opAnd:
		in.run = andKernel
	case opOr:
		in.run = orKernel
	case opNot:
		in.run, in.strict = notKernel, true
	case opIsNull:
		in.run = isNullKernel
	case opCond:
		in.run = condKernel
	case opCoalesce:
		in.run, in.aux = coalesceKernel, &coalesceBits{}
	case opConvert:
		in.run, in.strict = intToNum, true
	case opCall:
		in.run, in.strict, in.aux, raw = n.call.run, !n.call.lax, n.call.aux, n.call.raw
	default:
		panic("BUG: node without instruction")
	}
	in.dst = g.newReg(n.kind)
	g.p.ins = append(g.p.ins, in)
	g.release(n.args, regs)
	return in.dst, raw
}

// arith generates + - * / % and, with one argument, the negative.
func (g *generator) arith(n *node) (r int, raw bool) {
	isNum := n.kind == kNum
	args := n.args
	in := instr{strict: true}
	// A number constant goes into the instruction.
	var left, right bool
	if isNum && len(args) == 2 && n.sub != '%' {
		left, right = args[0].isConst(), args[1].isConst()
		switch {
		case left && right:
			left, right = false, false
		case left:
			in.f, args = args[0].val.f, args[1:]
		case right:
			in.f, args = args[1].val.f, args[:1]
		}
	}
	for i, a := range args {
		divisor := n.sub == '/' && (left || i == 1)
		if isNum && !divisor && n.sub != '%' {
			x, _ := g.rough(a)
			in.args = append(in.args, x)
			continue
		}
		in.args = append(in.args, g.value(a))
	}
	in.run = arithKernel(n.sub, isNum, len(n.args) == 1, left, right)
	in.dst = g.newReg(n.kind)
	g.p.ins = append(g.p.ins, in)
	g.release(args, in.args)
	return in.dst, isNum && n.sub != '/' // which looks for itself
}

func arithKernel(op byte, num, unary, left, right bool) kernel {
	type key struct{ vv, vc, cv kernel }
	var k key
	switch {
	case unary && num:
		return negNum
	case unary:
		return negInt
	case !num:
		return map[byte]kernel{'+': addInt, '-': subInt, '*': mulInt, '%': modInt}[op]
	case op == '+':
		k = key{addVV, addVC, addVC}
	case op == '-':
		k = key{subVV, subVC, subCV}
	case op == '*':
		k = key{mulVV, mulVC, mulVC}
	case op == '/':
		k = key{divVV, divVC, divCV}
	case op == '%':
		k = key{vv: modNum}
	}
	switch {
	case left:
		return k.cv
	case right:
		return k.vc
	}
	return k.vv
}

// compare generates a comparison of two values of one kind.
func (g *generator) compare(n *node) int {
	a, b, op := n.args[0], n.args[1], n.sub
	if a.isConst() {
		a, b, op = b, a, swapped(op)
	}
	in := instr{strict: true, sub: op}
	k := a.k()
	vc := b.isConst() && !a.isConst() && (k == kNum || k == kInt || k == kTime)
	args := []*node{a, b}
	if vc {
		in.f, in.i, args = b.val.f, b.val.i, args[:1]
	}
	for _, x := range args {
		in.args = append(in.args, g.value(x))
	}
	switch k {
	case kNum:
		in.run = cmpNumVV
		if vc {
			in.run = cmpNumVC
		}
	case kInt, kTime:
		in.run = cmpIntVV
		if vc {
			in.run = cmpIntVC
		}
	case kText:
		in.run = cmpText
	case kBool:
		in.run = eqBool
		in.sub = uint8(b2u(op == cmpNE))
	default:
		panic("BUG: comparison of " + k.String())
	}
	in.dst = g.newReg(kBool)
	g.p.ins = append(g.p.ins, in)
	g.release(args, in.args)
	return in.dst
}
