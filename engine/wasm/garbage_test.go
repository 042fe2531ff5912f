package wasm

import (
	"runtime/debug"
	"testing"
)

// TestCollectLater: while a module is compiled the collector waits longer, and afterwards as long as before; who
// has switched it off finds it so.
func TestCollectLater(t *testing.T) {
	now := func() int {
		was := debug.SetGCPercent(-1)
		debug.SetGCPercent(was)
		return was
	}
	defer debug.SetGCPercent(now())
	for _, percent := range []int{50, 100, -1} {
		debug.SetGCPercent(percent)
		undo := collectLater()
		if during := now(); percent < 0 && during != percent || percent >= 0 && during <= percent {
			t.Errorf("%d while a module is compiled, %d before", during, percent)
		}
		undo()
		if after := now(); after != percent {
			t.Errorf("%d afterwards, %d before", after, percent)
		}
		load(t, module(t, "burst"), Limits{})
		if after := now(); after != percent {
			t.Errorf("%d after a module was loaded, %d before", after, percent)
		}
	}
}
