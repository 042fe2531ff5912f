package join

import (
	"fmt"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/carry"
	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/state"
)

// Interval is the stage join "interval".
func Interval() stage.Spec {
	return stage.Spec{
		Kind: "join", Type: "interval",
		Help: "Pairs rows of two inputs that have the same key and times that are not far apart.",
		Args: func() stage.Args {
			return &intervalArgs{Before: "0s", After: "0s", Grace: "0s", Wait: "1h", Rows: "inner", Late: "side", Revisions: "first", MaxRows: 1000, MaxTotal: 1 << 22}
		},
		Counts: []string{"late", "refused", "waited"},
	}
}

type intervalArgs struct {
	By        hcl.Expression  `hcl:"by" help:"Columns of the first input in which rows of a pair agree, such as [device]."`
	With      hcl.Expression  `hcl:"with,optional" help:"The columns of the second input that they are compared with; those of the same names when left out."`
	Before    config.Duration `hcl:"before,optional" help:"How much earlier than the first input's row the second's may be, 0s when left out."`
	After     config.Duration `hcl:"after,optional" help:"How much later it may be, 0s when left out."`
	Rows      string          `hcl:"rows,optional" help:"inner (default): pairs only; left: also rows of the first input for which there is none, with nulls."`
	Keep      hcl.Expression  `hcl:"keep,optional" help:"Columns of the first input to keep; all when left out."`
	Take      hcl.Expression  `hcl:"take,optional" help:"What rows get of the second input: { new = expression over it, ... }."`
	Grace     config.Duration `hcl:"grace,optional" help:"How far behind its key's watermark a row may be without being late, 0s when left out. It costs memory."`
	Late      string          `hcl:"late,optional" help:"What becomes of late rows: side (default: to rejects) or drop (counted)."`
	Wait      config.Duration `hcl:"wait,optional" help:"How long, from when it was received, a row waits for an input from which nothing comes; 1h when left out."`
	Revisions string          `hcl:"revisions,optional" help:"first (default): only revision 0 of rows that can be revised is paired; all: each revision is a row."`
	MaxRows   int             `hcl:"max_rows,optional" help:"Rows of a key and input that wait at most, 1000 when left out. Further rows are rejected."`
	MaxTotal  int             `hcl:"max_total,optional" help:"Rows of a partition that wait at most, 4194304 when left out. Further rows are rejected."`

	BeforeRange    hcl.Range `hcl:"before,attr_value_range"`
	AfterRange     hcl.Range `hcl:"after,attr_value_range"`
	GraceRange     hcl.Range `hcl:"grace,attr_value_range"`
	WaitRange      hcl.Range `hcl:"wait,attr_value_range"`
	RowsRange      hcl.Range `hcl:"rows,attr_value_range"`
	LateRange      hcl.Range `hcl:"late,attr_value_range"`
	RevisionsRange hcl.Range `hcl:"revisions,attr_value_range"`
	MaxRowsRange   hcl.Range `hcl:"max_rows,attr_value_range"`
	MaxTotalRange  hcl.Range `hcl:"max_total,attr_value_range"`
}

// intervalProgram is what the stage does. Times are microseconds.
type intervalProgram struct {
	*sides
	before, after, grace, wait int64
	left, drop, together       bool
	maxRows, maxTotal          int
	keep                       *carry.Kept
	layouts                    [2]layout // of what is kept of a row of each input
	words                      int       // of a row that waits
	out                        *arrow.Schema
}

const (
	maxReach = 100 * 24 * time.Hour
	// perRow leaves room in _index for the pairs that a row makes.
	perRow = 4096
	// maxWaiting is perRow less the number of a row without a partner.
	maxWaiting  = perRow - 1
	maxAllWaits = 1 << 27
)

// Bind checks the arguments; see stage.Args.
func (a *intervalArgs) Bind(in []*arrow.Schema, at stage.At) (stage.Bound, hcl.Diagnostics) {
	s := bindSides("interval", a.By, a.With, a.Take, in, at)
	if len(in) != 2 || in[0] == nil || in[1] == nil {
		return stage.Bound{}, s.diags
	}
	p := &intervalProgram{sides: s, together: at.Together, maxRows: a.MaxRows, maxTotal: a.MaxTotal}
	a.bindTimes(p)
	a.bindWays(p)
	kept, diags := carry.BindKept(a.Keep, in[0], "a join", at)
	s.fail(diags)
	p.keep = kept
	keys := s.by[0]
	if p.left {
		keys = nil // a row that finds no partner has to know its own
	}
	p.layouts[0], p.layouts[1] = newLayout(kept.Fields, keys), newLayout(s.fields, nil)
	p.words = max(p.layouts[0].end, p.layouts[1].end)
	p.out = flow.NewSchema(append(slices.Clone(kept.Fields), s.fields...))
	b := stage.Bound{Out: p.out, Reads: unique(append(s.reads(), p.keep.Names()...)), Filters: true, Lag: p.after + p.grace,
		Revises: stage.Has(p.out, "revision"), State: p.decls(), OpenStage: func(o stage.Opening) (stage.Stage, error) { return openInterval(p, o), nil }}
	if stage.Has(p.out, at.Keys[0]) && at.Keys[0] != "" {
		b.Key = at.Keys[0]
	}
	if a.Revisions != "all" {
		b.Revisions = stage.TakesFirst
	}
	if len(s.diags) == 0 {
		b.Meet = s.meet()
	}
	return b, config.Sort(s.diags)
}

func (a *intervalArgs) bindTimes(p *intervalProgram) {
	for _, x := range []struct {
		name string
		d    config.Duration
		at   hcl.Range
		to   *int64
		max  time.Duration
	}{
		{"before", a.Before, a.BeforeRange, &p.before, maxReach}, {"after", a.After, a.AfterRange, &p.after, maxReach},
		{"grace", a.Grace, a.GraceRange, &p.grace, maxReach}, {"wait", a.Wait, a.WaitRange, &p.wait, maxReach},
	} {
		if l := x.d.Length(); l < 0 || l > x.max {
			p.fail(config.Errorf(x.at, "Out of range", "%s goes from 0s to %s.", x.name, config.FormatDuration(x.max)))
		}
		*x.to = x.d.Length().Microseconds()
	}
	if p.maxRows < 1 || p.maxRows > maxWaiting {
		p.fail(config.Errorf(a.MaxRowsRange, "Out of range", "max_rows goes from 1 to %d; this is %d.", maxWaiting, p.maxRows))
		p.maxRows = 1
	}
	if p.maxTotal < 1 || p.maxTotal > maxAllWaits {
		p.fail(config.Errorf(a.MaxTotalRange, "Out of range", "max_total goes from 1 to %d; this is %d.", maxAllWaits, p.maxTotal))
		p.maxTotal = 1
	}
}

func (a *intervalArgs) bindWays(p *intervalProgram) {
	choose := func(what, given string, at hcl.Range, words ...string) bool {
		if !slices.Contains(words, given) {
			p.fail(config.Errorf(at, "Unknown word", "%s is %q.%s", what, given, stage.Suggest(given, words)))
		}
		return given == words[1]
	}
	p.left = choose("rows", a.Rows, a.RowsRange, "inner", "left")
	p.drop = choose("late", a.Late, a.LateRange, "side", "drop")
	choose("revisions", a.Revisions, a.RevisionsRange, "first", "all")
}

func (p *intervalProgram) decls() []state.Decl {
	text := fmt.Sprintf("interval 2 %s keep %v %v before %d after %d left %v", p.text(), p.keep.Names(), p.keep.Types(), p.before, p.after, p.left)
	rows := []state.Column{{Name: "words", Type: state.I64, Width: p.words}, {Name: "links", Type: state.U32, Width: rowLinks}}
	if p.layouts[0].texts || p.layouts[1].texts {
		rows = append(rows, state.Column{Name: "texts", Type: state.Bytes})
	}
	return []state.Decl{
		{Name: "groups", Digest: text, MaxKeys: p.maxTotal, Columns: []state.Column{{Name: "marks", Type: state.I64, Width: groupWords}, {Name: "links", Type: state.U32, Width: groupLinks}}},
		{Name: "rows", Digest: text, MaxKeys: p.maxTotal + 2*gathered, KeysPlanned: 100_000, Columns: rows},
		{Name: "clock", Digest: "1", MaxKeys: 1, Columns: []state.Column{{Name: "swept", Type: state.I64}}},
	}
}
