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
// Imports: flow
//
// Not here: who writes books into the journal and decides from meters (run/rollouts.go), which module
// a digest is (modules), how rows are split by digest (stages/transformwasm). Start with book.go.
package rollout
