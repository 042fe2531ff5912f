// Package join is the stages that bring rows of two inputs together:
//
//	join "interval" "trips" {
//	  from   = [rule.door, channel.engine]
//	  by     = [device]             # with = [id], if the second input calls it so
//	  before = "5m"                 # the second input's row may be so much earlier,
//	  after  = "1m"                 # or so much later
//	  rows   = "left"               # default: inner
//	  take   = { rpm = data.rpm }
//	}
//
//	join "latest" "limits" {
//	  from    = [rule.plausible, channel.limits]
//	  by      = [device]
//	  take    = { limit = max, set_at = ts }
//	  missing = "reject"
//	}
//
// # interval
//
// Rows l and r are a pair if they agree in by and with, r.time is from l.time - before to
// l.time + after, and neither is late: behind the watermark of its own key in its own input by more than grace.
// Which pairs there are does not depend on the order in which inputs arrive. A row waits until the other
// input's watermark says that no partner can come, and, where that input is silent, for `wait` of the journal's time.
//
//	groups: one a key      head ──▶ row ◀──▶ row ◀──▶ row ◀── tail      of each input, by event time
//	rows:   one a row that waits, with what is kept of it (kept.go)
//
// Pairs are gathered as numbers and made into columns when the batch ends (pairs.go): a loop over
// one column costs less than a look at each column for every pair.
//
// # latest
//
// A row gets what the view has when it arrives; rows of the view that are older in event time than
// what is there change nothing; one that is further ahead than its channel's "ahead" counts as as much ahead. A row of the view that comes later changes no row that has passed.
//
// # Which place does a pair have?
//
// The _offset of the row that came second, which made it, and _index * 4096 + the number of the pair: so
// sinks tell pairs apart. A row without partner has its own _offset and the number 4095. The
// time is that of the first input's row.
//
// # What about revised rows?
//
// interval takes revision 0, or, with revisions = "all", each revision as a row of its own: pairs that are out are never taken
// back. latest passes revisions of its first input on, and of its second takes each as newer than the one before.
//
// # Why are rows of one channel put in order first?
//
// Two rules over one channel see a whole block each, one after the other. What a row finds would depend on the
// length of blocks, so rows wait until both have seen the block (pending.go).
//
// # Why does an inner join not keep the columns of by?
//
// The row that comes second has the same values, and texts are what costs most to keep. A row that may
// go out alone has to know its own.
//
// # Why does deleting a key forget when it was?
//
// The view would grow for ever otherwise. A row that is older than the deletion and comes after it is
// taken for new.
//
// Imports: flow, config, expr, state, stage, carry
//
// Not here: how rows of several channels come into one task (plan/regroup.go, run/merge.go), tables that stand in files (stages/enrich).
// Start with bind.go, then latest.go.
package join
