package order

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

// Spec is the stage order.
func Spec() stage.Spec {
	return stage.Spec{
		Kind: "order",
		Help: "Puts the rows of each key into the order of their event times, waiting for late ones up to a bound.",
		Args: func() stage.Args {
			return &args{Late: "side", Wait: "10m", MaxRows: 10_000, MaxTotal: 1 << 22}
		},
		Counts: []string{"late", "pushed_out"},
	}
}

type args struct {
	Bound    config.Duration `hcl:"bound" help:"How far behind its key's watermark a row may be and still find its place, such as \"30s\"."`
	Late     string          `hcl:"late,optional" help:"What becomes of rows that are later: side (default: to rejects), drop (counted) or pass (on, out of order)."`
	Wait     config.Duration `hcl:"wait,optional" help:"How long after the last row of a key was received its rows go out although nothing follows; 10m when left out."`
	Keep     hcl.Expression  `hcl:"keep,optional" help:"Columns to keep; all when left out."`
	MaxRows  int             `hcl:"max_rows,optional" help:"Rows of a key that wait at most, 10000 when left out; one more, and the first goes out."`
	MaxTotal int             `hcl:"max_total,optional" help:"Rows of a partition that wait at most, 4194304 when left out; one more, and the first of its key goes out."`

	BoundRange hcl.Range `hcl:"bound,attr_value_range"`
	LateRange  hcl.Range `hcl:"late,attr_value_range"`
	WaitRange  hcl.Range `hcl:"wait,attr_value_range"`
	RowsRange  hcl.Range `hcl:"max_rows,attr_value_range"`
	TotalRange hcl.Range `hcl:"max_total,attr_value_range"`
}

const (
	maxBound = 100 * 24 * time.Hour
	maxWaits = 1 << 27
)

// program is what the stage does. Times are microseconds.
type program struct {
	bound, wait       int64
	pass, drop        bool
	maxRows, maxTotal int
	keep              *carry.Kept
	out               *arrow.Schema
}

// Bind checks the arguments; see stage.Args.
func (a *args) Bind(in []*arrow.Schema, at stage.At) (stage.Bound, hcl.Diagnostics) {
	if len(in) != 1 || in[0] == nil {
		return stage.Bound{}, config.Errorf(at.Range, "An order has one input", "This order reads from %d stages; it can read from one.", len(in))
	}
	p := &program{bound: a.Bound.Length().Microseconds(), wait: a.Wait.Length().Microseconds(), maxRows: a.MaxRows, maxTotal: a.MaxTotal}
	keep, diags := carry.BindKept(a.Keep, in[0], "an order", at)
	p.keep, p.out = keep, flow.NewSchema(keep.Fields)
	fail := func(where hcl.Range, summary, detail string, args ...any) {
		diags = append(diags, config.Errorf(where, summary, detail, args...)...)
	}
	if l := a.Bound.Length(); l < time.Millisecond || l > maxBound {
		fail(a.BoundRange, "Out of range", "bound goes from 1ms to %s.", config.FormatDuration(maxBound))
	}
	if l := a.Wait.Length(); l < time.Second || l > maxBound {
		fail(a.WaitRange, "Out of range", "wait goes from 1s to %s.", config.FormatDuration(maxBound))
	}
	if ways := []string{"side", "drop", "pass"}; !slices.Contains(ways, a.Late) {
		fail(a.LateRange, "Unknown way with late rows", "late is %q.%s", a.Late, stage.Suggest(a.Late, ways))
	}
	p.pass, p.drop = a.Late == "pass", a.Late == "drop"
	if p.maxTotal < 1 || p.maxTotal > maxWaits {
		fail(a.TotalRange, "Out of range", "max_total goes from 1 to %d; this is %d.", maxWaits, p.maxTotal)
		p.maxTotal = 1
	}
	if p.maxRows < 1 || p.maxRows > maxWaits {
		fail(a.RowsRange, "Out of range", "max_rows goes from 1 to %d; this is %d.", maxWaits, p.maxRows)
	}
	b := stage.Bound{Out: p.out, Reads: keep.Names(), Filters: true, Lag: p.bound, Revises: stage.Has(p.out, "revision"), State: p.decls(),
		OpenStage: func(o stage.Opening) (stage.Stage, error) { return open(p, o), nil }}
	if at.Keys[0] != "" && stage.Has(p.out, at.Keys[0]) {
		b.Key = at.Keys[0]
	}
	return b, config.Sort(diags)
}

func (p *program) decls() []state.Decl {
	text := fmt.Sprintf("order 1 %v %v", p.keep.Names(), p.keep.Types())
	return []state.Decl{
		{Name: "keys", Digest: text, MaxKeys: 1 << 30, Columns: []state.Column{{Name: "marks", Type: state.I64, Width: keyWords}, {Name: "links", Type: state.U32, Width: keyLinks}}},
		{Name: "rows", Digest: text, MaxKeys: p.maxTotal, KeysPlanned: 100_000, Columns: []state.Column{
			{Name: "place", Type: state.I64, Width: rowWords}, {Name: "links", Type: state.U32, Width: rowLinks}, {Name: "values", Type: state.Bytes}}},
	}
}
