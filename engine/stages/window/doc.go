// Package window is the windows: aggregates over rows of a key that belong
// together.
//
//	window "tumbling" "five_min" {
//	  by    = [device]
//	  every = "5m"
//	  emit  = { temp_avg = avg(temp), temp_max = max(temp), n = count() }
//	}
//
//	tumbling   equal lengths in event time: every
//	sliding    equal lengths that overlap: size, a new one every step (every); see sliding.go
//	session    rows without a gap between them: gap; see session.go
//	count      a number of rows in the order in which they come: size; see run.go
//	state      as long as a condition holds: while; see run.go
//
// Out go the keys, window_start, window_end, the columns of emit, revision and
// final; before window_start the number of a count window, and behind window_end the duration of a
// session (from its first row to its last) or state, in seconds. A row belongs to a tumbling or sliding window
// with window_start <= _time < window_end. A session ends a gap behind its last row, a state with the first row
// for which the condition is false, and a count window with the latest event time of its rows.
//
// # When a window closes
//
// It closes when the watermark of its own key passes window_end + grace, and is then
// emitted with revision 0. The watermark is known from the rows (_mark) and,
// where a stage before has dropped rows, from Marks. A row acts at once. Marks
// act at the next clock tick: they come wherever a batch was cut, and a tick is
// where it is in the journal, so that what goes out, and in which order, does
// not depend on cuts. Groups that are due at one tick go out in the order of their slots.
// A group gets the lowest that is free, in the order of rows, also if the row is
// refused, and slots become free at ticks, or at a row that finds the table of groups full (room.go).
//
//	late rows      up to keep after the close they change the window, and it is emitted again with
//	               revision + 1: once, when the key's watermark next moves, at the next tick or at
//	               the end, whichever is first. Later ones are counted (late_expired). With
//	               late = "side" they are rejects (late_side), with "drop" counted (late_dropped).
//	idle           a key from which nothing came for this long, by ticks, has its open windows emitted
//	               with final = false; when they close, they are emitted again.
//	early          every so often, by ticks, open windows that have changed are emitted with final = false.
//	having         lets a window out once it is true of it; what was let out is let out again when it changes,
//	               so that nothing stale stays behind. Revisions count what was let out, held_back what was not.
//	end of input   all that is open is emitted, in order of window_start and then of group.
//
// Many windows may close at once: at the end, or when the watermark jumps. They are emitted in pieces of some 8,000, each when
// those who take them have room (stage.Paced), so that memory does not grow with them. A sliding window makes no
// pane for a step without rows but for a second revision, or with having; panes and their suffixes are what a limit holds down (maxPaneBytes).
// What a sliding window has to revise at the end it emits before all that is open.
//
// Late rows of a sliding window count in those of its windows that are open in any case. Of idle and
// early only the sliding window that closes next is emitted. Count and state windows close with a row and not with
// a watermark: they have no grace, and what is late does not concern a count. A state window's clock is the latest row of
// the key for which the condition is true or false. Rows that are older are rejects (late = "side", the default) or counted ("drop"). With "revise" they
// change what they would have changed in time, if they are less than keep older: a state gets a row more, begins earlier, ends earlier or is
// divided. What has changed is emitted again with revision + 1 at the next tick or at the end, once however many rows came; a state that is not there
// any more is emitted without rows, ending where it begins. In the end all is as if rows had come in order of time, and those of a
// moment in order of arrival (runs.go). The row of a clock that is further ahead than its channel's "ahead" is taken for one that is as
// much ahead, or all that come behind it would be late. max_rows shortens keep for a key that has more rows in it, down to seven eighths of them.
//
// If by lacks the channel's key and the channel has one partition, windows
// close by the partition's watermark, the highest of its keys, and those of
// other groups than the row's at ticks.
//
// # Rows of several partitions
//
// If the channel has several, their rows of a group come together behind a channel of the engine's own, which is keyed by the
// first column of by: its watermark is the latest event time that any device has brought up to a tick, a clock that is
// ahead counting as the moment of receipt. A device or a partition from which nothing comes holds nobody up; what comes late revises.
// Tumbling and sliding windows, and sessions with a grace, send parts of windows there, and not rows: phases.go draws it. What
// comes out is the same, and phases = 1 asks for rows. Counts and states need the rows, and so do sessions with early or idle. With late = "side" rows that
// are received after the end of their window and its grace go one by one, and rows of sessions, whatever becomes of late ones, that are received
// a grace behind their own time, so that history read from a file costs less with phases = 1.
//
// # What identifies an emitted row
//
// _offset, _index and _received are those of the latest row that is in it: no
// two windows share one. _time and _mark are its last microsecond: a window over
// windows closes by them, and by the same Marks. If it reads a window with a grace, its own grace should be as long.
//
// # Windows over windows
//
// Of a row that comes again with another revision, the first is counted (revisions = "first"; the engine lets no other in), or
// else the latest, in the place of the one before (revisions = "latest"; latest.go): an hour of five minutes whose minutes
// are revised is emitted again, and in the end is what a batch over all rows would give. That takes
//
//	a window "tumbling" or "sliding" that reads windows of these kinds, directly or through rules and channels: their rows
//	keep their time, and are told by their keys and window_start. Sessions, counts and states move their ends, and having
//	lets out again what is not true of it any more.
//	rules between that let all revisions of a row through or none: where looks at keys and window_start alone; or an enrich
//	that leaves no row out
//	channels that one stage feeds, without a time of their own, by a key that no revision changes
//	a keep as long as that of the window before (plan warns), and memory for its rows: some 190 bytes each (plan counts them)
//
// Where it cannot be had, plan says why. Over a channel that others feed, which may be other people, one of the two must be written.
//
// # State
//
//	table groups, a slot for each combination of by's values
//	  times i64*3  watermark told and not acted on | watermark when the first late row came | when something is due
//	        i64*3  (all but tumbling) sliding, and with revisions = "latest": watermark acted on
//	               count: next number | rows of the open window
//	               state: latest row | start of the newest window | revision of one that starts there too
//	  links u32*5  newest pane | oldest pane | panes open or changed | _slot | 1 once filled in
//
//	table panes, a slot for each window of a group, without a key
//	  cells i64*n  start | _offset | _received | _index | words of the accumulators, see acc.go
//	               (session, count, state) between _index and the words: end | last row or number
//	  links u32*5  older pane | newer pane | group | next revision | flags, and from bit 8 on: windows behind it without a pane (sliding)
//	  bytes        a column for each text, DDSketch and set of values
//
//	table clock, only without the channel's key
//	  marks i64*2  watermark of the partition | watermark told and not acted on
//
//	(the tables of the first of two phases: phases.go)
//
//	table rows, only of a state window that revises: history.go
//
//	table early, only with early
//	  period i64   in which windows were last emitted early
//
//	table rows, only with revisions = "latest": latest.go
//
// Links to panes are slot + 1, and 0 is none. A pane lives until keep has passed.
//
// # Speed
//
// Process looks at each row's lane, 32 bytes that say whether the row belongs to
// the same pane as the one before and whether anything is due. Only when not, and then for a run of rows, roll() opens
// the next window of a group that has nothing else to do, in the oldest pane of which nothing is needed any more, and place()
// does whatever there is. A sliding window's groups that have been regular for long go round in rings of panes, without a look at links (ring.go), and the rows of those
// of whom one mean is asked for are made as they are merged (ringrows.go). Then each
// accumulator runs over the batch by itself. Results are made some hundred rows at a time, right behind the merging of their words: one pass over
// these for what all windows have (frame), means beside it, and a loop for each other aggregate. A look at a pane is what costs, and each window has
// twelve columns. Where a pane begins with a sum its words are found by slot, with one comparison and without a slice of a slice (slots.go).
//
// # Questions
//
// Why is a ring no state of its own, and why are links behind at all? Late rows, gaps, ticks and revisions need panes in any order, which links
// give; a group that needs none of it pays for them with every window. The tables that a checkpoint holds are the same for both, so that a
// restart or a swap finds links, and rings come again after a while.
//
// Why do the panes of a key not stand side by side? Devices report in turn, more or less: what stands side by side is what is
// read one after the other. Runs of eight panes a key made sliding windows a third slower.
//
// Why are parts not held back until a partition's own watermark passes the window? Others would wait for a partition that has
// fallen silent, or not and revise each window once for every partition. The journal's ticks are the same in
// all partitions, and no watermark of a group is ahead of them: by them all parts leave before any window closes.
//
// Why does a part of a session leave so early, a grace behind its first row? A row just before it, in another partition, may end a session then.
// Rows that come when such a session may have ended go alone, in their order: whether one is late may depend on another that came before it.
//
// Why are sessions without a grace made in one phase? Every row that comes after its own time would go alone, and that costs twice what a row does.
//
// Why may first and last tell otherwise in two phases? Only of rows of the same moment in different partitions:
// in one phase the earlier tick counts and then the lower partition, in two the part that left first, and then the lower partition.
// Either is the same whenever the same records come again. So it is with collect, argmin and argmax, and with what time_avg, increase and topk take of more
// values than they have room for.
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
// Why is a session that is part of another emitted once more, without rows? A sink that is
// idempotent by key and window_start would keep what is not true any more. With late = "side" or "drop" a session
// that was closed is forgotten, and another may begin at the same moment. With "revise" it is so once keep has passed: a row
// that is near such a session, and in time for one of its own, is in that, which may begin before the other ends. Whoever would have sessions that never overlap
// chooses a keep that is longer than rows are late.
//
// Why are accumulators made anew for a revised row, and the former value is not taken out of them? It cannot be taken out of
// a minimum, a percentile or what is distinct, and out of a sum of floats only nearly. It is done when the window is emitted, once
// however many of its rows were revised.
//
// Why is revisions = "first" the default? It needs no memory for rows, and windows over a fleet need it for two phases.
//
// Why is late = "side" a state window's default, and not "revise"? A late row may divide what was one state, and what the rows
// behind it gave cannot be taken out of an average. It takes the rows, each of them for as long as keep: plan counts a row of each key
// every half a minute, and a state every five.
//
// Why does a state not revise when the next row of its key comes, as a tumbling window does? Each revision makes it anew from its rows. A
// device that comes back brings hours between its live rows, and a state of hours would be made anew with each of them.
//
// Why do the parts of a divided state not share its revisions? A window is told by its keys and its start. The first part starts where the whole did and
// goes on with its revisions, the other begins with 0, or goes on where a state that was taken back began then. It may show the place (_offset) that the whole
// has shown: that of the latest row that is in it now.
//
// Why does time_avg begin with the first row of a window, and not with the value before? That value is another
// window's, which may still change. For the same reason it ends with the last row, whose value has no weight by itself: how long it held is not known yet.
//
// Why does increase leave out the rise from the window before? For the same reason. What a counter counted between its latest value and
// its restart nobody knows, so that a restart counts from 0 (Prometheus does it so, but also stretches the sum over the whole window; this
// sums what was seen). delta and rate take a meter's restart for a fall: they are for what may fall.
//
// Why does percentile say something that is no value? A DDSketch says what is within 1 % of one: of n values in order that of number
// p/100*n, rounded up. Of five values the 99th percentile is the highest. topk
// is exact up to 10 k different values of a window, at least 100, and then Space-Saving (series.go).
//
// Imports: flow, config, expr, state, stage, carry
//
// Not here: what a row's watermark is (run), who takes revisions (run filters
// for those who take the first only). Start with kinds.go, args.go,
// window.go, panes.go, for sliding windows sliding.go, spans.go, ring.go, for two phases phases.go, parts.go, lone.go, for late rows of states runs.go; oracle_test.go has the meaning in few lines.
package window
