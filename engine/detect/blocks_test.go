package detect

import (
	"math"
	"testing"

	"github.com/tidemill/tidemill/engine/splitmix"
)

// TestBlocks: what the two members of stretches say is what is worked out anew from all rows.
func TestBlocks(t *testing.T) {
	r, z := splitmix.Source(4), []float64{}
	var m blocks
	for i := range 1000 {
		x := (r.Unit() - 0.5) * 6
		switch {
		case i%97 == 0:
			x *= 20 // more than counts in a mean
		case i > 600 && i < 700:
			x -= 4
		}
		x = float64(float32(x)) // as it is kept
		z = append(z, x)
		var turn, swing reading
		m.step(&view{z: x}, &turn, &swing)
		if len(z) < 2*lateRows {
			if turn.raw != 0 || swing.raw != 0 {
				t.Fatalf("row %d: an answer before there are two stretches", i)
			}
			continue
		}
		mean := func(from, to int) (sum float64) {
			for _, x := range z[from:to] {
				sum += min(max(x, -blockMost), blockMost) / float64(to-from)
			}
			return sum
		}
		late := len(z) - lateRows
		d := mean(late, len(z)) - mean(max(late-earlyRows, 0), late)
		low, high := math.Inf(1), math.Inf(-1)
		for _, x := range z[len(z)-swingRows:] {
			low, high = min(low, x), max(high, x)
		}
		if math.Abs(turn.raw-math.Abs(d)) > 1e-9 || turn.low != (d < 0) || math.Abs(swing.raw-(high-low)) > 1e-4 {
			t.Fatalf("row %d: the mean is off by %g, low %v, not %g; the range is %g, not %g", i, turn.raw, turn.low, d, swing.raw, high-low)
		}
	}
}

// TestTablesWhenAsked: a calibrator says the same whether its table is asked for all of its buckets or for few, and
// later than it was made.
func TestTablesWhenAsked(t *testing.T) {
	var seldom, often Calibrator
	seldom.Init(500)
	often.Init(500)
	r := splitmix.Source(4)
	for i := range 3000 {
		raw := math.Pow(r.Unit(), 4) * 100
		for b := range buckets {
			often.surprise(float64(b))
		}
		if a, b := seldom.Judge(raw), often.Judge(raw); a != b {
			t.Fatalf("row %d: %g where all was asked for, %g where little was", i, b, a)
		}
		if i%200 == 199 {
			before := math.Inf(-1)
			for b := range buckets - 1 {
				s := often.surprise(float64(b))
				if s < before || s < 0 {
					t.Fatalf("row %d, bucket %d: %g digits after %g", i, b, s, before)
				}
				before = s
			}
		}
	}
}

// TestTwoSides: where high values are usual a low one as far away is odd, and one side's answer costs the choice of two.
func TestTwoSides(t *testing.T) {
	by := make([]Calibrator, 2)
	by[0].Init(memory)
	by[1].Init(memory)
	var one Calibrator
	one.Init(memory)
	r := splitmix.Source(4)
	for range 2000 {
		high := reading{raw: 3 * r.Unit()}
		high.judge(by)
		one.Learn(high.raw)
	}
	high, low, none := reading{raw: 2.5}, reading{raw: 2.5, low: true}, reading{raw: -1}
	up, down := high.judge(by), low.judge(by)
	if want := one.Surprise(2.5) - math.Log10(2); math.Abs(up-want) > 1e-5 {
		t.Errorf("a usual side has %g digits, not %g", up, want)
	}
	if down < up+2 {
		t.Errorf("the side that nothing was seen on has %g digits, the usual one %g", down, up)
	}
	if d := none.judge(by); d != 0 {
		t.Errorf("a member with nothing to say is worth %g digits", d)
	}
}

// TestYoungModels: before resonance knows shapes the others' digits are the whole, and afterwards half of it.
func TestYoungModels(t *testing.T) {
	d, err := New(Config{Kind: "ensemble", Signals: 2, Forest: ForestConfig{Trees: 2, Samples: 16}})
	if err != nil {
		t.Fatal(err)
	}
	mem := make([]byte, d.Size())
	d.Init(mem, 1)
	r, rows := splitmix.Source(4), 0
	var v Verdict
	for d.learning(mem) == byResonance && rows < 1000 {
		d.Step(mem, int64(rows)*minute, []float64{r.Unit(), math.NaN()}, &v) // one that never comes keeps nobody waiting
		rows++
	}
	if rows != resLearn*resBlock {
		t.Errorf("resonance has a voice after %d rows, not %d", rows, resLearn*resBlock)
	}
	clear(d.reads)
	d.seen[0], d.seen[1] = false, false
	old := d.score(mem, 2)
	for s := range d.x {
		d.res(mem, s).known = 0
	}
	if young := d.score(mem, 2); math.Abs(young/old-math.Sqrt(19.0/10)) > 0.02 {
		t.Errorf("the same digits are %g in a young model and %g in an old one", young, old)
	}
}
