// Package ingesthttp lets devices and services post records: the ingest "http".
//
//	ingest "http" "gateways" {
//	  to       = channel.telemetry
//	  listen   = "127.0.0.1:8080"
//	  path     = "/telemetry"                        # "/" when left out
//	  tokens   = { gateway_7 = env("GATEWAY_7") }    # Authorization: Bearer ...
//	  users    = { kiel = env("KIEL_PASSWORD") }     # Authorization: Basic ...
//	  max_body = "4MiB"                              # unpacked
//	  tls {
//	    cert      = "server.pem"
//	    key       = "server.key"
//	    client_ca = "devices.pem"                    # clients show a certificate of this CA
//	  }
//	}
//
// A body is one JSON value, values one after the other (NDJSON), or an array of
// which each element is a record; gzip is unpacked. Where a plugin decodes the channel (decode = plugin.x), a body
// is one record as it came, whatever its Content-Type. A request is taken whole or
// not at all. The answers, all in JSON:
//
//	200  {"accepted": 3}: these records are on disk
//	400  the body is not JSON, or the Idempotency-Key makes no sense: do not send it again
//	401  no valid token, password or certificate
//	403  the request comes from a web page of another origin
//	404, 405  another path, another method
//	413  more bytes or records than a request may have
//	415  another Content-Type or Content-Encoding
//	422  the Idempotency-Key has been used for another body
//	429  too much at a time; send it again after Retry-After seconds
//	503  it is not known to be on disk; send it again after Retry-After seconds
//	507  the disk, or the channel's byte limit, is full; likewise
//
// All but 200 are {"error": what was found, "right": what would be right}.
//
// # What does an Idempotency-Key do?
//
// A request that repeats the key of an earlier one of the same sender gets the
// same answer and appends nothing, for keys_for after the first (10 minutes when
// left out), and for the latest 100,000 keys. Without a key, a client that sends again
// what was answered with 503, or with nothing, may bring its records twice.
//
// The key lives in the journal, with the records, as their topic:
//
//	$http/INGEST/RECORDS/SUM/KEY
//
// RECORDS is how many records the request held and SUM 16 hexadecimal digits of
// the SHA-256 of its unpacked body. After a restart the source looks back at the records of
// the last keys_for and so knows every key again; requests with a key wait for that. A
// crash may have kept a part of a request that was never acknowledged: as the source
// appends under a position, the journal keeps of every partition a beginning, so
// that when the request comes again just the rest is appended.
//
// # Why is a busy engine no reason to wait?
//
// A file waits when the tasks are behind; a device cannot. The journal takes what
// comes until the disk or its byte limit is full: that is what it is for.
//
// # Why does a web page not get in?
//
// A page in a browser on this machine could post to a listener that trusts the
// machine. Content types that a page may send unasked are refused, and so are requests of another
// origin, and where no sender is known, those for a host that is not this one.
//
// Imports: config, env, journal, stage
//
// Not here: partitions and decoding (run, decode), when a group is committed
// (run). Start with args.go, then source.go and request.go.
package ingesthttp
