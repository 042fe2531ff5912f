package window

import (
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/expr"
)

// function is an aggregate that authors can call.
type function struct {
	name, sig string
	args      [2]int // fewest and most arguments
	number    bool   // takes numbers and integers only
	order     bool   // takes what has an order: no bools
}

// functions lists the aggregates in order of name.
func functions() []function {
	return []function{
		{"avg", "avg(x): mean of numbers", [2]int{1, 1}, true, false},
		{"count", "count(): rows, or count(x): values that are not null", [2]int{0, 1}, false, false},
		{"distinct", "distinct(x): how many different values", [2]int{1, 1}, false, false},
		{"first", "first(x): value with the earliest event time", [2]int{1, 1}, false, false},
		{"last", "last(x): value with the latest event time", [2]int{1, 1}, false, false},
		{"max", "max(x): highest value", [2]int{1, 1}, false, true},
		{"min", "min(x): lowest value", [2]int{1, 1}, false, true},
		{"percentile", "percentile(x, p): value below which p of 100 values lie", [2]int{2, 2}, true, false},
		{"stddev", "stddev(x): standard deviation of a sample of numbers", [2]int{1, 1}, true, false},
		{"sum", "sum(x): sum of numbers", [2]int{1, 1}, true, false},
	}
}

func isAggregate(name string) bool {
	return slices.ContainsFunc(functions(), func(f function) bool { return f.name == name })
}

// result is one aggregate's value for a pane.
type result struct {
	fn   string
	typ  arrow.DataType
	accs [2]int // accumulators that it is made of; -1: none
	p    float64
}

// aggregates gathers what the members of emit need, each thing once.
type aggregates struct {
	scope *expr.Scope
	args  []*expr.Program
	texts []string // of args
	float []bool   // by argument: some accumulator wants it as numbers
	accs  []acc
	calls map[string]int // text of a call -> index into results
	res   []result
	words int // of a pane so far
	cols  int // of the panes table so far
	names []string
}

func newAggregates(scope *expr.Scope) *aggregates {
	return &aggregates{scope: scope, calls: map[string]int{}, words: paneWords, cols: 2}
}

// call adds an aggregate and returns its place in res; -1 when it is wrong.
func (g *aggregates) call(c expr.AggregateCall, eval *hcl.EvalContext) (int, hcl.Diagnostics) {
	if i, ok := g.calls[c.Text]; ok {
		return i, nil
	}
	all := functions()
	f := all[slices.IndexFunc(all, func(f function) bool { return f.name == c.Name })]
	if len(c.Args) < f.args[0] || len(c.Args) > f.args[1] {
		return -1, config.Errorf(c.At, "Wrong number of arguments", "%s has %d arguments here. It is %s.", f.name, len(c.Args), f.sig)
	}
	r := result{fn: f.name, typ: arrow.PrimitiveTypes.Int64, accs: [2]int{-1, -1}}
	if len(c.Args) == 0 {
		r.accs[0] = g.acc(accRows, -1)
		return g.add(c.Text, r), nil
	}
	arg, diags := g.arg(c, f)
	if arg < 0 {
		return -1, diags
	}
	if f.name == "percentile" {
		p, more := percentOf(c.Args[1], eval)
		if diags = append(diags, more...); more.HasErrors() {
			return -1, diags
		}
		r.p = p
	}
	g.build(&r, arg)
	return g.add(c.Text, r), diags
}

func (g *aggregates) add(text string, r result) int {
	g.calls[text] = len(g.res)
	g.res = append(g.res, r)
	return len(g.res) - 1
}

// build chooses the accumulators of an aggregate over an argument.
func (g *aggregates) build(r *result, arg int) {
	t := g.args[arg].Type()
	id := t.ID()
	isFloat, isText := id == arrow.FLOAT64, id == arrow.STRING
	pick := func(onFloat, onInt, onText accKind) accKind {
		switch {
		case isFloat:
			return onFloat
		case isText:
			return onText
		}
		return onInt
	}
	switch r.fn {
	case "count":
		r.accs[0] = g.acc(accCount, arg)
	case "sum", "avg":
		r.accs[0], r.typ = g.acc(pick(accSumF, accSumI, accSumF), arg), t
		if r.fn == "avg" {
			r.typ = arrow.PrimitiveTypes.Float64
		}
	case "min":
		r.accs, r.typ = [2]int{g.acc(pick(accMinF, accMinI, accMinS), arg), -1}, t
	case "max":
		r.accs, r.typ = [2]int{g.acc(pick(accMaxF, accMaxI, accMaxS), arg), -1}, t
	case "first":
		r.accs[0], r.typ = g.acc(pick(accFirst, accFirst, accFirstS), arg), t
	case "last":
		r.accs[0], r.typ = g.acc(pick(accLast, accLast, accLastS), arg), t
	case "stddev":
		r.accs[0], r.typ = g.acc(accWelford, arg), arrow.PrimitiveTypes.Float64
	case "percentile":
		r.accs[0], r.typ = g.acc(accSketch, arg), arrow.PrimitiveTypes.Float64
	case "distinct":
		r.accs[0] = g.acc(accUnique, arg)
	}
	if r.fn == "min" || r.fn == "max" {
		if !isFloat && !isText {
			r.accs[1] = g.acc(accCount, arg)
		}
	}
	if r.fn == "stddev" || r.fn == "percentile" {
		g.float[arg] = true
	}
}

// acc returns the place of an accumulator, made when there is none yet.
func (g *aggregates) acc(k accKind, arg int) int {
	for i, a := range g.accs {
		if a.kind == k && a.arg == arg {
			return i
		}
	}
	a := acc{kind: k, arg: arg, at: g.words, col: -1}
	g.words += k.words()
	if k.raw() {
		a.col = g.cols
		g.cols++
	}
	text := ""
	if arg >= 0 {
		text = g.texts[arg]
	}
	g.names = append(g.names, fmt.Sprintf("%d(%s)", k, text))
	g.accs = append(g.accs, a)
	return len(g.accs) - 1
}

// arg compiles an argument, or finds the one with the same text.
func (g *aggregates) arg(c expr.AggregateCall, f function) (int, hcl.Diagnostics) {
	x := c.Args[0]
	prog, diags := expr.Compile(x, g.scope)
	if prog == nil {
		return -1, diags
	}
	t := prog.Type()
	wrong := ""
	switch id := t.ID(); {
	case id == arrow.LIST:
		wrong = "one value a row"
	case f.number && id != arrow.FLOAT64 && id != arrow.INT64:
		wrong = "a number"
	case f.order && id == arrow.BOOL:
		wrong = "a number, an integer, a timestamp or a string"
	}
	if wrong != "" {
		return -1, append(diags, config.Errorf(x.Range(), "Wrong argument", "%s takes %s; this is a %s. It is %s.", f.name, wrong, expr.TypeName(t), f.sig)...)
	}
	text := argText(c.Text, f.name) + ":" + expr.TypeName(t)
	if i := slices.Index(g.texts, text); i >= 0 {
		return i, diags
	}
	g.args, g.texts, g.float = append(g.args, prog), append(g.texts, text), append(g.float, false)
	return len(g.args) - 1, diags
}

// argText is the text of a call's first argument.
func argText(call, fn string) string {
	text := strings.TrimSuffix(strings.TrimPrefix(call, fn+"("), ")")
	if fn == "percentile" {
		if i := strings.LastIndex(text, ", "); i >= 0 {
			text = text[:i]
		}
	}
	return text
}

// percentOf evaluates the second argument of percentile.
func percentOf(x hcl.Expression, eval *hcl.EvalContext) (float64, hcl.Diagnostics) {
	v, diags := config.Value(x, eval)
	if diags.HasErrors() {
		return 0, diags
	}
	if v.IsKnown() && !v.IsNull() && v.Type() == cty.Number {
		if b := v.AsBigFloat(); b.Sign() >= 0 && b.Cmp(big.NewFloat(100)) <= 0 {
			p, _ := b.Float64()
			return p, diags
		}
	}
	return 0, append(diags, config.Errorf(x.Range(), "Wrong percentage", "percentile takes a constant from 0 to 100, such as percentile(temp, 95).")...)
}
