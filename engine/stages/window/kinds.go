package window

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/stage"
)

// kind is how rows are cut into windows.
type kind uint8

const (
	tumbling kind = iota
	sliding
	session
	counting
	holding
)

// Tumbling is the stage window "tumbling".
func Tumbling() stage.Spec {
	return stage.Spec{
		Kind: "window", Type: "tumbling",
		Help:   "Sums rows up over windows of equal length in event time, key by key.",
		Args:   func() stage.Args { return &tumblingArgs{Late: "revise", Keep: "1h", Phases: 2} },
		Counts: counts(),
	}
}

// Sliding is the stage window "sliding".
func Sliding() stage.Spec {
	return stage.Spec{
		Kind: "window", Type: "sliding",
		Help:   "Sums rows up over windows of equal length that overlap, such as the last hour, every minute.",
		Args:   func() stage.Args { return &slidingArgs{Late: "revise", Keep: "1h", Phases: 2} },
		Counts: counts(),
	}
}

// Session is the stage window "session".
func Session() stage.Spec {
	return stage.Spec{
		Kind: "window", Type: "session",
		Help:   "Sums rows up over sessions: rows of a key without a gap between them that is too long.",
		Args:   func() stage.Args { return &sessionArgs{Late: "revise", Keep: "1h"} }, // and Phases, which follow from grace
		Counts: counts(),
	}
}

// Count is the stage window "count".
func Count() stage.Spec {
	return stage.Spec{
		Kind: "window", Type: "count",
		Help:   "Sums up a number of rows of a key at a time, in the order in which they come.",
		Args:   func() stage.Args { return &countArgs{} },
		Counts: counts(),
	}
}

// State is the stage window "state".
func State() stage.Spec {
	return stage.Spec{
		Kind: "window", Type: "state",
		Help:   "Sums rows of a key up for as long as a condition holds, and says for how long it did.",
		Args:   func() stage.Args { return &stateArgs{Late: "side", Keep: "1h", MaxRows: 10_000} },
		Counts: counts(),
	}
}

func counts() []string {
	return []string{"held_back", "late_dropped", "late_expired", "late_side", "percentile_ignored", "refused", "values_ignored"}
}

type tumblingArgs struct {
	By        hcl.Expression  `hcl:"by,optional" help:"Columns whose values get windows of their own; none for one window over all rows."`
	Every     config.Duration `hcl:"every" help:"Length of a window, such as \"5m\"."`
	Offset    config.Duration `hcl:"offset,optional" help:"Moves the borders of windows, which otherwise count from 1970-01-01 00:00 UTC."`
	Grace     config.Duration `hcl:"grace,optional" help:"How long after a window's end the key's watermark must be before the window closes; default 0s."`
	Late      string          `hcl:"late,optional" help:"What becomes of rows for a closed window: revise (default: emit it again), side (to rejects) or drop (counted)."`
	Keep      config.Duration `hcl:"keep,optional" help:"With late = \"revise\": how long a closed window takes late rows, in event time; default 1h. It costs memory."`
	Idle      config.Duration `hcl:"idle,optional" help:"After this time without a row of the key an open window is emitted provisionally; by default it waits."`
	Early     config.Duration `hcl:"early,optional" help:"How often open windows that have changed are emitted provisionally, by the journal's clock; by default never."`
	Emit      hcl.Expression  `hcl:"emit" help:"Columns of the result: { name = expression over aggregates, ... }."`
	Having    hcl.Expression  `hcl:"having,optional" help:"Condition over aggregates and keys; windows for which it is not true are not emitted."`
	Revisions string          `hcl:"revisions,optional" help:"Of rows that windows before this one emit again: first (default) takes the first of each, latest counts the newest in its place and emits again what it changes."`
	Phases    int64           `hcl:"phases,optional" help:"2 (default): where rows of several partitions belong together, each partition makes its part of a window, and the parts are merged. 1: the rows themselves go to one partition."`

	EveryRange     hcl.Range `hcl:"every,attr_value_range"`
	LateRange      hcl.Range `hcl:"late,attr_value_range"`
	PhasesRange    hcl.Range `hcl:"phases,attr_value_range"`
	RevisionsRange hcl.Range `hcl:"revisions,attr_value_range"`
}

type slidingArgs struct {
	By        hcl.Expression  `hcl:"by,optional" help:"Columns whose values get windows of their own; none for one window over all rows."`
	Size      config.Duration `hcl:"size" help:"Length of a window, such as \"1h\"; a multiple of every."`
	Every     config.Duration `hcl:"every" help:"How far the next window begins behind this one, such as \"1m\"."`
	Offset    config.Duration `hcl:"offset,optional" help:"Moves the borders of windows, which otherwise count from 1970-01-01 00:00 UTC."`
	Grace     config.Duration `hcl:"grace,optional" help:"How long after a window's end the key's watermark must be before the window closes; default 0s."`
	Late      string          `hcl:"late,optional" help:"What becomes of rows whose windows are all closed: revise (default: emit them again), side (to rejects) or drop (counted)."`
	Keep      config.Duration `hcl:"keep,optional" help:"With late = \"revise\": how long a closed window takes late rows, in event time; default 1h. It costs memory."`
	Idle      config.Duration `hcl:"idle,optional" help:"After this time without a row of the key the window that closes next is emitted provisionally; by default it waits."`
	Early     config.Duration `hcl:"early,optional" help:"How often the window that closes next is emitted provisionally if it has changed, by the journal's clock; by default never."`
	Emit      hcl.Expression  `hcl:"emit" help:"Columns of the result: { name = expression over aggregates, ... }."`
	Having    hcl.Expression  `hcl:"having,optional" help:"Condition over aggregates and keys; windows for which it is not true are not emitted."`
	Revisions string          `hcl:"revisions,optional" help:"Of rows that windows before this one emit again: first (default) takes the first of each, latest counts the newest in its place and emits again what it changes."`
	Phases    int64           `hcl:"phases,optional" help:"2 (default): where rows of several partitions belong together, each partition makes its part of a window, and the parts are merged. 1: the rows themselves go to one partition."`

	SizeRange      hcl.Range `hcl:"size,attr_value_range"`
	EveryRange     hcl.Range `hcl:"every,attr_value_range"`
	LateRange      hcl.Range `hcl:"late,attr_value_range"`
	PhasesRange    hcl.Range `hcl:"phases,attr_value_range"`
	RevisionsRange hcl.Range `hcl:"revisions,attr_value_range"`
}

type sessionArgs struct {
	By        hcl.Expression  `hcl:"by,optional" help:"Columns whose values get sessions of their own; none for sessions of all rows."`
	Gap       config.Duration `hcl:"gap" help:"A session ends when no row of the key came for this long, in event time, such as \"10m\"."`
	Grace     config.Duration `hcl:"grace,optional" help:"How long after a session's end the key's watermark must be before the session closes; default 0s."`
	Late      string          `hcl:"late,optional" help:"What becomes of rows for a closed session: revise (default: emit it again), side (to rejects) or drop (counted)."`
	Keep      config.Duration `hcl:"keep,optional" help:"With late = \"revise\": how long a closed session takes late rows, in event time; default 1h. It costs memory."`
	Idle      config.Duration `hcl:"idle,optional" help:"After this time without a row of the key an open session is emitted provisionally; by default it waits."`
	Early     config.Duration `hcl:"early,optional" help:"How often open sessions that have changed are emitted provisionally, by the journal's clock; by default never."`
	Emit      hcl.Expression  `hcl:"emit" help:"Columns of the result: { name = expression over aggregates, ... }."`
	Having    hcl.Expression  `hcl:"having,optional" help:"Condition over aggregates and keys; sessions for which it is not true are not emitted."`
	Revisions string          `hcl:"revisions,optional" help:"first (default): of rows that windows before this one emit again, the first of each is taken."`
	Phases    int64           `hcl:"phases,optional" help:"2 (default with a grace): where rows of several partitions belong together, each partition makes its part of a session of what comes within grace, and the parts are merged. 1 (default without): the rows themselves go to one partition."`

	GapRange       hcl.Range `hcl:"gap,attr_value_range"`
	LateRange      hcl.Range `hcl:"late,attr_value_range"`
	PhasesRange    hcl.Range `hcl:"phases,attr_value_range"`
	RevisionsRange hcl.Range `hcl:"revisions,attr_value_range"`
}

type countArgs struct {
	By        hcl.Expression  `hcl:"by,optional" help:"Columns whose values get windows of their own; none for windows over all rows."`
	Size      int64           `hcl:"size" help:"Number of rows of a window."`
	Idle      config.Duration `hcl:"idle,optional" help:"After this time without a row of the key an open window is emitted provisionally; by default it waits."`
	Early     config.Duration `hcl:"early,optional" help:"How often open windows that have changed are emitted provisionally, by the journal's clock; by default never."`
	Emit      hcl.Expression  `hcl:"emit" help:"Columns of the result: { name = expression over aggregates, ... }."`
	Having    hcl.Expression  `hcl:"having,optional" help:"Condition over aggregates and keys; windows for which it is not true are not emitted."`
	Revisions string          `hcl:"revisions,optional" help:"first (default): of rows that windows before this one emit again, the first of each is taken."`

	SizeRange      hcl.Range `hcl:"size,attr_value_range"`
	RevisionsRange hcl.Range `hcl:"revisions,attr_value_range"`
}

type stateArgs struct {
	By        hcl.Expression  `hcl:"by,optional" help:"Columns whose values have states of their own; none for one state over all rows."`
	While     hcl.Expression  `hcl:"while" help:"Condition on a row: a window opens with the first row for which it is true and ends with the first for which it is false. A row for which it is null changes nothing."`
	Late      string          `hcl:"late,optional" help:"What becomes of rows that are older than one of their key that came before: side (default: to rejects), drop (counted) or revise (the windows that they change are emitted again)."`
	Keep      config.Duration `hcl:"keep,optional" help:"With late = \"revise\": how much older than the latest row of its key a row may be, in event time; default 1h. So long rows are kept: it costs memory."`
	MaxRows   int64           `hcl:"max_rows,optional" help:"With late = \"revise\": how many rows of a key are kept at most, 10000 when left out; with more, keep is shorter for that key."`
	Idle      config.Duration `hcl:"idle,optional" help:"After this time without a row of the key an open window is emitted provisionally; by default it waits."`
	Early     config.Duration `hcl:"early,optional" help:"How often open windows that have changed are emitted provisionally, by the journal's clock; by default never."`
	Emit      hcl.Expression  `hcl:"emit" help:"Columns of the result: { name = expression over aggregates, ... }."`
	Having    hcl.Expression  `hcl:"having,optional" help:"Condition over aggregates and keys; windows for which it is not true are not emitted."`
	Revisions string          `hcl:"revisions,optional" help:"first (default): of rows that windows before this one emit again, the first of each is taken."`

	LateRange      hcl.Range `hcl:"late,attr_value_range"`
	MaxRowsRange   hcl.Range `hcl:"max_rows,attr_value_range"`
	RevisionsRange hcl.Range `hcl:"revisions,attr_value_range"`
}

// settings are the arguments that kinds share, and those of each.
type settings struct {
	kind                                       kind
	by, emit, having, while                    hcl.Expression
	every, size, offset, grace                 config.Duration
	keep, idle, early, gap                     config.Duration
	rows, maxRows                              int64
	late                                       string
	ways                                       []string // with late rows
	everyRange, sizeRange, gapRange, lateRange hcl.Range
	maxRowsRange                               hcl.Range
	phases                                     int64
	phasesRange                                hcl.Range
	revisions                                  string
	revisionsRange                             hcl.Range
}

// ways with late rows.
func ways() []string { return []string{"revise", "side", "drop"} }

// Bind checks the arguments; see stage.Args.
func (a *tumblingArgs) Bind(in []*arrow.Schema, at stage.At) (stage.Bound, hcl.Diagnostics) {
	s := &settings{kind: tumbling, by: a.By, emit: a.Emit, having: a.Having, revisions: a.Revisions, revisionsRange: a.RevisionsRange, every: a.Every, offset: a.Offset, grace: a.Grace, keep: a.Keep,
		idle: a.Idle, early: a.Early, late: a.Late, ways: ways(), everyRange: a.EveryRange, lateRange: a.LateRange, phases: a.Phases, phasesRange: a.PhasesRange}
	return s.bind(in, at)
}

// Bind checks the arguments; see stage.Args.
func (a *slidingArgs) Bind(in []*arrow.Schema, at stage.At) (stage.Bound, hcl.Diagnostics) {
	s := &settings{kind: sliding, by: a.By, emit: a.Emit, having: a.Having, revisions: a.Revisions, revisionsRange: a.RevisionsRange, every: a.Every, size: a.Size, offset: a.Offset, grace: a.Grace, keep: a.Keep,
		idle: a.Idle, early: a.Early, late: a.Late, ways: ways(), everyRange: a.EveryRange, sizeRange: a.SizeRange, lateRange: a.LateRange, phases: a.Phases, phasesRange: a.PhasesRange}
	return s.bind(in, at)
}

// Bind checks the arguments; see stage.Args.
func (a *sessionArgs) Bind(in []*arrow.Schema, at stage.At) (stage.Bound, hcl.Diagnostics) {
	s := &settings{kind: session, by: a.By, emit: a.Emit, having: a.Having, revisions: a.Revisions, revisionsRange: a.RevisionsRange, gap: a.Gap, grace: a.Grace, keep: a.Keep,
		idle: a.Idle, early: a.Early, late: a.Late, ways: ways(), gapRange: a.GapRange, lateRange: a.LateRange, phases: a.Phases, phasesRange: a.PhasesRange}
	return s.bind(in, at)
}

// Bind checks the arguments; see stage.Args.
func (a *countArgs) Bind(in []*arrow.Schema, at stage.At) (stage.Bound, hcl.Diagnostics) {
	s := &settings{kind: counting, by: a.By, emit: a.Emit, having: a.Having, revisions: a.Revisions, revisionsRange: a.RevisionsRange, rows: a.Size, idle: a.Idle, early: a.Early,
		late: "drop", ways: ways()[1:], sizeRange: a.SizeRange}
	return s.bind(in, at)
}

// Bind checks the arguments; see stage.Args.
func (a *stateArgs) Bind(in []*arrow.Schema, at stage.At) (stage.Bound, hcl.Diagnostics) {
	s := &settings{kind: holding, by: a.By, emit: a.Emit, having: a.Having, revisions: a.Revisions, revisionsRange: a.RevisionsRange, while: a.While, idle: a.Idle, early: a.Early,
		keep: a.Keep, maxRows: a.MaxRows, late: a.Late, ways: ways(), lateRange: a.LateRange, maxRowsRange: a.MaxRowsRange}
	return s.bind(in, at)
}
