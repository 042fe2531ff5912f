// Package replay runs history once more: the engine, as it is in production, over
// a piece of the journals of a data folder, beside an engine that may be writing them.
//
//	journal (real, read only) ──▶ history ──▶ run.Engine on a simulated machine ──▶ rows of edges
//	                              (history.go)  (replay.go)                          printed, compared, stepped
//
// What decides an outcome stands in the journal, the ticks of the clock too, and
// so what comes out is what came out then. Of tables that rows are enriched from, each version stands in the data
// folder with the tick of its first use (tables.go). The machine on which it runs is simulated:
// checkpoints, and the channels that pipelines feed, are in its memory. Sinks write
// nothing, unless they are asked for by name.
//
// # Why does it not go on from a checkpoint?
//
// A checkpoint holds the state of another configuration, and the engine keeps few of them.
// State begins empty at the first record; Options.Warm lets it begin earlier than what is shown.
//
// # How are two configurations compared?
//
// Both run side by side over the same records, a few blocks each in turn, and a row of an edge that
// the other one has as well is forgotten at once (diff.go). What is left differs; rows of the
// same key and window, or of the same record, are shown as one row that changed. Its cause is
// the first stage on its way whose rows differ, and the records these came from (why.go).
//
// Imports: flow, env, config, journal, modules, decode, stage, stages, stages/enrich, plan, run
//
// Not here: detectors tried on history (backtest), tests (pipetest), the command (cmd/tidemill).
// Start with replay.go.
package replay
