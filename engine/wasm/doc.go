// Package wasm is what is plugged in: it loads modules, meters and limits them, and runs
// them over batches of rows. sdk/ABI.md is the contract with the modules.
//
//	module -> ReadManifest   what it says of itself
//	       -> Host.Load      metered (meter/), its imports checked, compiled: a Plugin
//	       -> NewRunner      an instance for one partition, with its tables
//	       -> Runner.Run     a batch in, columns and rejects out
//
// A call, and who looks at what:
//
//	arrow columns --layout.go--> guest memory --run--> guest memory --result.go--> checked views
//	state tables  --keyed.go---/                                   \--output.go--> arrow columns
//
// # How can a row's fate not depend on its batch?
//
// A batch of many rows gets the fuel of a single row. If that does not suffice,
// or the guest fails in any other way, the batch is halved, down to a row alone in a fresh
// instance. So what passes in company would pass alone. How large batches are is
// learned from what rows cost, and decides about speed alone.
//
// # Is a guest's own refusal tried again in a fresh instance?
//
// Every one is, and what the row meets there, alone with its stored state, is its fate (alone.go). A second instance is
// kept for that, and with it what its memory and globals were when it had come to life; each time, memory is compared
// with that and put right where it differs. Alone on a machine, a refused row costs 6 us for a guest in C or
// AssemblyScript, 10 us in Rust and 170 us in Go, whose memory is 2.4 MB; where one row of a hundred is refused, and the rows between are
// processed twice for it, 25, 80, 45 and 250 us. A guest that refuses most of its rows is that much slower; rows of
// others wait no longer, since between two trials there is Go code, where the scheduler may stop. Where memory has grown
// an instance is made instead, and where tables or segments change (meter's kept.go), or memory is over 16 MiB, it also comes to life anew, which takes
// milliseconds in Go. In memory a partition may have two instances and the image of one, of at most 16 MiB.
// A guest that refused 64 rows which a fresh instance takes is told of (Evidence.ByClock), for a quarantine through the journal.
//
// # Why is a piece with refused rows processed again, and not repaired?
//
// What a refused row's key had in its state before the row is known only by stopping before the row. One way for all
// plugins is less to get wrong than a quicker one for those without state.
//
// # Why does the deadline not stop a call?
//
// A replay on another machine would take another time. Fuel stops a call; the deadline
// only tells somebody (Evidence.ByClock), who may write a quarantine into the journal.
//
// # Why is the count of failures in a table?
//
// Quarantine decides about rows, so it has to be the same in a replay and after a crash.
// The level moves row by row: batches do not show in it.
//
// # Why one runtime for each plugin?
//
// Limits of memory belong to wazero's runtime, and so do host modules, which here
// offer just what the module imports. The compiled code is shared by the cache.
//
// Imports: splitmix, env, flow, state, wasm/meter
//
// Not here: which digest runs where, the store of modules (later rooms), the stage (stages/transformwasm).
// Start with runner.go, then instance.go.
package wasm
