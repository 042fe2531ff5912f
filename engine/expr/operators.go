package expr

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/tidemill/tidemill/engine/flow"
)

// symbol is an operator as it is written.
func symbol(op *hclsyntax.Operation) string {
	switch op {
	case hclsyntax.OpLogicalOr:
		return "||"
	case hclsyntax.OpLogicalAnd:
		return "&&"
	case hclsyntax.OpLogicalNot:
		return "!"
	case hclsyntax.OpEqual:
		return "=="
	case hclsyntax.OpNotEqual:
		return "!="
	case hclsyntax.OpGreaterThan:
		return ">"
	case hclsyntax.OpGreaterThanOrEqual:
		return ">="
	case hclsyntax.OpLessThan:
		return "<"
	case hclsyntax.OpLessThanOrEqual:
		return "<="
	case hclsyntax.OpAdd:
		return "+"
	case hclsyntax.OpSubtract, hclsyntax.OpNegate:
		return "-"
	case hclsyntax.OpMultiply:
		return "*"
	case hclsyntax.OpDivide:
		return "/"
	case hclsyntax.OpModulo:
		return "%"
	}
	panic("BUG: unknown operator")
}

func comparison(sym string) (cmpOp, bool) {
	switch sym {
	case "<":
		return cmpLT, true
	case "<=":
		return cmpLE, true
	case ">":
		return cmpGT, true
	case ">=":
		return cmpGE, true
	case "==":
		return cmpEQ, true
	case "!=":
		return cmpNE, true
	}
	return 0, false
}

func (c *checker) binary(x *hclsyntax.BinaryOpExpr) *node {
	a, b := c.expr(x.LHS), c.expr(x.RHS)
	sym := symbol(x.Op)
	if sym == "&&" || sym == "||" {
		a, b = c.condition(a, "The left side of "+sym), c.condition(b, "The right side of "+sym)
		if a.k() == kBad || b.k() == kBad {
			return badNode(x.SrcRange)
		}
		op := opAnd
		if sym == "||" {
			op = opOr
		}
		return c.made(&node{op: op, kind: kBool, at: x.SrcRange, args: []*node{a, b}})
	}
	if a.k() == kBad || b.k() == kBad {
		return badNode(x.SrcRange)
	}
	if op, ok := comparison(sym); ok {
		return c.comparison(op, sym, a, b, x.SrcRange)
	}
	return c.arithmetic(sym[0], a, b, x.SrcRange)
}

func (c *checker) unary(x *hclsyntax.UnaryOpExpr) *node {
	a := c.expr(x.Val)
	if a.k() == kBad {
		return badNode(x.SrcRange)
	}
	if x.Op == hclsyntax.OpLogicalNot {
		b := c.condition(a, "What ! negates")
		if b.k() == kBad {
			return badNode(x.SrcRange)
		}
		return c.made(&node{op: opNot, kind: kBool, at: x.SrcRange, args: []*node{b}})
	}
	if a.k() == kOpen {
		c.decide(a, kNum, kBad)
	}
	if !a.k().numeric() {
		c.errorf(x.SrcRange, "Not a number", "- takes a number; found %s.", c.describe(a))
		return badNode(x.SrcRange)
	}
	return c.made(&node{op: opArith, sub: '-', kind: a.k(), at: x.SrcRange, args: []*node{a}})
}

// comparison checks a op b.
func (c *checker) comparison(op cmpOp, sym string, a, b *node, at hcl.Range) *node {
	if a.k() == kNull || b.k() == kNull {
		return c.nullTest(op, sym, a, b, at)
	}
	if t := c.timeLiteral(a, b); t != nil {
		b = t
	} else if t := c.timeLiteral(b, a); t != nil {
		a = t
	}
	if a.k() == kBad || b.k() == kBad {
		return badNode(at)
	}
	ua, ub, ok := c.unify(a, b)
	if !ok {
		c.errorf(at, "Comparison of different types", "%s compares values of one type; found %s, and %s.%s", sym, c.describe(a), c.describe(b), compareHint(a, b))
		return badNode(at)
	}
	switch k := ua.k(); {
	case k == kList || k == kTuple:
		c.errorf(at, "Lists cannot be compared", "Use contains(list, x), length(list) or an element, list[0].")
		return badNode(at)
	case k == kBool && op != cmpEQ && op != cmpNE:
		c.errorf(at, "Bools have no order", "%s needs numbers, strings or timestamps; found %s, and %s.", sym, c.describe(a), c.describe(b))
		return badNode(at)
	}
	return c.made(&node{op: opCmp, sub: op, kind: kBool, at: at, args: []*node{ua, ub}})
}

func compareHint(a, b *node) string {
	for _, p := range [2][2]*node{{a, b}, {b, a}} {
		switch {
		case p[0].k() == kText && p[1].k().numeric() && p[0].isConst():
			if _, ok := parseNumber([]byte(p[0].val.s)); ok {
				return " Numbers are written without quotes."
			}
		case p[0].k() == kBool && p[0].op == opCmp && p[1].k().numeric():
			return " To compare twice write a < b && b < c."
		case p[0].k() == kText && p[1].k().numeric():
			return fmt.Sprintf(" Write to_number(%s).", shortText(p[0]))
		case p[0].k() == kTime && p[1].k().numeric():
			return fmt.Sprintf(" Write epoch(%s) for seconds since 1970, or a time such as \"2026-01-31T12:00:00Z\".", shortText(p[0]))
		case p[0].k() == kTime && p[1].k() == kText:
			return fmt.Sprintf(" Write parse_time(%s, \"%%Y-%%m-%%d %%H:%%M:%%S\").", shortText(p[1]))
		case p[0].k() == kBool && p[1].k() == kText && p[1].isConst():
			return " true and false are written without quotes."
		}
	}
	return ""
}

// nullTest checks x == null and x != null.
func (c *checker) nullTest(op cmpOp, sym string, a, b *node, at hcl.Range) *node {
	if op != cmpEQ && op != cmpNE {
		c.errorf(at, "Comparison with null", "%s with null is always null. To test for null write x == null or x != null.", sym)
		return badNode(at)
	}
	if a.k() == kNull {
		a = b
	}
	if a.k() == kTuple {
		c.errorf(at, "Comparison with null", "A list as written is never null.")
		return badNode(at)
	}
	return c.isNull(a, op == cmpNE, at)
}

// isNull tests whether a is null, or is not.
func (c *checker) isNull(a *node, not bool, at hcl.Range) *node {
	if a.k() == kNull || a.isConst() {
		return constNode(kBool, value{b: a.isNull() != not}, at)
	}
	return &node{op: opIsNull, sub: uint8(b2u(not)), kind: kBool, at: at, args: []*node{a}}
}

// timeLiteral reads the text constant b as a time if a is a timestamp.
func (c *checker) timeLiteral(a, b *node) *node {
	if a.k() != kTime || b.k() != kText || !b.isConst() || b.isNull() {
		return nil
	}
	us, ok := flow.ParseTime([]byte(b.val.s))
	if !ok {
		c.errorf(b.at, "Not a time", "%s is compared with the timestamp %s, so it must be a time such as \"2026-01-31T12:00:00Z\", \"2026-01-31 12:00:00\" or \"2026-01-31\" (UTC).", shortText(b), shortText(a))
		return badNode(b.at)
	}
	return &node{op: opConst, kind: kTime, val: value{i: us}, at: b.at, x: b.x}
}

// timeText reads the text constant b of a - b as a time, if it is one.
func (c *checker) timeText(op byte, a, b *node) *node {
	if op != '-' || a.k() != kTime || b.k() != kText || !b.isConst() || b.isNull() {
		return nil
	}
	us, ok := flow.ParseTime([]byte(b.val.s))
	if !ok {
		return nil
	}
	return &node{op: opConst, kind: kTime, val: value{i: us}, at: b.at, x: b.x}
}

// arithmetic checks a op b.
func (c *checker) arithmetic(op byte, a, b *node, at hcl.Range) *node {
	if a.k() == kNull || b.k() == kNull {
		c.errorf(at, "Arithmetic with null", "%c with null is always null.", op)
		return badNode(at)
	}
	if a.k() == kTime || b.k() == kTime {
		return c.timeArithmetic(op, a, b, at)
	}
	for _, n := range [2]*node{a, b} {
		if n.k() == kOpen {
			c.decide(n, kNum, kBad)
		}
	}
	if !a.k().numeric() || !b.k().numeric() {
		c.notNumbers(op, a, b, at)
		return badNode(at)
	}
	k := kInt
	if op == '/' || a.k() == kNum || b.k() == kNum {
		k = kNum
		a, b = c.as(a, kNum), c.as(b, kNum)
	}
	if (op == '/' || op == '%') && !a.isConst() && b.isConst() && !b.isNull() && b.val.f == 0 && b.val.i == 0 {
		c.warnf(at, "Division by zero", "A division by zero is always null.")
	}
	return c.made(&node{op: opArith, sub: op, kind: k, at: at, args: []*node{a, b}})
}

func (c *checker) notNumbers(op byte, a, b *node, at hcl.Range) {
	hint := ""
	switch {
	case op == '+' && (a.k() == kText || b.k() == kText):
		hint = fmt.Sprintf(" To join texts write \"%s%s\".", templatePart(a), templatePart(b))
	case a.k() == kText && b.k().numeric():
		hint = fmt.Sprintf(" Write to_number(%s).", shortText(a))
	case b.k() == kText && a.k().numeric():
		hint = fmt.Sprintf(" Write to_number(%s).", shortText(b))
	}
	c.errorf(at, "Not numbers", "%c takes numbers; found %s, and %s.%s", op, c.describe(a), c.describe(b), hint)
}

// templatePart is n as it would stand in a template.
func templatePart(n *node) string {
	if n.isConst() && n.kind == kText && !n.isNull() && !strings.ContainsAny(n.val.s, "\"\\\n\r$%") {
		return n.val.s
	}
	return "${" + shortText(n) + "}"
}

// timeArithmetic checks timestamp - timestamp, timestamp ± seconds, seconds + timestamp.
func (c *checker) timeArithmetic(op byte, a, b *node, at hcl.Range) *node {
	bad := func() *node {
		c.errorf(at, "Arithmetic with a timestamp", "There is timestamp - timestamp, which gives seconds, and timestamp + or - seconds, as in ts + duration(\"5m\"); found %c between %s, and %s.", op, c.describe(a), c.describe(b))
		return badNode(at)
	}
	if op != '+' && op != '-' {
		return bad()
	}
	if t := c.timeText(op, a, b); t != nil {
		b = t
	} else if t := c.timeText(op, b, a); t != nil {
		a = t
	}
	if op == '+' && b.k() == kTime {
		a, b = b, a
	}
	if a.k() == kOpen && b.k() == kTime {
		c.decide(a, kTime, kBad)
	}
	if b.k() == kOpen {
		k := kNum
		if op == '-' {
			k = kTime
		}
		c.decide(b, k, kBad)
	}
	if a.k() != kTime {
		return bad()
	}
	switch {
	case op == '-' && b.k() == kTime:
		return c.made(&node{op: opCall, kind: kNum, at: at, call: &callOp{run: timeDiff}, args: []*node{a, b}})
	case b.k().numeric():
		run := timeAdd
		if op == '-' {
			run = timeSub
		}
		return c.made(&node{op: opCall, kind: kTime, at: at, call: &callOp{run: run}, args: []*node{a, c.as(b, kNum)}})
	}
	return bad()
}
