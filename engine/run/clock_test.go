package run

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/plan"
)

// What a device sends says how far its clock is off when it comes as steadily as it was measured, and only then.
func TestClockEstimate(t *testing.T) {
	type feed func(i int) (ts, received float64) // s
	rng := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		name  string
		rows  int
		feed  feed
		shift float64 // s
	}{
		{"right", 100, func(i int) (float64, float64) { return float64(10 * i), float64(10*i) + 0.2 }, 0},
		{"too few rows", 9, func(i int) (float64, float64) { return float64(10 * i), float64(10*i) + 600 }, 0},
		{"enough rows", 10, func(i int) (float64, float64) { return float64(10 * i), float64(10*i) + 600 }, 600},
		{"ahead", 100, func(i int) (float64, float64) { return float64(10*i) + 900, float64(10 * i) }, -900},
		{"within the tolerance", 100, func(i int) (float64, float64) { return float64(10 * i), float64(10*i) + 9.9 }, 0},
		{"the network is slow and uneven", 400, func(i int) (float64, float64) { return float64(60 * i), float64(60*i) + 3*rng.Float64() }, 0},
		{"several rows at once", 100, func(i int) (float64, float64) { return float64(10 * i), float64(50*(i/5)+40) + 600 }, 600},
		{"ten rows a second", 200, func(i int) (float64, float64) { return float64(i) / 10, float64(i)/10 + 60 }, 60},
		{"a day that was kept comes at once", 2_000, func(i int) (float64, float64) { return float64(40 * i), 80_000 + float64(i)*0.4 }, 0},
		{"the clock stands", 100, func(i int) (float64, float64) { return 0, float64(10 * i) }, 0},
		{"the clock runs backwards", 100, func(i int) (float64, float64) { return -float64(10 * i), float64(10 * i) }, 0},
		{"it is put right", 200, func(i int) (float64, float64) {
			if i < 100 {
				return float64(10*i) + 900, float64(10 * i)
			}
			return float64(10 * i), float64(10 * i)
		}, 0},
		{"it is put wrong", 200, func(i int) (float64, float64) {
			if i < 100 {
				return float64(10*i) + 900, float64(10 * i)
			}
			return float64(10*i) + 1000, float64(10 * i)
		}, -1000},
	} {
		k := clocks{o: &config.Clock{Correct: true, Tolerance: 10 * time.Second}}
		row, offsets := make([]int64, plan.ClockFields), make([]int64, plan.ClockSamples)
		for i := range c.rows {
			ts, received := c.feed(i)
			k.note(row, offsets, 1e15+int64(ts*1e6), 1e15+int64(received*1e6))
		}
		if got := float64(row[clockShift]) / 1e6; got != c.shift {
			t.Errorf("%s: corrected by %v s, not %v, after %d differences", c.name, got, c.shift, row[clockCount])
		}
	}
}
