// Package sinkhttp sends rows to a web server: the sink "http", a webhook.
//
//	sink "http" "page" {
//	  from    = alarm.too_warm
//	  url     = "https://example.com/hooks/alarms"
//	  headers = { Authorization = env("HOOK_TOKEN") }
//	  body    = { text = "Trailer ${device} is too warm", severity = severity }   # the row as JSON when left out
//	  secret  = env("HOOK_SECRET")     # signs: X-Signature-256: sha256=HEX
//	}
//
//	sink "http" "collect" {
//	  from       = window.five_min
//	  url        = "https://example.com/rows"
//	  batch_rows = 500                 # an array; "ndjson": a row a line
//	  format     = "ndjson"
//	}
//
// body is an object of expressions, or a text: body = "${device} ${temp}".
//
// # Which answers mean what?
//
// 2xx: taken. 400, 409, 410, 413, 414, 415, 422 and such: the server does not
// want these rows. A request of many is cut in halves until the row at fault is
// alone; that one is rejected with the server's words. Everything else (401, 403, 404,
// 405, 407, 408, 421, 423 to 426, 428, 429, redirects, 5xx, no answer): not the row's fault. The
// engine tries again with growing pauses, which begin anew with each request that is taken, and not before the time that a
// Retry-After names (an hour at most); rows wait in the spool, on disk.
//
// # Why is a 403 or 404 not the row's fault?
//
// Because then a token that ran out, or a server that is being deployed, would
// empty the spool into the rejects.
//
// # How can the receiver know a row that comes twice?
//
// After a crash, rows of the last moments are sent again, in the same requests.
// Each carries an Idempotency-Key that is the same whenever the request comes again, and
// another for every other request: 32 hexadecimal digits of the SHA-256 of the
// sink's address, the place of its rows in the spool, the numbers of the rows
// there, when the first was received, and the body.
//
// # How long does a row wait for company?
//
// Rows come to a sink with each checkpoint (engine { checkpoint = "1s" }), in the
// batches that the stages made; batch_rows and batch_bytes only cut these. A sink that held rows back
// for longer would have to keep them somewhere; the spool is where they are kept.
//
// Imports: config, flow, stage
//
// Not here: retries and the spool (run), JSON (flow). Start with args.go, then
// sink.go.
package sinkhttp
