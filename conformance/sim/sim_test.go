package sim

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"runtime"
	"runtime/debug"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

var (
	seeds    = flag.Uint64("seeds", 10_000, "how many seeds to run; at most 150 with -short")
	oneSeed  = flag.Uint64("seed", 0, "run this seed alone and tell what happened")
	keepSeed = flag.Bool("keep", false, "with -seed: write the scenario to testdata/kept, where it stays whatever becomes of the generator")
	fromSeed = flag.Uint64("from", 1, "first seed")
)

// TestSameAnswer runs every seed, kept ones first.
func TestSameAnswer(t *testing.T) {
	if *oneSeed != 0 {
		w, err := trySeed(*oneSeed)
		if *keepSeed {
			name, err := keep(forgetful(*oneSeed), *oneSeed)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("kept in %s", name)
		}
		for _, line := range w.log {
			t.Log(line)
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	debug.SetGCPercent(-1) // many short lives make much garbage, and hardly anything stays
	debug.SetMemoryLimit(512 << 20)
	list := kept(t)
	if testing.Short() {
		*seeds = min(*seeds, 150)
	}
	for s := *fromSeed; s < *fromSeed+*seeds; s++ {
		list = append(list, s)
	}
	var next atomic.Int64
	var mu sync.Mutex
	var did deeds
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				i := int(next.Add(1)) - 1
				if i >= len(list) || t.Failed() {
					return
				}
				w, err := trySeed(list[i])
				mu.Lock()
				did.add(w.did)
				mu.Unlock()
				if err != nil {
					t.Errorf("seed %d: %v\nrun it alone: go test ./conformance/sim -run SameAnswer -seed %d -v\nand keep it: add -keep, and a line to conformance/seeds.txt", list[i], err, list[i])
				}
			}
		}()
	}
	wg.Wait()
	t.Logf("%d seeds: %d crashes (%d at named points), %d restarts after power cuts and %d after kills, %d swaps asked for and %d made, %d disk faults, %d rows, %d further stages",
		min(int(next.Load()), len(list)), did.crashes, did.points, did.cuts, did.kills, did.swaps, did.through, did.faults, did.rows, did.extras)
	if !t.Failed() && *seeds >= 100 && (did.points == 0 || did.cuts == 0 || did.kills == 0 || did.through == 0 || did.faults == 0 || did.extras == 0) {
		t.Error("the seeds did not disturb anything: this check cannot fail")
	}
}

// fewer is a number of seeds that run one after another: a fifth with -short, where the race detector could see nothing.
func fewer(n uint64) uint64 {
	if testing.Short() {
		return n / 5
	}
	return n
}

// trySeed runs a seed's scenario in peace and in trouble and compares.
func trySeed(seed uint64) (w *world, err error) { return try(forgetful(seed), seed) }

// forgetful is the scenario of a seed, of which in every second one the journal keeps nothing that the tasks do not need.
func forgetful(seed uint64) scenario {
	s := newScenario(seed)
	if rand.New(rand.NewPCG(seed, 21)).IntN(2) == 0 {
		s.config = strings.Replace(s.config, "  time       = ts\n", "  time       = ts\n  retention  = \"1ms\"\n", 1)
	}
	return s
}

// try runs a scenario in peace, and with what a seed has in store for it.
func try(s scenario, seed uint64) (w *world, err error) {
	want, calm, err := runScenario(s, seed, nil)
	if err != nil {
		return &world{}, fmt.Errorf("undisturbed: %w", err)
	}
	if n := malformed(want["rejects.ndjson"]); n != s.malformed {
		return &world{}, fmt.Errorf("undisturbed: %d malformed records went in and %d came out as rejects", s.malformed, n)
	}
	got, w, err := runScenario(s, seed, calm.binder)
	if err != nil {
		return w, err
	}
	w.did.extras = s.extras
	for name, rows := range want {
		w.did.rows += len(got[name])
		if diff := difference(settled(name, rows), settled(name, got[name])); diff != "" {
			err = errors.Join(err, fmt.Errorf("%s: %s", name, diff))
		}
	}
	return w, err
}

// runScenario runs a scenario through what a seed has in store for it; in peace without plans of a run before.
func runScenario(s scenario, seed uint64, plans *binder) (map[string][]string, *world, error) {
	w := newWorld(seed, plans == nil)
	if plans != nil {
		w.binder = plans
	}
	w.config = s.config
	w.write("/in/data.ndjson", s.input)
	w.write("/in/more.ndjson", s.second)
	if err := w.drive(); err != nil {
		return nil, w, err
	}
	return w.outcome(), w, nil
}

// together are the files whose rows come from several devices: which come late depends on where ticks
// stand in the journal, and the last revision does not.
var together = map[string]bool{"all.ndjson": true, "doors.ndjson": true, "both.ndjson": true}

// settled keeps the last revision of each window, without its number.
func settled(name string, rows []string) []string {
	if !together[name] {
		return rows
	}
	last, number := map[string]string{}, map[string]int{}
	var out []string
	for _, row := range rows {
		m := revised.FindStringSubmatch(row)
		if m == nil {
			out = append(out, row)
			continue
		}
		n, err := strconv.Atoi(m[2])
		must(err)
		key := ended.FindString(row)
		if _, ok := last[key]; !ok || n > number[key] {
			last[key], number[key] = m[1]+m[3], n
		}
	}
	for _, row := range last {
		out = append(out, row)
	}
	sort.Strings(out)
	return out
}

// revised finds the revision of a window, and ended all up to its end.
var (
	revised = regexp.MustCompile(`^(.*),"revision":(\d+)(.*)$`)
	ended   = regexp.MustCompile(`^.*"window_end":"[^"]*"`)
)

func malformed(rejects []string) int {
	n := 0
	for _, r := range rejects {
		if strings.Contains(r, "end of the record") {
			n++
		}
	}
	return n
}

// difference tells the first rows that only one of two sorted lists has.
func difference(want, got []string) string {
	i, j := 0, 0
	var out []string
	for (i < len(want) || j < len(got)) && len(out) < 6 {
		switch {
		case j == len(got) || i < len(want) && want[i] < got[j]:
			out = append(out, "- "+want[i])
			i++
		case i == len(want) || got[j] < want[i]:
			out = append(out, "+ "+got[j])
			j++
		default:
			i++
			j++
		}
	}
	if out == nil {
		return ""
	}
	return fmt.Sprintf("%d rows wanted, %d came\n%s", len(want), len(got), strings.Join(out, "\n"))
}

// kept reads the seeds that once failed.
func kept(t *testing.T) []uint64 {
	f, err := os.Open("../seeds.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []uint64
	for lines := bufio.NewScanner(f); lines.Scan(); {
		text, _, _ := strings.Cut(lines.Text(), "#")
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("seeds.txt: %v", err)
		}
		out = append(out, n)
	}
	return out
}
