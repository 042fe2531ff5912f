// Package ledger keeps the list of the files that make up a table of the lake.
// The list is one object, replaced whole, and it is the truth: a file counts from the moment in
// which the list names it.
//
//	ROOT/_tidemill/NAME.json        the list (manifest.go)
//	ROOT/_tidemill/NAME.sql         views over the files that it names, for DuckDB
//	ROOT/site=oslo/day=2026-01-31/NAME-LIFE.0-OFFSET.parquet
//
// A table has one writer, its sink:
//
//	Open      reads the list and claims it
//	Tidy      removes files that it does not name: of a crash between file and list
//	Publish   adds files and, in the same write, notes how far into its spool the sink has come,
//	          so that after a crash no row is there twice and none is missing
//	Compact   makes one file of many small ones of a partition
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
// Whole files only, and every published row; but for the grace period after a
// compaction the rows of the small files twice. Such readers use the views in NAME.sql,
// a sink without compaction (compact = 0), or a quiet hour.
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
