// Package stagetest runs a stage over rows that are written down as text, in
// many ways that must all give the same: cut anywhere, with watermarks told
// early or late, with a snapshot and a restore anywhere.
//
// A case is a txtar archive; its sections are, in any number and order:
//
//	-- args --            the body of the block
//	-- at --              where the block stands: lines "key device", "partitions 4", and, of rows that come again revised, the
//	                      columns that tell which, how far rows are apart and for how long: "revised device window_start 1m 1h";
//	                      "room 3" for tables of keys that have room for three, where they have for as many as usual
//	-- rows --            rows that come in, see flow/text.go; metadata that the header does
//	                      not name is made up: _offset counts, _slot numbers the keys,
//	                      _mark is the highest _time of the key so far
//	-- hidden --          rows that a filter before the stage has dropped: they only move watermarks
//	-- tick 00:05:00 --   a clock tick with this journal time
//	-- end --             the end of the input
//	-- errors --          what Bind says instead, a line each: position, summary, detail
//	-- out --             the rows that go out
//	-- rejects --         _offset and reason of each reject
//	-- counts --          counters
//
// Streams does the same with random streams, in which some rows are such as a stage refuses.
//
// # Why is a stage's memory full of something else?
//
// An engine's buffers go round, and what they held is still in them. What takes new memory for zeros, or reads what it has let go
// of, would pass in a test whose memory is fresh (worn.go).
//
// Imports: flow, env, config, expr, state, stage
//
// Not here: tests of the whole engine (conformance). Start with stagetest.go.
package stagetest
