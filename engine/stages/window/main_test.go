package window

import (
	"os"
	"runtime/debug"
	"testing"
)

// TestMain lets garbage lie until there is much of it: the tests make a lot, of which hardly anything stays.
func TestMain(m *testing.M) {
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(512 << 20)
	os.Exit(m.Run())
}
