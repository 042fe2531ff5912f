// Package ledger keeps the list of the files that make up a table of the lake.
// The list is one object, replaced whole, and it is the truth: a file counts from the moment in
// which the list names it.
//
//	ROOT/_tidemill/NAME.json        the list (manifest.go)
//	ROOT/_tidemill/NAME.sql         views over the files that it names, for DuckDB
//	ROOT/_tidemill/merged/...       merged files that wait for their names (show.go)
//	ROOT/site=oslo/day=2026-01-31/NAME-LIFE.0-OFFSET.parquet
//
// A table has one writer, its sink:
//
//	Open      reads the list and claims it
//	Tidy      removes files that it does not name: of a crash between file and list
//	Publish   adds files and, in the same write, notes how far into its spool the sink has come,
//	          so that after a crash no row is there twice and none is missing
//	Compact   makes one file of many small ones of a partition; the list names it at once
//	Show      gives a merged file its name among the others, and removes those that it replaces
//	Retire    takes files off whose newest row is too old
//	Sweep     removes files that were taken off the list a while ago
//
// # How can files go while readers read?
//
// A reader takes the list once and reads what it names. Files that a new list no
// longer names stay for a grace period, ten minutes by default, and only then go. A
// reader of the list therefore sees the table as it was at one moment, however long it takes up to that.
//
// # What does a reader see that looks at the folder and not at the list?
//
// Whole files only, and every published row once, but for one moment. A merged file waits for the grace period where such a
// reader does not look: in a folder that begins with _, as Spark, Hive and pyarrow pass over, under a
// name that does not end in .parquet, as globs want it. Then it is written once more under its own name, and the small files
// go in the next breath: between one rename and some removals, a few milliseconds in a folder and a
// request each in S3, its rows are there twice. No file system can do both at once. Readers compare:
//
//	the list, tidemill query           one moment, exactly, for as long as the grace period
//	NAME.sql in DuckDB                 the same, as of when it was read
//	a glob over *.parquet              exact but for those milliseconds; a file that was found may be gone when it is
//	                                   opened, which is an error and no wrong answer; files that grew too old are seen for the
//	                                   grace period
//	all of these while no engine runs  a crash in those milliseconds leaves rows twice for the glob until the next start
//	a put that failed                  names that begin with _, and no reader's business
//
// # Why is a merged file written twice, and not linked or renamed?
//
// Its first name must stay for those who have read the list, and S3 has no links. It costs a copy of the
// bytes, not another encoding.
//
// # What is a life?
//
// Offsets of a spool begin at 0 again when the data folder is a new one. The list counts
// such lives, each notes its own in its data folder, and file names hold it. Who finds
// another life in the list than its own has been succeeded, and writes no more.
//
// Imports: env, objects, parquet
//
// Not here: what is in the files (stages/sinkparquet), who reads tables (lake).
// Start with manifest.go.
package ledger
