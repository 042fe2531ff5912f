// Package sinkinfluxdb writes rows to InfluxDB: the sink "influxdb".
//
//	sink "influxdb" "hot" {
//	  from    = [rule.plausible, window.five_min]
//	  url     = "http://127.0.0.1:8086"
//	  org     = "haulier"              # version 2, and the same API of 1.8
//	  bucket  = "coldhaul"
//	  token   = env("INFLUX_TOKEN")
//	  enabled = var.influx_url != ""
//	}
//
//	sink "influxdb" "old" {
//	  from        = rule.plausible
//	  url         = "http://127.0.0.1:8086"
//	  database    = "coldhaul"         # version 1: /write
//	  measurement = "trailer_${site}"
//	  tags        = [device, site]     # or { trailer = device }
//	  fields      = { temp = temp, over = temp - setpoint }
//	  time        = ts
//	}
//
// # What is written of a row when nothing is said?
//
// measurement  the name of the stage that the row comes from, or of the channel
// tags         the channel's key, and the columns by which a window or an alarm has grouped
// fields       all other columns: numbers, integers, texts, bools; times as integers of
// .            nanoseconds; not the column that is the channel's time, and no lists
// time         window_start of a window's row, which a revision has too; else the row's event time
//
// # Why is delivery effectively once?
//
// To InfluxDB a point is its series and its time: the same point written twice
// is one point, and a revised window takes the place of the one before. After a crash, rows
// that were sent since the last checkpoint are sent again, in the same order, and
// end as they were. Two rows of one series and one time are one point too, the
// later one: what tells them apart has to be a tag.
//
// # Which answers mean what?
//
//	2xx                         taken
//	413                         too much at once: halves, until a single row is refused
//	422, and 400 with words     about the rows: those at fault are found by halves and
//	about lines or points       rejected with the server's words; all others are written
//	everything else, no answer  not the rows' fault: tried again after a pause that doubles up to
//	                            15 s, or the Retry-After (an hour at most), with rows in the spool, on disk
//
// Rows that the server took along with refused ones are written again with their half, which changes nothing.
//
// # Why is a 404 or another 400 not the rows' fault?
//
// A database that is not there yet, a token that ran out, a proxy's page would
// otherwise empty the spool into the rejects.
//
// # Why does one request wait for another?
//
// Order. Points of one series arrive in the order in which they were emitted, so the last
// revision is the one that stays.
//
// # When is gzip used?
//
// Unless the server is this machine: compressing costs several times what encoding
// does, and is worth it where bytes have a way to go. gzip = true or false decides otherwise.
//
// # What are too many series?
//
// A server's memory grows with its series, and a tag such as a sequence number makes every row
// one. The sink counts the series it writes (at most series_limit of them, then it stops counting)
// and reports at half of the limit and at the limit, naming the tag with the most
// values. It rejects nothing: what a row's fate is must not depend on when the process began.
//
// Imports: config, expr, flow, lineproto, stage
//
// Not here: the format (lineproto), retries and the spool (run). Start with args.go; layout.go
// makes points of rows, queue.go holds them, send.go talks to the server.
package sinkinfluxdb
