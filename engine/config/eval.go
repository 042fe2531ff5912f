package config

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// maxText limits a string that an argument evaluates to.
const maxText = 1 << 20

// Value evaluates a constant argument: literals, var.NAME, env("NAME"),
// arithmetic, comparison, logic, conditionals, templates, lists and objects. It
// takes bounded time and memory, unlike the parser's own evaluation, and
// converts nothing in silence but what a template puts into a string. On
// errors the value is cty.DynamicVal.
func Value(x hcl.Expression, ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	e := &evaluator{ctx: ctx}
	v := e.value(x)
	if e.diags.HasErrors() {
		return cty.DynamicVal, e.diags
	}
	return v, e.diags
}

type evaluator struct {
	ctx   *hcl.EvalContext
	diags hcl.Diagnostics
}

// fail reports and returns the unknown value, which silences what follows from it.
func (e *evaluator) fail(at hcl.Range, summary, detail string, args ...any) cty.Value {
	e.diags = append(e.diags, Errorf(at, summary, detail, args...)...)
	return cty.DynamicVal
}

func bad(v cty.Value) bool { return !v.IsKnown() }

func (e *evaluator) value(x hcl.Expression) cty.Value {
	switch x := x.(type) {
	case *hclsyntax.LiteralValueExpr:
		return x.Val
	case *hclsyntax.ParenthesesExpr:
		return e.value(x.Expression)
	case *hclsyntax.TemplateExpr:
		return e.template(x)
	case *hclsyntax.TemplateWrapExpr:
		return e.value(x.Wrapped)
	case *hclsyntax.ScopeTraversalExpr:
		return e.name(x.Traversal)
	case *hclsyntax.RelativeTraversalExpr:
		return e.steps(e.value(x.Source), x.Traversal)
	case *hclsyntax.IndexExpr:
		return e.index(e.value(x.Collection), e.value(x.Key), x.BracketRange)
	case *hclsyntax.FunctionCallExpr:
		return e.call(x)
	case *hclsyntax.ConditionalExpr:
		return e.conditional(x)
	case *hclsyntax.BinaryOpExpr:
		return e.binary(x)
	case *hclsyntax.UnaryOpExpr:
		return e.unary(x)
	case *hclsyntax.TupleConsExpr:
		return e.tuple(x)
	case *hclsyntax.ObjectConsExpr:
		return e.object(x)
	case *hclsyntax.ExprSyntaxError:
		return cty.DynamicVal // the parser has complained already
	case hclsyntax.Node:
		return e.fail(x.Range(), "Not a constant", "This argument takes a value that is known beforehand; this kind of expression has none.")
	}
	v, diags := x.Value(nil) // a value made by a program, such as hcl.StaticExpr
	e.diags = append(e.diags, diags...)
	return v
}

func (e *evaluator) template(x *hclsyntax.TemplateExpr) cty.Value {
	var text strings.Builder
	ok := true
	for _, part := range x.Parts {
		v := e.value(part)
		if bad(v) {
			ok = false
			continue
		}
		s, why := asText(v)
		if why != "" {
			ok = false
			e.fail(part.Range(), "Not a text", "A template takes strings, numbers and bools; this is %s.", why)
		}
		if text.Len()+len(s) > maxText {
			return e.fail(x.Range(), "Text too long", "An argument may be at most %d bytes long.", maxText)
		}
		text.WriteString(s)
	}
	if !ok {
		return cty.DynamicVal
	}
	return cty.StringVal(text.String())
}

// asText converts a value for a template; why says what it is when it cannot be.
func asText(v cty.Value) (text, why string) {
	switch {
	case v.IsNull():
		return "", "null"
	case v.Type() == cty.String:
		return v.AsString(), ""
	case v.Type() == cty.Bool:
		return strconv.FormatBool(v.True()), ""
	case v.Type() == cty.Number:
		return numberText(v), ""
	}
	return "", TypeText(v.Type())
}

// numberText writes a number of at most 1e308 without an exponent where that is short.
func numberText(v cty.Value) string {
	f, _ := v.AsBigFloat().Float64()
	if f == math.Trunc(f) && math.Abs(f) < 1e15 {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

// name resolves var.NAME.
func (e *evaluator) name(t hcl.Traversal) cty.Value {
	root := t.RootName()
	var known []string
	if e.ctx != nil {
		if v, ok := e.ctx.Variables[root]; ok {
			return e.steps(v, t[1:])
		}
		known = sortedKeys(e.ctx.Variables)
	}
	text := TraversalText(t)
	switch {
	case len(t) == 1 && Nearest(root, []string{"true", "false", "null"}) != "":
		return e.fail(t.SourceRange(), "Not a constant", "%s is not known here. Did you mean %s?", text, Nearest(root, []string{"true", "false", "null"}))
	case len(t) > 1 && Nearest(root, known) != "":
		return e.fail(t.SourceRange(), "Not a constant", "%s is not known here. Did you mean %s%s?", text, Nearest(root, known), strings.TrimPrefix(text, root))
	}
	return e.fail(t.SourceRange(), "Not a constant",
		"%s is not known here: this argument is read before any data flows. A text stands in double quotes (%q), a variable is var.NAME.", text, text)
}

func (e *evaluator) steps(v cty.Value, t hcl.Traversal) cty.Value {
	for _, step := range t {
		if bad(v) {
			return v
		}
		switch s := step.(type) {
		case hcl.TraverseAttr:
			v = e.attr(v, s.Name, s.SrcRange)
		case hcl.TraverseIndex:
			v = e.index(v, s.Key, s.SrcRange)
		default:
			return e.fail(t.SourceRange(), "Not a constant", "A splat has no meaning here.")
		}
	}
	return v
}

func (e *evaluator) attr(v cty.Value, name string, at hcl.Range) cty.Value {
	if v.IsNull() || !v.Type().IsObjectType() && !v.Type().IsMapType() {
		return e.fail(at, "No such member", "%s has no members, so there is no %q.", capital(describe(v)), name)
	}
	members := v.AsValueMap()
	if m, ok := members[name]; ok {
		return m
	}
	if e.ctx != nil && v.RawEquals(e.ctx.Variables["var"]) {
		hint := didYouMean(name, sortedKeys(members), "")
		if len(members) == 0 {
			hint = fmt.Sprintf(" Declare it: variable %q { default = ... }", name)
		}
		return e.fail(at, "Unknown variable", "There is no variable %q.%s", name, hint)
	}
	return e.fail(at, "No such member", "There is no member %q.%s", name, didYouMean(name, sortedKeys(members), ""))
}

func (e *evaluator) index(v, key cty.Value, at hcl.Range) cty.Value {
	if bad(v) || bad(key) {
		return cty.DynamicVal
	}
	if !key.IsNull() && key.Type() == cty.String {
		return e.attr(v, key.AsString(), at)
	}
	if v.IsNull() || !v.Type().IsTupleType() && !v.Type().IsListType() {
		return e.fail(at, "Not a list", "Only a list can be indexed; this is %s.", describe(v))
	}
	n := v.LengthInt()
	if key.IsNull() || key.Type() != cty.Number {
		return e.fail(at, "No such item", "Items of a list are numbered 0 to %d; the index is %s.", n-1, describe(key))
	}
	i, accuracy := key.AsBigFloat().Int64()
	if accuracy != big.Exact || i < 0 || i >= int64(n) {
		return e.fail(at, "No such item", "The list has %d items, numbered from 0.", n)
	}
	return v.Index(cty.NumberIntVal(i))
}

func (e *evaluator) call(x *hclsyntax.FunctionCallExpr) cty.Value {
	var f function.Function
	known, ok := []string(nil), false
	if e.ctx != nil {
		f, ok = e.ctx.Functions[x.Name]
		known = sortedKeys(e.ctx.Functions)
	}
	if !ok {
		return e.fail(x.NameRange, "Unknown function", "There is no function %q for constants.%s", x.Name, didYouMean(x.Name, known, ""))
	}
	if x.ExpandFinal || len(x.Args) != len(f.Params()) {
		return e.fail(x.Range(), "Wrong number of arguments", "%s takes %d argument, found %d.", x.Name, len(f.Params()), len(x.Args))
	}
	args := make([]cty.Value, len(x.Args))
	for i, a := range x.Args {
		args[i] = e.value(a)
		if bad(args[i]) {
			return cty.DynamicVal
		}
		if args[i].IsNull() || args[i].Type() != f.Params()[i].Type {
			return e.fail(a.Range(), "Wrong type", "%s takes a %s, found %s.", x.Name, TypeText(f.Params()[i].Type), describe(args[i]))
		}
	}
	v, err := f.Call(args)
	if err != nil {
		return e.fail(x.Range(), "Call failed", "%s", capital(err.Error()))
	}
	return v
}

func (e *evaluator) conditional(x *hclsyntax.ConditionalExpr) cty.Value {
	c := e.want(x.Condition, cty.Bool, "a condition")
	yes, no := e.value(x.TrueResult), e.value(x.FalseResult)
	if bad(c) || bad(yes) || bad(no) {
		return cty.DynamicVal
	}
	if c.True() {
		return yes
	}
	return no
}

// want evaluates an operand that must have a certain type.
func (e *evaluator) want(x hcl.Expression, t cty.Type, what string) cty.Value {
	v := e.value(x)
	if bad(v) {
		return v
	}
	if v.IsNull() || v.Type() != t {
		return e.fail(x.Range(), "Wrong type", "%s must be a %s; this is %s.", capital(what), TypeText(t), describe(v))
	}
	return v
}

func (e *evaluator) binary(x *hclsyntax.BinaryOpExpr) cty.Value {
	switch x.Op {
	case hclsyntax.OpEqual, hclsyntax.OpNotEqual:
		a, b := e.value(x.LHS), e.value(x.RHS)
		if bad(a) || bad(b) {
			return cty.DynamicVal
		}
		return cty.BoolVal(a.RawEquals(b) == (x.Op == hclsyntax.OpEqual))
	case hclsyntax.OpLogicalAnd, hclsyntax.OpLogicalOr:
		a, b := e.want(x.LHS, cty.Bool, "what && and || join"), e.want(x.RHS, cty.Bool, "what && and || join")
		if bad(a) || bad(b) {
			return cty.DynamicVal
		}
		if x.Op == hclsyntax.OpLogicalAnd {
			return a.And(b)
		}
		return a.Or(b)
	}
	a, b := e.want(x.LHS, cty.Number, "an operand of arithmetic"), e.want(x.RHS, cty.Number, "an operand of arithmetic")
	if bad(a) || bad(b) {
		return cty.DynamicVal
	}
	if (x.Op == hclsyntax.OpDivide || x.Op == hclsyntax.OpModulo) && b.RawEquals(cty.Zero) {
		return e.fail(x.RHS.Range(), "No result", "There is no division by zero.")
	}
	v, err := x.Op.Impl.Call([]cty.Value{a, b})
	if err != nil {
		return e.fail(x.Range(), "No result", "This cannot be computed: %s.", err)
	}
	return e.inRange(v, x.Range())
}

func (e *evaluator) unary(x *hclsyntax.UnaryOpExpr) cty.Value {
	if x.Op == hclsyntax.OpLogicalNot {
		v := e.want(x.Val, cty.Bool, "what ! negates")
		if bad(v) {
			return v
		}
		return v.Not()
	}
	v := e.want(x.Val, cty.Number, "what - negates")
	if bad(v) {
		return v
	}
	return v.Negate()
}

// inRange keeps numbers within what a float64 holds, so that none has a
// million digits.
func (e *evaluator) inRange(v cty.Value, at hcl.Range) cty.Value {
	if v.Type() != cty.Number {
		return v
	}
	f, _ := v.AsBigFloat().Float64()
	if math.IsInf(f, 0) || f != 0 && math.Abs(f) < 1e-300 {
		return e.fail(at, "Number out of range", "Numbers go from 1e-300 to 1.7e308.")
	}
	return v
}

func (e *evaluator) tuple(x *hclsyntax.TupleConsExpr) cty.Value {
	items := make([]cty.Value, len(x.Exprs))
	ok := true
	for i, item := range x.Exprs {
		items[i] = e.value(item)
		ok = ok && !bad(items[i])
	}
	if !ok {
		return cty.DynamicVal
	}
	return cty.TupleVal(items)
}

func (e *evaluator) object(x *hclsyntax.ObjectConsExpr) cty.Value {
	members, diags := ObjectMembers(x)
	e.diags = append(e.diags, diags...)
	values := make(map[string]cty.Value, len(members))
	ok := !diags.HasErrors()
	for _, m := range members {
		values[m.Name] = e.value(m.Value)
		ok = ok && !bad(values[m.Name])
	}
	if !ok {
		return cty.DynamicVal
	}
	return cty.ObjectVal(values)
}

// Member is a member of an object as written: name = value.
type Member struct {
	Name  string
	Value hclsyntax.Expression
	At    hcl.Range // of the name
}

// ObjectMembers lists the members of { name = value, ... } in the order written.
// It reports what HCL itself lets pass: a name that stands twice, and a.b = value.
func ObjectMembers(x *hclsyntax.ObjectConsExpr) ([]Member, hcl.Diagnostics) {
	var members []Member
	var diags hcl.Diagnostics
	seen := map[string]hcl.Range{}
	for _, item := range x.Items {
		name, at, d := memberName(item)
		diags = append(diags, d...)
		if d.HasErrors() {
			continue
		}
		if first, twice := seen[name]; twice {
			diags = append(diags, Errorf(at, "Duplicate name", "%q stands already on line %d. Each name may stand once.", name, first.Start.Line)...)
			continue
		}
		seen[name] = at
		members = append(members, Member{Name: name, Value: item.ValueExpr, At: at})
	}
	return members, diags
}

func memberName(item hclsyntax.ObjectConsItem) (string, hcl.Range, hcl.Diagnostics) {
	at := item.KeyExpr.Range()
	if name := hcl.ExprAsKeyword(item.KeyExpr); name != "" {
		return name, at, nil
	}
	key := item.KeyExpr
	if k, ok := key.(*hclsyntax.ObjectConsKeyExpr); ok {
		key = k.Wrapped
	}
	switch k := key.(type) {
	case *hclsyntax.TemplateExpr:
		if k.IsStringLiteral() {
			v, _ := k.Value(nil)
			return v.AsString(), at, nil
		}
	case *hclsyntax.ScopeTraversalExpr:
		text := TraversalText(k.Traversal)
		if !k.Traversal.IsRelative() && !strings.ContainsAny(text, "[*") {
			return "", at, Errorf(at, "Dotted name", "A member's name has no dots here. Write %s.", nested(text))
		}
	case *hclsyntax.ExprSyntaxError:
		return "", at, hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "Invalid expression", Subject: &at}}
	}
	return "", at, Errorf(at, "Not a name", "A member's name is a plain name, or a text in double quotes.")
}

// nested writes a.b as an object within an object.
func nested(dotted string) string {
	parts := strings.Split(dotted, ".")
	text := parts[len(parts)-1] + " = ..."
	for i := len(parts) - 2; i >= 0; i-- {
		text = parts[i] + " = { " + text + " }"
	}
	return text
}
