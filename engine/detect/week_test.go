package detect

import (
	"sync"
	"testing"

	"github.com/tidemill/tidemill/engine/detect/synth"
)

// alertRates are alerts a week that detectors raise on series, behind the first tenth of each.
func alertRates(set []synth.Series, c Config) []float64 {
	out := make([]float64, len(set))
	var wait sync.WaitGroup
	for i, s := range set {
		wait.Go(func() {
			c := c
			c.Signals = 1
			d, err := New(c)
			if err != nil {
				panic(err)
			}
			mem := make([]byte, d.Size())
			d.Init(mem, 1)
			var v Verdict
			from, n := len(s.Values)/10, 0.0
			for k, x := range s.Values {
				d.Step(mem, s.Times[k], []float64{x}, &v)
				if v.Grade > 0 && k >= from {
					n++
				}
			}
			out[i] = n / (float64(s.Times[len(s.Times)-1]-s.Times[from]) / week)
		})
	}
	wait.Wait()
	return out
}

// TestQuietOnClean: on telemetry of all kinds without a fault, somebody who asks for so many alerts a week gets between half
// and twice as many; and what is shipped wakes nobody every other day.
func TestQuietOnClean(t *testing.T) {
	t.Parallel()
	set := synth.Clean(7, 7)
	mean := func(rates []float64) (sum float64) {
		for _, r := range rates {
			sum += r / float64(len(rates))
		}
		return sum
	}
	small := ForestConfig{Trees: 10, Samples: 128}
	for _, wanted := range []float64{0.5, 3} {
		rates := alertRates(set, Config{Kind: "ensemble", PerWeek: wanted, Forest: small})
		t.Logf("%g wanted, %.2f came: %.2f", wanted, mean(rates), rates)
		if got := mean(rates); got < wanted/2 || got > wanted*2 {
			t.Errorf("%.2f alerts a week, %g were wanted", got, wanted)
		}
		for i, got := range rates {
			if wanted == 3 && (got < wanted/2 || got > wanted*2) {
				t.Errorf("%s: %.2f alerts a week, %g were wanted", set[i].Name, got, wanted)
			}
		}
	}
	rates := alertRates(set, Config{Kind: "ensemble", Forest: small})
	t.Logf("shipped: %.2f: %.2f", mean(rates), rates)
	if got := mean(rates); got > 2 {
		t.Errorf("what is shipped alerts %.2f times a week on devices without a fault", got)
	}
}
