package expr

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// Scope is what names in an expression can mean.
type Scope struct {
	// Schema has the columns: user columns, and metadata columns by their names.
	Schema *arrow.Schema
	// Vars are the values of var.NAME.
	Vars map[string]cty.Value
	// Infer, when not nil, makes the scope open: a name that Schema lacks is
	// typed by its use and reported here, once per name and compilation; the
	// column is null until a batch's schema has it, and where a batch's has it
	// with another type. Infer returns an error text when the name was inferred
	// with another type before, naming the place, "" otherwise. Compile adds one
	// warning for each such name, at its first use. Names that begin with _ are
	// never inferred.
	Infer func(name string, t arrow.DataType, at hcl.Range) (conflict string)
	// What names the rows in messages, such as `rule.plausible` or `channel.telemetry`.
	What string
}

// OpenName is the Extra of the warning about a name that Infer was told of, so
// that whoever compiles several expressions can show the first only.
type OpenName string

// Program is a compiled expression. It belongs to one goroutine: Eval reuses
// its registers.
type Program struct {
	prog *program
}

// Compile type-checks x and compiles it. Diagnostics have positions; on errors
// the Program is nil; there may be warnings beside a Program. It has no effects
// but the calls of Infer and does not panic whatever x is.
func Compile(x hcl.Expression, s *Scope) (*Program, hcl.Diagnostics) { return compile(x, s) }

// CompileAs is Compile for a place that needs a certain type; what names the
// place in the message ("where", "when"). An integer is taken where a number is wanted.
func CompileAs(x hcl.Expression, s *Scope, want arrow.DataType, what string) (*Program, hcl.Diagnostics) {
	return compileAs(x, s, want, what)
}

// Type is the type of the result.
func (p *Program) Type() arrow.DataType { return p.prog.typ }

// Columns lists the names of the columns that the program reads, sorted.
func (p *Program) Columns() []string { return p.prog.columns() }

// Eval computes the program over rows, whose schema is the Scope's or, in an
// open scope, has more columns. The result has rows.NumRows() values and belongs
// to the caller, who releases it; its buffers come from alloc, but a program that
// is a column as it stands gives that column, retained. Bytes under nulls are 0.
// Eval cannot fail: what has no value is null.
func (p *Program) Eval(rows arrow.RecordBatch, alloc memory.Allocator) arrow.Array {
	return p.prog.eval(rows, alloc)
}

// Select appends to sel the indexes of the rows for which a bool program is
// true, rising. null is not true.
func (p *Program) Select(rows arrow.RecordBatch, sel []int32) []int32 {
	return p.prog.selectRows(rows, sel)
}

// AggregateCall is a call of an aggregate found in an expression.
type AggregateCall struct {
	Name string           // such as "avg"
	Args []hcl.Expression // as written
	At   hcl.Range
	Text string // canonical text of the call: equal calls have equal texts
	// ArgTexts are the canonical texts of the arguments.
	ArgTexts []string
}

// SplitAggregates takes an expression over aggregates apart: it returns the
// calls of functions for which isAggregate is true, without repetition, in
// order of appearance, and the expression with call i replaced by a reference to the
// column "_agg{i}". A nested aggregate, or a column outside any
// aggregate that is neither in keys nor in also, is an error with a position. also
// are names with one value a window, such as its start.
func SplitAggregates(x hcl.Expression, isAggregate func(name string) bool, keys []string, also ...string) (hcl.Expression, []AggregateCall, hcl.Diagnostics) {
	return splitAggregates(x, isAggregate, keys, also)
}

// TypeName is the name of a type in HCL and in messages: number, integer, bool,
// string, timestamp, list(number).
func TypeName(t arrow.DataType) string { return typeName(t) }
