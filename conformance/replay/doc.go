// Package replay shows that what comes out follows from the journal alone: with the
// same journal, the files that the engine writes hold the same bytes for every
// partition on one, two and four processors, when it starts again at every
// checkpoint, and as `tidemill replay` gives them: windows of all kinds, many of them revised by late rows, joins and an alarm, with ticks among the rows. Rows of a window over
// devices of several partitions are the same as a multiset. TIDEMILL_SOAK=1 does it with ten million records.
//
// Imports: nothing
package replay
