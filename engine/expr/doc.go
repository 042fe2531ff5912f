// Package expr compiles expressions, written in HCL's syntax, to typed programs
// that run over whole batches.
//
//	temp > setpoint + 3 && !door_open
//
//	hclsyntax tree --check--> nodes, each with a type --generate--> instructions --run--> column
//	                 names, types, constants folded        registers: a slice a value, a bit a null
//
// # Types
//
//	number     float64         integer    int64: + - * % of integers are integers, / is a number
//	bool                       string     UTF-8; compared bytewise; joined by templates, "${a}/${b}"
//	timestamp  us, UTC         list(T)    a column: list[0], length(list), contains(list, x)
//
// Timestamps: t - t is a number of seconds, t + 1.5 a timestamp; a string that
// is written beside one, as in ts > "2026-01-31", is a time.
//
// # Nulls
//
// As in SQL: what is computed from null is null; false && null is false; true ||
// null is true. x == null tests for null and is never null itself. What has no
// finite result is null: division by zero, overflow of a number or an integer,
// the root of -1, an element past the end of a list, a string that is no number,
// a text of more than 64 KiB. `where` and `when` take null for false.
//
// # Why does c ? a : b give null for a null condition, when SQL takes the else branch?
//
// Because temp > 5 ? "warm" : "cold" should not call a trailer cold that has no
// thermometer. Who wants otherwise writes coalesce(c, false).
//
// # Why is 3 an integer and also a number?
//
// HCL does not tell 3 from 3.0. A whole literal is an integer, and an integer is
// taken wherever a number is wanted.
//
// # Why are positions counted from 0, also in split_part?
//
// Because list[0] does, and one language should count in one way.
//
// # Why is "${n}" a string, when HCL itself would leave a number a number?
//
// Because a template that changes its type with its content is a surprise, and
// n alone is shorter.
//
// # Why is what is not finite looked for after a chain of + - * and not in each?
//
// An infinity or NaN that enters + - * or the left side of / comes out as one, so
// one look at the end finds exactly the rows that a look after each would.
//
// # Why are there no fused kernels, and no lazy && and ?:
//
// Over 1,024 rows an instruction's overhead is less than 0.02 ns a row, so one
// kernel an operator is near the machine's limit. Evaluating both sides always is
// safe, since everything here is total: no expression can fail, wait or loop.
//
// # Why may a time zone differ between machines?
//
// Zones come from the system's list, and from one in the binary where there is
// none. Rules for the past hardly change; UTC, the default, never does.
//
// Imports: flow
//
// Not here: which expressions a stage has (stages/), aggregates' states
// (stages/window), limits of size and nesting before the parser (config). Start
// with expr.go, the contract; then check.go, gen.go and machine.go in the order
// in which they work. Functions are listed in funcs_*.go, and shown with their
// results in testdata/*.test, which is also the manual.
package expr
