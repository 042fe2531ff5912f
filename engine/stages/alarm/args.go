package alarm

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/expr"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/state"
)

// Spec is the stage alarm.
func Spec() stage.Spec {
	return stage.Spec{
		Kind:   "alarm",
		Help:   "Emits a row whenever a condition begins or ends to hold for a key.",
		Args:   func() stage.Args { return &args{Severity: "warning"} },
		Counts: []string{"out_of_order"},
	}
}

type args struct {
	By       hcl.Expression  `hcl:"by,optional" help:"Columns whose values have alarms of their own; default: the channel's key."`
	When     hcl.Expression  `hcl:"when,optional" help:"Condition that raises the alarm."`
	For      config.Duration `hcl:"for,optional" help:"How long the condition must hold, in event time; default 0s."`
	Clear    hcl.Expression  `hcl:"clear,optional" help:"Condition that clears the alarm; default: not when."`
	ClearFor config.Duration `hcl:"clear_for,optional" help:"How long clear must hold; default 0s."`
	Absent   config.Duration `hcl:"absent,optional" help:"Instead of when: raise the alarm when a key has sent nothing for this long."`
	Severity string          `hcl:"severity,optional" help:"Written into each row; default warning."`
	With     hcl.Expression  `hcl:"with,optional" help:"Columns of the row to put into the alarm's row: [name, ...]."`

	ForRange      hcl.Range `hcl:"for,attr_range"`
	ClearForRange hcl.Range `hcl:"clear_for,attr_range"`
	AbsentRange   hcl.Range `hcl:"absent,attr_range"`
	SeverityRange hcl.Range `hcl:"severity,attr_value_range"`
}

// program is what an alarm does. Times are microseconds.
type program struct {
	name, severity string
	by, with       []stage.Column
	hasKey         bool
	when, clear    *expr.Program // clear may be nil: not when
	hold           [2]int64      // for, clear_for
	absent         int64         // 0: a condition
	out            *arrow.Schema
}

// Bind checks the arguments; see stage.Args.
func (a *args) Bind(in []*arrow.Schema, at stage.At) (stage.Bound, hcl.Diagnostics) {
	if len(in) != 1 || in[0] == nil {
		return stage.Bound{}, config.Errorf(at.Range, "An alarm has one input", "This alarm reads from %d stages; it can read from one.", len(in))
	}
	us := func(d config.Duration) int64 { return int64(d.Length() / time.Microsecond) }
	p := &program{severity: a.Severity, hold: [2]int64{us(a.For), us(a.ClearFor)}, absent: us(a.Absent)}
	p.name = at.Address[strings.LastIndexByte(at.Address, '.')+1:]
	scope := at.Scope(0)
	diags := a.bindCondition(p, scope, at.Range)
	more := a.bindColumns(p, scope, at)
	return p.bound(at), append(diags, more...)
}

func (a *args) bindCondition(p *program, scope *expr.Scope, where hcl.Range) hcl.Diagnostics {
	hasWhen, hasAbsent := !config.Absent(a.When), a.Absent != ""
	if hasWhen == hasAbsent {
		if hasWhen {
			return config.Errorf(a.AbsentRange, "when and absent together", "An alarm watches either a condition or a silence. Make two alarms of it.")
		}
		return config.Errorf(where, "Alarm without a condition", "Write when = ... for a condition, or absent = \"10m\" for a silence.")
	}
	var diags hcl.Diagnostics
	if hasAbsent {
		if p.absent <= 0 {
			diags = append(diags, config.Errorf(a.AbsentRange, "No time", "absent is %s; a silence lasts longer than that.", a.Absent)...)
		}
		for _, extra := range []struct {
			name  string
			given bool
			at    hcl.Range
		}{{"for", a.For != "", a.ForRange}, {"clear_for", a.ClearFor != "", a.ClearForRange}} {
			if extra.given {
				diags = append(diags, config.Errorf(extra.at, "Argument without effect", "%s belongs to a condition; with absent, the alarm is cleared by the next row.", extra.name)...)
			}
		}
		if !config.Absent(a.Clear) {
			diags = append(diags, config.Errorf(a.Clear.Range(), "Argument without effect", "clear belongs to a condition; with absent, the alarm is cleared by the next row.")...)
		}
		return diags
	}
	var more hcl.Diagnostics
	p.when, more = expr.CompileAs(a.When, scope, arrow.FixedWidthTypes.Boolean, "when")
	diags = append(diags, more...)
	if !config.Absent(a.Clear) {
		p.clear, more = expr.CompileAs(a.Clear, scope, arrow.FixedWidthTypes.Boolean, "clear")
		diags = append(diags, more...)
	}
	return diags
}

// ownNames are the columns that an alarm adds itself.
func ownNames() []string { return []string{"name", "severity", "state", "since", "at"} }

func (a *args) bindColumns(p *program, scope *expr.Scope, at stage.At) hcl.Diagnostics {
	by := a.By
	if key := at.Keys[0]; config.Absent(by) && key != "" {
		by = nameList(key, at.Range)
	}
	var diags, more hcl.Diagnostics
	p.by, diags = stage.Columns(by, "by", scope)
	if !diags.HasErrors() { // a name that is wrong is not missing too
		p.hasKey, more = stage.CheckBy(p.by, by, at, "alarm")
		diags = append(diags, more...)
	}
	p.with, more = stage.Columns(a.With, "with", scope)
	diags = append(diags, more...)
	taken := ownNames()
	for _, c := range p.by {
		if slices.Contains(taken, c.Name) {
			diags = append(diags, config.Errorf(c.At, "Name is taken", "%q is a column that every alarm adds. Rename it in a rule before the alarm.", c.Name)...)
		}
		taken = append(taken, c.Name)
	}
	for _, c := range p.with {
		switch {
		case strings.HasPrefix(c.Name, "_"):
			diags = append(diags, config.Errorf(c.At, "Not needed", "Metadata columns are in every row already.")...)
		case slices.Contains(taken, c.Name):
			diags = append(diags, config.Errorf(c.At, "Name is taken", "An alarm's rows have a column %q already.", c.Name)...)
		case !flow.KeyType(c.Type):
			diags = append(diags, config.Errorf(c.At, "Wrong type", "with takes columns with one value a row; %s is a %s.", c.Name, expr.TypeName(c.Type))...)
		}
	}
	if a.Severity == "" {
		diags = append(diags, config.Errorf(a.SeverityRange, "Empty severity", "severity is a word such as \"info\", \"warning\" or \"critical\".")...)
	}
	return diags
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

func (p *program) bound(at stage.At) stage.Bound {
	var fields []arrow.Field
	reads := map[string]bool{}
	digest := fmt.Sprintf("1 absent %d hold %v key %q by", p.absent, p.hold, at.Channel.Key)
	add := func(c stage.Column) {
		fields = append(fields, arrow.Field{Name: c.Name, Type: c.Type, Nullable: true})
		digest += fmt.Sprintf(" %q:%s", c.Name, expr.TypeName(c.Type))
		reads[c.Name] = true
	}
	for _, c := range p.by {
		add(c)
	}
	for _, name := range ownNames() {
		t := arrow.DataType(arrow.BinaryTypes.String)
		if name == "since" || name == "at" {
			t = flow.Timestamp
		}
		fields = append(fields, arrow.Field{Name: name, Type: t})
	}
	digest += " with"
	for _, c := range p.with {
		add(c)
	}
	for _, x := range []*expr.Program{p.when, p.clear} {
		if x != nil {
			for _, n := range x.Columns() {
				reads[n] = true
			}
		}
	}
	names := []string{}
	for n := range reads {
		names = append(names, n)
	}
	slices.Sort(names)
	p.out = flow.NewSchema(fields)
	key := ""
	if p.hasKey {
		key = at.Keys[0]
	}
	prog := *p
	return stage.Bound{
		Out: p.out, Key: key, By: stage.Names(p.by), Filters: true, Reads: names, Revisions: stage.TakesFirst,
		State: []state.Decl{{Name: "keys", Digest: digest, MaxKeys: stage.MaxKeys(at.Channel), Columns: []state.Column{
			{Name: "state", Type: state.I64, Width: keyWords}, {Name: "slot", Type: state.U32, Width: keyLinks}, {Name: "with", Type: state.Bytes},
		}}},
		OpenStage: func(o stage.Opening) (stage.Stage, error) { return open(prog, o), nil },
	}
}
