package forget_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/conformance/forget"
	"github.com/tidemill/tidemill/conformance/rig"
)

// TestEngine cuts the power under the real binary, whose journal, checkpoints
// and results all lie on the disk that forgets: at random moments, in every
// other round at the worst of them, when all that is not synced is lost.
func TestEngine(t *testing.T) {
	cuts := 24
	if os.Getenv("TIDEMILL_SOAK") != "" {
		cuts = 240
	}
	dir := t.TempDir()
	binary, err := rig.Build(dir)
	must(t, err)
	input := filepath.Join(dir, "input.ndjson")
	must(t, rig.MakeInput(input, 100_000, 2))
	w, err := rig.NewWork(binary, dir, filepath.Join(dir, "data"), filepath.Join(dir, "out"), input)
	must(t, err)
	_, err = w.Finish()
	must(t, err)
	want, err := w.Result()
	must(t, err)

	var sum forget.Stats
	rounds := 0
	for ; sum.Cuts < cuts; rounds++ {
		if rounds > cuts {
			t.Fatalf("%d rounds and only %d cuts: runs end before the power is cut", rounds, sum.Cuts)
		}
		s := cutRound(t, binary, input, uint64(rounds), want)
		sum.Cuts += s.Cuts
		sum.Syncs += s.Syncs
		sum.LostBytes += s.LostBytes
		sum.LostNames += s.LostNames
	}
	if sum.LostBytes == 0 || sum.LostNames == 0 {
		t.Errorf("nothing was ever lost (%+v): the test proves nothing", sum)
	}
	t.Logf("%d cuts in %d rounds of %s: %d bytes and %d names were not synced and are gone", sum.Cuts, rounds, want.Size(), sum.LostBytes, sum.LostNames)
}

// cutRound cuts the power under a few runs over one disk, lets the last one
// finish, cuts once more, and compares: results that are there at the end of a
// run must not need luck to stay.
func cutRound(t *testing.T, binary, input string, seed uint64, want rig.Result) forget.Stats {
	t.Helper()
	m := mount(t)
	rng := rand.New(rand.NewPCG(seed, 1))
	luck := func() uint64 { return (seed % 2) * rng.Uint64N(1<<32) }
	w, err := rig.NewWork(binary, t.TempDir(), filepath.Join(m.Dir, "data"), filepath.Join(m.Dir, "out"), input)
	must(t, err)
	var said []string
	for range 2 + rng.IntN(3) {
		p, err := w.Start(nil)
		must(t, err)
		p.Ended(time.Duration(50+rng.IntN(900)) * time.Millisecond)
		m.Off()
		killed := p.Kill()
		said = append(said, p.Said())
		must(t, m.Cut(luck()))
		if !killed {
			break
		}
	}
	last, err := w.Finish()
	must(t, m.Cut(0))
	said = append(said, last)
	if err == nil {
		var got rig.Result
		if got, err = w.Result(); err == nil {
			err = want.Diff(got)
		}
	}
	if err != nil {
		t.Fatal(fmt.Errorf("round %d: %w\nIts runs:\n%s", seed, err, strings.Join(said, "\n")))
	}
	must(t, m.Unmount())
	return m.Disk.Stats()
}

// TestEngineFailedSync fails one sync and then cuts the power, which takes what
// that sync did not write. Which file it is, is left to the moment; whatever
// it is, the engine must not believe a later sync.
func TestEngineFailedSync(t *testing.T) {
	dir := t.TempDir()
	binary, err := rig.Build(dir)
	must(t, err)
	input := filepath.Join(dir, "input.ndjson")
	must(t, rig.MakeInput(input, 50_000, 3))
	w, err := rig.NewWork(binary, dir, filepath.Join(dir, "data"), filepath.Join(dir, "out"), input)
	must(t, err)
	_, err = w.Finish()
	must(t, err)
	want, err := w.Result()
	must(t, err)
	const syncs = 30
	stopped := 0
	for n := 1; n <= syncs; n++ {
		m := mount(t)
		w, err := rig.NewWork(binary, t.TempDir(), filepath.Join(m.Dir, "data"), filepath.Join(m.Dir, "out"), input)
		must(t, err)
		m.Disk.FailSync(n)
		p, err := w.Start(nil)
		must(t, err)
		p.Ended(10 * time.Second) // by an error, or by itself
		m.Off()
		if !p.Kill() {
			stopped++
		}
		if m.Disk.Stats().Syncs >= n && !strings.Contains(p.Said(), "input/output error") {
			t.Errorf("sync %d failed and the run does not say so:\n%s", n, p.Said())
		}
		m.Disk.FailSync(0)
		must(t, m.Cut(0))
		_, err = w.Finish()
		must(t, err)
		must(t, m.Cut(0))
		got, err := w.Result()
		must(t, err)
		if err := want.Diff(got); err != nil {
			t.Fatalf("after sync %d failed: %v\nthe run said:\n%s", n, err, p.Said())
		}
		must(t, m.Unmount())
	}
	t.Logf("%d syncs failed, a run each; %d runs stopped by themselves", syncs, stopped)
}
