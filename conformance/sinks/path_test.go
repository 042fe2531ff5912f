package sinks

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestAnotherPath leads a sink elsewhere while it holds rows that are in no file: each row is in the old table or in the new
// one, whether the engine runs or stands still meanwhile.
func TestAnotherPath(t *testing.T) {
	lines := input(t, 4000)
	g, err := newGateway(t.TempDir())
	must(t, err)
	defer func() { g.kill() }()
	want := reference(t, lines, g, "want")
	for _, running := range []bool{true, false} {
		w := newWork(t, lines, g, g.url(), "path")
		name := filepath.Join(w.Dir, "work.hcl")
		text, err := os.ReadFile(name)
		must(t, err)
		slow := strings.ReplaceAll(string(text), `roll_age     = "200ms"`, `roll_age     = "1h"`)
		must(t, os.WriteFile(name, []byte(slow), 0o644))
		p, err := w.Start(nil)
		must(t, err)
		defer p.Kill()
		more := func() {
			for range 3 {
				must(t, w.Feed(500))
				w.checkpoints(t, 1)
			}
		}
		more()
		if !running {
			must(t, p.Interrupt())
		}
		must(t, os.WriteFile(name, []byte(strings.Replace(slow, `path         = "lake"`, `path         = "other"`, 1)), 0o644))
		if running {
			if said, ok := w.Apply(); !ok {
				t.Fatal(said)
			}
			more()
			must(t, p.Interrupt())
		}
		must(t, w.Finish())
		other := w.local()
		other.Place.Place = filepath.Join(w.Dir, "other")
		old, err := tableOf(w.local())
		must(t, err)
		now, err := tableOf(other)
		must(t, err)
		both := table{of: other, marks: slices.Sorted(slices.Values(append(slices.Clone(old.marks), now.marks...)))}
		if err := compare(want, both); err != nil {
			t.Errorf("running %v: %v", running, err)
		}
		if len(old.marks) < 600 || len(now.marks) < 600 {
			t.Errorf("running %v: %d rows at the old path, %d at the new one: the test proves little", running, len(old.marks), len(now.marks))
		}
		must(t, errors.Join(orphans(w.local()), orphans(other)))
	}
}

// checkpoints waits for n more of them.
func (w *work) checkpoints(t *testing.T, n int) {
	t.Helper()
	from := w.epoch()
	for end := time.Now().Add(2 * time.Minute); w.epoch() < from+n; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no checkpoint has come in two minutes")
		}
	}
}
