package env

import (
	"bytes"
	"errors"
	"syscall"
	"testing"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestSettle: what a failed sync has given up survives a power cut once it was settled, and does not after another sync alone.
func TestSettle(t *testing.T) {
	content := bytes.Repeat([]byte("settled "), settleBytes/6)
	lost := 0
	for seed := range uint64(20) {
		for _, settle := range []bool{false, true} {
			m := NewSim(seed)
			f, err := m.Env().FS.Open("/f", Create)
			must(t, err)
			must(t, m.Env().FS.SyncDir("/"))
			_, err = f.WriteAt(content[:100], 0)
			must(t, err)
			must(t, f.Sync())
			_, err = f.WriteAt(content[100:], 100)
			must(t, err)
			m.Fail(Fault{Op: OpSync, Err: syscall.EIO})
			if err := f.Sync(); !errors.Is(err, syscall.EIO) {
				t.Fatal(err)
			}
			if settle {
				err = Settle(f, 100)
			} else {
				err = f.Sync()
			}
			must(t, err)
			m.Crash(seed)
			got, err := ReadWhole(m.Env().FS, "/f", AnySize)
			must(t, err)
			if whole := bytes.Equal(got, content); settle && !whole {
				t.Errorf("seed %d: %d bytes of %d", seed, len(got), len(content))
			} else if !whole {
				lost++
			}
		}
	}
	if lost == 0 {
		t.Error("a sync wrote what one before had given up: the test proves nothing")
	}
}
