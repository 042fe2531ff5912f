// Package lake is the reading side of the tables that the sink "parquet" writes.
//
//	Find      the tables of a configuration, or of a folder
//	Table     a table as it is at one moment: files, columns, partitions, the SQL of its views
//	Local     its files as paths, fetched into a folder where they stand in a bucket
//	Verify    every file against the list: there, whole, as it was published
//
// A Table is a snapshot: the files it names stay for the sink's grace period after
// they are replaced, so that a query over it sees neither half of a merge.
//
// Imports: env, objects, parquet, ledger, plan
//
// Not here: how files are written and merged (stages/sinkparquet, ledger), running
// SQL (whoever has an engine for it). Start with lake.go.
package lake
