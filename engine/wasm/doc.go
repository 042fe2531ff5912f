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
// The refusals that count as samples are: the first, second, fourth and so on of a plugin in a partition, and
// every 16,384th (faults.go). Trying each would cost a row that is refused an instance, which is milliseconds for a guest in
// Go. A refusal that does not stand gives the row back and has the next 4,096 refusals tried, every one;
// the 64th is told (Evidence.ByClock), for a quarantine through the journal.
// Which refusals those are is counted in a table: it is the same in a replay.
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
// Imports: env, flow, state, wasm/meter
//
// Not here: which digest runs where, the store of modules (later rooms), the stage (stages/transformwasm).
// Start with runner.go, then instance.go.
package wasm
