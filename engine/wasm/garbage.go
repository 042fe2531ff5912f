package wasm

import (
	"runtime/debug"
	"runtime/metrics"
)

// compileGarbage is how much a compilation may leave behind before the collector begins, bytes: that of a module of 1 MB.
const compileGarbage = 64 << 20

// collectLater puts the collector off by compileGarbage until the function that it returns is called. A compilation, a collection
// and the rows that flow are one more than two processors can hold, and the runtime lets each run for 10 ms before
// it changes: so long would rows wait, although compiling leaves a third of the machine to them.
// A memory limit (GOMEMLIMIT) holds as ever.
func collectLater() (undo func()) {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	was := debug.SetGCPercent(-1)
	if was >= 0 {
		debug.SetGCPercent(was + int(100*compileGarbage/max(live[0].Value.Uint64(), 4<<20)))
	}
	return func() { debug.SetGCPercent(was) }
}
