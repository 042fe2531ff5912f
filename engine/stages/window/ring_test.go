package window

import (
	"fmt"
	"math/rand/v2"
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
	went    int // windows that went out of rings
}

func (r *ringWindow) open(t *testing.T) {
	st, err := r.bound.OpenStage(stage.Opening{Alloc: kept{}, Tables: r.tables, Reject: func(stage.Reject) {}, Count: func(string, int64) {}})
	if err != nil {
		t.Fatal(err)
	}
	if r.w = st.(*window); r.without {
		r.w.length = 0
	}
}

// Emit notes rows as text, and how many are of rings.
func (r *ringWindow) Emit(rows arrow.RecordBatch) {
	defer rows.Release()
	text, err := rows.MarshalJSON()
	if err != nil {
		panic(err)
	}
	r.out = append(r.out, string(text))
	for i := range r.w.queue {
		if r.w.queue[i].ring {
			r.went++
		}
	}
}

// snapshot takes what a checkpoint would, part of it ahead, and with restart begins anew from all that was taken.
func (r *ringWindow) snapshot(t *testing.T, ahead, restart bool) {
	for i, table := range r.tables {
		if ahead {
			table.Ahead(false, 1000)
		} else {
			r.chains[i] = append(r.chains[i], table.Snapshot(false))
		}
	}
	if ahead || !restart {
		return
	}
	if err := r.w.Close(); err != nil {
		t.Fatal(err)
	}
	for i := range r.tables {
		table, err := state.Restore(r.bound.State[i], r.chains[i]...)
		if err != nil {
			t.Fatal(err)
		}
		r.tables[i] = table
	}
	r.open(t)
}

// regular is a stream of devices that report in every step, but for now and then.
type regular struct {
	r       *rand.Rand
	offset  int64
	times   []int64 // of the newest row, by device
	trouble int     // one row in so many is late, behind a gap or comes twice
	mixed   bool    // places are in no order
}

func (g *regular) batch(rows int) arrow.RecordBatch {
	b := array.NewRecordBuilder(memory.DefaultAllocator, flow.NewSchema([]arrow.Field{
		{Name: "device", Type: arrow.BinaryTypes.String}, {Name: "temp", Type: arrow.PrimitiveTypes.Float64}}))
	defer b.Release()
	for range rows {
		d := int(g.offset) % len(g.times)
		g.offset++
		place, t := g.offset, g.times[d]+20_000_000+g.r.Int64N(20_000_000)
		if g.r.IntN(g.trouble) == 0 {
			t += []int64{-40_000_000, -200_000_000, 70_000_000, 130_000_000, 1_500_000_000}[g.r.IntN(5)]
		}
		if g.mixed && g.r.IntN(20) == 0 {
			place += 500
		}
		g.times[d] = max(g.times[d], t)
		b.Field(0).(*array.Int64Builder).Append(place)
		b.Field(1).(*array.Int32Builder).Append(0)
		b.Field(2).(*array.TimestampBuilder).Append(arrow.Timestamp(t))
		b.Field(3).(*array.TimestampBuilder).Append(arrow.Timestamp(t))
		b.Field(4).(*array.Uint32Builder).Append(uint32(d))
		b.Field(5).(*array.Int64Builder).Append(g.times[d])
		b.Field(6).(*array.StringBuilder).Append(fmt.Sprint("d", d))
		b.Field(7).(*array.Float64Builder).Append(float64(g.r.IntN(1000)) / 7)
	}
	return b.NewRecordBatch()
}

// TestRings compares windows whose groups' panes go round with ones that have links alone: the same rows in the same batches, in whatever way a group
// leaves its ring, wherever batches are cut, and after a restart from any snapshot.
func TestRings(t *testing.T) {
	seeds, went := 60, 0
	for seed := range seeds {
		r := rand.New(rand.NewPCG(uint64(seed), 7))
		emit := []string{"a = avg(temp)", "a = avg(temp), l = min(temp), n = count(), f = first(temp), o = last(temp), s = stddev(temp)", "h = max(temp), n = count()"}[seed%3]
		args := fmt.Sprintf("by = [device]\nsize = %q\nevery = \"1m\"\nkeep = %q\nlate = %q\nemit = { %s }\n", []string{"4m", "8m", "13m"}[r.IntN(3)],
			[]string{"1m", "90s", "8m"}[r.IntN(3)], []string{"revise", "drop", "side"}[r.IntN(3)], emit)
		g := &regular{r: r, times: make([]int64, 1+r.IntN(7)), trouble: []int{60, 300, 3000}[r.IntN(3)], mixed: seed%5 == 0}
		first := g.batch(1)
		var twins [2]*ringWindow
		for i := range twins {
			bound, diags := stagetest.Bind(specNamed("sliding_"), []byte(args), first.Schema(), "device", 1)
			if diags.HasErrors() {
				t.Fatal(diags)
			}
			x := &ringWindow{bound: bound, without: i == 1, chains: make([][]*state.Snapshot, len(bound.State))}
			for _, d := range bound.State {
				x.tables = append(x.tables, state.New(d))
			}
			x.open(t)
			twins[i] = x
		}
		for step := range 60 {
			rows, what := g.batch(1+r.IntN(90)), r.IntN(24)
			for _, x := range twins {
				x.run(t, rows, what)
			}
			rows.Release()
			if a, b := strings.Join(twins[0].out, "\n"), strings.Join(twins[1].out, "\n"); a != b {
				t.Fatalf("seed %d, step %d: with rings\n%s\nwithout\n%s\n%s", seed, step, a, b, args)
			}
			twins[0].out, twins[1].out = nil, nil
		}
		first.Release()
		went += twins[0].went
		if twins[1].went > 0 {
			t.Fatal("the twin has rings")
		}
	}
	t.Logf("%d windows of rings", went)
	if went < 10*seeds {
		t.Error("hardly a ring: this check cannot fail")
	}
}

// run gives a window rows, and then a tick, a snapshot, a restart or the end of input.
func (r *ringWindow) run(t *testing.T, rows arrow.RecordBatch, what int) {
	if err := r.w.Process(0, rows, r); err != nil {
		t.Fatal(err)
	}
	marks := flow.Watermarks{}
	last := int(rows.NumRows()) - 1
	switch what {
	case 0:
		r.snapshot(t, false, true)
	case 1, 2:
		r.snapshot(t, true, false)
	case 3, 4:
		r.snapshot(t, false, false)
	case 5:
		marks.Keys = []flow.KeyMark{{Slot: flow.Slots(rows)[last], Time: flow.Marks(rows)[last] + 45_000_000}}
		marks.Tick, marks.Ticked = flow.Marks(rows)[last], true
	case 6:
		marks.Tick, marks.Ticked = flow.Marks(rows)[last], true
	}
	if err := stage.AdvanceWhole(r.w, 0, marks, r); err != nil {
		t.Fatal(err)
	}
}
