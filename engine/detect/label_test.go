package detect

import (
	"math"
	"testing"

	"github.com/tidemill/tidemill/engine/splitmix"
)

// TestLabels: a spike that a person calls usual wakes nobody any more, a bigger one does; what
// was let pass and was a fault wakes the next time; labels that agree with the model, and scores, change nothing.
func TestLabels(t *testing.T) {
	d, err := New(Config{Kind: "robust_zscore", Signals: 1, Threshold: 2.5, Quiet: 20})
	if err != nil {
		t.Fatal(err)
	}
	begin := func() (mem []byte, feed func(spike float64) (grade, score float64)) {
		mem = make([]byte, d.Size())
		d.Init(mem, 1)
		row, r := 0, splitmix.Source(7)
		var v Verdict
		return mem, func(spike float64) (grade, score float64) {
			for range 100 {
				d.Step(mem, int64(row)*minute, []float64{r.Unit()}, &v)
				row++
			}
			d.Step(mem, int64(row)*minute, []float64{0.5 + spike}, &v)
			row++
			return v.Grade, v.Score
		}
	}
	mem, feed := begin()
	other, undisturbed := begin()
	for range 20 {
		feed(0)
		undisturbed(0)
	}
	step := func(what string, spike float64, wakes bool) {
		t.Helper()
		grade, score := feed(spike)
		_, plain := undisturbed(spike)
		if (grade > 0) != wakes {
			t.Errorf("%s: grade %g, score %.2f, threshold moved by %.2f", what, grade, score, d.jury(mem).nudge)
		}
		if score != plain {
			t.Errorf("%s: labels have changed the score from %g to %g", what, plain, score)
		}
	}
	label := func(fault bool, up, down bool) {
		t.Helper()
		was := d.jury(mem).nudge
		if now := d.Label(mem, fault); (now > was) != up || (now < was) != down {
			t.Errorf("fault %v: the threshold moved from %.2f to %.2f", fault, was, now)
		}
	}
	step("usual", 0.1, false)
	label(false, false, false)
	step("a spike", 2, true)
	label(true, false, false)
	label(false, true, false)
	step("the same spike", 2, false)
	step("a big one", 60, true)
	step("the same spike", 2, false)
	label(true, false, true)
	step("the same spike", 2, true)
	for range 10 {
		d.Label(mem, true)
	}
	if n := d.jury(mem).nudge; n < -nudgeMost || math.IsNaN(n) {
		t.Errorf("labels moved the threshold by %g", n)
	}
	if d.jury(other).nudge != 0 {
		t.Error("a model without labels has moved")
	}
}
