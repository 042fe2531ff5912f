package detect

import (
	"math"
	"testing"

	"github.com/tidemill/tidemill/engine/splitmix"
)

// TestAlertRule: an alert is a row whose score, before it was cut, has reached the threshold, after the quiet time or grown in
// it; its grade follows from both; and what goes out is that score or the cut one. All cases that doc.go of
// the stage tells of occur.
func TestAlertRule(t *testing.T) {
	for _, c := range []Config{{Kind: "ensemble"}, {Kind: "ensemble", Threshold: 1}, {Kind: "resonance"}, {Kind: "ewma"}, {Kind: "rate", Threshold: 2, Quiet: 40}} {
		c.Signals, c.Forest.Trees = 1, 4
		d, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		mem := make([]byte, d.Size())
		d.Init(mem, 1)
		r := splitmix.Source(5)
		var v Verdict
		since, peak := math.MaxInt, 0.0
		alerts, below, calm := 0, 0, 0
		for i := range 12000 {
			x := math.Sin(float64(i)/20) + r.Unit()
			if wild := i % 600; i > 3000 && wild < 40 {
				x += float64(wild) / 8 * r.Unit()
			}
			d.Step(mem, int64(i)*minute, []float64{x}, &v)
			if since < math.MaxInt {
				since++
			}
			if !v.Ready {
				continue
			}
			if cut := d.from() - 0.1; v.Score != v.Raw && v.Score != cut {
				t.Fatalf("%+v, row %d: score %g, which is neither %g nor %g", c, i, v.Score, v.Raw, cut)
			}
			over := v.Raw - d.Threshold()
			want := 0.0
			if over >= 0 && (since >= d.cfg.Quiet || over >= peak+grows) {
				want = 1 - math.Exp(-over)/2
				since, peak = 0, over
				alerts++
			}
			if math.Abs(v.Grade-want) > 1e-12 || v.Grade > 0 && v.Grade < 0.5 {
				t.Fatalf("%+v, row %d: grade %g, not %g: %g before it is cut, threshold %g", c, i, v.Grade, want, v.Raw, d.Threshold())
			}
			if want > 0 && v.Score < d.Threshold() {
				below++
			}
			if want == 0 && v.Score >= d.Threshold() {
				calm++
			}
		}
		t.Logf("%s: %d alerts, %d of them with a cut score; %d rows above the threshold without one", c.Kind, alerts, below, calm)
		if alerts == 0 {
			t.Errorf("%+v: no alert, which shows nothing", c)
		}
		if c.Kind == "ensemble" && (below == 0 || calm == 0) {
			t.Errorf("%+v: %d alerts with a cut score, %d rows above the threshold without one: the cases that the rule is for", c, below, calm)
		}
	}
}
