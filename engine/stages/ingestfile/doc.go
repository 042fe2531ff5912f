// Package ingestfile brings the records of files into a channel: the ingest "file".
//
//	ingest "file" "history" {
//	  to     = channel.telemetry
//	  path   = "telemetry.ndjson"  # or a list; * in the last part of a path stands for any names
//	  format = "ndjson"            # or "json", "csv", "hex", "base64"; told from the ending when left out
//	  follow = false               # wait for more at the end, through rotation and truncation
//	}
//
// ndjson is a record a line; empty lines are skipped and counted. json is one
// array, of which each element is a record, or one value after the other. csv
// (RFC 4180) gives an object a row, with the header's names: a cell that is a
// JSON number, true or false goes as it is unless the channel's schema makes
// the column a string; an empty cell is null; all else is a string. hex and base64 hold
// payloads that are no text, one a line, with its topic and a blank before it or none, as mosquitto_sub -F '%t %x'
// writes them; topic = "dt/{site}/{device}" makes columns of topics then, as in ingest "mqtt". gzip and zstd are
// known by their first bytes. A byte order mark at the start is left out.
//
// # What happens to what is no record?
//
// It is appended all the same, as a line of text that says what was found and
// where: a row with too many cells, a line over 64 MiB, an array that is not
// closed. No decoder takes it for a record, so it ends among the rejects,
// exactly once, with the text as its row and, behind "no record: " (decode.NoRecord), as its reason.
//
// # What happens to a file that cannot be read?
//
// It is told of, and tried again behind the others until it can be: one whose compressed data ends in the middle may still
// be on its way, and a header that names a column twice may be mended. Compressed data is looked at again when the file's size or time has changed. One that is followed is not taken for gone by that: when it can be
// read again, it goes on where it was.
//
// # How is a file known again after a restart?
//
// By its path and its first record; when it is followed, by the first
// record alone, since rotation renames files. (The header of a CSV file does not count: it is
// the same in all of them.) The journal remembers how far each was read. A file
// that is shorter than that, or that took the place of one with the same first
// record, is a new file. Switching follow on or off reads the files anew.
//
// Imports: flow, env, config, journal, decode, stage
//
// Not here: keys and partitions (run), decoding (decode). Start with args.go,
// then source.go.
package ingestfile
