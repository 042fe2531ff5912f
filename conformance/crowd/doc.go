// Package crowd sends the real binary more devices than it has been given room
// for, all of whose windows close at once, and measures the memory that it takes.
//
// Imports: rig
//
// Not here: the same of the window alone, without a process (engine/stages/window/ending_test.go).
package crowd
