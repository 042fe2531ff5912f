// Package sinkchannel is the sink "channel": a pipeline's rows become the rows of another channel, which
// other pipelines read.
//
//	channel "minutes" { key = device }
//	...
//	sink "channel" "roll" {
//	  from = window.one_min
//	  to   = channel.minutes
//	}
//
// A channel that has such a sink has no ingests. Its rows keep their event time, unless the channel
// has a time of its own, and their columns, unless it has a schema.
//
// Imports: config, expr, flow, stage
//
// Not here: which channel, and the argument to (config reads it); what the channel's columns are
// (plan/feed.go); how rows get there (run/feed.go) and out again (run/merge.go).
package sinkchannel
