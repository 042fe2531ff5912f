// Package stages is the list of what is built in: one folder a stage, and one
// sorted list of them all, handed to plan. A stage is not known to the engine by any
// other way, so leaving it out of the list leaves it out of the binary.
//
// Imports: stage, alarm, ingestfile, rule, sinkfile, window
//
// Not here: the contract that stages keep (stage), who calls them (run). Start
// with builtin.go.
package stages
