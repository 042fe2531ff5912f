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

// member is one column of emit, or the condition having.
type member struct {
	name    string
	prog    *expr.Program // over the keys, the window's own columns and the member's aggregates
	schema  *arrow.Schema // of those
	results []int         // which aggregates they are
}

// program is what a window does. Times are microseconds.
type program struct {
	kind                 kind
	by                   []stage.Column
	scheme               scheme
	every, offset, grace int64
	size, gap, rows      int64 // of sliding, session and count
	keep, idle, early    int64
	hold                 int64 // how long a closed pane stays: keep, or as long as revisions of rows come
	late                 late
	while                *expr.Program // of state
	args                 []*expr.Program
	float                []bool
	accs                 []acc
	results              []result
	members              []member
	having               *member
	meta, words          int // words of a pane: its own, and with the accumulators'
	groupWords           int
	parts                bool     // the rows that come are parts of windows, of layout
	layout               string   // names the column that holds them
	latest               bool     // a revised row takes the place of the one that it revises: latest.go
	runs                 bool     // of a state window: late rows revise it, runs.go
	maxRows              int64    // which keeps so many rows of a key at most
	same                 []string // the columns in which revisions of a row are equal
	rowsEvery            int64    // how far apart rows are that may be revised; 0: nobody knows
	listCol              int      // column of panes that holds the lists of rows
	out                  *arrow.Schema
}

const (
	// maxOwnKeys is no limit: the channel limits its keys itself, and keeps those that it has when its limit is lowered.
	maxOwnKeys = 1 << 30
	maxPanes   = 1 << 27
	// maxPaneBytes limits the memory of one task's panes, with what is computed of each, byte strings not counted.
	maxPaneBytes = 4 << 30
	// Words of a pane, and columns of its table.
	maxWords    = 2000
	maxSketches = 500
	// maxLength is the longest time that an argument may name, ten years.
	maxLength        = 3653 * 24 * int64(time.Hour/time.Microsecond)
	maxRows          = 1_000_000_000
	maxPanesOfWindow = 100_000
)

func (s *settings) bind(in []*arrow.Schema, at stage.At) (stage.Bound, hcl.Diagnostics) {
	if len(in) != 1 || in[0] == nil {
		return stage.Bound{}, config.Errorf(at.Range, "A window has one input", "This window reads from %d stages; it can read from one.", len(in))
	}
	p := &program{kind: s.kind, late: revise, meta: metaWords, groupWords: groupTimes}
	if s.kind != tumbling {
		p.groupWords = groupTimesLong
	}
	if s.kind >= session {
		p.meta = metaWordsLong
	}
	diags := s.bindTimes(p)
	if p.runs = p.kind == holding && p.late == revise; p.runs {
		p.groupWords, p.maxRows = groupTimesRuns, s.maxRows
	}
	asked := s.watchRegroup(&at)
	scope := at.Scope(0)
	by, more := stage.Columns(s.by, "by", scope)
	diags = append(diags, more...)
	p.by = by
	if !more.HasErrors() { // a name that is wrong is not missing too
		diags = append(diags, p.bindKey(s.by, at)...)
	}
	diags = append(diags, s.bindRevisions(p, &at)...)
	if s.kind == holding {
		p.while, more = expr.CompileAs(s.while, scope, arrow.FixedWidthTypes.Boolean, "while")
		diags = append(diags, more...)
	}
	g, more := p.bindEmit(s.emit, s.having, scope, at.Eval)
	diags = append(diags, more...)
	p.parts = at.Parts
	b := p.bound(g, at)
	if *asked {
		s.bindPhases(p, g, at.Channel, &b)
		diags = append(diags, s.missPhases(&b)...)
	}
	return b, diags
}

func (s *settings) bindTimes(p *program) hcl.Diagnostics {
	us := func(d config.Duration) int64 { return int64(d.Length() / time.Microsecond) }
	p.every, p.offset, p.grace, p.keep, p.idle = us(s.every), us(s.offset), us(s.grace), us(s.keep), us(s.idle)
	p.size, p.gap, p.early, p.rows = us(s.size), us(s.gap), us(s.early), s.rows
	diags := append(s.bindLengths(p), s.checkPhases()...)
	for _, x := range []struct {
		name string
		us   int64
	}{{"grace", p.grace}, {"keep", p.keep}, {"idle", p.idle}, {"early", p.early}} {
		if x.us > maxLength {
			diags = append(diags, config.Errorf(s.at(), "Too long", "%s is longer than ten years, which is the most.", x.name)...)
		}
	}
	i := slices.Index(s.ways, s.late)
	if i < 0 {
		diags = append(diags, config.Errorf(s.lateRange, "Unknown way with late rows", "late is %q.%s", s.late, stage.Suggest(s.late, s.ways))...)
		i = 0
	}
	if p.late = late(slices.Index(ways(), s.ways[i])); p.late != revise {
		p.keep = 0
	}
	p.hold = p.keep
	return diags
}

// at is where the kind's own argument stands.
func (s *settings) at() hcl.Range {
	for _, r := range []hcl.Range{s.everyRange, s.sizeRange, s.gapRange, s.lateRange} {
		if r.Filename != "" {
			return r
		}
	}
	return s.emit.Range()
}

// bindLengths checks how long windows are.
func (s *settings) bindLengths(p *program) hcl.Diagnostics {
	var diags hcl.Diagnostics
	check := func(v *int64, d config.Duration, at hcl.Range, name, what string) {
		switch {
		case *v < 1000:
			diags = append(diags, config.Errorf(at, what+" too short", "%s is %s; a window is at least 1ms long.", name, d)...)
			*v = 1000
		case *v > maxLength:
			diags = append(diags, config.Errorf(at, what+" too long", "%s is %s; ten years, \"3653d\", is the most.", name, d)...)
			*v = maxLength
		}
	}
	switch p.kind {
	case tumbling:
		check(&p.every, s.every, s.everyRange, "every", "Window")
	case sliding:
		check(&p.every, s.every, s.everyRange, "every", "Step")
		check(&p.size, s.size, s.sizeRange, "size", "Window")
		if len(diags) == 0 {
			diags = s.bindSteps(p)
		}
		p.size = max(p.every, p.size/p.every*p.every)
	case session:
		check(&p.gap, s.gap, s.gapRange, "gap", "Gap")
	case counting:
		if p.rows < 1 || p.rows > maxRows {
			diags = append(diags, config.Errorf(s.sizeRange, "Wrong number of rows", "size is %d; a window has from 1 to %d rows.", p.rows, maxRows)...)
			p.rows = 1
		}
	case holding:
		if s.maxRows < minKeptOfKey || s.maxRows > maxKeptOfKey {
			diags = append(diags, config.Errorf(s.maxRowsRange, "Wrong number of rows", "max_rows is %d; from %d to %d rows of a key are kept.", s.maxRows, minKeptOfKey, maxKeptOfKey)...)
			s.maxRows = minKeptOfKey
		}
	}
	if p.every > 0 {
		p.offset %= p.every
	}
	return diags
}

// bindSteps checks how the steps of sliding windows fit in.
func (s *settings) bindSteps(p *program) hcl.Diagnostics {
	show := func(us int64) string { return config.FormatDuration(time.Duration(us * int64(time.Microsecond))) }
	switch n := p.size / p.every; {
	case n < 1:
		return config.Errorf(s.everyRange, "Windows with gaps between them",
			"every is %s and size is %s, so that most rows would be in no window. A step is at most as long as the window.", s.every, s.size)
	case p.size%p.every != 0:
		return config.Errorf(s.sizeRange, "Steps that do not fit", "size is %s, which is no multiple of every, %s. Write %s or %s.",
			s.size, s.every, show(n*p.every), show((n+1)*p.every))
	case n > maxPanesOfWindow:
		return config.Errorf(s.everyRange, "Too many steps", "A window of %s has %d steps of %s; at most %d are allowed.", s.size, n, s.every, maxPanesOfWindow)
	}
	return nil
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

// ownFields are the columns that a window adds before those of emit.
func (p *program) ownFields() []arrow.Field {
	var out []arrow.Field
	if p.kind == counting {
		out = append(out, arrow.Field{Name: "number", Type: arrow.PrimitiveTypes.Int64})
	}
	out = append(out, arrow.Field{Name: "window_start", Type: flow.Timestamp}, arrow.Field{Name: "window_end", Type: flow.Timestamp})
	if p.kind == session || p.kind == holding {
		out = append(out, arrow.Field{Name: "duration", Type: arrow.PrimitiveTypes.Float64})
	}
	return out
}

// outNames are the columns that a window adds itself.
func (p *program) outNames() []string {
	var out []string
	for _, f := range p.ownFields() {
		out = append(out, f.Name)
	}
	return append(out, "revision", "final")
}

func (p *program) bindEmit(x, having hcl.Expression, scope *expr.Scope, eval *hcl.EvalContext) (*aggregates, hcl.Diagnostics) {
	g := newAggregates(scope, p.meta)
	members, diags := stage.Members(x, "emit")
	var keys []string
	taken := map[string]string{}
	for _, c := range p.by {
		keys, taken[c.Name] = append(keys, c.Name), "a key of the window"
	}
	for _, n := range p.outNames() {
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
		mem, more := p.bindMember(g, m.Name, m.Value, keys, eval, nil)
		diags = append(diags, more...)
		if mem.prog != nil {
			p.members = append(p.members, mem)
		}
	}
	if !config.Absent(having) {
		mem, more := p.bindMember(g, "having", having, keys, eval, arrow.FixedWidthTypes.Boolean)
		diags = append(diags, more...)
		p.having = &mem
	}
	if g.words > maxWords || g.cols > maxSketches {
		diags = append(diags, config.Errorf(x.Range(), "Too many aggregates", "The aggregates of one window are limited; use two windows.")...)
		g.words, g.accs, g.cols, p.members, p.having = p.meta, nil, 2, nil, nil
	}
	return g, diags
}

// bindMember compiles an expression over aggregates; want is its type, if that matters.
func (p *program) bindMember(g *aggregates, name string, x hcl.Expression, keys []string, eval *hcl.EvalContext, want arrow.DataType) (member, hcl.Diagnostics) {
	own := p.ownFields()
	also := make([]string, len(own))
	for i, f := range own {
		also[i] = f.Name
	}
	rest, calls, diags := expr.SplitAggregates(x, isAggregate, keys, also...)
	if diags.HasErrors() {
		return member{}, diags
	}
	mem := member{name: name}
	fields := append(p.keyFields(), own...)
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
	inner := &expr.Scope{Schema: mem.schema, Vars: g.scope.Vars, What: "the window"}
	var more hcl.Diagnostics
	if want != nil {
		mem.prog, more = expr.CompileAs(rest, inner, want, name)
	} else {
		mem.prog, more = expr.Compile(rest, inner)
	}
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
	p.args, p.float, p.accs, p.results, p.words, p.listCol = g.args, g.float, g.accs, g.res, g.words, g.cols
	fields := append(p.keyFields(), p.ownFields()...)
	for _, m := range p.members {
		fields = append(fields, arrow.Field{Name: m.name, Type: m.prog.Type(), Nullable: true})
	}
	fields = append(fields, arrow.Field{Name: "revision", Type: arrow.PrimitiveTypes.Int64}, arrow.Field{Name: "final", Type: arrow.FixedWidthTypes.Boolean})
	p.out = flow.NewSchema(fields)
	names := stage.Names(p.by)
	for _, a := range p.args {
		names = append(names, a.Columns()...)
	}
	if p.while != nil {
		names = append(names, p.while.Columns()...)
	}
	names = append(names, p.same...)
	slices.Sort(names)
	key := ""
	if p.scheme != partition {
		key = at.Keys[0]
	}
	prog := *p
	b := stage.Bound{
		Out: p.out, Key: key, By: stage.Names(p.by), Filters: true, Reads: slices.Compact(names), State: p.tables(g, at.Channel),
		Revisions: stage.TakesFirst, Revises: p.revises(), Reach: p.reach(), Revised: p.revised(&at),
		OpenStage: func(o stage.Opening) (stage.Stage, error) { return open(prog, o) },
	}
	if p.latest {
		b.Revisions = stage.TakesLatest
	}
	if p.parts {
		p.layout = p.layoutOf(g)
		prog := *p
		b.Reads, b.OpenStage = nil, func(o stage.Opening) (stage.Stage, error) { return openMerging(prog, o) }
	}
	return b
}

// revises tells whether a window can be emitted more than once.
func (p *program) revises() bool { return p.late == revise || p.idle > 0 || p.early > 0 }

// digest tells what the state means.
func (p *program) digest(g *aggregates, ch *config.Channel) string {
	digest := fmt.Sprintf("1 every %d offset %d scheme %d by", p.every, p.offset, p.scheme)
	for _, c := range p.by {
		digest += fmt.Sprintf(" %q:%s", c.Name, expr.TypeName(c.Type))
	}
	if ch != nil {
		digest += " key " + ch.Key
	}
	if p.kind != tumbling {
		digest += fmt.Sprintf(" kind %d size %d gap %d rows %d", p.kind, p.size, p.gap, p.rows)
	}
	if p.kind == sliding {
		digest += fmt.Sprintf(" words %d", p.meta) // panes had an end once
	}
	if p.parts {
		digest += " of parts"
	}
	if p.runs {
		digest += " of rows"
	}
	if p.latest {
		digest += fmt.Sprintf(" latest %d by %q", p.rowsEvery, p.same)
	}
	return digest + " of " + strings.Join(g.names, " ") // of groups too: they link to panes
}

// tables declares the window's state, see doc.go.
func (p *program) tables(g *aggregates, ch *config.Channel) []state.Decl {
	digest := p.digest(g, ch)
	groups := state.Decl{Name: "groups", Digest: digest, MaxKeys: stage.MaxKeys(ch), Columns: []state.Column{
		{Name: "times", Type: state.I64, Width: p.groupWords}, {Name: "links", Type: state.U32, Width: groupLinks},
	}}
	if p.scheme == single {
		groups.MaxKeys = maxOwnKeys
	}
	panes := state.Decl{Name: "panes", Digest: digest, Columns: []state.Column{
		{Name: "cells", Type: state.I64, Width: p.words}, {Name: "links", Type: state.U32, Width: paneLinks},
	}}
	for i, a := range p.accs {
		if a.col >= 0 {
			panes.Columns = append(panes.Columns, state.Column{Name: g.names[i], Type: state.Bytes})
		}
	}
	if p.latest {
		panes.Columns = append(panes.Columns, state.Column{Name: "rows", Type: state.U32, Width: listLinks})
	}
	groups.Beside = 32 + 4 // its lane, and where that is
	panes.Keyless = true
	if p.kind == sliding {
		groups.Beside += 48 + 32 + 8 + 8*p.prefixWords() // span, latest row of a block, what is closed, prefix
		panes.Beside = (8*p.suffixWords() + 4) * 9 / 8   // suffixes and what is after a pane in a ring, with their room to grow
	}
	panes.MaxKeys = min(maxPanes, maxPaneBytes/(8*p.words+4*paneLinks+panes.Beside))
	panes.KeysPlanned = int(min(p.panesOfKey()*10_000, math.MaxInt32))
	decls := []state.Decl{groups, panes}
	if p.scheme == partition {
		decls = append(decls, state.Decl{Name: "clock", Digest: "1", MaxKeys: 1, KeysPlanned: 1, Columns: []state.Column{{Name: "marks", Type: state.I64, Width: 2}}})
	}
	if p.early > 0 {
		decls = append(decls, state.Decl{Name: "early", Digest: fmt.Sprint("1 ", p.early), MaxKeys: 1, KeysPlanned: 1, Columns: []state.Column{{Name: "period", Type: state.I64}}})
	}
	if p.latest {
		decls = append(decls, p.keptTable(digest))
	}
	if p.runs {
		decls = append(decls, p.pastTable(digest))
	}
	return decls
}

// reach is how far before a key's watermark its oldest window can begin; 0: nobody knows.
func (p *program) reach() int64 {
	switch p.kind {
	case tumbling:
		return p.every + p.grace + p.hold
	case sliding:
		return p.size + p.every + p.grace + p.hold
	}
	return 0
}

// panesOfKey is about how many panes a key has that reports all the time.
func (p *program) panesOfKey() float64 {
	switch p.kind {
	case tumbling:
		return min(float64(p.hold+p.grace)/float64(p.every)+2, 1e6)
	case sliding:
		return min(float64(p.size+p.hold+p.grace)/float64(p.every)+1, 1e6)
	case session:
		return min(float64(p.keep+p.grace)/float64(2*p.gap)+1, 1e6)
	case holding:
		return float64(p.keep)/plannedRun + 1
	}
	return 1
}
