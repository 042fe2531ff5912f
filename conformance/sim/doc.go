// Package sim runs the production engine, journal and stages on a simulated
// machine: a seed decides which actor moves next, when the machine loses power
// or the process dies, which write fails, where batches are cut and when the
// graph is exchanged. Whatever happens, the rows that come out must be those
// of an undisturbed run.
//
// Half of the seeds have further stages: windows of all kinds, joins, dedupe, order, an anomaly, alarms behind
// windows (further_test.go). Plans are bound once for all seeds whose configurations are bound alike, and serve all
// their lives (binder_test.go). A sixth has two falls one behind the other: a process dies while it makes something durable, and the power is
// cut before the next has come far (soon_test.go). With -v the test tells how often which thing was done.
//
// A seed that once failed stays in ../seeds.txt, which says what it found, and the scenario that it was
// stays in testdata/kept, as it was drawn: kept_test.go.
//
// Imports: nothing
package sim
