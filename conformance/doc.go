// Package conformance stands last: suites over the whole engine and the real
// binary. It holds no code but tests; each folder's comment says what it proves.
//
//	bad/   files with mistakes that people make, each announced on its line; bad_test.go validates them all
//
// Imports: everything below engine/ that a suite needs
//
// Not here: tests of one package, which stand beside it. Start with bad_test.go.
package conformance
