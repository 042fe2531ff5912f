// Package crash kills the real binary, at random moments and at every point
// that it names, fills its disk and fails its syncs, and sees that nothing is
// missing and nothing is double. It holds tests only.
//
//	kill_test.go   kill -9: 100 times, or 1,000 with TIDEMILL_SOAK=1
//	http_test.go   kill -9 under clients that post over HTTP and a server that takes rows
//	disk_test.go   a full disk; a sync that fails
//
// # Why so many short rounds?
//
// A round is a fresh folder, a few kills, and a comparison. When it fails, it names
// a handful of kills to look at and the seed that chose them, and no
// hundred others could have hidden or healed the damage.
//
// Imports: ports, rig
//
// Not here: cuts of the power, after which even the page cache is gone
// (conformance/forget). Start with kill_test.go.
package crash
