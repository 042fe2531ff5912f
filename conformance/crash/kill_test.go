package crash

import (
	"fmt"
	"math/rand/v2"
	"os"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/conformance/rig"
)

// points are the named points at which a run is killed. It is killed when it
// comes there for up to the most-th time, so that kills are spread over the run.
var points = []struct {
	name string
	most int
	swap bool // only reached while a new configuration is applied
}{
	{"journal.before-write", 8, false},
	{"journal.before-sync", 8, false},
	{"journal.after-sync", 8, false},
	{"sink.prepared", 6, false},
	{"checkpoint.seldom", 2, false},
	{"checkpoint.before-rename", 2, false},
	{"checkpoint.after-rename", 2, false},
	{"sink.before-commit", 6, false},
	{"swap.begin", 1, true},
	{"swap.opened", 1, true},
}

// killer kills a run again and again.
type killer struct {
	t     *testing.T
	w     *rig.Work
	rng   *rand.Rand
	run   time.Duration  // how long an undisturbed run takes
	hits  map[string]int // kills by point; "" for random moments
	swaps int            // applied and lived
	turn  int
	other bool // which configuration is in place
	said  []string
}

func TestKill(t *testing.T) {
	kills := 100
	if os.Getenv("TIDEMILL_SOAK") != "" {
		kills = 1000
	}
	w, want := work(t, 250_000)
	began := time.Now()
	reference(t, w)
	k := &killer{t: t, w: w, run: time.Since(began), hits: map[string]int{}}
	rounds := 0
	for ; k.total() < kills || k.missed(); rounds++ {
		if rounds > kills {
			t.Fatalf("%d rounds and only %d kills, %v of them at points: runs end before they are killed", rounds, k.total(), k.hits)
		}
		k.round(uint64(rounds), want)
	}
	var list []string
	for _, p := range points {
		if k.hits[p.name] == 0 {
			t.Errorf("no run was killed at %s", p.name)
		}
		list = append(list, fmt.Sprintf("%s %d", p.name, k.hits[p.name]))
	}
	sort.Strings(list)
	t.Logf("%d kills in %d rounds of %s: %d at random moments, %s; %d swaps lived", k.total(), rounds, want.Size(), k.hits[""], strings.Join(list, ", "), k.swaps)
}

func (k *killer) total() int {
	n := 0
	for _, h := range k.hits {
		n += h
	}
	return n
}

// missed says whether there is a point at which no run was killed yet: runs may end before.
func (k *killer) missed() bool {
	for _, p := range points {
		if k.hits[p.name] == 0 {
			return true
		}
	}
	return false
}

// round kills a few runs over one folder, lets the last one finish, and compares.
func (k *killer) round(seed uint64, want rig.Result) {
	k.t.Helper()
	must(k.t, k.w.Reset())
	k.rng, k.other, k.said = rand.New(rand.NewPCG(seed, 0)), false, nil
	for range 3 + k.rng.IntN(6) {
		if !k.life() {
			break
		}
	}
	said, err := k.w.Finish()
	k.said = append(k.said, "undisturbed\n"+said)
	if err == nil {
		var got rig.Result
		if got, err = k.w.Result(); err == nil {
			err = want.Diff(got)
		}
	}
	if err != nil {
		k.t.Fatalf("round %d: %v\nIts runs:\n%s", seed, err, strings.Join(k.said, "\n"))
	}
}

// life is one run up to its kill; false when it ended by itself before.
func (k *killer) life() bool {
	p := points[k.turn%len(points)]
	atPoint := k.rng.IntN(2) == 0
	if atPoint {
		k.turn++
	}
	var environ []string
	how := ""
	if atPoint {
		how = p.name
		environ = []string{rig.KillAt(p.name, 1+k.rng.IntN(p.most))}
	}
	run, err := k.w.Start(environ)
	must(k.t, err)
	pause := time.Duration(k.rng.Int64N(int64(k.run)) * 2 / 3)
	if atPoint && p.swap {
		pause /= 2 // it takes a while until a swap begins
	}
	if !atPoint || p.swap {
		run.Ended(pause)
	}
	switch {
	case !atPoint && k.rng.IntN(3) == 0: // a swap that lives, and a kill later
		k.swap()
		run.Ended(pause / 2)
		run.Kill()
	case !atPoint:
		run.Kill()
	case p.swap:
		k.swap()
	}
	code, err := run.Code()
	must(k.t, err)
	k.said = append(k.said, fmt.Sprintf("%s %v, code %d\n%s", how, environ, code, run.Said()))
	if run.Killed() {
		k.hits[how]++
		return true
	}
	if code != 0 {
		k.t.Fatalf("a run fails:\n%s", strings.Join(k.said, "\n"))
	}
	return false
}

func (k *killer) swap() {
	k.other = !k.other
	must(k.t, k.w.Change(k.other))
	if _, applied := k.w.Apply(); applied {
		k.swaps++
	}
}
