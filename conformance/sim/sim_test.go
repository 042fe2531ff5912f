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
	seeds    = flag.Uint64("seeds", 10_000, "how many seeds to run; at most 50 with -short")
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
		*seeds = min(*seeds, 50)
	}
	for s := *fromSeed; s < *fromSeed+*seeds; s++ {
		list = append(list, s)
	}
	groups := grouped(list)
	var next, ran atomic.Int64
	var mu sync.Mutex
	var did deeds
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := int(next.Add(1)) - 1; i < len(groups); i = int(next.Add(1)) - 1 {
				plans := newBinder()
				for _, seed := range groups[i] {
					if t.Failed() {
						return
					}
					w, err := tryWith(forgetful(seed), seed, plans)
					ran.Add(1)
					mu.Lock()
					did.add(w.did)
					mu.Unlock()
					if err != nil {
						t.Errorf("seed %d: %v\n%s", seed, err, howToGoOn(seed))
					}
				}
			}
		}()
	}
	wg.Wait()
	t.Logf("%d seeds: %d crashes (%d at named points), %d restarts after power cuts and %d after kills, %d swaps asked for and %d made, %d disk faults, %d damaged checkpoints, %d power cuts soon after a kill, %d rows, %d further stages",
		ran.Load(), did.crashes, did.points, did.cuts, did.kills, did.swaps, did.through, did.faults, did.rots, did.falls, did.rows, did.extras)
	if !t.Failed() && *seeds >= 50 && (did.points == 0 || did.cuts == 0 || did.kills == 0 || did.through == 0 || did.faults == 0 || did.rots == 0 || did.falls == 0 || did.extras == 0) {
		t.Error("the seeds did not disturb anything: this check cannot fail")
	}
}

// grouped puts seeds together whose scenarios are bound alike, so that they share plans, in the order of the first of each.
func grouped(list []uint64) [][]uint64 {
	const most = 50 // plans are kept for every schema that a partition has learned
	at := map[string]int{}
	var out [][]uint64
	for _, seed := range list {
		s, _ := outline(seed)
		text := alike(forgetting(s.config, seed))
		i, ok := at[text]
		if !ok || len(out[i]) == most {
			i, at[text] = len(out), len(out)
			out = append(out, nil)
		}
		out[i] = append(out[i], seed)
	}
	return out
}

// howToGoOn tells what to do about a seed that has failed.
func howToGoOn(seed uint64) string {
	if _, err := trySeed(seed); err == nil {
		return "alone it does not fail: a stage has kept something of another seed's run beside its tables, or in what was bound"
	}
	return fmt.Sprintf("run it alone: go test ./conformance/sim -run SameAnswer -seed %d -v\nand keep it: add -keep, and a line to conformance/seeds.txt", seed)
}

// alone skips a test that runs one seed after another with -short: the race detector would see one goroutine.
func alone(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine: only TestSameAnswer runs seeds side by side")
	}
}

// trySeed runs a seed's scenario in peace and in trouble and compares.
func trySeed(seed uint64) (w *world, err error) { return try(forgetful(seed), seed) }

// forgetful is the scenario of a seed, of which in every second one the journal keeps nothing that the tasks do not need.
func forgetful(seed uint64) scenario {
	s := newScenario(seed)
	s.config = forgetting(s.config, seed)
	return s
}

func forgetting(config string, seed uint64) string {
	if rand.New(rand.NewPCG(seed, 21)).IntN(2) == 0 {
		return strings.Replace(config, "  time       = ts\n", "  time       = ts\n  retention  = \"1ms\"\n", 1)
	}
	return config
}

// try runs a scenario in peace, and with what a seed has in store for it.
func try(s scenario, seed uint64) (*world, error) { return tryWith(s, seed, newBinder()) }

// tryWith is try with plans that others may have used.
func tryWith(s scenario, seed uint64, plans *binder) (w *world, err error) {
	want, _, err := runScenario(s, seed, true, plans)
	if err != nil {
		return &world{}, fmt.Errorf("undisturbed: %w", err)
	}
	if n := malformed(want["rejects.ndjson"]); n != s.malformed {
		return &world{}, fmt.Errorf("undisturbed: %d malformed records went in and %d came out as rejects", s.malformed, n)
	}
	got, w, err := runScenario(s, seed, false, plans)
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

// runScenario runs a scenario through what a seed has in store for it, or in peace.
func runScenario(s scenario, seed uint64, calm bool, plans *binder) (out map[string][]string, w *world, err error) {
	w = newWorld(seed, calm)
	defer func() {
		if r := recover(); r != nil { // told as an error, which names the seed
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	w.binder = plans
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
var together = map[string]bool{"all.ndjson": true, "doors.ndjson": true, "both.ndjson": true, "crowd.ndjson": true}

// settled keeps the last revision of each window, without its number. A session is known by its start, and one that is part of another, and
// so begins where it ends, is left out.
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
		if name == "crowd.ndjson" {
			key, _, _ = strings.Cut(row, `,"window_end"`)
		}
		if _, ok := last[key]; !ok || n > number[key] {
			last[key], number[key] = m[1]+m[3], n
		}
	}
	for _, row := range last {
		if name == "crowd.ndjson" && strings.Contains(row, `"n":0,`) {
			continue
		}
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
