//go:build unix && (!linux || race || (!amd64 && !arm64))

package mqtt

import "syscall"

// With the race detector too, which knows by these calls what has happened before what.
var (
	readNow  = syscall.Read
	writeNow = syscall.Write
)
