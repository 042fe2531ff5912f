package ledger

import (
	"slices"
	"syscall"
	"testing"

	"github.com/tidemill/tidemill/engine/env"
)

// TestHalfDone: an operation of the disk fails, what it was part of is tried again by the same process, and finds what the first try has left. When
// that has worked, all that it says is there survives a power cut: the spool has let go of it.
func TestHalfDone(t *testing.T) {
	step := 1
	if testing.Short() {
		step = 5
	}
	for _, op := range []env.Op{env.OpSyncDir, env.OpRename, env.OpRemove, env.OpSync} {
		struck := true
		for after := 0; struck; after += step {
			for seed := range uint64(3) {
				if struck = halfDone(t, env.Fault{Op: op, After: after, Err: syscall.EIO}, seed); !struck {
					break
				}
			}
			if t.Failed() {
				t.Fatalf("%s %d failed", op, after)
			}
		}
	}
}

// halfDone runs the script up to the step that a fault strikes, which is tried again, and cuts the power.
func halfDone(t *testing.T, fault env.Fault, seed uint64) (struck bool) {
	t.Helper()
	w := newWorld(t)
	w.sim.Fail(fault)
	err := w.open()
	for i := 0; i < len(script) && err == nil; i++ {
		if err = w.do(script[i], uint64(i)); err == nil {
			continue
		}
		if err := w.do(script[i], uint64(i)); err != nil {
			t.Fatalf("seed %d: %s again: %v", seed, script[i], err)
		}
		if next := int(w.table.Next()); next < lastPut(i+1) {
			t.Fatalf("seed %d: %s worked the second time, and the list goes to %d", seed, script[i], next)
		}
	}
	if struck = w.sim.Heal() > 0; !struck {
		return false
	}
	if w.table == nil {
		if err := w.open(); err != nil {
			t.Fatal(err)
		}
	}
	next := w.table.Next()
	w.sim.Crash(seed)
	if err := w.open(); err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	if got, err := w.listed(&w.table.list); err != nil || !slices.Equal(got, numbers(int(next))) {
		t.Errorf("seed %d: after the power cut there are %v, %v; it had gone to %d", seed, got, err, next)
	}
	return true
}
