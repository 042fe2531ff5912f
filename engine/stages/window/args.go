package window

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/expr"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/state"
)

// Tumbling is the stage window "tumbling".
func Tumbling() stage.Spec {
	return stage.Spec{
		Kind: "window", Type: "tumbling",
		Help: "Sums rows up over windows of equal length in event time, key by key.",
		Args: func() stage.Args { return &args{Late: "revise", Keep: "1h"} },
	}
}

type args struct {
	By     hcl.Expression  `hcl:"by,optional" help:"Columns whose values get windows of their own; they must include the channel's key."`
	Every  config.Duration `hcl:"every" help:"Length of a window, such as \"5m\"."`
	Offset config.Duration `hcl:"offset,optional" help:"Moves the borders of windows, which otherwise count from 1970-01-01 00:00 UTC."`
	Grace  config.Duration `hcl:"grace,optional" help:"How long after a window's end the key's watermark must be before the window closes; default 0s."`
	Late   string          `hcl:"late,optional" help:"What becomes of rows for a closed window: revise (default: emit it again), side (to rejects) or drop (counted)."`
	Keep   config.Duration `hcl:"keep,optional" help:"With late = \"revise\": how long a closed window takes late rows, in event time; default 1h. It costs memory."`
	Idle   config.Duration `hcl:"idle,optional" help:"After this time without a row of the key an open window is emitted provisionally; by default it waits."`
	Emit   hcl.Expression  `hcl:"emit" help:"Columns of the result: { name = expression over aggregates, ... }."`

	EveryRange hcl.Range `hcl:"every,attr_value_range"`
	LateRange  hcl.Range `hcl:"late,attr_value_range"`
}

// by says how the keys of windows and the channel's key belong together.
type scheme uint8

const (
	single    scheme = iota // by is the channel's key alone: the row's slot tells the group
	nested                  // by holds the channel's key and more
	partition               // by lacks the channel's key: the partition has one watermark
)

type late uint8

const (
	revise late = iota
	side
	drop
)

// member is one column of emit.
type member struct {
	name    string
	prog    *expr.Program // over the keys and the member's own aggregates
	schema  *arrow.Schema // of those
	results []int         // which aggregates they are
}

// program is what a window does. Times are microseconds.
type program struct {
	by                   []stage.Column
	scheme               scheme
	every, offset, grace int64
	keep, idle           int64
	late                 late
	args                 []*expr.Program
	float                []bool
	accs                 []acc
	results              []result
	members              []member
	words                int
	out                  *arrow.Schema
}

const (
	maxGroups = 1 << 20
	maxPanes  = 1 << 27
	// Words of a pane, and columns of its table.
	maxWords    = 2000
	maxSketches = 500
)

// Bind checks the arguments; see stage.Args.
func (a *args) Bind(in []*arrow.Schema, at stage.At) (stage.Bound, hcl.Diagnostics) {
	if len(in) != 1 || in[0] == nil {
		return stage.Bound{}, config.Errorf(at.Range, "A window has one input", "This window reads from %d stages; it can read from one.", len(in))
	}
	p := &program{late: revise}
	diags := a.bindTimes(p)
	scope := at.Scope(0)
	by, more := stage.Columns(a.By, "by", scope)
	diags = append(diags, more...)
	p.by = by
	if !more.HasErrors() { // a name that is wrong is not missing too
		diags = append(diags, p.bindKey(a.By, at)...)
	}
	g, more := p.bindEmit(a.Emit, scope, at.Eval)
	diags = append(diags, more...)
	return p.bound(g, at), diags
}

func (a *args) bindTimes(p *program) hcl.Diagnostics {
	us := func(d config.Duration) int64 { return int64(d.Length() / time.Microsecond) }
	p.every, p.offset, p.grace, p.keep, p.idle = us(a.Every), us(a.Offset), us(a.Grace), us(a.Keep), us(a.Idle)
	var diags hcl.Diagnostics
	if p.every < 1000 {
		diags = append(diags, config.Errorf(a.EveryRange, "Window too short", "every is %s; a window is at least 1ms long.", a.Every)...)
		p.every = 1000
	}
	p.offset %= p.every
	names := []string{"revise", "side", "drop"}
	i := slices.Index(names, a.Late)
	if i < 0 {
		diags = append(diags, config.Errorf(a.LateRange, "Unknown way with late rows", "late is %q.%s", a.Late, stage.Suggest(a.Late, names))...)
		i = 0
	}
	if p.late = late(i); p.late != revise {
		p.keep = 0
	}
	return diags
}

// bindKey finds out how by and the channel's key belong together.
func (p *program) bindKey(x hcl.Expression, at stage.At) hcl.Diagnostics {
	hasKey, diags := stage.CheckBy(p.by, x, at, "window")
	switch {
	case hasKey && len(p.by) == 1:
		p.scheme = single
	case hasKey:
		p.scheme = nested
	default:
		p.scheme = partition
	}
	return diags
}

// outNames are the columns that a window adds itself.
func outNames() []string { return []string{"window_start", "window_end", "revision", "final"} }

func (p *program) bindEmit(x hcl.Expression, scope *expr.Scope, eval *hcl.EvalContext) (*aggregates, hcl.Diagnostics) {
	g := newAggregates(scope)
	members, diags := stage.Members(x, "emit")
	var keys []string
	taken := map[string]string{}
	for _, c := range p.by {
		keys, taken[c.Name] = append(keys, c.Name), "a key of the window"
	}
	for _, n := range outNames() {
		if taken[n] != "" {
			diags = append(diags, config.Errorf(x.Range(), "Name is taken", "by has %q, which is also a column that every window adds. Rename it in a rule before the window.", n)...)
		}
		taken[n] = "a column that every window adds"
	}
	if len(members) == 0 && !diags.HasErrors() {
		diags = append(diags, config.Errorf(x.Range(), "Nothing to emit", "emit names at least one column, such as { n = count() }.")...)
	}
	for _, m := range members {
		diags = append(diags, stage.CheckName(m.Name, m.At)...)
		if what := taken[m.Name]; what != "" {
			diags = append(diags, config.Errorf(m.At, "Name is taken", "%q is %s. Choose another name.", m.Name, what)...)
			continue
		}
		mem, more := p.bindMember(g, m, keys, eval)
		diags = append(diags, more...)
		if mem.prog != nil {
			p.members = append(p.members, mem)
		}
	}
	if g.words > maxWords || g.cols > maxSketches {
		diags = append(diags, config.Errorf(x.Range(), "Too many aggregates", "The aggregates of one window are limited; use two windows.")...)
		g.words, g.accs, g.cols, p.members = paneWords, nil, 2, nil
	}
	return g, diags
}

func (p *program) bindMember(g *aggregates, m config.Member, keys []string, eval *hcl.EvalContext) (member, hcl.Diagnostics) {
	rest, calls, diags := expr.SplitAggregates(m.Value, isAggregate, keys)
	if diags.HasErrors() {
		return member{}, diags
	}
	mem := member{name: m.Name}
	fields := p.keyFields()
	for i, c := range calls {
		at, more := g.call(c, eval)
		diags = append(diags, more...)
		if at < 0 {
			return member{}, diags
		}
		mem.results = append(mem.results, at)
		fields = append(fields, arrow.Field{Name: fmt.Sprintf("_agg%d", i), Type: g.res[at].typ, Nullable: true})
	}
	mem.schema = arrow.NewSchema(fields, nil)
	prog, more := expr.Compile(rest, &expr.Scope{Schema: mem.schema, Vars: g.scope.Vars, What: "the window"})
	mem.prog = prog
	for _, d := range more { // speak of the calls that stand in the file
		for i := len(calls) - 1; i >= 0; i-- {
			d.Detail = strings.ReplaceAll(d.Detail, fmt.Sprintf("_agg%d", i), calls[i].Text)
		}
	}
	return mem, append(diags, more...)
}

func (p *program) keyFields() []arrow.Field {
	var fields []arrow.Field
	for _, c := range p.by {
		fields = append(fields, arrow.Field{Name: c.Name, Type: c.Type, Nullable: true})
	}
	return fields
}

func (p *program) bound(g *aggregates, at stage.At) stage.Bound {
	p.args, p.float, p.accs, p.results, p.words = g.args, g.float, g.accs, g.res, g.words
	fields := append(p.keyFields(),
		arrow.Field{Name: "window_start", Type: flow.Timestamp}, arrow.Field{Name: "window_end", Type: flow.Timestamp})
	for _, m := range p.members {
		fields = append(fields, arrow.Field{Name: m.name, Type: m.prog.Type(), Nullable: true})
	}
	fields = append(fields, arrow.Field{Name: "revision", Type: arrow.PrimitiveTypes.Int64}, arrow.Field{Name: "final", Type: arrow.FixedWidthTypes.Boolean})
	p.out = flow.NewSchema(fields)
	reads := map[string]bool{}
	for _, c := range p.by {
		reads[c.Name] = true
	}
	for _, a := range p.args {
		for _, n := range a.Columns() {
			reads[n] = true
		}
	}
	names := []string{}
	for n := range reads {
		names = append(names, n)
	}
	slices.Sort(names)
	key := ""
	if p.scheme != partition {
		key = at.Keys[0]
	}
	prog := *p
	return stage.Bound{
		Out: p.out, Key: key, By: stage.Names(p.by), Filters: true, Reads: names, State: p.tables(g, at.Channel),
		Revisions: stage.TakesFirst, Revises: p.late == revise || p.idle > 0,
		OpenStage: func(o stage.Opening) (stage.Stage, error) { return open(prog, o) },
	}
}

// tables declares the window's state, see doc.go.
func (p *program) tables(g *aggregates, ch *config.Channel) []state.Decl {
	digest := fmt.Sprintf("1 every %d offset %d scheme %d by", p.every, p.offset, p.scheme)
	for _, c := range p.by {
		digest += fmt.Sprintf(" %q:%s", c.Name, expr.TypeName(c.Type))
	}
	if ch != nil {
		digest += " key " + ch.Key
	}
	digest += " of " + strings.Join(g.names, " ") // of groups too: they link to panes
	groups := state.Decl{Name: "groups", Digest: digest, MaxKeys: maxGroups, Columns: []state.Column{
		{Name: "times", Type: state.I64, Width: groupTimes}, {Name: "links", Type: state.U32, Width: groupLinks},
	}}
	if p.scheme == single && ch != nil && ch.MaxKeys > 0 {
		groups.MaxKeys = ch.MaxKeys
	}
	panes := state.Decl{Name: "panes", Digest: digest, MaxKeys: maxPanes, Columns: []state.Column{
		{Name: "cells", Type: state.I64, Width: p.words}, {Name: "links", Type: state.U32, Width: paneLinks},
	}}
	for _, a := range p.accs {
		if a.col >= 0 {
			panes.Columns = append(panes.Columns, state.Column{Name: g.names[slices.Index(p.accs, a)], Type: state.Bytes})
		}
	}
	perKey := min(float64(p.keep)/float64(p.every)+2, 1e6)
	panes.KeysPlanned = int(min(perKey*10_000, math.MaxInt32))
	decls := []state.Decl{groups, panes}
	if p.scheme == partition {
		decls = append(decls, state.Decl{Name: "clock", Digest: "1", MaxKeys: 1, KeysPlanned: 1, Columns: []state.Column{{Name: "marks", Type: state.I64, Width: 2}}})
	}
	return decls
}
