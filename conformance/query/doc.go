// Package query asks the real binary for SQL over lakes that the engine has
// written, also while it writes them, and attacks it. It is the one suite that links DuckDB.
//
//	testdata/script/*.txtar  command lines with what they print
//	testdata/hostile.txt     statements that must be refused, and why
//	hostile_test.go          they are, and leave no trace
//	writing_test.go          every answer is of one moment while an engine writes, merges and removes files
//	limits_test.go           memory, time, interrupts, a parent that dies
//	http_test.go             POST /v1/query of a running engine
//	bucket_test.go           a lake in S3 (a real versitygw): only what is needed is fetched
//
// The binary is kept as bin/tidemill-duckdb, so that it is linked again only after a change.
//
// Imports: conformance/ports, conformance/rig, simulate, parquet
//
// Not here: tests of what needs no DuckDB, which stand beside it (engine/query).
// Start with main_test.go.
package query
