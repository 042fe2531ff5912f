package window

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/stages/stagetest"
	"github.com/tidemill/tidemill/engine/state"
)

// ringWindow is a sliding window with its tables; a twin of it has no rings.
type ringWindow struct {
	bound   stage.Bound
	w       *window
	tables  []*state.Table
	chains  [][]*state.Snapshot
	without bool
	out     []string
	refused []string
	went    int // windows that went out of rings
}

func newRingWindow(t *testing.T, args string, schema *arrow.Schema, without bool) *ringWindow {
	bound, diags := stagetest.Bind(specNamed("sliding_"), []byte(args), schema, "device", 1)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	r := &ringWindow{bound: bound, without: without, chains: make([][]*state.Snapshot, len(bound.State))}
	for _, d := range bound.State {
		r.tables = append(r.tables, state.New(d))
	}
	r.open(t)
	return r
}

func (r *ringWindow) open(t *testing.T) {
	st, err := r.bound.OpenStage(stage.Opening{Alloc: kept{}, Tables: r.tables, Address: "window.it",
		Reject: func(x stage.Reject) { r.refused = append(r.refused, x.Reason) }, Count: func(name string, n int64) { r.refused = append(r.refused, fmt.Sprint(name, n)) }})
	if err != nil {
		t.Fatal(err)
	}
	if r.w = st.(*window); r.without {
		r.w.length = 0
	}
}

func (r *ringWindow) close(t *testing.T) {
	if err := r.w.Close(); err != nil {
		t.Fatal(err)
	}
}

// Emit notes rows as text, and how many are of rings.
func (r *ringWindow) Emit(rows arrow.RecordBatch) {
	defer rows.Release()
	text, err := rows.MarshalJSON()
	if err != nil {
		panic(err)
	}
	for _, row := range strings.SplitAfter(strings.Trim(string(text), "[]\n"), "}") {
		if row = strings.TrimLeft(row, ",\n"); row != "" {
			r.out = append(r.out, row)
		}
	}
	for i := range r.w.queue {
		if r.w.queue[i].ring {
			r.went++
		}
	}
}

// said is what came out since the last time, and then what was refused.
func (r *ringWindow) said() []string {
	all := append(r.out, r.refused...)
	r.out, r.refused = nil, nil
	return all
}

func (r *ringWindow) process(t *testing.T, rows []ringRow) {
	batch := batchOf(rows)
	defer batch.Release()
	if err := r.w.Process(0, batch, r); err != nil {
		t.Fatal(err)
	}
}

func (r *ringWindow) advance(t *testing.T, marks flow.Watermarks) {
	if err := stage.AdvanceWhole(r.w, 0, marks, r); err != nil {
		t.Fatal(err)
	}
}

// disturb does what happens to a stage between two batches: snapshots are taken, part of them ahead, and it begins anew over the same tables, or
// over what was taken, also as one that knows nothing of rings.
func (r *ringWindow) disturb(t *testing.T, x *rand.Rand) {
	what, full := x.IntN(16), x.IntN(3) == 0
	for i, table := range r.tables {
		switch {
		case what < 3 && x.IntN(2) == 0: // panes may be copied before their group, and the other way round
			table.Ahead(full, 1+x.Int64N(3000))
		case what < 3:
		case what < 9:
			s, err := state.DecodeSnapshot(table.Snapshot(full).AppendTo(nil))
			if err != nil {
				t.Fatal(err)
			}
			r.chains[i] = append(r.chains[i], s)
		}
	}
	if what < 7 || what > 10 {
		return
	}
	r.close(t)
	for i := range r.tables {
		if what >= 9 {
			break
		}
		table, err := state.Restore(r.bound.State[i], r.chains[i]...)
		if err != nil {
			t.Fatal(err)
		}
		r.tables[i] = table
	}
	r.without = x.IntN(8) == 0
	r.open(t)
	r.checkLinks(t)
}

// checkLinks looks whether the panes of each group are a list in order of time that has two ends.
func (r *ringWindow) checkLinks(t *testing.T) {
	r.w.groups.Range(func(g uint32) bool {
		newer, panes := uint32(0), 0
		for at := r.w.groupLinks(g)[groupNewest]; at != 0; at = r.w.paneLinks(at - 1)[paneOlder] {
			links := r.w.paneLinks(at - 1)
			if panes++; links[paneNewer] != newer || links[paneGroup] != g || newer != 0 && r.w.cells(newer - 1)[paneStart] <= r.w.cells(at - 1)[paneStart] {
				t.Fatalf("pane %d of group %d is not where it is linked", at-1, g)
			}
			newer = at
		}
		if r.w.groupLinks(g)[groupOldest] != newer {
			t.Fatalf("the oldest of the %d panes of group %d is %d, and not %d", panes, g, newer, r.w.groupLinks(g)[groupOldest])
		}
		return true
	})
}

// ringRow is a row of a stream, or, with told, what is told behind the rows before.
type ringRow struct {
	device, site             int
	place, index, t, mark, n int64
	temp                     float64 // NaN: as often null
	told                     *flow.Watermarks
}

func ringSchema() *arrow.Schema {
	return flow.NewSchema([]arrow.Field{{Name: "device", Type: arrow.BinaryTypes.String}, {Name: "site", Type: arrow.BinaryTypes.String},
		{Name: "temp", Type: arrow.PrimitiveTypes.Float64, Nullable: true}, {Name: "n", Type: arrow.PrimitiveTypes.Int64}})
}

func batchOf(rows []ringRow) arrow.RecordBatch {
	b := array.NewRecordBuilder(memory.DefaultAllocator, ringSchema())
	defer b.Release()
	for _, x := range rows {
		b.Field(0).(*array.Int64Builder).Append(x.place)
		b.Field(1).(*array.Int32Builder).Append(int32(x.index))
		b.Field(2).(*array.TimestampBuilder).Append(arrow.Timestamp(x.t))
		b.Field(3).(*array.TimestampBuilder).Append(arrow.Timestamp(x.t))
		b.Field(4).(*array.Uint32Builder).Append(uint32(x.device))
		b.Field(5).(*array.Int64Builder).Append(x.mark)
		b.Field(6).(*array.StringBuilder).Append(fmt.Sprint("d", x.device))
		b.Field(7).(*array.StringBuilder).Append(fmt.Sprint("s", x.site))
		if math.IsNaN(x.temp) && x.n%2 == 0 {
			b.Field(8).AppendNull()
		} else {
			b.Field(8).(*array.Float64Builder).Append(x.temp)
		}
		b.Field(9).(*array.Int64Builder).Append(x.n)
	}
	return b.NewRecordBatch()
}

// regular is a stream of devices that report in every step, but for now and then.
type regular struct {
	r       *rand.Rand
	place   int64
	times   []int64 // of the newest row, by device
	marks   []int64
	sites   int
	step    int64 // a device's rows are half as far apart, or as far
	trouble int   // one row in so many is late, behind a gap or comes twice
	turn    int   // so many rows of a device come one behind the other
	odd     int   // one row in so many has no value
	mixed   bool  // places are in no order
}

func (g *regular) stream(rows int) (out []ringRow) {
	now := int64(0)
	for len(out) < rows {
		d := int(g.place) / g.turn % len(g.times)
		g.place++
		x := ringRow{device: d, site: g.r.IntN(g.sites), place: g.place, t: g.times[d] + g.step/2 + g.r.Int64N(g.step/2), n: g.r.Int64N(1000)}
		if x.temp = float64(g.r.IntN(1000)) / 7; g.r.IntN(g.odd) == 0 {
			x.temp = []float64{math.NaN(), math.Inf(1), math.Copysign(0, -1), 1e300}[g.r.IntN(4)]
		}
		ahead := int64(0)
		if g.r.IntN(g.trouble) == 0 {
			switch what := g.r.IntN(11); what {
			case 0, 1, 2:
				x.t -= g.step * []int64{1, 6, 40}[what]
			case 3, 4, 5:
				x.t += g.step * []int64{2, 4, 60}[what-3]
			case 6:
				ahead = g.step * g.r.Int64N(9) // rows that a filter dropped
			case 7:
				x.place, x.index = x.place-1, 1
			case 8:
				x.t = maxTime + g.r.Int64N(1000)
			default:
				m := &flow.Watermarks{}
				for range g.r.IntN(4) {
					k := g.r.IntN(len(g.times))
					if g.marks[k] += g.step * g.r.Int64N(4); g.marks[k] > 0 {
						m.Keys = append(m.Keys, flow.KeyMark{Slot: uint32(k), Time: g.marks[k]})
					}
				}
				m.Ticked, m.Tick = what == 9, now
				m.Ended = m.Ticked && g.r.IntN(20) == 0
				x.told = m
			}
		}
		if g.mixed && g.r.IntN(20) == 0 {
			x.place += 500
		}
		if x.t < maxTime {
			g.times[d] = max(g.times[d], x.t)
			g.marks[d] = max(g.marks[d], x.t+ahead)
		}
		now, x.mark = max(now, g.times[d]), g.marks[d]
		out = append(out, x)
	}
	return out
}

// TestRings compares windows whose groups' panes go round with ones that have links alone: the same rows in the same order, in whatever way a group
// leaves its ring, wherever batches are cut, and whatever happens to the stage in between.
func TestRings(t *testing.T) {
	seeds, went := int(*oracleSeeds/10), 0
	for seed := range seeds {
		r := rand.New(rand.NewPCG(uint64(seed), 7))
		pick := func(s ...string) string { return s[r.IntN(len(s))] }
		g := &regular{r: r, step: 40_000_000, sites: 1, turn: 1, odd: []int{20, 1 << 30}[r.IntN(2)], trouble: []int{60, 300, 3000}[r.IntN(3)], mixed: r.IntN(3) == 0}
		devices, by := 1+r.IntN(7), "[device]"
		switch r.IntN(4) {
		case 0:
			devices = 130 + r.IntN(40)
		case 1:
			g.turn = 1 + r.IntN(300)
		case 2:
			by, g.sites, g.step = "[site, device]", 1+r.IntN(3), 16_000_000
		}
		g.times, g.marks = make([]int64, devices), make([]int64, devices)
		emit := pick("a = avg(temp)", "a = avg(temp)", "a = avg(temp), l = min(temp), n = count(), f = first(temp), o = last(temp), s = stddev(temp)", "h = max(temp), n = count()",
			"s = sum(n), b = sum(temp), c = count(temp), m = max(n)", "a = avg(temp), b = avg(temp + 1), h = histogram(temp, [10, 50]), x = argmax(n, temp), r = rate(n), d = delta(temp)")
		args := fmt.Sprintf("by = %s\nsize = %q\nevery = \"1m\"\nkeep = %q\nlate = %q\ngrace = %q\noffset = %q\nemit = { %s }\n", by, pick("4m", "5m", "8m", "13m"),
			pick("0s", "1m", "90s", "8m"), pick("revise", "drop", "side"), pick("0s", "0s", "20s", "90s"), pick("0s", "20s"), emit)
		rows := g.stream(min(400*devices, 6000))
		ring, plain := newRingWindow(t, args, ringSchema(), false), newRingWindow(t, args, ringSchema(), true)
		cut := 1 + r.IntN(10+devices*r.IntN(40))
		for from := 0; from < len(rows); {
			to := from
			for to++; to < len(rows) && rows[to-1].told == nil; to++ {
			}
			plain.process(t, rows[from:to])
			for from < to {
				n := min(to-from, 1+r.IntN(cut))
				ring.process(t, rows[from:from+n])
				if from += n; r.IntN(6) == 0 {
					ring.disturb(t, r)
				}
			}
			if told := rows[to-1].told; told != nil {
				plain.advance(t, *told)
				ring.advance(t, *told)
			}
			if a, b := ring.said(), plain.said(); !slices.Equal(a, b) {
				i := 0
				for i < min(len(a), len(b)) && a[i] == b[i] {
					i++
				}
				t.Fatalf("seed %d, up to row %d: with rings\n%s\nwithout\n%s\n%s", seed, to, strings.Join(a[i:min(len(a), i+3)], "\n"), strings.Join(b[i:min(len(b), i+3)], "\n"), args)
			}
		}
		if went += ring.went; plain.went > 0 {
			t.Fatal("the twin has rings")
		}
		ring.close(t)
		plain.close(t)
	}
	t.Logf("%d windows of rings", went)
	if went < 10*seeds {
		t.Error("hardly a ring: this check cannot fail")
	}
}
