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
// # When does the engine put a channel between two stages?
//
// Where a stage groups rows by other columns than the key of the channel that they come from, and that has
// several partitions (regroup), or else, where the stage can work in two phases (stage.Bound.First), behind a first phase
// that makes fewer rows of them (split); and where a stage wants rows of several channels together (stage.Bound.Meet).
// Such a channel is spread by the first of the columns alone: that brings the rows of a group together. Its
// name has a ~, which no name in a file has. All that reads on from the stage runs in its tasks
// (Node.Home); a sink takes rows from tasks of several channels.
//
// # Why is a window over a channel with revised rows refused unless it says which of them count?
//
// Within a pipeline a window takes revision 0 if it says nothing, and plan says so; in another pipeline, perhaps another
// person's, that would be a silent wrong sum. There the window says revisions = "latest", and a revised row takes the place of
// the one before, or "first"; or whoever feeds the channel waits (grace) and emits once, or feeds it the first alone.
//
// What tells revisions of a row from other rows is passed on from the window that makes them (stage.Revised): by rules that
// do not let one revision through and keep another out, and by channels that one stage feeds, in which all revisions of a row
// go to one partition.
//
// # Why is a learned schema not a control record in every partition?
//
// What a partition has learned follows from its own records alone, so a
// replay learns the same at the same offset, and a checkpoint carries it along
// with the offset. Nothing has to be agreed upon between partitions. A use in an
// expression fixes a field's type, so a schema that grows can add columns but never
// break a program that was bound before.
package plan
