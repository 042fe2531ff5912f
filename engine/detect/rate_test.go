package detect

import (
	"math"
	"testing"

	"github.com/tidemill/tidemill/engine/splitmix"
)

// TestPerWeek: a model that is asked for so many alerts a week raises about as many when all is as usual. The
// sums of changepoint stay high for many rows together, which is one alert: it raises fewer.
func TestPerWeek(t *testing.T) {
	const wanted, rows = 3, 10 * 7 * 24 * 12
	for _, kind := range []string{"ensemble", "ewma", "robust_zscore", "rcf", "changepoint", "resonance"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			d, err := New(Config{Kind: kind, Signals: 1, PerWeek: wanted, Quiet: 12, Forest: ForestConfig{Trees: 10, Samples: 128}})
			if err != nil {
				t.Fatal(err)
			}
			d.Silence(Silent{Share: true, Bands: true})
			mem := make([]byte, d.Size())
			d.Init(mem, 1)
			r, alerts := splitmix.Source(3), 0
			var v Verdict
			for i := range rows {
				x := math.Sin(float64(i)/46) + math.Sqrt(-2*math.Log(r.Unit()))*math.Cos(2*math.Pi*r.Unit())
				d.Step(mem, int64(i)*5*minute, []float64{x}, &v)
				if v.Grade > 0 {
					alerts++
				}
			}
			least := wanted / 3.0
			if kind == "changepoint" {
				least = wanted / 10.0
			}
			if got := float64(alerts) / 10; got < least || got > wanted*2 {
				t.Errorf("%.1f alerts a week, %d were wanted", got, wanted)
			}
		})
	}
}
