package window

import (
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"

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
		{"argmax", "argmax(x, y): x of the row where y is highest, and of several the earliest", [2]int{2, 2}, false, false},
		{"argmin", "argmin(x, y): x of the row where y is lowest, and of several the earliest", [2]int{2, 2}, false, false},
		{"avg", "avg(x): mean of numbers", [2]int{1, 1}, true, false},
		{"collect", "collect(x, n): a list of the earliest n values, 100 if n is left out", [2]int{1, 2}, false, false},
		{"count", "count(): rows, or count(x): values that are not null", [2]int{0, 1}, false, false},
		{"delta", "delta(x): the last value less the first", [2]int{1, 1}, true, false},
		{"distinct", "distinct(x): how many different values", [2]int{1, 1}, false, false},
		{"first", "first(x): value with the earliest event time", [2]int{1, 1}, false, false},
		{"histogram", "histogram(x, [0, 5, 10]): a list of how many numbers are below the first bound, from each bound to the next, and from the last up", [2]int{2, 2}, true, false},
		{"increase", "increase(x): how much a counter rose, value by value; a fall is a restart at 0", [2]int{1, 1}, true, false},
		{"last", "last(x): value with the latest event time", [2]int{1, 1}, false, false},
		{"max", "max(x): highest value", [2]int{1, 1}, false, true},
		{"min", "min(x): lowest value", [2]int{1, 1}, false, true},
		{"percentile", "percentile(x, p): the least value that p of 100 values do not exceed, to 1 %", [2]int{2, 2}, true, false},
		{"rate", "rate(x): delta(x) a second, over the time from the first value to the last", [2]int{1, 1}, true, false},
		{"stddev", "stddev(x): standard deviation of a sample of numbers", [2]int{1, 1}, true, false},
		{"sum", "sum(x): sum of numbers", [2]int{1, 1}, true, false},
		{"time_avg", "time_avg(x): mean of numbers by how long each held, or time_avg(x, \"linear\") along straight lines between them", [2]int{1, 2}, true, false},
		{"topk", "topk(x, k): a list of the k most frequent values", [2]int{2, 2}, false, false},
	}
}

func isAggregate(name string) bool {
	return slices.ContainsFunc(functions(), func(f function) bool { return f.name == name })
}

// result is one aggregate's value for a pane.
type result struct {
	fn     string
	typ    arrow.DataType
	accs   [2]int  // accumulators that it is made of; -1: none
	p      float64 // of a percentile
	k      int     // of topk and collect
	linear bool    // of time_avg
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

func newAggregates(scope *expr.Scope, meta int) *aggregates {
	return &aggregates{scope: scope, calls: map[string]int{}, words: meta, cols: 2}
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
		r.accs[0] = g.acc(acc{kind: accRows, arg: -1})
		return g.add(c.Text, r), nil
	}
	arg, diags := g.arg(c, 0, f)
	if arg < 0 {
		return -1, diags
	}
	diags = append(diags, g.build(&r, arg, f, c, eval)...)
	if diags.HasErrors() {
		return -1, diags
	}
	return g.add(c.Text, r), diags
}

func (g *aggregates) add(text string, r result) int {
	g.calls[text] = len(g.res)
	g.res = append(g.res, r)
	return len(g.res) - 1
}

// build chooses the accumulators of an aggregate over an argument.
func (g *aggregates) build(r *result, arg int, f function, c expr.AggregateCall, eval *hcl.EvalContext) hcl.Diagnostics {
	t := g.args[arg].Type()
	isFloat, isText := t.ID() == arrow.FLOAT64, t.ID() == arrow.STRING
	pick := func(onFloat, onInt, onText accKind) int {
		k := onInt
		if isFloat {
			k = onFloat
		} else if isText {
			k = onText
		}
		return g.acc(acc{kind: k, arg: arg})
	}
	switch r.fn {
	case "count":
		r.accs[0] = g.acc(acc{kind: accCount, arg: arg})
	case "sum", "avg":
		r.accs[0], r.typ = pick(accSumF, accSumI, accSumF), t
		if r.fn == "avg" {
			r.typ = arrow.PrimitiveTypes.Float64
		}
	case "min":
		r.accs[0], r.typ = pick(accMinF, accMinI, accMinS), t
	case "max":
		r.accs[0], r.typ = pick(accMaxF, accMaxI, accMaxS), t
	case "first":
		r.accs[0], r.typ = pick(accFirst, accFirst, accFirstS), t
	case "last":
		r.accs[0], r.typ = pick(accLast, accLast, accLastS), t
	case "delta", "rate":
		r.accs, r.typ = [2]int{pick(accFirst, accFirst, accFirst), pick(accLast, accLast, accLast)}, t
		if r.fn == "rate" {
			r.typ = arrow.PrimitiveTypes.Float64
		}
	case "stddev":
		r.accs[0], r.typ = g.acc(acc{kind: accWelford, arg: arg}), arrow.PrimitiveTypes.Float64
		g.float[arg] = true
	case "distinct":
		r.accs[0] = g.acc(acc{kind: accUnique, arg: arg})
	default:
		return g.buildMore(r, arg, f, c, eval)
	}
	if (r.fn == "min" || r.fn == "max") && !isFloat && !isText {
		r.accs[1] = g.acc(acc{kind: accCount, arg: arg})
	}
	return nil
}

// buildMore is build for aggregates with a second argument.
func (g *aggregates) buildMore(r *result, arg int, f function, c expr.AggregateCall, eval *hcl.EvalContext) hcl.Diagnostics {
	t := g.args[arg].Type()
	var diags hcl.Diagnostics
	switch r.fn {
	case "argmin", "argmax":
		f.number, f.order = false, true
		var by int
		if by, diags = g.arg(c, 1, f); by < 0 {
			return diags
		}
		if g.args[by].Type().ID() == arrow.STRING {
			return append(diags, config.Errorf(c.Args[1].Range(), "Wrong argument", "%s compares numbers, integers or timestamps; this is a string. It is %s.", f.name, f.sig)...)
		}
		kinds := [][2]accKind{{accArgMin, accArgMinS}, {accArgMax, accArgMaxS}}[slices.Index([]string{"argmin", "argmax"}, r.fn)]
		k := kinds[0]
		if t.ID() == arrow.STRING {
			k = kinds[1]
		}
		r.accs[0], r.typ = g.acc(acc{kind: k, arg: arg, by: by}), t
	case "percentile":
		r.p, diags = percentOf(c.Args[1], eval)
		r.accs[0], r.typ = g.acc(acc{kind: accSketch, arg: arg}), arrow.PrimitiveTypes.Float64
		g.float[arg] = true
	case "histogram":
		var bounds []float64
		bounds, diags = boundsOf(c.Args[1], eval)
		r.accs[0], r.typ = g.acc(acc{kind: accHist, arg: arg, bounds: bounds}), arrow.ListOf(arrow.PrimitiveTypes.Int64)
		g.float[arg] = true
	case "increase", "time_avg":
		if len(c.Args) > 1 {
			r.linear, diags = linearOf(c.Args[1], eval)
		}
		r.accs[0], r.typ = g.acc(acc{kind: accSeries, arg: arg, limit: maxSeries}), arrow.PrimitiveTypes.Float64
		g.float[arg] = true
	case "collect":
		r.k = defaultCollected
		if len(c.Args) > 1 {
			r.k, diags = countOf(c.Args[1], eval, "collect(temp, 100)", maxCollected)
		}
		r.accs[0], r.typ = g.acc(acc{kind: accSeries, arg: arg, limit: r.k, early: true}), arrow.ListOf(t)
	case "topk":
		r.k, diags = countOf(c.Args[1], eval, "topk(code, 5)", maxTop)
		r.accs[0], r.typ = g.acc(acc{kind: accTop, arg: arg, limit: max(100, 10*r.k)}), arrow.ListOf(t)
	}
	return diags
}

// acc returns the place of an accumulator, made when there is none yet.
func (g *aggregates) acc(a acc) int {
	text := ""
	if a.arg >= 0 {
		text = g.texts[a.arg]
	}
	name := fmt.Sprintf("%d(%s)", a.kind, text)
	switch a.kind {
	case accArgMin, accArgMax, accArgMinS, accArgMaxS:
		name += " by " + g.texts[a.by]
	case accHist:
		name += fmt.Sprint(" ", a.bounds)
	case accSeries, accTop:
		name += fmt.Sprint(" ", a.limit, a.early)
	}
	if i := slices.Index(g.names, name); i >= 0 {
		return i
	}
	a.at, a.col, a.n = g.words, -1, a.kind.words()
	if a.kind == accHist {
		a.n = len(a.bounds) + 1
	}
	g.words += a.n
	if a.kind.raw() {
		a.col = g.cols
		g.cols++
	}
	g.names = append(g.names, name)
	g.accs = append(g.accs, a)
	return len(g.accs) - 1
}

// arg compiles argument i, or finds the one with the same text.
func (g *aggregates) arg(c expr.AggregateCall, i int, f function) (int, hcl.Diagnostics) {
	x := c.Args[i]
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
	text := c.ArgTexts[i] + ":" + expr.TypeName(t)
	if i := slices.Index(g.texts, text); i >= 0 {
		return i, diags
	}
	g.args, g.texts, g.float = append(g.args, prog), append(g.texts, text), append(g.float, false)
	return len(g.args) - 1, diags
}
