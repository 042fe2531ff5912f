// Package pipelines runs the tests that stand beside the pipelines of this
// repository, as `tidemill test` does. Those that say long = true run with
// TIDEMILL_SOAK=1. Each folder below pipelines/ must have tests.
//
// Imports: nothing
package pipelines
