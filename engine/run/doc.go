// Package run runs a plan: tasks, sinks, checkpoints, swap.
//
// Everything that moves is an Actor whose Step does a bounded piece of work
// and never waits, so that the same code runs under goroutines (drive.go) and
// under a seed that decides who moves next (conformance/sim).
//
//	source ──Append──▶ journal ◀──Flush── flusher
//	                     │ blocks
//	                     ▼
//	     task (one a channel partition): decode ─▶ time, key ─▶ stages ─▶ lanes
//	                                                                        │ rows, barriers
//	                                                                        ▼
//	                                            sink (one each): Write, Prepare, Commit
//	                                                or a spool, and a deliverer behind it
//
//	coordinator: clock ticks into the journal; barriers; checkpoints; swaps
//
// # A checkpoint
//
// The coordinator asks for epoch e. Every task, between two blocks, copies
// what changed in its tables, notes its offset and puts a barrier on its lanes. A sink
// that has met the barrier on all lanes prepares: what it wrote is durable and
// its token tells how to come back here. When all have answered, one file with offsets, tables and
// tokens is written, synced and renamed; only then do sinks commit and may
// the journal forget. After a crash the newest whole checkpoint is the truth: sinks take back what they
// wrote since, tables are restored, and the journal is read on from the offsets.
//
// # Why does an interrupt not wait until everything is through?
//
// Because it need not: what is in the journal or in a spool is safe. The tasks
// stand still at a last barrier; its checkpoint is given ten seconds, deliverers
// two, and a sink that hangs in a call three, after which its context ends.
// Going without a last checkpoint costs time at the next start, never a row.
//
// # Where does a pipeline go on that was away?
//
// A partition that no task reads keeps its offset in every checkpoint, without
// tables, so that a pipeline that comes back to its channel writes no row twice.
// Nothing holds the journal for it meanwhile: what retention drops is reported.
//
// Imports: flow, env, config, expr, state, journal, decode, mqtt, stage, plan
//
// Not here: what to run (plan), who asks (admin, cmd). Start with engine.go.
package run
