// Package sinkparquet writes rows to a lake of Parquet files: the sink "parquet".
//
//	sink "parquet" "lake" {
//	  from         = rule.plausible
//	  path         = "lake"                # a folder, or "s3://bucket/prefix"
//	  partition_by = [site, day(ts)]       # site=oslo/day=2026-01-31/lake-1.0-00000000000000000042.parquet
//	  roll_rows    = 1000000               # files are written when so many rows have come,
//	  roll_bytes   = "128MiB"              # or so much is in memory,
//	  roll_age     = "5m"                  # or so long ago the first of them came, by ticks
//	  writers      = 256                   # or so many partitions are open
//	  compact      = 8                     # so many small files of a partition become one
//	  retention    = "90d"                 # files go when their newest row is older
//	  units        = { temp = "celsius" }
//	  key          = [device, window_start]  # what a revision revises, for the view of the latest
//	}
//
// How a row gets there:
//
//	spool ──▶ Write: which partition is it, keep the batch       sink.go, partition.go
//	          Write or Tick: enough, so publish                  publish.go
//	            for each partition: order its rows by key, encode, put
//	            then the list of files, with the place in the spool up to which all is in it (ledger)
//	          merge small files, drop old ones                   publish.go, ledger
//
// # Why are all open files closed at the same moment?
//
// Because the place in the spool from which everything has to come again after a crash
// is then one number, and no partition that gets a row a day holds the spool. What is cut small by
// that, compaction mends.
//
// # What if it crashes between a file and the list?
//
// The list does not name the file, so no reader of the list sees it. The same rows come again
// out of the spool, cut by the same ticks and limits into the same files with the
// same names and the same bytes.
//
// # What if the path changes?
//
// The sink keeps its spool: rows that have come and are in no file yet are written where it leads now, so that each is
// in the old table or in the new one. Only a crash between the last file at the old path and the checkpoint after it,
// with the path changed before the next start, leaves the rows of that file in both. A sink under another name is
// another sink.
//
// # Why does day(ts) give a date here, and in a rule the day of the month?
//
// Because a partition by the day of the month is never what is meant. year, month,
// day and hour of a time name the whole period in partition_by, as in Iceberg's transforms. Who wants the
// day of the month makes a column of it in a rule.
//
// # Why is a partition's column in the files too?
//
// So that a file is whole by itself, and costs nothing: a column with one value takes a few bytes.
//
// # What do readers see while small files are merged?
//
// Who reads the list, or asks tidemill query: nothing of it. Who looks for *.parquet: each row once, but for a few
// milliseconds at the end of the grace period. ledger/doc.go has it for each kind of reader.
//
// # Which plugins made a file's rows?
//
// The digests under "plugins" in its _tidemill entry: those that were assigned, by base or by rollout, when its records were
// received, of all plugins before the sink. Around a change that is both, since rows of one file may be from before and
// after. They follow from what the engine has decided and not from when the file is written, so that a file
// that is written again after a crash has the same.
//
// # In which order are the rows?
//
// By the channel's key, then as they came: a device's rows are side by side, so that
// a reader after one device skips nearly all pages, and neighbours differ little.
//
// Imports: flow, config, expr, objects, parquet, ledger, stage
//
// Not here: encodings (parquet), which files count (ledger), when a spool lets go (run),
// who reads (lake). Start with args.go.
package sinkparquet
