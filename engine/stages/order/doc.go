// Package order is the stage that puts the rows of each key into the order of their event times:
//
//	order "in_time" {
//	  bound = "30s"      # how far behind its key's watermark a row may be
//	}
//
// A row waits until its key's watermark is bound past its time, so that all that may come before it
// has come; then the rows go out by event time, and those of one time as they came. A row that is later than that is
// late: it goes to rejects, or on as it is, or nowhere. Where nothing comes of a key for wait of the journal's time,
// its rows go out as they are. Stages behind are told of watermarks bound later (stage.Bound.Lag).
//
//	keys: one a _slot     head ──▶ row ◀──▶ row ◀──▶ row ◀── tail      by event time
//	rows: one a row that waits, with its columns
//
// Imports: flow, config, state, stage, carry
//
// Not here: order among keys, which nothing needs. Start with args.go.
package order
