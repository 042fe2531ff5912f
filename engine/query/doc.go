// Package query runs SQL over the tables of the lake, with DuckDB.
//
//	Find      the tables as they are at this moment, each under a name          tables.go
//	Check     what a statement may be: one SELECT over tables, nothing else      check.go
//	Prune     which files of a table a statement can need                        prune.go
//	Run       one statement: wall, views, rows                                   duckdb.go, prepare.go
//	Printers  rows as a table, CSV, JSON, a plot                                 format.go, plot.go
//	Problem   what is wrong with a statement, where, and what would be right     problem.go
//
// DuckDB is C++ and linked only into binaries that are built with cgo and -tags
// duckdb, which make build does where there is a C compiler. All files but duckdb.go,
// prepare.go and values.go do without; Available tells which binary this is.
//
// # What keeps a statement from reading /etc/passwd?
//
// Two walls. DuckDB parses the statement and hands its tree out as JSON, and Check lets pass
// what is on its lists: one SELECT (also DESCRIBE, SUMMARIZE, SHOW TABLES, EXPLAIN), tables
// of the lake, table functions that touch nothing. Behind that DuckDB itself opens the
// files of the tables that the statement names and no others (allowed_paths, external access off,
// no extensions, configuration locked). Either would do; neither is trusted alone.
//
// # Why does each statement get a DuckDB of its own, in a process of its own?
//
// DuckDB's memory limit does not count everything: a list of 400 million numbers takes
// gigabytes under a limit of 256 MiB, and runs for minutes after it was interrupted. A
// process has limits that hold, can be ended at any moment, and takes no engine with it. A fresh
// database costs 20 ms and holds nothing of the statement before. The command starts
// these processes (cmd/tidemill); a Request is what they are told.
//
// # What of a lake in a bucket?
//
// This DuckDB speaks no HTTP. Files that a statement needs are fetched into a cache
// folder first, which has a limit; conditions on partition columns say which they are.
// Where they do not suffice the statement is refused before anything is fetched.
//
// # Which conditions prune files?
//
// Before DuckDB sees a list of files: conditions of a WHERE that hold for the table alone (prune.go).
// Of what is left DuckDB skips row groups and pages by their statistics. The
// latest view has to see all revisions of a row, so only DuckDB prunes there, by columns of the key.
//
// # Is what it shows consistent?
//
// A statement sees every table as its list was when the statement began. Files that are
// merged away meanwhile stay for the sink's grace period, 10 minutes by default; a statement
// that takes longer ends with an error that says so.
//
// Imports: env, config, objects, ledger, lake
//
// Not here: where processes are started and HTTP is answered (cmd/tidemill, admin).
// Start with request.go.
package query
