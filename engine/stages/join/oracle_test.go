package join

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tidemill/tidemill/engine/stage"
)

// trial is a random stream, and how a join runs over it.
type trial struct {
	r              *rand.Rand
	events         []row
	devices, tasks int
	crashes        bool
	shared, nested bool
	cut, lives     int // see bench
}

// Seeds of each kind of join: windows have as many (stages/window). The last ones have a fleet each.
const (
	seeds  = 1000
	fleets = 5
)

func newTrial(seed, kind uint64) *trial {
	r := rand.New(rand.NewPCG(seed, kind))
	x := &trial{r: r, devices: 1 + r.IntN(1+r.IntN(50)), tasks: 1 << r.IntN(3), crashes: r.IntN(2) == 0, shared: r.IntN(2) == 0, nested: r.IntN(2) == 0, cut: 1 + r.IntN(100)}
	rows, burst := 1+r.IntN(1+r.IntN(2000)), 1+r.IntN(10)
	if seed >= seeds {
		x.devices, x.tasks, x.crashes, x.cut, rows, burst = 10_000, 1<<(seed%3), seed%2 == 0, 2000, 60_000, 2000
	}
	if x.crashes {
		x.lives = 3 + rows/100
	}
	x.events = stream(r, rows, x.devices, burst)
	return x
}

// run runs a stage a task over the rows of its keys, and gives them back as they ended.
func (x *trial) run(t *testing.T, spec stage.Spec, body string) (of [][]row, out []*bench) {
	for task := range x.tasks {
		b := newBench(t, spec, body, uint64(task), func(at *stage.At) {
			at.Together = x.shared
			if x.nested {
				at.Keys = []string{"other", "other"}
			}
		})
		b.shared, b.lives, b.cut = x.shared, x.lives, x.cut
		var own []row
		for _, e := range x.events {
			if e.tick || x.taskOf(e.key) == task {
				own = append(own, e)
			}
		}
		own = append(own, row{end: true, received: x.events[len(x.events)-1].received})
		b.run(own)
		of, out = append(of, own), append(out, b)
	}
	return of, out
}

func (x *trial) taskOf(key string) int {
	n := 0
	_, _ = fmt.Sscanf(key, "d%d", &n)
	return n % x.tasks
}

func (x *trial) String() string {
	return fmt.Sprintf("%d events of %d devices, %d tasks, crashes %t, one channel %t", len(x.events), x.devices, x.tasks, x.crashes, x.shared)
}

// intervalTrial is an interval join's. Times are seconds.
type intervalTrial struct {
	*trial
	before, after, grace int64
	outer, one           bool
}

// brute computes the pairs as a person would: every row with every other one of its key.
func (x *intervalTrial) brute(events []row) (want []string, late int) {
	marks, rights := map[string]*[2]int64{}, map[string][]row{}
	var lefts []row
	for _, e := range events {
		if e.tick || e.end {
			continue
		}
		if e.key == "" {
			if e.in == 0 && !e.hidden {
				lefts = append(lefts, e)
			}
			continue
		}
		if marks[e.key] == nil {
			marks[e.key] = &[2]int64{}
		}
		m := marks[e.key]
		m[e.in] = max(m[e.in], e.time)
		if x.one {
			m[1-e.in] = m[e.in]
		}
		switch {
		case e.hidden:
		case e.time < m[e.in]-x.grace:
			late++
		case e.in == 0:
			lefts = append(lefts, e)
		default:
			rights[e.key] = append(rights[e.key], e)
		}
	}
	for _, l := range lefts {
		found := false
		for _, r := range rights[l.key] {
			if r.time >= l.time-x.before && r.time <= l.time+x.after {
				want = append(want, left(l)+right(r))
				found = true
			}
		}
		if !found && x.outer {
			want = append(want, left(l)+none)
		}
	}
	slices.Sort(want)
	return want, late
}

func (x *intervalTrial) check(t *testing.T, seed uint64) (pairs int) {
	body := take + fmt.Sprintf("before = \"%ds\"\nafter = \"%ds\"\ngrace = \"%ds\"\nlate = \"drop\"\nwait = \"24h\"\nmax_rows = 4000\n", x.before, x.after, x.grace)
	if x.outer {
		body += "rows = \"left\"\n"
	}
	of, out := x.run(t, Interval(), body)
	for task, b := range out {
		want, late := x.brute(of[task])
		got := make([]string, 0, len(b.lines))
		ids := map[string]bool{}
		for _, line := range b.lines {
			id, rest, _ := strings.Cut(line, " ")
			index, rest, _ := strings.Cut(rest, " ")
			if id += " " + index; ids[id] {
				t.Errorf("seed %d: two rows are at %s", seed, id)
			}
			ids[id] = true
			got = append(got, rest)
		}
		slices.Sort(got)
		if pairs += len(want); !slices.Equal(got, want) || b.counts["late"] != int64(late) {
			t.Fatalf("seed %d, task %d of %s\n%s: %d rows and %d late, not %d and %d\n%s", seed, task, x, body, len(got), b.counts["late"], len(want), late, firstDifference(got, want))
		}
	}
	return pairs
}

// firstDifference tells where two lists part.
func firstDifference(got, want []string) string {
	i := 0
	for i < len(got) && i < len(want) && got[i] == want[i] {
		i++
	}
	at := func(list []string) string {
		if i < len(list) {
			return list[i]
		}
		return "nothing"
	}
	return fmt.Sprintf("number %d is\n%s\nand should be\n%s", i, at(got), at(want))
}

// everySeed runs trials side by side, and sums up what they return.
func everySeed(t *testing.T, try func(t *testing.T, seed uint64) int) int {
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // small streams make much garbage, and nothing stays
	var next, sum atomic.Int64
	last := int64(seeds + fleets)
	if testing.Short() {
		last = 100
	}
	t.Run("seeds", func(t *testing.T) {
		for range runtime.GOMAXPROCS(0) {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				for seed := next.Add(1) - 1; seed < last; seed = next.Add(1) - 1 {
					sum.Add(int64(try(t, uint64(seed))))
				}
			})
		}
	})
	return int(sum.Load())
}

// TestIntervalIsBruteForce compares the pairs with those that trying all of them gives.
func TestIntervalIsBruteForce(t *testing.T) {
	pairs := everySeed(t, func(t *testing.T, seed uint64) int {
		x := &intervalTrial{trial: newTrial(seed, 5)}
		r := x.r
		x.before, x.after, x.grace, x.outer, x.one = int64(r.IntN(30)), int64(r.IntN(30)), int64(r.IntN(3)*r.IntN(20)), r.IntN(2) == 0, x.shared
		return x.check(t, seed)
	})
	if t.Logf("%d rows", pairs); pairs < 10_000 {
		t.Errorf("only %d rows were compared", pairs)
	}
}

// latestTrial is a latest join's. age is in seconds, and 0 is any.
type latestTrial struct {
	*trial
	missing string
	age     int64
}

// brute follows the second input with a map.
func (x *latestTrial) brute(events []row) (want []string, rejected int) {
	view := map[string]row{}
	for _, e := range events {
		v, known := view[e.key]
		gone := e.value%7 != 0 && e.value > 900
		switch {
		case e.tick || e.end || e.hidden:
		case e.in == 1 && e.key == "":
			if !gone {
				rejected++
			}
		case e.in == 1 && known && v.time > e.time:
		case e.in == 1 && gone:
			delete(view, e.key)
		case e.in == 1:
			view[e.key] = e
		case known && e.key != "" && (x.age == 0 || e.time-v.time <= x.age):
			want = append(want, fmt.Sprint(e.offset, " 0 ", left(e)+right(v)))
		case x.missing == "null":
			want = append(want, fmt.Sprint(e.offset, " 0 ", left(e)+none))
		case x.missing == "default":
			limit := "null"
			if e.value%7 != 0 {
				limit = fmt.Sprint(e.value + 5)
			}
			want = append(want, fmt.Sprint(e.offset, " 0 ", left(e), `,"limit":`, limit, `,"words":"none","lims":null}`))
		case x.missing == "reject":
			rejected++
		}
	}
	return want, rejected
}

// TestLatestIsBruteForce compares what rows find with a map that follows the second input.
func TestLatestIsBruteForce(t *testing.T) {
	rows := everySeed(t, func(t *testing.T, seed uint64) int {
		x := &latestTrial{trial: newTrial(seed, 6)}
		x.missing = []string{"null", "default", "drop", "reject"}[x.r.IntN(4)]
		body := take + fmt.Sprintf("missing = %q\ndelete = lim > 900\n", x.missing)
		if x.missing == "default" {
			body += "default = { limit = 5 + value, words = \"none\" }\n"
		}
		if x.r.IntN(3) == 0 {
			x.age = int64(1 + x.r.IntN(60))
			body += fmt.Sprintf("max_age = \"%ds\"\n", x.age)
		}
		n := 0
		of, out := x.run(t, Latest(), body)
		for task, b := range out {
			want, rejected := x.brute(of[task])
			if n += len(want); !slices.Equal(b.lines, want) || len(b.rejects) != rejected {
				t.Fatalf("seed %d, task %d of %s\n%s: %d rejects, want %d\n%s", seed, task, x, body, len(b.rejects), rejected, firstDifference(b.lines, want))
			}
		}
		return n
	})
	if t.Logf("%d rows", rows); rows < 10_000 {
		t.Errorf("only %d rows were compared", rows)
	}
}
