// Package plan says what will run: it binds a configuration's blocks into a
// graph, finds what the decoder need not decode, explains the graph to a
// person and compares it with what runs now. Nothing here has effects.
//
// Imports: flow, env, config, expr, state, decode, stage
//
// Not here: the list of stages there are (stages/builtin.go, handed in), and
// making anything run (run). Start with plan.go.
//
// # Why is a plan bound anew for every partition?
//
// A bound stage holds compiled expressions, which belong to one goroutine; and
// where a schema is learned, partitions learn at their own pace. Binding costs
// well under a millisecond a stage.
//
// # Why is a learned schema not a control record in every partition?
//
// What a partition has learned follows from its own records alone, so a
// replay learns the same at the same offset, and a checkpoint carries it along
// with the offset. Nothing has to be agreed upon between partitions. A use in an
// expression fixes a field's type, so a schema that grows can add columns but never
// break a program that was bound before.
package plan
