// Package sinks treats the lake badly: it kills the real binary while it writes
// Parquet to a folder and to S3 at once, kills the S3 server (a real versitygw), cuts
// connections at every stage of a request, and lets three readers that have nothing
// in common read what is there.
//
//	kill_test.go     kill -9 of the engine; of the server; connections cut: the lake equals an undisturbed run's
//	readers_test.go  DuckDB, hyparquet and arrow-go read every file alike, and refuse damaged ones
//	late_test.go     late rows: the view of the latest revisions is the batch answer
//	objects_test.go  the promise of package objects, against the real server
//	path_test.go     a sink that is led elsewhere: each row at the old path or at the new one
//
// # Who looks on while it is killed?
//
// A reader that opens the table by its list again and again: each file that is listed must be there,
// whole, and no row may be there twice. In the end another reader comes, who looks for *.parquet: for it too
// each row is there once.
//
// Imports: env, lake, objects, parquet, conformance/ports, conformance/rig
//
// Not here: the sink alone, crashed at each of its points (stages/sinkparquet). Start
// with server.go.
package sinks
