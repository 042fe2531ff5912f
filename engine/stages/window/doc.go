// Package window is the stage window "tumbling": aggregates over windows of
// equal length in event time, key by key.
//
//	window "tumbling" "five_min" {
//	  by    = [device]
//	  every = "5m"
//	  emit  = { temp_avg = avg(temp), temp_max = max(temp), n = count() }
//	}
//
// Out go the keys, window_start, window_end, the columns of emit, revision and
// final. A row belongs to the window with window_start <= _time < window_end.
//
// # When a window closes
//
// It closes when the watermark of its own key passes window_end + grace, and is then
// emitted with revision 0. The watermark is known from the rows (_mark) and,
// where a stage before has dropped rows, from Marks. A row acts at once. Marks
// act at the next clock tick: they come wherever a batch was cut, and a tick is
// where it is in the journal, so that what goes out, and in which order, does
// not depend on cuts.
//
//	late rows      up to keep after the close they change the window, and it is emitted again with
//	               revision + 1: once, when the key's watermark next moves, at the next tick or at
//	               the end, whichever is first. Later ones are counted (late_expired). With
//	               late = "side" they are rejects (late_side), with "drop" counted (late_dropped).
//	idle           a key from which nothing came for this long, by ticks, has its open windows emitted
//	               with final = false; when they close, they are emitted again.
//	end of input   all that is open is emitted, in order of window_start and then of group.
//
// If by lacks the channel's key (then the channel has one partition) windows
// close by the partition's watermark, the highest of its keys, and those of
// other groups than the row's at ticks.
//
// # What identifies an emitted row
//
// _offset, _index and _received are those of the latest row that is in it: no
// two windows share one. _time and _mark are its last microsecond: a window over
// windows closes by them, and by the same Marks. It takes revision 0 only. If it
// reads a window with a grace, its own grace should be as long.
//
// # State
//
//	table groups, a slot for each combination of by's values
//	  times i64*3  watermark told and not acted on | watermark when the first late row came | when something is due
//	  links u32*5  newest pane | oldest pane | panes open or changed | _slot | 1 once filled in
//
//	table panes, a slot for each window of a group, without a key
//	  cells i64*n  start | _offset | _received | _index | words of the accumulators, see acc.go
//	  links u32*5  older pane | newer pane | group | next revision | flags
//	  bytes        a column for each text, DDSketch and set of values
//
//	table clock, only without the channel's key
//	  marks i64*2  watermark of the partition | watermark told and not acted on
//
// Links to panes are slot + 1, and 0 is none. A pane lives until keep has passed.
//
// # Speed
//
// Process looks at each row's lane, 24 bytes that say whether the row belongs to
// the same pane as the one before and whether anything is due. Only when not,
// place() is called. Then each accumulator runs over the batch by itself.
//
// # Questions
//
// Why are aggregates blind to nulls? SQL. first and last skip them too: what
// people ask for is the last known value.
//
// Why is sum of integers exact, and null when it is no integer? It is kept in
// 128 bits, so that it does not depend on order; a wrong number would be worse than none.
//
// Why are numbers summed with a compensation? So that avg and sum agree with a
// batch over the same rows to 1e-9 whatever the order (Knuth's two-sum).
//
// Why is distinct exact up to 256 values? A HyperLogLog that starts out sparse
// converts at a moment that depends on when it was stored, and a restore would
// show. A small set depends on its values alone, and so does a dense HyperLogLog.
//
// Imports: flow, config, expr, state, stage
//
// Not here: what a row's watermark is (run), who takes revisions (run filters
// for those who take the first only). Start with args.go, window.go, panes.go.
package window
