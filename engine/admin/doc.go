// Package admin is how one looks at a running engine and tells it things: a
// control socket in its data folder, DATA/control.sock, with mode 0600. Whoever
// may write to the folder as the engine's user may change what runs; nobody else
// comes in. HTTP with JSON is spoken over it:
//
//	GET  /v1/status   -> run.Status
//	POST /v1/apply    ApplyRequest -> ApplyReply
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
// # What if the path of the socket is too long?
//
// The kernel takes about 100 bytes. Longer ones are reached through a descriptor
// of the folder, /proc/self/fd/N/control.sock, where the system has that.
//
// Imports: flow, env, config, stage, plan, run
//
// Not here: what an engine does with a plan (run), how it looks (cmd). Start
// with server.go.
package admin
