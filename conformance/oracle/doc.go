// Package oracle asks DuckDB what the windows of the shipped pipelines should
// hold, and compares row by row with what the real binary wrote. Each *.sql file
// computes one output file from the pipeline's own input.
//
// `npm ci` in this folder installs DuckDB; `make test` does that.
//
// Imports: rig, simulate
//
// Not here: the pipelines (pipelines/). Start with oracle_test.go.
package oracle
