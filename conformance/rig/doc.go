// Package rig runs the real binary for tests that treat it badly: it builds it
// once, gives it a folder with a pipeline and a fleet's records, starts it,
// kills it, and compares what it wrote with what an undisturbed run writes.
//
//	Work folder:  work.hcl  input.ndjson  out/{rows,windows,alarms,rejects}.ndjson  .tidemill/
//
// The pipeline (work.hcl here) has rules, a window that revises, an alarm and
// rejects, a checkpoint every 100 ms, and a sink to standard output, which goes
// through a spool. Work.Change writes another one that means the same, for swaps.
//
// # Why are some members of rejects not compared?
//
// When a record was received, and which offset it got among the clock's ticks,
// is the run's own. Everything else must be equal, byte for byte, in any order.
//
// Imports: env, simulate
//
// Not here: what is done to the binary (crash, forget). Start with work.go.
package rig
