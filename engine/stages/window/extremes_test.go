package window

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/engine/flow"
)

// extremes are numbers that break sums which are not careful: what is huge hides what stands beside it, and leaves a window again.
func extremes(r *rand.Rand, way int) float64 {
	huge := []float64{1e308, -1e308, 1e300, -1e300, math.MaxFloat64, -math.MaxFloat64}
	tiny := []float64{5e-324, -5e-324, 1e-310, -3e-308, 2.2250738585072014e-308, math.Copysign(0, -1), 0}
	switch {
	case way == 0 && r.IntN(12) == 0: // a spike among small ones
		return huge[2+r.IntN(2)]
	case way == 1 && r.IntN(6) == 0:
		return huge[r.IntN(len(huge))]
	case way == 2 && r.IntN(20) == 0:
		return []float64{math.NaN(), math.Inf(1), math.Inf(-1)}[r.IntN(3)]
	case way == 3:
		return tiny[r.IntN(len(tiny))]
	case way == 4:
		return math.Ldexp(r.Float64()-0.5, r.IntN(600)-300)
	case way == 5:
		return []float64{1e15, -1e15, 0.1, -0.1, 1e-300}[r.IntN(5)]
	}
	return float64(r.IntN(2000)-1000) / 7
}

// meanWindow notes the mean of each window, as bits; null has those of a NaN that no computation gives.
type meanWindow struct {
	*ringWindow
	means    map[string]uint64
	straight int // windows that slideRows has made
}

const nullMean = ^uint64(0)

// Emit notes the means of rows.
func (m *meanWindow) Emit(rows arrow.RecordBatch) {
	for i := range m.w.queue {
		if m.w.queue[i].ring {
			m.went++
		}
	}
	m.straight += m.w.straight
	defer rows.Release()
	col := func(name string) arrow.Array { return rows.Column(rows.Schema().FieldIndices(name)[0]) }
	device, start, mean := col("device").(*array.String), col("window_start").(*array.Timestamp), col("a").(*array.Float64)
	for i := range int(rows.NumRows()) {
		bits := nullMean
		if mean.IsValid(i) {
			bits = math.Float64bits(mean.Value(i))
		}
		m.means[fmt.Sprint(device.Value(i), " ", int64(start.Value(i)))] = bits
	}
}

func (m *meanWindow) feed(t *testing.T, rows []ringRow) {
	batch := batchOf(rows)
	defer batch.Release()
	if err := m.w.Process(0, batch, m); err != nil {
		t.Fatal(err)
	}
}

// exactMean is the mean of a window's values, and what it may differ by: 1e-9 of it, as doc.go says, and what numbers of the size of the others
// lose twice. It is null where a value is no number or not finite. safe says that no part of the sum is beyond a float64.
func exactMean(values []float64) (mean, off float64, null, safe bool) {
	sum, all := new(big.Float).SetPrec(2300), new(big.Float).SetPrec(2300)
	for _, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return 0, 0, true, true
		}
		x := new(big.Float).SetFloat64(v)
		sum.Add(sum, x)
		all.Add(all, x.Abs(x))
	}
	if len(values) == 0 {
		return 0, 0, true, true
	}
	n := new(big.Float).SetInt64(int64(len(values)))
	total, _ := all.Float64()
	mean, _ = sum.Quo(sum, n).Float64()
	size, _ := all.Quo(all, n).Float64()
	return mean, 1e-9*math.Abs(mean) + math.Ldexp(size, -90) + 5e-324, false, !math.IsInf(total, 0)
}

// TestExtremes compares the means of sliding windows over numbers of any size: bit by bit those that are made straight from panes that go round
// (slideMeans), those made with words in between (mergeRings), alone and behind another aggregate, and those found by links; and each with the
// exact mean of the window's rows. What was huge leaves nothing behind when it has left the window. A mean whose sum may have been beyond a
// float64 on its way is null, or right.
func TestExtremes(t *testing.T) {
	seeds := max(12, int(*oracleSeeds/20))
	windows, went, straight, lost := 0, 0, 0, 0
	for seed := range seeds {
		r, way := rand.New(rand.NewPCG(uint64(seed), 11)), seed%6
		devices := 1 + r.IntN(12)
		g := &regular{r: r, step: 40_000_000, sites: 1, turn: 1, odd: 1 << 30, trouble: 1 << 30, times: make([]int64, devices), marks: make([]int64, devices)}
		rows := g.stream(200 * devices)
		for i := range rows {
			rows[i].temp = extremes(r, way)
		}
		steps := int64(4 + r.IntN(10))
		args := fmt.Sprintf("by = [device]\nsize = \"%dm\"\nevery = \"1m\"\nkeep = \"0s\"\n", steps)
		var ways []*meanWindow
		for _, emit := range []string{"a = avg(temp)", "a = avg(temp), n = count()", "n = count(temp), a = avg(temp)", "a = avg(temp)"} {
			one := newRingWindow(t, args+"emit = { "+emit+" }\n", ringSchema(), len(ways) == 3)
			ways = append(ways, &meanWindow{ringWindow: one, means: map[string]uint64{}})
		}
		for _, m := range ways {
			for from := 0; from < len(rows); {
				n := min(len(rows)-from, 1+r.IntN(2*devices))
				m.feed(t, rows[from:from+n])
				from += n
			}
			m.advanceTo(t, flow.Watermarks{Ended: true})
			m.close(t)
		}
		want := windowsOf(rows, steps*60_000_000, 60_000_000)
		if len(want) != len(ways[0].means) {
			t.Fatalf("seed %d: %d windows, not %d", seed, len(ways[0].means), len(want))
		}
		for id, values := range want {
			got := ways[0].means[id]
			for k, m := range ways[1:] {
				if other, ok := m.means[id]; !ok || other != got {
					t.Fatalf("seed %d, window %s: %x (%v) straight, and %x (%v) in way %d: %v", seed, id, got, math.Float64frombits(got), other, math.Float64frombits(other), k+1, values)
				}
			}
			windows++
			mean, off, null, safe := exactMean(values)
			switch v := math.Float64frombits(got); {
			case got == nullMean && !null && !safe:
				lost++
			case (got == nullMean) != null || got != nullMean && !(math.Abs(v-mean) <= off):
				t.Fatalf("seed %d, window %s: %v (null %t), not %v within %v (null %t): %v", seed, id, v, got == nullMean, mean, off, null, values)
			}
		}
		went, straight = went+ways[1].went+ways[2].went, straight+ways[0].straight
	}
	t.Logf("%d windows, %d of rings, %d made straight, %d null since their sums were beyond a float64", windows, went, straight, lost)
	if went < 100*seeds || straight < 100*seeds || lost < seeds {
		t.Error("hardly a ring or a sum that is too large: this check cannot fail")
	}
}

func (m *meanWindow) advanceTo(t *testing.T, marks flow.Watermarks) {
	if err := m.w.Advance(0, marks, m); err != nil {
		t.Fatal(err)
	}
	for more := true; more; {
		var err error
		if more, err = m.w.More(m); err != nil {
			t.Fatal(err)
		}
	}
}

// windowsOf is the values of each sliding window that has rows, nulls left out.
func windowsOf(rows []ringRow, size, every int64) map[string][]float64 {
	out := map[string][]float64{}
	for _, x := range rows {
		for start := floor(x.t, every); start > x.t-size; start -= every {
			id := fmt.Sprint("d", x.device, " ", start)
			values := out[id]
			if !math.IsNaN(x.temp) || x.n%2 != 0 {
				values = append(values, x.temp)
			}
			out[id] = values
		}
	}
	return out
}
