package expr

import "github.com/hashicorp/hcl/v2"

// as makes n of kind k where that loses nothing, nil otherwise: an integer is
// taken for a number, null for anything, an open name for what it is used as.
func (c *checker) as(n *node, k kind) *node {
	switch n.k() {
	case kBad, k:
		return n
	case kOpen:
		if k == kInt { // a learned column of numbers is never one of integers
			return c.as2int(n)
		}
		c.decide(n, k, kBad)
		return n
	case kNull:
		return &node{op: opConst, kind: k, val: value{null: true}, at: n.at, x: n.x}
	case kInt:
		if k == kNum {
			return c.toNumber(n)
		}
	}
	if n.open != nil && n.open.kind == kNum && k == kInt {
		return c.as2int(n)
	}
	return nil
}

// as2int takes an open name for an integer: it will be a number, cut to one.
func (c *checker) as2int(n *node) *node {
	c.decide(n, kNum, kBad)
	return c.made(&node{op: opCall, kind: kInt, at: n.at, x: n.x, call: &callOp{run: numToInt}, args: []*node{n}})
}

func (c *checker) toNumber(n *node) *node {
	if n.isConst() {
		v := n.val
		v.f = float64(v.i)
		return &node{op: opConst, kind: kNum, val: v, at: n.at, x: n.x}
	}
	return &node{op: opConvert, kind: kNum, at: n.at, x: n.x, args: []*node{n}}
}

// unify makes a and b of one kind.
func (c *checker) unify(a, b *node) (*node, *node, bool) {
	ka, kb := a.k(), b.k()
	switch {
	case ka == kBad || kb == kBad:
		return a, b, false
	case ka == kOpen && kb == kOpen:
		c.decide(a, kNum, kBad)
		c.decide(b, kNum, kBad)
		return a, b, true
	case ka == kOpen:
		b, a, ok := c.unifyOpen(b, a)
		return a, b, ok
	case kb == kOpen:
		return c.unifyOpen(a, b)
	case ka == kb:
		return a, b, true
	case ka == kNull || ka == kInt && kb == kNum:
		if m := c.as(a, kb); m != nil {
			return m, b, true
		}
	case kb == kNull || kb == kInt && ka == kNum:
		if m := c.as(b, ka); m != nil {
			return a, m, true
		}
	}
	return a, b, false
}

// unifyOpen gives the open name b the kind of a. Numbers that are learned are
// never integers.
func (c *checker) unifyOpen(a, b *node) (*node, *node, bool) {
	switch a.k() {
	case kInt:
		c.decide(b, kNum, kBad)
		return c.toNumber(a), b, true
	case kNull, kTuple:
		return a, b, false
	case kList:
		c.decide(b, kList, a.elem)
		return a, b, true
	}
	c.decide(b, a.k(), kBad)
	return a, b, true
}

// decide gives an open name the kind of its use.
func (c *checker) decide(n *node, k, elem kind) {
	if n.open == nil || n.open.kind != kOpen {
		return
	}
	n.open.kind, n.open.elem, n.open.use = k, elem, n.at
}

// closeOpen ends the inference: a name that no use gave a type is a number.
func (c *checker) closeOpen() {
	for _, v := range c.opens {
		if v.kind == kOpen {
			v.kind, v.use = kNum, v.at
		}
		if v.kind == kList && v.elem == kBad {
			v.elem = kNum
		}
		if conflict := c.scope.Infer(v.name, v.arrowType(), v.use); conflict != "" {
			c.errorf(v.use, "Contradictory uses", "%s", conflict)
			continue
		}
		c.warnf(v.at, "Column not known yet", "No schema says what %q is%s; its use here makes it a %s. Declare it in the channel's schema to be sure.",
			v.name, c.of(), typeName(v.arrowType()))
		c.diags[len(c.diags)-1].Extra = OpenName(v.name)
	}
}

func (c *checker) of() string {
	if c.scope.What == "" {
		return ""
	}
	return " in " + c.scope.What
}

// made finishes a node: a constant if its arguments are, null if it is strict
// and one of them is.
func (c *checker) made(n *node) *node {
	strict := n.op == opArith || n.op == opCmp || n.op == opNot || n.op == opConvert || n.op == opCall && !n.call.lax
	all := true
	for _, a := range n.args {
		if strict && a.isNull() {
			return &node{op: opConst, kind: n.kind, val: value{null: true}, at: n.at, x: n.x}
		}
		all = all && a.isConst()
	}
	if !all {
		return n
	}
	v := fold(n)
	if v.null && strict {
		c.warnf(n.at, "Always null", "This has no value: it overflows, divides by zero, or is outside what the function takes.")
	}
	return &node{op: opConst, kind: n.kind, val: v, at: n.at, x: n.x}
}

// fold computes a node over constants with the kernels that rows are computed with.
func fold(n *node) value {
	p := generate(n)
	p.fillConsts(1)
	p.run(1)
	r := &p.regs[p.result]
	if r.isNull(0) {
		return value{null: true}
	}
	switch r.kind {
	case kNum:
		return value{f: r.f[0]}
	case kInt, kTime:
		return value{i: r.i[0]}
	case kBool:
		return value{b: r.bit(0)}
	case kText:
		return value{s: string(r.text(0))}
	}
	panic("BUG: constant of kind " + r.kind.String())
}

// rangeText is a place for the inside of a message.
func rangeText(r hcl.Range) string {
	if r.Filename == "" {
		return fmtPos(r)
	}
	return r.Filename + ":" + fmtPos(r)
}
