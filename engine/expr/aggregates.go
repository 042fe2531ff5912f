package expr

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// splitter copies an expression with aggregate calls replaced by columns.
// What is copied is what has a call in it; the rest is shared.
type splitter struct {
	c      *checker
	isAgg  func(name string) bool
	keys   []string
	also   []string // further names that have one value
	calls  []AggregateCall
	index  map[string]int // by canonical text
	inside int            // how many aggregates the walk is inside of
}

func splitAggregates(x hcl.Expression, isAggregate func(name string) bool, keys, also []string) (hcl.Expression, []AggregateCall, hcl.Diagnostics) {
	s := &splitter{c: &checker{scope: &Scope{}}, isAgg: isAggregate, keys: keys, also: also, index: map[string]int{}}
	n, ok := x.(hclsyntax.Expression)
	if !ok {
		s.c.root(x)
		return nil, nil, s.c.diags
	}
	out := s.expr(n)
	if s.c.diags.HasErrors() {
		return nil, nil, s.c.diags
	}
	return out, s.calls, s.c.diags
}

// aggColumn is the name of the column that stands for call i.
func aggColumn(i int) string { return fmt.Sprintf("_agg%d", i) }

func (s *splitter) expr(x hclsyntax.Expression) hclsyntax.Expression {
	c := s.c
	c.depth++
	c.nodes++
	defer func() { c.depth-- }()
	if c.depth > maxDepth || c.nodes > maxNodes {
		if !c.full {
			c.errorf(x.Range(), "Expression too long", "An expression has at most %d parts, nested at most %d deep.", maxNodes, maxDepth)
			c.full = true
		}
		return x
	}
	switch x := x.(type) {
	case *hclsyntax.ScopeTraversalExpr:
		s.column(x)
		return x
	case *hclsyntax.FunctionCallExpr:
		return s.function(x)
	}
	return s.parts(x)
}

// parts copies what has parts.
func (s *splitter) parts(x hclsyntax.Expression) hclsyntax.Expression {
	switch x := x.(type) {
	case *hclsyntax.ParenthesesExpr:
		d := *x
		d.Expression = s.expr(x.Expression)
		return &d
	case *hclsyntax.BinaryOpExpr:
		d := *x
		d.LHS, d.RHS = s.expr(x.LHS), s.expr(x.RHS)
		return &d
	case *hclsyntax.UnaryOpExpr:
		d := *x
		d.Val = s.expr(x.Val)
		return &d
	case *hclsyntax.ConditionalExpr:
		d := *x
		d.Condition, d.TrueResult, d.FalseResult = s.expr(x.Condition), s.expr(x.TrueResult), s.expr(x.FalseResult)
		return &d
	case *hclsyntax.TemplateExpr:
		d := *x
		d.Parts = s.list(x.Parts)
		return &d
	case *hclsyntax.TemplateWrapExpr:
		d := *x
		d.Wrapped = s.expr(x.Wrapped)
		return &d
	case *hclsyntax.IndexExpr:
		d := *x
		d.Collection, d.Key = s.expr(x.Collection), s.expr(x.Key)
		return &d
	case *hclsyntax.RelativeTraversalExpr:
		d := *x
		d.Source = s.expr(x.Source)
		return &d
	case *hclsyntax.TupleConsExpr:
		d := *x
		d.Exprs = s.list(x.Exprs)
		return &d
	}
	return x // has no parts, or is refused when it is compiled
}

func (s *splitter) list(xs []hclsyntax.Expression) []hclsyntax.Expression {
	out := make([]hclsyntax.Expression, len(xs))
	for i, x := range xs {
		out[i] = s.expr(x)
	}
	return out
}

// function replaces an aggregate; other calls are copied.
func (s *splitter) function(x *hclsyntax.FunctionCallExpr) hclsyntax.Expression {
	if !s.isAgg(x.Name) {
		if s.c.builtin(x.Name) == nil {
			s.unknown(x)
			return x
		}
		d := *x
		d.Args = s.list(x.Args)
		return &d
	}
	if s.inside > 0 {
		s.c.errorf(x.NameRange, "Aggregate of an aggregate", "%s stands inside another aggregate, which has rows to work on but no results yet. Use a second window, from this one.", x.Name)
		return x
	}
	s.inside++
	s.list(x.Args) // for the problems inside
	s.inside--
	text := exprText(x, maxDepth)
	i, ok := s.index[text]
	if !ok {
		i = len(s.calls)
		s.index[text] = i
		call := AggregateCall{Name: x.Name, At: x.Range(), Text: text}
		for _, a := range x.Args {
			call.Args, call.ArgTexts = append(call.Args, a), append(call.ArgTexts, exprText(a, maxDepth))
		}
		if x.ExpandFinal {
			s.c.errorf(x.Range(), "... is not available", "The arguments of %s are written out.", x.Name)
		}
		s.calls = append(s.calls, call)
	}
	return &hclsyntax.ScopeTraversalExpr{
		Traversal: hcl.Traversal{hcl.TraverseRoot{Name: aggColumn(i), SrcRange: x.Range()}},
		SrcRange:  x.Range(),
	}
}

// unknown reports a function that is neither an aggregate nor one of a row, and does not ask for its arguments to be in an
// aggregate: it may be meant to be one.
func (s *splitter) unknown(x *hclsyntax.FunctionCallExpr) {
	s.inside++
	defer func() { s.inside-- }()
	s.list(x.Args)
	var near string
	switch strings.ToLower(x.Name) {
	case "cnt":
		near = "count"
	case "mean", "average":
		near = "avg"
	case "median":
		near = "percentile(x, 50)"
	case "quantile", "p50", "p90", "p95", "p99":
		near = "percentile"
	case "std", "stdev", "stddev_samp", "sd", "variance":
		near = "stddev"
	case "arg_min", "min_by":
		near = "argmin"
	case "arg_max", "max_by":
		near = "argmax"
	case "count_distinct", "nunique", "uniq":
		near = "distinct"
	}
	if near != "" {
		s.c.errorf(x.NameRange, "Unknown function", "There is no function %q. Did you mean %s?", x.Name, near)
		return
	}
	if hint := suggestion(x.Name, aggregateNames()); strings.HasPrefix(hint, " Did you mean") {
		s.c.errorf(x.NameRange, "Unknown function", "There is no function %q.%s", x.Name, hint)
		return
	}
	if s.c.isFar(x.Name) {
		s.c.errorf(x.NameRange, "Unknown function", "There is no function %q. There are %s over the rows of a window.", x.Name, strings.Join(aggregateNames(), ", "))
		return
	}
	s.c.unknownFunction(x)
}

// column checks a name outside aggregates: only keys have one value a window.
func (s *splitter) column(x *hclsyntax.ScopeTraversalExpr) {
	if s.inside > 0 || x.Traversal.RootName() == "var" {
		return
	}
	parts := nameParts(x.Traversal)
	for k := len(parts); k > 0; k-- {
		name := strings.Join(parts[:k], ".")
		if slices.Contains(s.keys, name) || slices.Contains(s.also, name) {
			return
		}
	}
	name := strings.Join(parts, ".")
	by := "The window has no keys"
	if len(s.keys) > 0 {
		by = "The window's keys are " + strings.Join(s.keys, ", ")
	}
	s.c.errorf(x.SrcRange, "Column outside an aggregate", "%q has many values in a window: say which, as in last(%s), avg(%s) or max(%s), or make it a key with by. %s.", name, name, name, name, by)
}
