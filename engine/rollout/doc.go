// Package rollout says which version of a plugin a device's rows get: the book of assignments, as it
// stands in the journal; what trials are measured by; and when one of them ends.
//
//	command, rollout block ──▶ run: the file of the book ──▶ control record ──▶ journal ──▶ tasks ──▶ stages
//	                               ▲                                                          │
//	                               └──── Guard.Broken, Guard.Baked ◀──── Meter ◀──────────────┘
//
// # Why is the whole book in every record?
//
// It is small, and a record that was written twice, or after others that were lost to
// a crash, changes nothing or all: a task takes the book with the greater number. What a
// trial leads to, its keyed state included, follows from the book before and the one after.
//
// # Why do meters not decide by themselves?
//
// Time is in them, and what is counted starts again with the process. What is decided
// from them becomes a record; a replay meets that, and looks at no meter.
//
// # Why is a device in a canary by its hash alone?
//
// So that it stays there when the share grows, on every machine and in every replay.
//
// # Which state does a rollback resume?
//
// That of a trial: the copy that the stable version has kept, as it was when the trial met the key; what the canary
// learned is dropped with it. After a promotion there is one copy, the promoted version's, and the version before goes on
// with that: it has seen all rows, and a copy of before would lack all since the trial began, of every device. A version before
// that cannot read this state is not gone back to; a rollback says so (modules.Store.GoesOn).
//
// # Why is there no rollout behind channels that stages feed?
//
// Which version a row gets is decided by where a control record stands before it, in the row's own partition. What
// stages feed has no such place: its rows come from many partitions, whose records stand at offsets of their own, and are
// put in order when they are read. Rows of before and after a swap would mix, and a replay with other ticks would mix them otherwise.
// validate refuses such a rollout; the plugin is put before the regrouping, or runs there in the one version of its block.
//
// # When do numbers differ in shadow?
//
// Where they are further apart than 1e-9 of the larger: rounding is no difference between versions.
//
// Imports: flow
//
// Not here: who writes books into the journal and decides from meters (run/rollouts.go), which module
// a digest is (modules), how rows are split by digest (stages/transformwasm). Start with book.go.
package rollout
