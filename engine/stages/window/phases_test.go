package window

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/engine/flow"
)

// apart is a trial whose rows are in several partitions, spread by device, and whose windows are by other columns.
type apart struct {
	*trial
	by     []string
	sites  int
	whole  bool // every row is in its window in the end, and every window comes out
	timely bool // no clock is ahead
	idle   bool
	saved  int // rows that went from partition to partition in parts of others
}

// newApart makes a trial of up to 50 devices and 2,000 rows, or a big one: of sessions, or of windows of equal length.
func newApart(seed uint64, big, sessions bool) *apart {
	r := rand.New(rand.NewPCG(seed, 77))
	if sessions {
		r = rand.New(rand.NewPCG(seed, 78))
	}
	x := &apart{trial: &trial{r: r, devices: 1 + r.IntN(1+r.IntN(50)), tasks: 1 << r.IntN(3), crashes: r.IntN(2) == 0, quiet: 8}, sites: 1 + r.IntN(4), whole: true, timely: r.IntN(4) > 0}
	x.by = [][]string{{}, {"site"}, {"code"}, {"site", "code"}}[r.IntN(4)]
	x.kind = []kind{tumbling, sliding}[r.IntN(2)]
	if sessions {
		x.kind = session
	}
	sec := func(n int) int64 { return int64(n) * 1_000_000 }
	b := &strings.Builder{}
	fmt.Fprintf(b, "by = [%s]\n", strings.Join(x.by, ", "))
	if sessions {
		x.gap = sec(5 + r.IntN(60))
		fmt.Fprintf(b, "gap = \"%ds\"\nphases = 2\n", x.gap/1e6)
	} else {
		x.every = sec(10 + r.IntN(100))
		fmt.Fprintf(b, "every = \"%ds\"\n", x.every/1e6)
	}
	if x.kind == sliding {
		x.size = x.every * int64(1+r.IntN(12))
		fmt.Fprintf(b, "size = \"%ds\"\n", x.size/1e6)
	}
	if r.IntN(2) == 0 {
		x.grace = sec(r.IntN(60))
	}
	keep := 9000 * 3600
	if r.IntN(3) == 0 {
		keep, x.whole = r.IntN(200), false
	}
	fmt.Fprintf(b, "grace = \"%ds\"\nkeep = \"%ds\"\n", x.grace/1e6, keep)
	if x.drop = r.IntN(2) == 0; x.drop {
		fmt.Fprintf(b, "late = %q\n", []string{"drop", "side"}[r.IntN(2)])
		x.whole = true
	}
	if r.IntN(3) == 0 && !sessions {
		x.offset = mod(sec(r.IntN(50)), x.every)
		fmt.Fprintf(b, "offset = \"%ds\"\n", x.offset/1e6)
	}
	if r.IntN(3) == 0 && !sessions {
		fmt.Fprintf(b, "early = \"%ds\"\n", 5+r.IntN(60))
	}
	if x.idle = r.IntN(3) == 0 && !sessions; x.idle {
		fmt.Fprintf(b, "idle = \"%ds\"\n", 5+r.IntN(100))
	}
	if r.IntN(5) == 0 {
		b.WriteString("having = count() > 3\n")
		x.whole = false
	}
	b.WriteString("emit = { ")
	all := aggregatesOf()
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, a := range append(all[:1+r.IntN(6)], [2]string{"total_", "count() + 0"}) {
		fmt.Fprintf(b, "%s = %s, ", a[0], a[1])
		x.names = append(x.names, a[0])
	}
	b.WriteString("}\n")
	x.args = b.String()
	rows := 1 + r.IntN(1+r.IntN(2000))
	if big {
		x.devices, x.tasks, x.crashes, x.quiet, x.sites, rows = bigDevices, 1<<(seed%3), seed%2 == 0, 200, bigDevices/10, bigRows
	}
	if sessions && !big && r.IntN(3) == 0 {
		x.edges(rows)
	} else {
		x.stream(rows)
	}
	return x
}

// edges makes rows of sessions that are about a gap apart, and ticks about a grace, or a gap and a grace, behind them, each to a
// microsecond or two. No two moments of different rows are the same.
func (x *apart) edges(n int) {
	r := x.r
	start := int64(5_000_000_000)
	now, ticked, times, used := start, start, []int64{start}, map[int64]bool{}
	near := func(far ...int64) int64 {
		return times[max(0, len(times)-1-r.IntN(12))] + far[r.IntN(len(far))] + int64(r.IntN(5)-2)
	}
	row := func(t int64) {
		for used[t] {
			t++
		}
		used[t], times = true, append(times, t)
		now = max(now, t)
		x.events = append(x.events, event{device: r.IntN(x.devices), t: t, hasTemp: r.IntN(6) > 0, temp: float64(r.IntN(2000)-1000) / 10,
			code: string(rune('a' + r.IntN(5)*r.IntN(2))), received: now})
	}
	for len(x.events) < n {
		switch t := near(x.grace, x.grace+x.gap); {
		case r.IntN(4) > 0 && r.IntN(3) > 0:
			row(near(x.gap, -x.gap, -x.gap/2, x.gap, 3*x.gap/2))
		case t < now || r.IntN(3) == 0:
			row(ticked - x.grace + []int64{0, -x.gap}[r.IntN(2)] + int64(r.IntN(5)-2))
		default:
			if now = t; r.IntN(2) == 0 {
				row(now) // so that the watermark is the tick
			}
			ticked = now
			x.events = append(x.events, event{tick: true, t: now})
		}
	}
	if !slices.ContainsFunc(x.events, func(e event) bool { return e.tick }) {
		x.events = append(x.events, event{tick: true, t: now})
	}
}

// stream makes rows with disorder, duplicates, devices that are away, and ticks. No two moments of different rows are the same.
func (x *apart) stream(n int) {
	r := x.r
	now, disorder := 5000, r.IntN(200)
	for len(x.events) < n {
		now += r.IntN(3)
		if r.IntN(100) == 0 {
			now += r.IntN(200) // nothing comes
		}
		if r.IntN(x.quiet) == 0 {
			x.events = append(x.events, event{tick: true, t: int64(now) * 1e6})
			continue
		}
		t := now - 1 - r.IntN(5)
		switch {
		case disorder > 0 && r.IntN(5) == 0:
			t -= r.IntN(disorder)
		case r.IntN(50) == 0:
			t -= r.IntN(3000)
		case !x.timely && r.IntN(20) == 0:
			t += r.IntN(300)
		}
		e := event{device: r.IntN(x.devices), t: int64(t)*1e6 + int64(len(x.events)), hasTemp: r.IntN(6) > 0, temp: float64(r.IntN(2000)-1000) / 10,
			code: string(rune('a' + r.IntN(5))), received: int64(now) * 1e6}
		if last := len(x.events) - 1; r.IntN(20) == 0 && last >= 0 && !x.events[last].tick {
			e = x.events[last] // a duplicate
			e.received = int64(now) * 1e6
		}
		x.events = append(x.events, e)
	}
}

func (x *apart) siteOf(e event) string { return fmt.Sprint("s", (e.device+int(e.code[0]))%x.sites) }

// keyOf is what a row has in the first columns of by.
func (x *apart) keyOf(e event, columns int) string {
	var out []string
	for _, c := range x.by[:min(columns, len(x.by))] {
		out = append(out, map[string]string{"site": x.siteOf(e), "code": e.code}[c])
	}
	return strings.Join(out, " ")
}

func apartSchema() *arrow.Schema {
	fields := append(slices.Clone(flow.UserFields(streamSchema())), arrow.Field{Name: "site", Type: arrow.BinaryTypes.String, Nullable: true})
	return flow.NewSchema(fields)
}

// check compares two phases with one, and with what a person would compute.
func (x *apart) check() (windows int, err error) {
	two := x.course(true)
	if two.err != nil {
		return 0, two.err
	}
	one := x.course(false)
	if one.err != nil {
		return 0, one.err
	}
	x.saved = two.saved
	for id, want := range one.got {
		got := two.got[id]
		// In one phase the row counts for idle that came last in the order of partitions, in two the one that was received last.
		all := !x.idle || x.tasks == 1
		if got == nil || all && !slices.Equal(got.revisions, want.revisions) || got.final != want.final {
			return 0, fmt.Errorf("window %s: one phase gives %q, two %+v", id, want.revisions, got)
		}
		if n, ok := want.values["total_"].(int64); ok {
			for _, name := range x.names {
				if name != "p" && !alike(name, got.values[name], want.values[name], n) {
					return 0, fmt.Errorf("window %s: %s is %v in one phase and %v in two", id, name, want.values[name], got.values[name])
				}
			}
		}
	}
	if len(one.got) != len(two.got) {
		return 0, fmt.Errorf("%d windows in one phase, %d in two", len(one.got), len(two.got))
	}
	windows = len(one.got)
	if !x.whole {
		return windows, nil
	}
	return x.brute(two.got)
}

// brute compares with what a person would compute. Of a row with a clock that is ahead the moment counts at which it came.
func (x *apart) brute(got map[string]*told) (windows int, err error) {
	marks, due, groups := map[string]int64{}, map[string]int64{}, map[string][]event{}
	events := slices.Clone(x.events)
	for from, to := 0, 0; from < len(events); from = to + 1 { // rows of a tick interval meet in the order of partitions
		for to = from; to < len(events) && !events[to].tick; to++ {
		}
		slices.SortStableFunc(events[from:to], func(a, b event) int { return a.device%x.tasks - b.device%x.tasks })
	}
	for _, e := range events {
		if e.tick {
			for k, m := range due {
				marks[k] = min(m, e.t)
			}
			continue
		}
		lead, group := x.keyOf(e, 1), x.keyOf(e, 2)
		mark, known := marks[lead]
		if !known {
			mark = flow.NoMark
		}
		if due[lead] = max(due[lead], min(e.t, e.received)); mark != flow.NoMark {
			e.mark = mark
		} else {
			e.mark = flow.NoMark
		}
		groups[group] = append(groups[group], e)
	}
	for group, rows := range groups {
		all, starts := x.bruteForce(rows), map[int64]int{}
		for _, f := range all {
			starts[f.start]++
		}
		for _, f := range all {
			windows++
			id := fmt.Sprint(group, " ", f.start)
			o := got[id]
			delete(got, id)
			if starts[f.start] > 1 { // sessions of which one was closed and forgotten when the other began
				continue
			}
			if o == nil || !o.final || o.values["end"] != f.end || x.kind == session && o.duration != f.duration {
				return windows, fmt.Errorf("window %s of %d rows is %+v", id, len(f.rows), o)
			}
			want := f.values()
			for _, name := range x.names {
				if name == "d" && want[name].(int64) > exactUnique {
					continue // an estimate, which is the same in one phase
				}
				if !alike(name, o.values[name], want[name], int64(len(f.rows))) {
					return windows, fmt.Errorf("window %s: %s is %v, want %v", id, name, o.values[name], want[name])
				}
			}
		}
	}
	for id := range got {
		if !strings.HasPrefix(id, "counted ") && !got[id].empty {
			return windows, fmt.Errorf("window %s is too many", id)
		}
	}
	return windows, nil
}

// TestPhases compares windows that are made in two phases, over random streams in 1, 2 and 4 partitions, with the same
// windows in one phase, revision for revision, and with what a person would compute.
func TestPhases(t *testing.T) {
	big := lastSeed() - *oracleSeeds
	small := *oracleSeeds * 6 / 10 // each is run twice, and with more around it
	for _, name := range []string{"equal", "session"} {
		t.Run(name, func(t *testing.T) {
			var windows, rows, saved atomic.Int64
			eachSeed(t, small+big, func(seed uint64) {
				x := newApart(seed, seed > small, name == "session")
				n, err := x.check()
				windows.Add(int64(n))
				saved.Add(int64(x.saved))
				rows.Add(int64(len(x.events)))
				if err != nil {
					t.Errorf("seed %d, %d rows of %d devices, %d partitions, timely %t: %v\n%s", seed, len(x.events), x.devices, x.tasks, x.timely, err, x.args)
				}
			})
			t.Logf("%d windows of %d rows, %d of which were in parts with others", windows.Load(), rows.Load(), saved.Load())
			if !t.Failed() && (windows.Load() < int64(small) || saved.Load() < rows.Load()/10) && *oracleSeed == 0 {
				t.Error("hardly a window, or a part of two rows: this check cannot fail")
			}
		})
	}
}
