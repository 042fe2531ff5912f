package sinks

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidemill/tidemill/conformance/rig"
	"github.com/tidemill/tidemill/engine/lake"
)

// reference is what an undisturbed run leaves.
func reference(t *testing.T, lines []string, g *gateway, prefix string) table {
	t.Helper()
	w := newWork(t, lines, g, g.url(), prefix)
	must(t, w.Finish())
	want, err := tableOf(w.local())
	must(t, err)
	remote, err := tableOf(w.remote())
	must(t, err)
	if err := compare(want, remote); err != nil {
		t.Fatalf("the folder and the bucket differ after an undisturbed run: %v", err)
	}
	if n := len(want.marks); n < len(lines)*9/10 {
		t.Fatalf("%d rows of %d records: the test would prove little", n, len(lines))
	}
	return want
}

// check compares what is in the folder and in the bucket with an undisturbed run's: for who reads the list, and for who
// looks for files.
func (w *work) check(want table) error {
	var errs []error
	for _, s := range []lake.Source{w.local(), w.remote()} {
		for _, read := range []func(lake.Source) (table, error){tableOf, seen} {
			got, err := read(s)
			if err == nil {
				err = compare(want, got)
			}
			errs = append(errs, err)
		}
		errs = append(errs, orphans(s))
	}
	return errors.Join(errs...)
}

// points are where an engine is killed, beside any moment.
var points = []string{"lake.put", "lake.before-publish", "lake.published", "lake.merged", "lake.shown", "lake.replaced", "checkpoint.after-rename", "sink.before-commit", "journal.before-sync"}

// TestEngineKilled kills the engine at least three times a round, each time after at
// least three checkpoints, while connections to the server are cut as well in every second
// round, and the server is killed in every third.
func TestEngineKilled(t *testing.T) {
	rounds := 20
	if soak() {
		rounds = 60
	}
	lines := input(t, 60_000)
	g, err := newGateway(t.TempDir())
	must(t, err)
	defer func() { g.kill() }()
	want := reference(t, lines, g, "want")
	var disturb atomic.Bool
	p, err := newProxy(g.address, func(n int) cut {
		if !disturb.Load() || n%7 != 0 {
			return through
		}
		return []cut{before, within, answerless, halfAnswer}[n/7%4]
	})
	must(t, err)
	defer p.close()
	hits := map[string]int{}
	for round := range rounds {
		disturb.Store(round%2 == 1)
		w := newWork(t, lines, g, p.url(), fmt.Sprintf("round-%d", round))
		look := w.watch()
		rng := rand.New(rand.NewPCG(uint64(round), 4))
		kills, said := 0, ""
		for life := 0; kills < 3; life++ {
			if life > 20 {
				t.Fatalf("round %d: %d kills in %d lives\n%s", round, kills, life, said)
			}
			how, killed, words := w.life(t, rng, len(lines)/8, round%3 == 2 && life == 1)
			said += how + "\n" + words
			if killed {
				kills++
				hits[how]++
			}
		}
		disturb.Store(false)
		must(t, w.Finish())
		if err := errors.Join(look.end(), w.check(want)); err != nil {
			t.Fatalf("round %d: %v\nIts runs:\n%s", round, err, said)
		}
		must(t, os.RemoveAll(filepath.Join(w.Dir, "lake")))
		must(t, os.RemoveAll(w.Data))
	}
	t.Logf("%d rounds, kills by point: %v; connections cut: %d, %d, %d, %d", rounds, hits,
		p.cuts[before].Load(), p.cuts[within].Load(), p.cuts[answerless].Load(), p.cuts[halfAnswer].Load())
}

// life is a run up to its kill. killed says that at least three checkpoints came before it.
func (w *work) life(t *testing.T, rng *rand.Rand, most int, server bool) (how string, killed bool, said string) {
	t.Helper()
	before := w.epoch()
	var environ []string
	if how = "any moment"; rng.IntN(4) > 0 {
		how = points[rng.IntN(len(points))]
		n := 4 + rng.IntN(8) // of those that come often
		if strings.HasPrefix(how, "lake.") {
			n = 1 + rng.IntN(2)
		}
		environ = []string{rig.KillAt(how, n)}
	}
	p, err := w.Start(environ)
	must(t, err)
	defer p.Kill()
	for range 3000 { // a few records, until there are three checkpoints
		if p.Ended(3*time.Millisecond) || w.epoch() >= before+3 {
			break
		}
		must(t, w.Feed(20))
	}
	if server {
		w.server.kill()
	}
	for step := range 160 {
		if step < 12 {
			must(t, w.Feed(most/12))
		}
		if server && step == 6 {
			must(t, w.server.start())
		}
		if p.Ended(time.Duration(2+rng.IntN(5))*time.Millisecond) || environ == nil && step >= 12+rng.IntN(12) {
			break
		}
	}
	if w.server.cmd == nil {
		must(t, w.server.start())
	}
	if !p.Ended(0) {
		how = "any moment"
	}
	p.Kill()
	return how, p.Killed() && w.epoch() >= before+3, p.Said()
}

// watcher is a reader that looks at a table while it is written.
type watcher struct {
	stop chan struct{}
	done sync.WaitGroup
	errs []error
	seen int
}

// watch looks at the local table until end.
func (w *work) watch() *watcher {
	x := &watcher{stop: make(chan struct{})}
	x.done.Go(func() {
		for {
			select {
			case <-x.stop:
				return
			case <-time.After(300 * time.Millisecond):
			}
			rows, err := placesOf(w.local())
			if errors.Is(err, lake.ErrEmpty) {
				continue
			}
			x.seen++
			for i := 1; i < len(rows) && err == nil; i++ {
				if rows[i] == rows[i-1] {
					err = fmt.Errorf("a reader sees one of %d rows twice", len(rows))
				}
			}
			if err != nil {
				x.errs = append(x.errs, err)
			}
		}
	})
	return x
}

func (x *watcher) end() error {
	close(x.stop)
	x.done.Wait()
	return errors.Join(x.errs...)
}

// TestCuts cuts connections at every stage of a request, again and again.
func TestCuts(t *testing.T) {
	lines := input(t, 3000)
	g, err := newGateway(t.TempDir())
	must(t, err)
	defer func() { g.kill() }()
	want := reference(t, lines, g, "want")
	cuts := []cut{before, within, answerless, halfAnswer}
	p, err := newProxy(g.address, func(n int) cut {
		if n%5 != 2 || n > 150 {
			return through
		}
		return cuts[n/5%4]
	})
	must(t, err)
	defer p.close()
	w := newWork(t, lines, g, p.url(), "cut")
	must(t, w.Finish())
	must(t, w.check(want))
	for _, c := range cuts {
		if n := p.cuts[c].Load(); n < 1 {
			t.Errorf("%d connections were cut at stage %d", n, c)
		}
	}
}

// TestServerKilled kills the server with -9 while rows come, and starts it again.
func TestServerKilled(t *testing.T) {
	lines := input(t, 6000)
	g, err := newGateway(t.TempDir())
	must(t, err)
	defer func() { g.kill() }()
	want := reference(t, lines, g, "want")
	w := newWork(t, lines, g, g.url(), "killed")
	p, err := w.Start(nil)
	must(t, err)
	defer p.Kill()
	rng := rand.New(rand.NewPCG(5, 5))
	for range 5 {
		for range 8 {
			must(t, w.Feed(110))
			time.Sleep(time.Duration(5+rng.IntN(20)) * time.Millisecond)
		}
		g.kill()
		must(t, w.Feed(110))
		time.Sleep(time.Duration(rng.IntN(300)) * time.Millisecond)
		must(t, g.start())
	}
	p.Kill()
	must(t, w.Finish())
	must(t, w.check(want))
}
