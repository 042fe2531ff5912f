// Package dedupe is the stage that lets each row pass once:
//
//	dedupe "once" {
//	  by     = [device, seq]   # left out: rows that agree in all columns
//	  within = "1h"
//	}
//
// Two rows are the same when they agree in all columns of by and the second was received not more than
// within after the first. A row with a null among them cannot be compared, and passes. The times are those
// of the journal, made to rise from row to row, so that a replay forgets what was forgotten.
//
// # Why is there a dedupe of channels too?
//
// The channel's comes before everything else, and so it is for the whole channel. This one sees what other stages have
// made: rows that a rule let pass, columns that were computed.
//
// Imports: flow, config, expr, state, stage
//
// Not here: messages that a sender says it sends again (run/duplicates.go). Start with args.go.
package dedupe
