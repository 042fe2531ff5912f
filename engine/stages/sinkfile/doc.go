// Package sinkfile is where rows leave as text: the sinks "file" and "stdout".
//
//	sink "file" "averages" {
//	  from   = window.five_min
//	  path   = "averages.ndjson"   # from the folder of the configuration
//	  format = "ndjson"            # or "csv"; from the ending when left out
//	  meta   = false               # also write _offset, _time and so on
//	  append = false               # go on behind what a file of another run holds
//	}
//
//	sink "stdout" "show" {
//	  from   = alarm.too_warm
//	  format = "table"             # or "ndjson", "csv"
//	}
//
// A file is transactional: it is cut back to its committed length on recovery,
// so it never holds a row twice. stdout is at least once. A table shows twelve digits of a number; ndjson and csv have them all.
//
// # Whose is a file that is there already?
//
// A file that holds something, and of which no checkpoint knows, was made by
// somebody else: the sink refuses to touch it unless append is set. To know its
// own uncommitted rows after a crash before the first checkpoint, the sink
// leaves a note beside the file, PATH.uncommitted, that says how long the file
// was when the run began; the first commit removes it.
//
// A committed file that is gone was moved away: the sink starts a new one. One
// that is shorter than what was committed is an error, because rows are missing.
//
// # What does CSV do when columns change?
//
// A header stands where the columns change: at the start, and, behind an empty
// line, where rows with other columns begin. Inputs that differ are refused
// when the configuration is read; rejects and learned columns can still do it.
//
// Imports: flow, env, config, stage
//
// Not here: the JSON encoder (flow), when rows are committed (run). Start with
// args.go.
package sinkfile
