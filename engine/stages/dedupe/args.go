package dedupe

import (
	"fmt"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/expr"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/state"
)

// Spec is the stage dedupe.
func Spec() stage.Spec {
	return stage.Spec{
		Kind:   "dedupe",
		Help:   "Lets each row pass once: rows that agree in some columns, or in all, within a time are the same.",
		Args:   func() stage.Args { return &args{Within: "1h", Max: 1 << 20} },
		Counts: []string{"forgotten", "repeated"},
	}
}

type args struct {
	By     hcl.Expression  `hcl:"by,optional" help:"Columns in which repeated rows agree, such as [device, seq]; all columns when left out."`
	Within config.Duration `hcl:"within,optional" help:"How long after the first row was received a repeated one is found, 1h when left out."`
	Max    int             `hcl:"max,optional" help:"Rows that a partition remembers at most, 1048576 when left out; the oldest are forgotten first."`

	WithinRange hcl.Range `hcl:"within,attr_value_range"`
	MaxRange    hcl.Range `hcl:"max,attr_value_range"`
}

const (
	maxWithin = 100 * 24 * time.Hour
	maxMax    = 1 << 28
)

// program is what the stage does.
type program struct {
	by     []stage.Column // nil: all columns
	within int64          // us
	max    int
}

// Bind checks the arguments; see stage.Args.
func (a *args) Bind(in []*arrow.Schema, at stage.At) (stage.Bound, hcl.Diagnostics) {
	if len(in) != 1 || in[0] == nil {
		return stage.Bound{}, config.Errorf(at.Range, "A dedupe has one input", "This dedupe reads from %d stages; it can read from one.", len(in))
	}
	p := &program{within: a.Within.Length().Microseconds(), max: a.Max}
	var diags hcl.Diagnostics
	if l := a.Within.Length(); l < time.Second || l > maxWithin {
		diags = append(diags, config.Errorf(a.WithinRange, "Out of range", "within goes from 1s to %s.", config.FormatDuration(maxWithin))...)
	}
	if a.Max < 1 || a.Max > maxMax {
		diags = append(diags, config.Errorf(a.MaxRange, "Out of range", "max goes from 1 to %d; this is %d.", maxMax, a.Max)...)
		p.max = 1
	}
	b := stage.Bound{Out: in[0], Key: at.Keys[0], Filters: true, PassesAll: true, Revises: stage.Has(in[0], "revision"),
		OpenStage: func(o stage.Opening) (stage.Stage, error) { return open(p, o), nil }}
	text := "rows"
	if config.Absent(a.By) {
		if at.Channel.Partitions > 1 && at.Keys[0] == "" {
			diags = append(diags, config.Errorf(at.Range, "A dedupe without the channel's key",
				"The rows are spread over %d partitions by %s, and a stage before has taken that column away: equal rows may never meet. Write by = [...].", at.Channel.Partitions, at.Channel.Key)...)
		}
	} else {
		cols, more := stage.Columns(a.By, "by", at.Scope(0))
		diags = append(diags, more...)
		if len(more) == 0 && len(cols) == 0 {
			diags = append(diags, config.Errorf(a.By.Range(), "Not a key", "by lists at least one column, such as [device, seq]. Leave it out to compare all.")...)
		}
		if !more.HasErrors() {
			_, more = stage.CheckBy(cols, a.By, at, "dedupe")
			diags = append(diags, more...)
		}
		b.Reads, p.by, text = stage.Names(cols), cols, "by"
		for _, c := range cols {
			text += fmt.Sprintf(" %s %s", c.Name, expr.TypeName(c.Type))
		}
	}
	b.State = []state.Decl{{Name: "seen", Digest: "dedupe 1 " + text, MaxKeys: p.max, KeysPlanned: min(p.max, 100_000), Columns: []state.Column{{Name: "time", Type: state.I64}}}}
	return b, config.Sort(diags)
}
