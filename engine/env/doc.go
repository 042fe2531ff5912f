// Package env is the world outside, and the only door to it: clock, files,
// randomness, environment variables and the points at which tests kill a
// process. Real is this machine; Sim (sim*.go) is a machine that a seed
// drives, whose disk forgets what was not synced when it crashes.
//
// Imports: nothing
//
// Not here: connectors, which meet networks of their own (stages/). Start
// with env.go, the contract; fs_test.go holds both file systems to it.
//
// # What can a simulated disk do that a real one does?
//
// At Crash, data that was not synced survives whole, as a prefix, by sectors of
// 512 bytes with zeros between, or not at all; the file may have its new size
// without its new data. A creation, renaming or removal before SyncDir happens
// whole or not at all, and later ones may survive earlier ones. A failed Sync
// forgets what was dirty, as Linux does: processes go on seeing it, and no
// later Sync writes it; Settle does. What it cannot do: rot (tests change files themselves),
// rename folders or between folders, and lose a new folder.
//
// # Why is a process told apart from the machine?
//
// After kill -9 the page cache is still there, synced or not, and a program that
// believes it builds on data that a power cut then takes away. Only Kill followed
// by Crash shows that.
package env
