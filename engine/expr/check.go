package expr

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// Limits of one expression. Config has checked the nesting of brackets before
// the parser ran; a chain of operators nests without brackets.
const (
	maxDepth = 1000
	maxNodes = 10000
)

// checker gives types to an expression. It reports all problems, each once.
type checker struct {
	scope *Scope
	diags hcl.Diagnostics
	opens []*openVar
	funcs []builtin
	depth int
	nodes int
	full  bool // a limit was reported
}

func compile(x hcl.Expression, s *Scope) (*Program, hcl.Diagnostics) {
	return compileAs(x, s, nil, "")
}

func compileAs(x hcl.Expression, s *Scope, want arrow.DataType, what string) (*Program, hcl.Diagnostics) {
	c := &checker{scope: s}
	n := c.root(x)
	if want != nil {
		n = c.wanted(n, want, what)
	}
	c.closeOpen()
	switch n.k() {
	case kNull:
		c.errorf(n.at, "null has no type", "An expression that is always null has no type here. Leave it out, or say what it is with a function such as to_number(null).")
	case kTuple:
		c.errorf(n.at, "A list cannot be a result", "Lists as written are for contains([a, b], x). A result is a number, integer, bool, string, timestamp, or a column of lists.")
	}
	if c.diags.HasErrors() || n.k() == kBad {
		return nil, c.diags
	}
	p := generate(n)
	p.typ = c.resultType(n)
	return &Program{prog: p}, c.diags
}

// resultType is the arrow type of n's results.
func (c *checker) resultType(n *node) arrow.DataType {
	if n.open != nil {
		return n.open.arrowType()
	}
	if n.kind == kList {
		at := c.scope.Schema.FieldIndices(n.name)
		return c.scope.Schema.Field(at[0]).Type
	}
	return n.kind.arrowType()
}

// wanted makes n what its place needs, or says that it is not.
func (c *checker) wanted(n *node, want arrow.DataType, what string) *node {
	k, elem := kindOf(want)
	if k == kList && n.k() == kOpen {
		c.decide(n, kList, elem)
		return n
	}
	if m := c.as(n, k); m != nil && (k != kList || m.elem == elem || m.open != nil) {
		return m
	}
	hint := ""
	switch {
	case k == kBool && n.k().numeric():
		hint = fmt.Sprintf(" Compare it, as in %s != 0.", operand(n))
	case k == kBool:
		hint = " Write a comparison, such as temp > 3."
	case k == kText:
		hint = " Write to_string(...) or a template \"${...}\"."
	case k == kNum && n.k() == kText:
		hint = " Write to_number(...)."
	case k == kTime && n.k().numeric():
		hint = fmt.Sprintf(" Say what it counts, as in time_from(%s, \"ms\").", operand(n))
	case k == kTime && n.k() == kText:
		hint = fmt.Sprintf(" Say how it is written, as in parse_time(%s, \"%%Y-%%m-%%d %%H:%%M:%%S\").", operand(n))
	}
	c.errorf(n.at, "Wrong type", "%s must be a %s; found %s.%s", what, typeName(want), c.describe(n), hint)
	return badNode(n.at)
}

func (c *checker) errorf(at hcl.Range, summary, detail string, args ...any) {
	c.diags = append(c.diags, &hcl.Diagnostic{
		Severity: hcl.DiagError, Summary: summary, Detail: fmt.Sprintf(detail, args...), Subject: at.Ptr(),
	})
}

func (c *checker) warnf(at hcl.Range, summary, detail string, args ...any) {
	c.errorf(at, summary, detail, args...)
	c.diags[len(c.diags)-1].Severity = hcl.DiagWarning
}

// describe says what n is, for a message: `site`, a string.
func (c *checker) describe(n *node) string {
	k := n.k().String()
	if n.k() == kList && n.elem != kBad {
		k = "list(" + n.elem.String() + ")"
	}
	article := "a "
	if k == "integer" {
		article = "an "
	}
	switch n.k() {
	case kOpen:
		return "`" + shortText(n) + "`, of unknown type"
	case kNull:
		return "null"
	}
	if n.open != nil {
		k += " by its use at " + rangeText(n.open.use)
	}
	return "`" + shortText(n) + "`, " + article + k
}

// root checks the whole expression.
func (c *checker) root(x hcl.Expression) *node {
	n, ok := x.(hclsyntax.Expression)
	if !ok {
		c.errorf(x.Range(), "Not an expression", "Expressions are written in HCL's own syntax, such as temp > setpoint + 3.")
		return badNode(x.Range())
	}
	return c.expr(n)
}

// expr checks x and what is in it.
func (c *checker) expr(x hclsyntax.Expression) *node {
	c.depth++
	c.nodes++
	defer func() { c.depth-- }()
	if c.depth > maxDepth || c.nodes > maxNodes {
		if !c.full {
			c.errorf(x.Range(), "Expression too long", "An expression has at most %d parts, nested at most %d deep. Split it over several columns with set.", maxNodes, maxDepth)
			c.full = true
		}
		return badNode(x.Range())
	}
	n := c.dispatch(x)
	if n.x == nil {
		n.x = x
	}
	return n
}

func (c *checker) dispatch(x hclsyntax.Expression) *node {
	switch x := x.(type) {
	case *hclsyntax.LiteralValueExpr:
		return c.literal(x.Val, x.SrcRange)
	case *hclsyntax.ParenthesesExpr:
		return c.expr(x.Expression)
	case *hclsyntax.ScopeTraversalExpr:
		return c.name(x)
	case *hclsyntax.BinaryOpExpr:
		return c.binary(x)
	case *hclsyntax.UnaryOpExpr:
		return c.unary(x)
	case *hclsyntax.ConditionalExpr:
		return c.conditional(x)
	case *hclsyntax.FunctionCallExpr:
		return c.function(x)
	case *hclsyntax.TemplateExpr:
		return c.template(x.Parts, x.SrcRange)
	case *hclsyntax.TemplateWrapExpr:
		return c.template([]hclsyntax.Expression{x.Wrapped}, x.SrcRange)
	case *hclsyntax.IndexExpr:
		return c.index(c.expr(x.Collection), c.expr(x.Key), x.SrcRange)
	case *hclsyntax.RelativeTraversalExpr:
		return c.steps(c.expr(x.Source), x.Traversal, x.SrcRange)
	case *hclsyntax.TupleConsExpr:
		n := &node{op: opTuple, kind: kTuple, at: x.SrcRange}
		for _, e := range x.Exprs {
			n.args = append(n.args, c.expr(e))
		}
		return n
	case *hclsyntax.ExprSyntaxError:
		if !c.diags.HasErrors() {
			c.errorf(x.SrcRange, "Syntax error", "This is not an expression.")
		}
		return badNode(x.SrcRange)
	}
	return c.refused(x)
}

// refused says why a form of HCL has no place in an expression over rows.
func (c *checker) refused(x hclsyntax.Expression) *node {
	at := x.Range()
	switch x.(type) {
	case *hclsyntax.ObjectConsExpr:
		c.errorf(at, "An object is no value", "Found { ... } where a value is wanted. Rows are flat: give each member a column of its own, such as \"position.lat\" = ...")
	case *hclsyntax.ForExpr, *hclsyntax.TemplateJoinExpr:
		c.errorf(at, "for is not available", "Expressions run over all rows of a batch at once and have no loops. For lists there are length(list), list[0] and contains(list, x); explode makes rows of elements.")
	case *hclsyntax.SplatExpr:
		c.errorf(at, "[*] is not available", "For lists there are length(list), list[0] and contains(list, x); explode makes rows of elements.")
	default:
		c.errorf(at, "Not available here", "This form of HCL is no expression over rows.")
	}
	return badNode(at)
}

// literal makes a constant of a value of HCL.
func (c *checker) literal(v cty.Value, at hcl.Range) *node {
	v, _ = v.UnmarkDeep()
	switch {
	case !v.IsKnown():
		return badNode(at)
	case v.IsNull():
		return nullNode(kNull, at)
	case v.Type() == cty.Bool:
		return constNode(kBool, value{b: v.True()}, at)
	case v.Type() == cty.String:
		return constNode(kText, value{s: v.AsString()}, at)
	case v.Type() == cty.Number:
		return c.number(v, at)
	case v.Type().IsTupleType() || v.Type().IsListType() || v.Type().IsSetType():
		n := &node{op: opTuple, kind: kTuple, at: at}
		for it := v.ElementIterator(); it.Next(); {
			c.nodes++
			if c.nodes > maxNodes {
				break
			}
			_, e := it.Element()
			n.args = append(n.args, c.literal(e, at))
		}
		return n
	}
	c.errorf(at, "An object is no value", "Found an object where a value is wanted; take one of its members.")
	return badNode(at)
}

// number is an integer if it is whole and fits, else a number.
func (c *checker) number(v cty.Value, at hcl.Range) *node {
	big := v.AsBigFloat()
	if i, acc := big.Int64(); big.IsInt() && acc == 0 {
		return constNode(kInt, value{i: i}, at)
	}
	f, _ := big.Float64()
	if !isFinite(f) {
		c.errorf(at, "Number too large", "A number is at most 1.797e308.")
		return badNode(at)
	}
	return constNode(kNum, value{f: f}, at)
}

// template joins texts; parts that are no text are written as to_string does.
func (c *checker) template(parts []hclsyntax.Expression, at hcl.Range) *node {
	n := &node{op: opCall, kind: kText, at: at, call: &callOp{run: joinText}}
	for _, p := range parts {
		a := c.expr(p)
		switch a.k() {
		case kBad:
			n.kind = kBad
			continue
		case kList, kTuple:
			c.errorf(a.at, "A list in a template", "A template takes numbers, bools, strings and timestamps; found %s. Take an element, as in list[0].", c.describe(a))
			n.kind = kBad
		case kNull:
			c.errorf(a.at, "null in a template", "A template with null in it is always null.")
			n.kind = kBad
		}
		n.args = append(n.args, a)
	}
	if n.kind == kBad {
		return badNode(at)
	}
	if len(n.args) == 0 {
		return constNode(kText, value{}, at)
	}
	return c.made(n)
}

// conditional checks a ? b : c.
func (c *checker) conditional(x *hclsyntax.ConditionalExpr) *node {
	cond := c.condition(c.expr(x.Condition), "The condition before ?")
	a, b := c.expr(x.TrueResult), c.expr(x.FalseResult)
	a, b, ok := c.unify(a, b)
	if !ok {
		if a.k() != kBad && b.k() != kBad {
			c.errorf(x.SrcRange, "Branches of different types", "Both results of ? : must be of one type; found %s, and %s.", c.describe(a), c.describe(b))
		}
		return badNode(x.SrcRange)
	}
	if k := a.k(); k == kList || k == kTuple || k == kNull {
		c.errorf(x.SrcRange, "No type for ? :", "The results of ? : are numbers, integers, bools, strings or timestamps; found %s.", c.describe(a))
		return badNode(x.SrcRange)
	}
	if cond.k() == kBad {
		return badNode(x.SrcRange)
	}
	return c.made(&node{op: opCond, kind: a.k(), at: x.SrcRange, args: []*node{cond, a, b}})
}

// condition makes n a bool, or says that it is none.
func (c *checker) condition(n *node, what string) *node {
	if n.k() == kBad {
		return n
	}
	if b := c.as(n, kBool); b != nil {
		return b
	}
	hint := ""
	if n.k().numeric() {
		hint = fmt.Sprintf(" Compare it, as in %s != 0.", operand(n))
	}
	c.errorf(n.at, "Not a bool", "%s must be a bool; found %s.%s", what, c.describe(n), hint)
	return badNode(n.at)
}

// index checks list[i].
func (c *checker) index(list, i *node, at hcl.Range) *node {
	if list.k() == kBad || i.k() == kBad {
		return badNode(at)
	}
	if list.k() != kList {
		c.errorf(at, "Not a list", "Only a list has elements; found %s.", c.describe(list))
		return badNode(at)
	}
	k := c.as(i, kInt)
	if k == nil {
		c.errorf(i.at, "Index is no integer", "An element is chosen by an integer, from 0; found %s.", c.describe(i))
		return badNode(at)
	}
	elem := list.elem
	if list.open != nil {
		elem = list.open.elem
	}
	return c.made(&node{op: opCall, kind: elem, at: at, call: &callOp{run: listIndex}, args: []*node{list, k}})
}
