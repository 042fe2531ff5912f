// Package hostile runs modules that mean harm: the engine never dies of one, memory and
// pauses stay bounded, and every offence ends in rejects or quarantine with its cause.
//
//	liar_test.go   one guest that behaves until it meets a certain row (testdata/liar.c)
//	load_test.go   modules that are refused, or fail, before the first row; put together byte by byte
//	pause_test.go  what a looping guest does to the collector's pauses
//	beside_test.go what offenders do to the batch times of a well-behaved plugin
//
// On a quiet machine, both without allowance:
//
//	TIDEMILL_QUIET=1 go test -run 'Pauses|Beside' -v ./conformance/plugins/hostile
//
// Imports: nothing
//
// Not here: the rewriter's own tests (engine/wasm/meter).
package hostile
