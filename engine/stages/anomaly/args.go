package anomaly

import (
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/detect"
	"github.com/tidemill/tidemill/engine/expr"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
)

// Specs are the stages, one a kind of detector, sorted.
func Specs() []stage.Spec {
	var all []stage.Spec
	for _, kind := range detect.Kinds() {
		all = append(all, stage.Spec{
			Kind: "anomaly", Type: kind, Help: help(kind),
			Args:   func() stage.Args { return &args{kind: kind} },
			Counts: []string{"empty", "out_of_order", "suppressed"},
		})
	}
	return all
}

func help(kind string) string {
	switch kind {
	case "ensemble":
		return "Says how odd each row is for its key: many detectors brought to one scale, for whoever names nothing but the signal."
	case "rcf":
		return "Says how odd each row is for its key, by a random cut forest."
	case "robust_zscore":
		return "Says how far each value is from its key's usual level, in usual distances."
	case "ewma":
		return "Says how far each value is from what was lately, exponentially weighted."
	case "rate":
		return "Says how fast each value changes, against how fast it usually does or can."
	case "changepoint":
		return "Finds lasting changes of the level, by cumulative sums."
	case "spread":
		return "Finds changes of the volatility, to more or to less."
	case "stuck":
		return "Finds sensors whose value no longer changes as it used to."
	case "seasonal":
		return "Says how far each value is from what is usual at this time of its day, its week or its own period."
	case "discord":
		return "Finds shapes unlike any that the signal had before."
	case "resonance":
		return "Finds shapes of 48 rows unlike all that the signal is known for, in parts of its range; says nothing before row 384 of a key."
	case "half_space_trees":
		return "Says how odd each row is for its key, by half-space trees over value and step."
	}
	panic("BUG: a detector without a help text: " + kind)
}

type args struct {
	kind  string
	watch func(Watch) Seen

	On            hcl.Expression `hcl:"on" help:"Numbers that are watched, together if several: [temp, duty]."`
	By            hcl.Expression `hcl:"by,optional" help:"Columns whose values have models of their own; default: the channel's key."`
	With          hcl.Expression `hcl:"with,optional" help:"Further columns that go out: [name, ...]."`
	WarmUp        int            `hcl:"warm_up,optional" help:"Rows of a key before its first score; default 100."`
	Threshold     float64        `hcl:"threshold,optional" help:"Score from which a row is an alert; the default depends on the detector."`
	AlertsPerWeek float64        `hcl:"alerts_per_week,optional" help:"Instead of threshold: how many alerts a key may raise when all is as usual."`
	Quiet         int            `hcl:"quiet,optional" help:"Rows in which an alert is not repeated unless it grows; default 200."`
	Suppress      hcl.Expression `hcl:"suppress,optional" help:"Condition of rows that are neither judged nor learnt, such as door_open."`
	MaxRate       float64        `hcl:"max_rate,optional" help:"Of rate: change a second beyond which no value can be real."`
	Shingle       int            `hcl:"shingle,optional" help:"Of rcf and ensemble: how many rows the forest sees together."`
	Trees         int            `hcl:"trees,optional" help:"Of rcf and ensemble: trees of the forest."`
	Samples       int            `hcl:"samples,optional" help:"Of rcf and ensemble: rows a tree holds, at most 256."`
	Decay         float64        `hcl:"decay,optional" help:"Of rcf and ensemble: how fast the forest forgets; a row weighs e times less after 1/decay rows."`
	Seed          int            `hcl:"seed,optional" help:"Draws other models; default 0."`

	OnRange        hcl.Range `hcl:"on,attr_range"`
	ThresholdRange hcl.Range `hcl:"threshold,attr_range"`
	PerWeekRange   hcl.Range `hcl:"alerts_per_week,attr_range"`
	WarmUpRange    hcl.Range `hcl:"warm_up,attr_range"`
	QuietRange     hcl.Range `hcl:"quiet,attr_range"`
	MaxRateRange   hcl.Range `hcl:"max_rate,attr_range"`
	ShingleRange   hcl.Range `hcl:"shingle,attr_range"`
	TreesRange     hcl.Range `hcl:"trees,attr_range"`
	SamplesRange   hcl.Range `hcl:"samples,attr_range"`
	DecayRange     hcl.Range `hcl:"decay,attr_range"`
}

// program is what a stage does.
type program struct {
	cfg          detect.Config
	seed         uint64
	by, on, with []stage.Column
	suppress     *expr.Program
	out          *arrow.Schema
	watch        func(Watch) Seen // nil: nobody looks on
}

// Bind checks the arguments; see stage.Args.
func (a *args) Bind(in []*arrow.Schema, at stage.At) (stage.Bound, hcl.Diagnostics) {
	if len(in) != 1 || in[0] == nil {
		return stage.Bound{}, config.Errorf(at.Range, "An anomaly stage has one input", "This one reads from %d stages; it can read from one.", len(in))
	}
	p := &program{seed: uint64(a.Seed), watch: a.watch}
	scope := at.Scope(0)
	hasKey, diags := a.bindColumns(p, scope, at)
	if !config.Absent(a.Suppress) {
		var more hcl.Diagnostics
		p.suppress, more = expr.CompileAs(a.Suppress, scope, arrow.FixedWidthTypes.Boolean, "suppress")
		diags = append(diags, more...)
	}
	diags = append(diags, a.checkNumbers()...)
	p.cfg = detect.Config{
		Kind: a.kind, Signals: max(len(p.on), 1), WarmUp: a.WarmUp, Threshold: a.Threshold, PerWeek: a.AlertsPerWeek, Quiet: a.Quiet, MaxRate: a.MaxRate,
		Forest: detect.ForestConfig{Shingle: a.Shingle, Trees: a.Trees, Samples: a.Samples, Decay: a.Decay},
	}
	if diags.HasErrors() {
		return stage.Bound{Out: p.schema()}, diags
	}
	d, err := detect.New(p.cfg)
	if err != nil {
		return stage.Bound{Out: p.schema()}, append(diags, config.Errorf(a.OnRange, "No such detector", "%s.", err)...)
	}
	return p.bound(at, hasKey, d.Size()), diags
}

// checkNumbers finds numbers that cannot be, and those that this detector does not take.
func (a *args) checkNumbers() hcl.Diagnostics {
	var diags hcl.Diagnostics
	forest := a.kind == "rcf" || a.kind == "ensemble"
	for _, n := range []struct {
		name    string
		value   float64
		at      hcl.Range
		most    float64
		has     bool
		meaning string
	}{
		{"threshold", a.Threshold, a.ThresholdRange, 100, true, "a score"},
		{"alerts_per_week", a.AlertsPerWeek, a.PerWeekRange, 1e6, true, "a number of alerts"},
		{"warm_up", float64(a.WarmUp), a.WarmUpRange, 1e6, true, "a number of rows"},
		{"quiet", float64(a.Quiet), a.QuietRange, 1e6, true, "a number of rows"},
		{"max_rate", a.MaxRate, a.MaxRateRange, 1e300, a.kind == "rate" || a.kind == "ensemble", "a change a second"},
		{"shingle", float64(a.Shingle), a.ShingleRange, 256, forest, "a number of rows"},
		{"trees", float64(a.Trees), a.TreesRange, 1000, forest, "a number of trees"},
		{"samples", float64(a.Samples), a.SamplesRange, 256, forest, "a number of rows"},
		{"decay", a.Decay, a.DecayRange, 1, forest, "a rate of forgetting"},
	} {
		given := !n.at.Empty()
		switch {
		case given && !n.has:
			diags = append(diags, config.Errorf(n.at, "Argument without effect", "%s has no meaning for the detector %s.", n.name, a.kind)...)
		case given && !(n.value > 0 && n.value <= n.most):
			diags = append(diags, config.Errorf(n.at, "Number out of range", "%s is %g; it is %s, above 0 and at most %g.", n.name, n.value, n.meaning, n.most)...)
		}
	}
	if !a.ThresholdRange.Empty() && !a.PerWeekRange.Empty() {
		diags = append(diags, config.Errorf(a.PerWeekRange, "threshold and alerts_per_week together", "Either gives the score from which a row is an alert. Keep one of them.")...)
	}
	return diags
}

// added are the columns that the stage adds itself: with one signal as they
// are, with several one a signal.
func added() (once, each []string) {
	return []string{"score", "grade", "model_age"}, []string{"expected", "lower", "upper", "attribution"}
}

func (a *args) bindColumns(p *program, scope *expr.Scope, at stage.At) (hasKey bool, diags hcl.Diagnostics) {
	by := a.By
	if key := at.Keys[0]; config.Absent(by) && key != "" {
		by = nameList(key, at.Range)
	}
	var more hcl.Diagnostics
	p.by, diags = stage.Columns(by, "by", scope)
	if !diags.HasErrors() {
		hasKey, more = stage.CheckBy(p.by, by, at, "anomaly")
		diags = append(diags, more...)
	}
	numbers := *scope
	p.on, more = numberColumns(a.On, &numbers)
	diags = append(diags, more...)
	if len(p.on) == 0 && !diags.HasErrors() {
		diags = append(diags, config.Errorf(a.OnRange, "Nothing to watch", "on takes the columns that are watched, such as on = [temp].")...)
	}
	p.with, more = stage.Columns(a.With, "with", scope)
	diags = append(diags, more...)
	once, each := added()
	taken := append(append([]string{}, once...), each...)
	given := append(stage.Names(p.by), stage.Names(p.on)...)
	for i, c := range slices.Concat(p.by, p.on, p.with) {
		switch {
		case i >= len(given) && slices.Contains(given, c.Name):
			diags = append(diags, config.Errorf(c.At, "Not needed", "The columns of by and on are in every row already. Leave %s out of with.", c.Name)...)
		case strings.HasPrefix(c.Name, "_"):
			diags = append(diags, config.Errorf(c.At, "Not needed", "Metadata columns are in every row already.")...)
		case slices.Contains(taken, c.Name):
			diags = append(diags, config.Errorf(c.At, "Name is taken", "Rows of an anomaly stage have a column %q already. Rename this one in a rule before.", c.Name)...)
		}
		taken = append(taken, c.Name)
	}
	return hasKey, diags
}

// numberColumns reads `on`, whose columns are numbers also where nothing is known of them yet.
func numberColumns(x hcl.Expression, scope *expr.Scope) ([]stage.Column, hcl.Diagnostics) {
	names, diags := stage.ColumnNames(x, "on")
	if infer := scope.Infer; infer != nil {
		for _, c := range names {
			if !stage.Has(scope.Schema, c.Name) && infer(c.Name, arrow.PrimitiveTypes.Float64, c.At) == "" {
				field := arrow.Field{Name: c.Name, Type: arrow.PrimitiveTypes.Float64, Nullable: true}
				scope.Schema = arrow.NewSchema(append(slices.Clone(scope.Schema.Fields()), field), nil)
			}
		}
	}
	if diags.HasErrors() {
		return nil, diags
	}
	cols, diags := stage.Columns(x, "on", scope)
	for _, c := range cols {
		if id := c.Type.ID(); id != arrow.FLOAT64 && id != arrow.INT64 {
			diags = append(diags, config.Errorf(c.At, "Not a number", "on takes numbers; %s is a %s.", c.Name, expr.TypeName(c.Type))...)
		}
	}
	return cols, diags
}

// nameList is [name] as an expression.
func nameList(name string, at hcl.Range) hcl.Expression {
	var t hcl.Traversal
	for i, part := range strings.Split(name, ".") {
		if i == 0 {
			t = append(t, hcl.TraverseRoot{Name: part, SrcRange: at})
		} else {
			t = append(t, hcl.TraverseAttr{Name: part, SrcRange: at})
		}
	}
	return &hclsyntax.TupleConsExpr{Exprs: []hclsyntax.Expression{&hclsyntax.ScopeTraversalExpr{Traversal: t, SrcRange: at}}, SrcRange: at}
}

func (p *program) schema() *arrow.Schema {
	var fields []arrow.Field
	for _, c := range slices.Concat(p.by, p.on, p.with) {
		fields = append(fields, arrow.Field{Name: c.Name, Type: c.Type, Nullable: true})
	}
	number := func(name string) {
		fields = append(fields, arrow.Field{Name: name, Type: arrow.PrimitiveTypes.Float64, Nullable: true})
	}
	number("score")
	number("grade")
	_, each := added()
	for _, name := range each {
		for _, c := range p.on {
			number(p.name(name, c))
		}
	}
	fields = append(fields, arrow.Field{Name: "model_age", Type: arrow.PrimitiveTypes.Int64, Nullable: true})
	return flow.NewSchema(fields)
}

// name is that of an added column of a signal.
func (p *program) name(column string, c stage.Column) string {
	if len(p.on) == 1 {
		return column
	}
	return column + "." + c.Name
}

func (p *program) bound(at stage.At, hasKey bool, size int) stage.Bound {
	p.out = p.schema()
	names := []string{}
	f := p.cfg.Forest
	digest := fmt.Sprintf("5 %s %d %d %d %g seed %d key %q", p.cfg.Kind, f.Shingle, f.Trees, f.Samples, f.Decay, p.seed, at.Channel.Key)
	for _, group := range []struct {
		word string
		cols []stage.Column
	}{{"by", p.by}, {"on", p.on}, {"", p.with}} {
		for _, c := range group.cols {
			names = append(names, c.Name)
			if group.word != "" {
				digest += fmt.Sprintf(" %s %q:%s", group.word, c.Name, expr.TypeName(c.Type))
			}
		}
	}
	if p.suppress != nil {
		names = append(names, p.suppress.Columns()...)
	}
	slices.Sort(names)
	key := ""
	if hasKey {
		key = at.Keys[0]
	}
	prog := *p
	return stage.Bound{
		Out: p.out, Key: key, Reads: slices.Compact(names), Revisions: stage.TakesFirst,
		State:     decls(digest, len(p.on), size, stage.MaxKeys(at.Channel)),
		OpenStage: func(o stage.Opening) (stage.Stage, error) { return open(prog, o) },
	}
}
