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
//	writer: checkpoint files
//
// # A checkpoint
//
// The coordinator asks for epoch e. Every task, between two blocks, copies
// what changed in its tables, notes its offset and puts a barrier on its lanes. Where much has changed it copies it by and by, beside
// blocks, and at the barrier only what changed since it was copied (copies.go). A sink
// that has met the barrier on all lanes prepares: what it wrote is durable and
// its token tells how to come back here. When all have answered, the writer, beside the clock, writes one file with offsets, tables and
// tokens, syncs and renames it; only then do sinks commit and may
// the journal forget. After a crash the newest whole checkpoint is the truth: sinks take back what they
// wrote since, tables are restored, and the journal is read on from the offsets.
//
// One checkpoint is under way at a time, from the request until old files are removed. The next one, a swap and a stop wait for it; ticks
// and rows do not.
//
// Tables that are written seldom (state.Decl.Seldom: the large models of detectors) are no part of that file, nor of full ones. Their deltas
// stand in files that many checkpoints go on writing to (seldom.go), are synced before the checkpoint that tells of them, and go a checkpoint after nothing in them is newest.
//
// A stage may have more to say of one tick than memory holds (stage.Paced). Then the task stands in the middle of the tick's
// block, gives its lanes a piece whenever they have room (pace.go), and meets the barrier when all is said: it would come behind these rows in any case.
//
// # Why does the next barrier not come while a checkpoint is written?
//
// Its snapshots would be what changed since one that may never be: if the disk refused that, the changes would have
// to be put together again. A checkpoint that takes longer than the interval is followed by the next at once.
//
// # What if a checkpoint cannot be read?
//
// One that is damaged is set aside, and the run goes on from the one before, for which the logs keep what it needs while its file stays
// (goback.go). Where they do not reach back that far, or the system fails to read a file that may be whole, the start is refused, and nothing changes.
//
// # Why does an interrupt not wait until everything is through?
//
// Because it need not: what is in the journal or in a spool is safe. The tasks
// stand still at a last barrier; its checkpoint is given ten seconds, deliverers
// two, and a sink that hangs in a call three, after which its context ends.
// Going without a last checkpoint costs time at the next start, never a row.
//
// # How do rows get from one channel's tasks to another's?
//
// Through a feed (feed.go): a sink whose log the tasks of the other channel read. Rows can be read once the
// checkpoint that holds them is durable, so a row is there exactly once, and none of an epoch that a crash undid.
// Every task that feeds tells of its ticks; the reader takes whole tick intervals in the order of lanes (merge.go). What
// comes out of that follows from the journals of the channels that ingests feed, and so a feed need not
// be kept for a replay. A row is late by up to a tick and a checkpoint for each channel that it passes.
//
// # Why does the reader put the lanes in order, and not the writer?
//
// The writer would hold back rows until the slowest task has met the tick, in memory and in every
// checkpoint. For the reader the log is what holds them back.
//
// # What holds up the channel's watermarks?
//
// Neither an idle device nor an idle partition: watermarks are by the channel's own key, from its rows, and ticks come
// through every lane also where no row does. A task that lags does, since its rows are still to come. Where rows of a key
// come from several tasks (plan.Channel.ByTick), its watermark moves at ticks, to the latest event time that all
// lanes have brought: a lane's whole interval comes before the next one's, and would be late otherwise. A row moves it no further than
// to when the row was received: devices share such a key, and one whose clock is ahead would close the others' windows. Watermarks that
// filtered rows moved do not pass a feed.
//
// # Why is a spool written that nobody reads?
//
// A sink that keeps up gets its rows from memory (spool_tail.go), once their checkpoint is durable. The
// checkpoint promises them: after a crash the journal is read on behind them, and the spool is all there is.
// A sink sees the same batches at the same places either way.
//
// # Where does a pipeline go on that was away?
//
// A partition that no task reads keeps its offset in every checkpoint, without
// tables, so that a pipeline that comes back to its channel writes no row twice.
// Nothing holds the journal for it meanwhile: what retention drops is reported.
//
// # Where does the state of a stage come from that means something else after an apply?
//
// From the journal, as far back as the stage looks (stage.Bound.Reach) and the journal reaches: rebuild.go. A window
// that closes after the swap holds what it would have held under the new configuration from the start; one that
// closed before was emitted once, by the old one, and is not emitted again. A late row of such a
// window emits its next revision, in the new form. A stage that was not there before begins with what comes.
// What pipelines feed is not kept to be read again: there state starts empty, and plan calls it lost.
// What was a duplicate when it came, by its packet or by the channel's dedupe, is one when it is read again: the checkpoint tells which
// were (repeats.go), though its other tables hold only what is newest. It tells of at least the latest 262,143 of a partition;
// what is further back is judged by what is read alone. Keys for which there was no room (max_keys) when their records came are refused once more.
//
// # When is the clock of a device corrected, and what can that not know?
//
// Where the channel's clock block asks for it: clock.go. A clock that is behind looks just like records that are all late by
// the same; only where what comes goes on as steadily as it was measured is its difference taken, so that a backlog
// counts for nothing. A gateway that delivers everything an hour late, at the pace of its devices, is taken for
// a clock an hour behind. The column that the record has its time in stays as it was sent; event time is what
// changes. Rows before the estimate, which takes ten of different seconds, are not corrected: far_future = "receive"
// keeps them from moving a watermark ahead.
//
// # What is a control record, and who writes one?
//
// Which version of a plugin runs where (rollout.Book), and what is said of devices (device.Change). Commands, the
// configuration and the coordinator decide (rollouts.go); the decision is durable in a file, then one record in
// the journal of each channel concerned stands at one offset in each of its partitions, and a task
// acts on it there (control.go), without waiting for others. A replay needs nothing but the
// journal and the modules.
//
// Imports: flow, env, config, expr, state, journal, mqtt, decode, device, rollout, modules, stage, plan
//
// Not here: what to run (plan), who asks (admin, cmd). Start with engine.go.
package run
