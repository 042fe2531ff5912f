package expr

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// exprText writes an expression in one canonical way: one space around binary
// operators, brackets as they were. Below depth levels it writes "...".
func exprText(x hclsyntax.Expression, depth int) string {
	var b strings.Builder
	writeExpr(&b, x, depth)
	return b.String()
}

func writeExpr(b *strings.Builder, x hclsyntax.Expression, depth int) {
	if depth--; depth < 0 {
		b.WriteString("...")
		return
	}
	switch x := x.(type) {
	case *hclsyntax.LiteralValueExpr:
		b.WriteString(literalText(x.Val))
	case *hclsyntax.ParenthesesExpr:
		b.WriteByte('(')
		writeExpr(b, x.Expression, depth)
		b.WriteByte(')')
	case *hclsyntax.ScopeTraversalExpr:
		b.WriteString(x.Traversal.RootName())
		for _, s := range x.Traversal[1:] {
			b.WriteString(stepText(s))
		}
	case *hclsyntax.RelativeTraversalExpr:
		writeExpr(b, x.Source, depth)
		for _, s := range x.Traversal {
			b.WriteString(stepText(s))
		}
	case *hclsyntax.BinaryOpExpr:
		writeExpr(b, x.LHS, depth)
		b.WriteString(" " + symbol(x.Op) + " ")
		writeExpr(b, x.RHS, depth)
	case *hclsyntax.UnaryOpExpr:
		b.WriteString(symbol(x.Op))
		writeExpr(b, x.Val, depth)
	case *hclsyntax.ConditionalExpr:
		writeExpr(b, x.Condition, depth)
		b.WriteString(" ? ")
		writeExpr(b, x.TrueResult, depth)
		b.WriteString(" : ")
		writeExpr(b, x.FalseResult, depth)
	case *hclsyntax.FunctionCallExpr:
		b.WriteString(x.Name)
		writeList(b, "(", x.Args, ")", depth)
	case *hclsyntax.TupleConsExpr:
		writeList(b, "[", x.Exprs, "]", depth)
	case *hclsyntax.IndexExpr:
		writeExpr(b, x.Collection, depth)
		writeList(b, "[", []hclsyntax.Expression{x.Key}, "]", depth)
	case *hclsyntax.TemplateExpr:
		writeTemplate(b, x.Parts, depth)
	case *hclsyntax.TemplateWrapExpr:
		writeTemplate(b, []hclsyntax.Expression{x.Wrapped}, depth)
	default:
		b.WriteString("...")
	}
}

func writeList(b *strings.Builder, open string, list []hclsyntax.Expression, end string, depth int) {
	b.WriteString(open)
	for i, a := range list {
		if i > 0 {
			b.WriteString(", ")
		}
		writeExpr(b, a, depth)
	}
	b.WriteString(end)
}

func writeTemplate(b *strings.Builder, parts []hclsyntax.Expression, depth int) {
	b.WriteByte('"')
	for _, p := range parts {
		if l, ok := p.(*hclsyntax.LiteralValueExpr); ok && l.Val.Type() == cty.String && l.Val.IsKnown() && !l.Val.IsNull() {
			q := quoted(l.Val.AsString())
			b.WriteString(q[1 : len(q)-1])
			continue
		}
		b.WriteString("${")
		writeExpr(b, p, depth)
		b.WriteByte('}')
	}
	b.WriteByte('"')
}

// quoted is s as a string of HCL.
func quoted(s string) string {
	q := strconv.Quote(s)
	q = strings.ReplaceAll(q, "${", "$${")
	return strings.ReplaceAll(q, "%{", "%%{")
}

// numberText is a literal as the kernels take it: equal values, equal texts. It
// does not write out the digits of 1e999999999.
func numberText(v cty.Value) string {
	big := v.AsBigFloat()
	if i, acc := big.Int64(); acc == 0 {
		return strconv.FormatInt(i, 10)
	}
	f, _ := big.Float64()
	return strconv.FormatFloat(f, 'g', -1, 64)
}

func literalText(v cty.Value) string {
	switch {
	case !v.IsKnown():
		return "..."
	case v.IsNull():
		return "null"
	case v.Type() == cty.Number:
		return numberText(v)
	case v.Type() == cty.String:
		return quoted(v.AsString())
	case v.Type() == cty.Bool:
		return strconv.FormatBool(v.True())
	}
	return "..."
}

// shortText is n as written, cut to what a message can hold.
func shortText(n *node) string {
	if n.x == nil {
		return bareText(n)
	}
	s := exprText(n.x, 12)
	const most = 60
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most-3], "") + "..."
}

// bareText is a node of which only a part was written.
func bareText(n *node) string {
	switch {
	case n.op == opColumn:
		return n.name
	case n.op != opConst || n.val.null:
		return "..."
	case n.kind == kNum:
		return string(appendNumber(nil, n.val.f))
	case n.kind == kInt:
		return strconv.FormatInt(n.val.i, 10)
	case n.kind == kText:
		return quoted(n.val.s)
	}
	return "..."
}

// operand is n as written, in brackets if an operator beside it needs them.
func operand(n *node) string {
	switch n.x.(type) {
	case *hclsyntax.BinaryOpExpr, *hclsyntax.ConditionalExpr:
		return "(" + shortText(n) + ")"
	}
	return shortText(n)
}

func fmtPos(r hcl.Range) string { return fmt.Sprintf("%d:%d", r.Start.Line, r.Start.Column) }
