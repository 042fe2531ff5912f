// Package admin is how one looks at a running engine and tells it things: a
// control socket in its data folder, DATA/control.sock, with mode 0600. Whoever
// may write to the folder as the engine's user may change what runs; nobody else
// comes in. HTTP with JSON is spoken over it:
//
//	GET  /v1/status      -> run.Status
//	GET  /v1/pipelines   -> Pipelines: the plan, and the status
//	GET  /v1/devices     -> last seen, records, rejects and skew of each key of a channel, also of before a restart, page by page
//	GET  /v1/taps        -> the edges that can be tapped
//	GET  /v1/taps/EDGE   -> the rows that pass, as server-sent events
//	GET  /healthz        -> 200 while the process answers
//	GET  /readyz         -> Ready, with 503 when it is not: it stops, a channel waits for room on its disk, or no checkpoint comes
//	GET  /metrics        -> Prometheus, text format 0.0.4
//	POST /v1/query       QueryRequest -> rows of the lake, in the format that it asks for
//	GET  /v1/rollouts    -> Rollouts: which versions of plugins run where; /history, /diff: what differed in shadow
//	GET  /v1/registry    -> Registry: devices and their attributes
//	POST /v1/apply       ApplyRequest -> ApplyReply
//	POST /v1/rollouts    run.RolloutCommand -> Rollouts
//	POST /v1/registry    Registry -> Registry
//
// The same, but for apply, is shown by HTTP where the engine block says so, or
// run --admin: engine { admin = "127.0.0.1:9464" }. Everybody on the machine can
// then read the rows; beyond the machine it takes admin_insecure = true. A
// change of admin counts from the next start.
//
// An apply comes in two steps, so that a person sees what would change before it
// does: the first has preview set and changes nothing; the second repeats
// the digest of what was shown, and is refused when the files differ by then.
//
// # Why does the engine read the folder, and not the command?
//
// env("NAME") and TIDEMILL_VAR_* mean the engine's environment, also after a
// change, and its secrets need not be known to whoever applies.
//
// # What does a tap cost?
//
// An atomic load a batch while nobody looks. While somebody does, batches wait in a queue of
// 16 and are written on the looker's own goroutine; what does not fit is counted, told in an
// event "missed", and holds nobody up. A looker who takes nothing for 10 seconds is cut.
//
// # Why is there no password?
//
// A listener that is off by default, shows only, and takes no one from outside
// needs none; in front of an open one belongs a proxy that asks for one. Requests for
// another host's name are refused, so that no web page reads along.
//
// # What if the path of the socket is too long?
//
// The kernel takes about 100 bytes. Longer ones are reached through a descriptor
// of the folder, /proc/self/fd/N/control.sock, where the system has that.
//
// # Why may a web page not ask for rows of the lake?
//
// A statement costs memory and time even when its answer cannot be read. So /v1/query takes
// application/json only, for which a browser asks first, and is refused. Two statements run at a
// time, each in a process of its own with limits, behind the engine in the system's order; an answer
// that is cut off ends the connection, and a document says what went wrong in its last line.
// The trailer Tidemill-Summary says whether there were more rows.
//
// Imports: device, flow, env, config, stage, plan, run, query
//
// Not here: what an engine does with a plan (run), how it looks (cmd). Start
// with server.go; look.go lists what is shown; metrics.go, tap.go and query.go how.
package admin
