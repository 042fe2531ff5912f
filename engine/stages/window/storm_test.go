package window

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tidemill/tidemill/engine/flow"
)

// TestStorm has 10,000 devices report for a day, one in twenty of which is away for up to that long
// and comes back with everything at once. What comes out in the end is what a person would compute,
// and no window of the others waits or is lost.
func TestStorm(t *testing.T) {
	const devices, day, period = 10_000, 24 * 3600, 2 * 3600
	if testing.Short() {
		t.Skip("takes seconds")
	}
	const hour = 3_600_000_000
	for _, c := range []struct {
		spec
		args string
	}{
		{spec{kind: tumbling, every: hour}, `every = "1h"`},
		{spec{kind: sliding, every: hour, size: 3 * hour}, "every = \"1h\"\nsize = \"3h\""},
		{spec{kind: session, gap: 2 * hour}, `gap = "2h"`},
		{spec{kind: counting, n: 3}, `size = 3`},
		{spec{kind: holding, drop: true}, "while = on\nlate = \"drop\""},
	} {
		t.Run(specOf(c.kind).Type, func(t *testing.T) {
			r := rand.New(rand.NewPCG(5, uint64(c.kind)))
			x := &trial{spec: c.spec, r: r, devices: devices, tasks: 4, crashes: true, names: []string{"total", "l", "total_"},
				args: "by = [device]\n" + c.args + "\nemit = { total = sum(temp), l = last(temp), total_ = count() }\n"}
			var away, back [devices]int64
			for d := range away {
				if r.IntN(20) == 0 {
					away[d] = r.Int64N(day)
					back[d] = away[d] + r.Int64N(day-away[d])
				}
			}
			for d := range devices {
				for at := r.Int64N(period); at < day; at += period/2 + r.Int64N(period) {
					received := at
					if at >= away[d] && at < back[d] {
						received = back[d]
					}
					x.events = append(x.events, event{device: d, t: at * 1e6, received: received * 1e6, temp: float64(r.IntN(100)), hasTemp: true, code: "abc"[d%3:][:1], on: r.IntN(2)})
				}
			}
			for at := int64(0); at < day; at += 1800 {
				x.events = append(x.events, event{tick: true, t: at * 1e6, received: at * 1e6})
			}
			slices.SortStableFunc(x.events, func(a, b event) int { return int(a.received/1e6 - b.received/1e6) })
			marks := map[int]int64{}
			for i := range x.events {
				e := &x.events[i]
				if e.tick {
					continue
				}
				if _, ok := marks[e.device]; !ok {
					marks[e.device] = flow.NoMark
				}
				marks[e.device] = max(marks[e.device], e.t)
				e.mark = marks[e.device]
			}
			n, err := x.run()
			if err != nil || n < devices {
				t.Fatal(n, err)
			}
		})
	}
}
