package crash

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/tidemill/tidemill/conformance/rig"
)

// binary is what TestMain has built.
var binary string

func TestMain(m *testing.M) {
	os.Exit(withBinary(m))
}

func withBinary(m *testing.M) int {
	dir, err := os.MkdirTemp("", "tidemill-crash")
	if err == nil {
		defer os.RemoveAll(dir)
		binary, err = rig.Build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// work makes a folder with its input and returns it with what an undisturbed run writes there.
func work(t *testing.T, records int64) (*rig.Work, rig.Result) {
	t.Helper()
	dir := t.TempDir()
	input := filepath.Join(dir, "input.ndjson")
	must(t, rig.MakeInput(input, records, 1))
	w, err := rig.NewWork(binary, dir, filepath.Join(dir, "data"), filepath.Join(dir, "out"), input)
	must(t, err)
	return w, reference(t, w)
}

func reference(t *testing.T, w *rig.Work) rig.Result {
	t.Helper()
	_, err := w.Finish()
	must(t, err)
	want, err := w.Result()
	must(t, err)
	for name, lines := range want {
		if len(lines) < 10 {
			t.Fatalf("%s has %d lines: the test would prove nothing", name, len(lines))
		}
	}
	must(t, w.Reset())
	return want
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
