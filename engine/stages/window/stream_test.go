package window

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/engine/flow"
)

// aggregatesOf the oracle, by name.
func aggregatesOf() [][2]string {
	return [][2]string{
		{"n", "count()"}, {"known", "count(temp)"}, {"total", "sum(temp)"}, {"a", "avg(temp)"}, {"lo", "min(temp)"}, {"hi", "max(temp)"},
		{"f", "first(temp)"}, {"l", "last(temp)"}, {"dt", "delta(temp)"}, {"r", "rate(temp)"}, {"ta", "time_avg(temp)"}, {"tl", "time_avg(temp, \"linear\")"}, {"in", "increase(temp)"},
		{"sd", "stddev(temp)"}, {"p", "percentile(temp, 90)"}, {"d", "distinct(temp)"}, {"h", "histogram(temp, [-50, 0, 50])"}, {"k", "topk(code, 2)"},
		{"c", "collect(code, 5)"}, {"am", "argmin(code, temp)"}, {"ax", "argmax(at, temp)"},
	}
}

// trial is one stream and how it is run.
type trial struct {
	spec
	r       *rand.Rand
	names   []string
	args    string
	devices int
	tasks   int
	crashes bool
	events  []event
	quiet   int  // about so many rows stand between two ticks
	rings   int  // windows of panes that go round, once it has run
	steady  bool // sliding: devices report in every step, but for now and then, so that their panes go round
}

// bigTrials are the last trials of each kind: of so many devices.
const (
	bigTrials  = 5
	bigDevices = 10_000
	bigRows    = 30_000
)

// newTrial makes a trial of up to 50 devices and 2,000 rows, or a big one; a steady one is of a sliding window.
func newTrial(k kind, seed uint64, big, steady bool) *trial {
	r := rand.New(rand.NewPCG(seed, uint64(k)))
	x := &trial{r: r, devices: 1 + r.IntN(1+r.IntN(50)), tasks: 1 << r.IntN(3), crashes: r.IntN(2) == 0, quiet: 30, steady: steady}
	x.kind = k
	sec := func(n int) int64 { return int64(n) * 1_000_000 }
	b := &strings.Builder{}
	b.WriteString("by = [device]\n")
	switch k {
	case tumbling:
		x.every = sec(10 + r.IntN(100))
		fmt.Fprintf(b, "every = \"%ds\"\n", x.every/1e6)
	case sliding:
		x.every = sec(5 + r.IntN(40))
		x.size = x.every * int64(1+r.IntN(12))
		if x.steady {
			x.size, x.devices = max(x.size, ringLeast*x.every), 1+r.IntN(4)
		}
		fmt.Fprintf(b, "every = \"%ds\"\nsize = \"%ds\"\n", x.every/1e6, x.size/1e6)
	case session:
		x.gap = sec(5 + r.IntN(60))
		fmt.Fprintf(b, "gap = \"%ds\"\n", x.gap/1e6)
	case counting:
		x.n = int64(1 + r.IntN(20))
		fmt.Fprintf(b, "size = %d\n", x.n)
	case holding:
		b.WriteString("while = on\n")
		if x.drop = r.IntN(3) == 0; x.drop {
			b.WriteString("late = \"drop\"\n")
			break
		}
		x.keep = sec(9000 * 3600)
		if r.IntN(2) == 0 {
			x.keep = sec(r.IntN(400))
		}
		x.most = 1_000_000
		if r.IntN(2) == 0 {
			x.most = int64(16 + r.IntN(60))
		}
		fmt.Fprintf(b, "late = \"revise\"\nkeep = \"%ds\"\nmax_rows = %d\n", x.keep/1e6, x.most)
	}
	if k < counting {
		if r.IntN(3) == 0 {
			x.grace = sec(r.IntN(60))
		}
		x.drop = r.IntN(3) == 0
		keep := sec(9000 * 3600)
		if x.steady {
			x.keep = sec(1 + r.IntN(100))
			keep = x.keep
		} else if k == session && !x.drop && seed%3 == 1 { // no number is drawn, so that streams of other trials stay as they were
			x.keep = sec(1 + int(seed%401))
			keep = x.keep
		}
		fmt.Fprintf(b, "grace = \"%ds\"\nkeep = \"%ds\"\n", x.grace/1e6, keep/1e6)
		if x.drop {
			b.WriteString("late = \"drop\"\n")
		}
		if k != session && r.IntN(3) == 0 {
			x.offset = mod(sec(r.IntN(50)), x.every)
			fmt.Fprintf(b, "offset = \"%ds\"\n", x.offset/1e6)
		}
	}
	if r.IntN(3) == 0 && !x.steady {
		b.WriteString("idle = \"20s\"\n")
	}
	if r.IntN(3) == 0 && !x.steady {
		b.WriteString("early = \"15s\"\n")
	}
	b.WriteString("emit = { ")
	all := aggregatesOf()
	if x.steady {
		all = slices.DeleteFunc(all, func(a [2]string) bool {
			return slices.Contains([]string{"ta", "tl", "in", "p", "d", "k", "c", "am"}, a[0])
		})
	}
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, a := range append(all[:1+r.IntN(6)], [2]string{"total_", "count() + 0"}) {
		fmt.Fprintf(b, "%s = %s, ", a[0], a[1])
		x.names = append(x.names, a[0])
	}
	b.WriteString("}\n")
	x.args = b.String()
	rows := 1 + r.IntN(1+r.IntN(2000))
	if big {
		x.devices, x.tasks, x.crashes, x.quiet, rows = bigDevices, 1<<(seed%3), seed%2 == 0, 1000, bigRows
	}
	x.stream(rows)
	return x
}

// stream makes rows with disorder, duplicates, gaps, hidden rows and ticks.
func (x *trial) stream(n int) {
	r := x.r
	times, marks := make([]int64, x.devices), make([]int64, x.devices)
	now, disorder, most, jumps, hidden := int64(0), r.IntN(200), 20, 50, 15
	if x.steady {
		disorder, most, jumps, hidden = 0, int(x.every/1e6)-1, 300, 100
	}
	for i := range marks {
		marks[i] = flow.NoMark
		times[i] = int64(r.IntN(1000)) * 1_000_000
	}
	for len(x.events) < n {
		now += int64(r.IntN(3)) * 1_000_000
		if r.IntN(x.quiet) == 0 {
			x.events = append(x.events, event{tick: true, t: now})
			continue
		}
		d := r.IntN(x.devices)
		times[d] += int64(r.IntN(most)) * 1_000_000
		if r.IntN(jumps) == 0 {
			times[d] += int64(r.IntN(2000)) * 1_000_000
		}
		t := times[d]
		if disorder > 0 && r.IntN(4) == 0 {
			t -= int64(r.IntN(disorder)) * 1_000_000
		}
		if x.steady && r.IntN(100) == 0 {
			t -= r.Int64N(2 * x.size)
		}
		e := event{device: d, t: t, hasTemp: r.IntN(6) > 0, temp: float64(r.IntN(2000)-1000) / 10, code: string(rune('a' + r.IntN(5))), on: r.IntN(5)/2 - r.IntN(8)/7,
			hidden: r.IntN(hidden) == 0, received: now}
		e.on = max(-1, min(1, e.on))
		if last := len(x.events) - 1; r.IntN(20) == 0 && last >= 0 && !x.events[last].tick {
			e = x.events[last] // a duplicate
			e.received = now
		}
		marks[e.device] = max(marks[e.device], e.t)
		e.mark = marks[e.device]
		x.events = append(x.events, e)
	}
}

func streamSchema() *arrow.Schema {
	return flow.NewSchema([]arrow.Field{
		{Name: "device", Type: arrow.BinaryTypes.String, Nullable: true}, {Name: "temp", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
		{Name: "code", Type: arrow.BinaryTypes.String, Nullable: true}, {Name: "on", Type: arrow.FixedWidthTypes.Boolean, Nullable: true},
		{Name: "at", Type: flow.Timestamp, Nullable: true},
	})
}
