package join

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/carry"
	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/expr"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/state"
)

// Latest is the stage join "latest".
func Latest() stage.Spec {
	return stage.Spec{
		Kind: "join", Type: "latest",
		Help:   "Gives rows of one input the latest values of the same key in another: a view that follows a channel.",
		Args:   func() stage.Args { return &latestArgs{MaxKeys: 1 << 20} },
		Counts: []string{"missing", "older"},
	}
}

type latestArgs struct {
	By      hcl.Expression  `hcl:"by" help:"Columns of the first input that choose a row of the view, such as [device]."`
	With    hcl.Expression  `hcl:"with,optional" help:"The columns of the second input that they are compared with; those of the same names when left out."`
	Take    hcl.Expression  `hcl:"take" help:"What the view keeps and the rows get: { new = expression over the second input, ... }."`
	Delete  hcl.Expression  `hcl:"delete,optional" help:"Condition on rows of the second input that take their key out of the view."`
	Missing string          `hcl:"missing,optional" help:"What becomes of rows whose key the view lacks: null (default), default, drop or reject."`
	Default hcl.Expression  `hcl:"default,optional" help:"Values for missing = \"default\": { new = expression over the first input, ... }."`
	MaxAge  config.Duration `hcl:"max_age,optional" help:"How much older than the row, in event time, a value may be; older ones count as missing. By default any age will do."`
	MaxKeys int             `hcl:"max_keys,optional" help:"Keys of the view in a partition at most, 1048576 when left out. Rows of further keys are rejected."`

	MissingRange hcl.Range `hcl:"missing,attr_value_range"`
	MaxRange     hcl.Range `hcl:"max_keys,attr_value_range"`
	AgeRange     hcl.Range `hcl:"max_age,attr_value_range"`
}

// latestProgram is what the stage does.
type latestProgram struct {
	*sides
	add      *carry.Adder
	gone     *expr.Program
	maxAge   int64 // us; 0: any
	maxKeys  int
	together bool
	cells    []cell
	words    int
}

// cell is where a taken column stands in the view: a word, or a column of bytes.
type cell struct {
	word  int // 0: in bytes
	bytes int
	text  bool // bytes are the text itself, else as carry has it
	flag  bool
}

const maxViewKeys = 1 << 26

// Bind checks the arguments; see stage.Args.
func (a *latestArgs) Bind(in []*arrow.Schema, at stage.At) (stage.Bound, hcl.Diagnostics) {
	s := bindSides("latest", a.By, a.With, a.Take, in, at)
	if len(in) != 2 || in[0] == nil || in[1] == nil {
		return stage.Bound{}, s.diags
	}
	p := &latestProgram{sides: s, maxAge: a.MaxAge.Length().Microseconds(), maxKeys: a.MaxKeys, together: at.Together}
	if !config.Absent(a.Delete) {
		gone, diags := expr.CompileAs(a.Delete, at.Scope(1), arrow.FixedWidthTypes.Boolean, "delete")
		s.fail(diags)
		p.gone = gone
	}
	if a.MaxKeys < 1 || a.MaxKeys > maxViewKeys {
		s.fail(config.Errorf(a.MaxRange, "Out of range", "max_keys goes from 1 to %d; this is %d.", maxViewKeys, a.MaxKeys))
		p.maxKeys = 1
	}
	if p.maxAge < 0 {
		s.fail(config.Errorf(a.AgeRange, "Out of range", "max_age is a time from 0s."))
	}
	where := at.Range
	if a.Missing != "" {
		where = a.MissingRange
	}
	add, diags := carry.Bind(in[0], s.fields, a.Missing, a.Default, where, at)
	s.fail(diags)
	p.add = add
	decl := p.layout()
	reads := append(s.reads(), add.Reads()...)
	if p.gone != nil {
		reads = append(reads, p.gone.Columns()...)
	}
	b := stage.Bound{Out: add.Out, Key: at.Keys[0], Reads: unique(reads), PassesAll: true, Filters: add.Missing >= carry.Dropped,
		Revises: stage.Has(in[0], "revision"), State: []state.Decl{decl},
		OpenStage: func(o stage.Opening) (stage.Stage, error) { return openLatest(p, o), nil }}
	if len(s.diags) == 0 {
		b.Meet = s.meet()
	}
	return b, config.Sort(s.diags)
}

// layout finds a place for each taken column. Word 0 is the time of the values, word 1 and those behind it
// say which are null.
func (p *latestProgram) layout() state.Decl {
	nulls := (len(p.fields) + 63) / 64
	p.words = 1 + nulls
	cols := []state.Column{{Name: "words", Type: state.I64}, {Name: "slot", Type: state.U32}}
	for _, f := range p.fields {
		switch f.Type.ID() {
		case arrow.FLOAT64, arrow.INT64, arrow.TIMESTAMP, arrow.BOOL:
			p.cells = append(p.cells, cell{word: p.words, flag: f.Type.ID() == arrow.BOOL})
			p.words++
		default:
			p.cells = append(p.cells, cell{bytes: len(cols), text: f.Type.ID() == arrow.STRING})
			cols = append(cols, state.Column{Name: f.Name, Type: state.Bytes})
		}
	}
	cols[0].Width = p.words
	return state.Decl{Name: "view", Digest: fmt.Sprintf("latest 1 %s", p.text()), Columns: cols, MaxKeys: p.maxKeys}
}
