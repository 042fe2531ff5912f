package config

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"
)

// varPrefix begins the names of environment variables that set variables.
const varPrefix = "TIDEMILL_VAR_"

// variables reads the variable blocks and makes Eval.
func (l *loader) variables(blocks []*hclsyntax.Block) {
	l.cfg.Vars = map[string]cty.Value{}
	functions := map[string]function.Function{"env": l.envFunction()}
	l.cfg.Eval = &hcl.EvalContext{Functions: functions}
	byName := map[string]*Variable{}
	for _, b := range blocks {
		name := b.Labels[0]
		if first, twice := byName[name]; twice {
			l.duplicate("variable "+name, b.LabelRanges[0], first.Range)
			continue
		}
		v := l.variable(b)
		byName[name] = v
		l.cfg.Variables = append(l.cfg.Variables, v)
		l.cfg.Vars[name] = v.Value
	}
	for _, name := range sortedKeys(l.vars) {
		if byName[name] == nil && len(l.torn) == 0 {
			l.fail(hcl.Range{}, "Unknown variable", "--var %s=...: there is no variable %q.%s", name, name, didYouMean(name, sortedKeys(byName), ""))
		}
	}
	sort.Slice(l.cfg.Variables, func(i, j int) bool { return l.cfg.Variables[i].Name < l.cfg.Variables[j].Name })
	l.cfg.Eval = &hcl.EvalContext{
		Variables: map[string]cty.Value{"var": cty.ObjectVal(l.cfg.Vars)},
		Functions: functions,
	}
}

// envFunction looks an environment variable up. Its errors never hold a value.
func (l *loader) envFunction() function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "name", Type: cty.String}},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			name := args[0].AsString()
			value, ok := l.env.Var(name)
			if !ok {
				return cty.UnknownVal(cty.String), fmt.Errorf("the environment variable %s is not set", name)
			}
			if len(value) > maxText {
				return cty.UnknownVal(cty.String), fmt.Errorf("the environment variable %s is longer than %d bytes", name, maxText)
			}
			return cty.StringVal(value), nil
		},
	})
}

// variable reads one block and finds the value: from the command line, the
// environment, or the default, in this order.
func (l *loader) variable(b *hclsyntax.Block) *Variable {
	var args struct {
		Default   hcl.Expression `hcl:"default,optional"`
		Help      string         `hcl:"help,optional"`
		Sensitive bool           `hcl:"sensitive,optional"`
		Type      hcl.Expression `hcl:"type,optional"`
	}
	l.add(decodeOwn(b.Body, &args, l.cfg.Eval))
	v := &Variable{Name: b.Labels[0], Help: args.Help, Sensitive: args.Sensitive, Range: b.DefRange(), Value: cty.DynamicVal}
	want := cty.DynamicPseudoType
	if !Absent(args.Type) {
		t, ok := variableType(hcl.ExprAsKeyword(args.Type))
		if !ok {
			l.fail(args.Type.Range(), "Unknown type", "A variable's type is string, number or bool.")
			return v
		}
		want = t
	}
	fallback := cty.DynamicVal
	if !Absent(args.Default) {
		var diags hcl.Diagnostics
		fallback, diags = Value(args.Default, l.cfg.Eval)
		l.add(diags)
		switch {
		case diags.HasErrors():
			return v
		case want == cty.DynamicPseudoType && fallback.IsNull():
		case want == cty.DynamicPseudoType:
			want = fallback.Type()
		case !fallback.IsNull() && fallback.Type() != want:
			l.fail(args.Default.Range(), "Wrong type", "The variable takes a %s; its default is %s.", TypeText(want), describe(fallback))
			return v
		}
	}
	text, from, given := l.given(v.Name)
	switch {
	case given:
		value, err := fromText(text, want)
		if err != nil {
			l.fail(v.Range, "Wrong value", "%s: %v.", from, err)
			return v
		}
		v.Value = value
	case !bad(fallback):
		v.Value = fallback
	case !l.isTorn(b.Range()):
		l.fail(v.Range, "Variable without a value", "Give it one: --var %s=VALUE, the environment variable %s%s, or default = ... here.", v.Name, varPrefix, v.Name)
	}
	return v
}

func variableType(word string) (t cty.Type, ok bool) {
	switch word {
	case "string":
		return cty.String, true
	case "number":
		return cty.Number, true
	case "bool":
		return cty.Bool, true
	}
	return cty.NilType, false
}

// given returns the text that was given for a variable, and by whom.
func (l *loader) given(name string) (text, from string, ok bool) {
	if text, ok = l.vars[name]; ok {
		return text, "--var " + name, true
	}
	text, ok = l.env.Var(varPrefix + name)
	return text, "the environment variable " + varPrefix + name, ok
}

// fromText converts what was given outside of a file. The error never holds the value.
func fromText(text string, want cty.Type) (cty.Value, error) {
	switch want {
	case cty.String, cty.DynamicPseudoType:
		if len(text) > maxText {
			return cty.DynamicVal, fmt.Errorf("the value is longer than %d bytes", maxText)
		}
		return cty.StringVal(text), nil
	case cty.Number, cty.Bool:
		if len(text) < 32 {
			v, err := convert.Convert(cty.StringVal(text), want)
			e := &evaluator{}
			if err == nil && !bad(e.inRange(v, hcl.Range{})) {
				return v, nil
			}
		}
		return cty.DynamicVal, fmt.Errorf("a %s is wanted", TypeText(want))
	}
	const name = "value"
	if len(text) > maxText || checkLimits([]byte(text), name).HasErrors() {
		return cty.DynamicVal, errors.New("the value is too long or too deep")
	}
	x, diags := hclsyntax.ParseExpression([]byte(text), name, hcl.InitialPos)
	if !diags.HasErrors() {
		v, diags := Value(x, nil)
		if !diags.HasErrors() && TypeText(v.Type()) == TypeText(want) {
			return v, nil
		}
	}
	return cty.DynamicVal, fmt.Errorf(`a value of type %s is wanted, written as in a file, such as ["a", "b"]`, TypeText(want))
}

// engine reads the engine block.
func (l *loader) engine(blocks []*hclsyntax.Block) {
	args := struct {
		Checkpoint Duration `hcl:"checkpoint,optional"`
		Tick       Duration `hcl:"tick,optional"`
		Tasks      int      `hcl:"tasks,optional"`
		QueueRows  int      `hcl:"queue_rows,optional"`
		Linger     Duration `hcl:"linger,optional"`
		Admin      string   `hcl:"admin,optional"`
		Insecure   bool     `hcl:"admin_insecure,optional"`
	}{"1s", "1s", 0, 16_384, "2ms", "", false}
	var at hcl.Range
	if len(blocks) > 0 {
		at = blocks[0].DefRange()
		body := blocks[0].Body
		l.add(decodeOwn(body, &args, l.cfg.Eval))
		l.checkDuration(body, "checkpoint", args.Checkpoint, 10*time.Millisecond, time.Hour)
		l.checkDuration(body, "tick", args.Tick, 10*time.Millisecond, time.Hour)
		l.checkDuration(body, "linger", args.Linger, 0, time.Second)
		l.checkInt(body, "tasks", int64(args.Tasks), 0, 1024)
		l.checkInt(body, "queue_rows", int64(args.QueueRows), 1, 1<<30)
		l.checkAdmin(body, args.Admin, args.Insecure)
	}
	for i, b := range blocks {
		if i > 0 {
			l.duplicate("the engine block", b.DefRange(), at)
		}
	}
	l.cfg.Engine = Engine{
		Checkpoint: args.Checkpoint.Length(), Tick: args.Tick.Length(), Linger: args.Linger.Length(),
		Tasks: args.Tasks, QueueRows: args.QueueRows, Admin: args.Admin, AdminInsecure: args.Insecure, Range: at,
	}
}

func (l *loader) checkAdmin(b *hclsyntax.Body, address string, insecure bool) {
	a := b.Attributes["admin"]
	if a == nil || address == "" {
		return
	}
	loopback, err := ParseListen(address)
	switch {
	case err != nil:
		l.fail(a.Expr.Range(), "Not an address", "admin: %v.", err)
	case !loopback && !insecure:
		l.fail(a.Expr.Range(), "Open to everybody", "%q can be reached from other machines, and everybody there could read the rows. Listen on 127.0.0.1, or write admin_insecure = true.", address)
	}
}

// told tells whether a mistake in this very place is known: a value that could not be read is zero, and out of no range.
func (l *loader) told(at hcl.Range) bool {
	return slices.ContainsFunc(l.diags, func(d *hcl.Diagnostic) bool {
		return d.Severity == hcl.DiagError && d.Subject != nil && *d.Subject == at
	})
}

func (l *loader) checkDuration(b *hclsyntax.Body, name string, d Duration, least, most time.Duration) {
	if a := b.Attributes[name]; a != nil && (d.Length() < least || d.Length() > most) && !l.told(a.Expr.Range()) {
		l.fail(a.Expr.Range(), "Out of range", "%s goes from %s to %s.", name, FormatDuration(least), FormatDuration(most))
	}
}

func (l *loader) checkInt(b *hclsyntax.Body, name string, n, least, most int64) {
	if a := b.Attributes[name]; a != nil && (n < least || n > most) && !l.told(a.Expr.Range()) {
		l.fail(a.Expr.Range(), "Out of range", "%s goes from %d to %d; this is %d.", name, least, most, n)
	}
}

// decodeOwn is DecodeBody for blocks that have no common arguments of stages.
func decodeOwn(body hcl.Body, args any, ctx *hcl.EvalContext) hcl.Diagnostics {
	return decodeWith(body, args, ctx, nil)
}
