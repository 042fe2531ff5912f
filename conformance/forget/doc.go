// Package forget is a disk that forgets: a file system, mounted through FUSE,
// that loses at a cut of its power whatever was not synced. It tells a program
// that syncs from one that is saved by the page cache, which kill -9 cannot.
//
//	program ──syscalls──▶ kernel ──FUSE──▶ node.go ──▶ disk.go
//	                                                     ├ now      what processes see
//	                                                     └ durable  what the medium has
//
// A file's bytes become durable by fsync or fdatasync of the file; its name by
// fsync of the folder that holds it, and of those above it. Nothing else makes
// anything durable: what ext4 does on its own account is not promised by it.
//
// # Why not a folder of the real file system beneath?
//
// Two states of every byte are needed, and the order in which they parted. In
// memory that is a few hundred lines, and a cut takes a microsecond.
//
// # Why does a rename to another folder fail?
//
// Half of it could survive a cut, and no file system of today would do that.
// Programs that are careful rename within a folder.
//
// Imports: nothing
//
// Not here: the simulated disk of the simulation, which has no kernel between
// (engine/env). Start with disk.go; tests of other packages need Mount only.
package forget
