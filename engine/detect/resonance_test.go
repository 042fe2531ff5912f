package detect

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/tidemill/tidemill/engine/splitmix"
)

// pump is a signal of two strokes in turn, a saw that rises and a rest, a cycle of 120 rows with little noise; odd
// cycles are run backwards: no value, no step and no mean of a cycle is unusual then.
func pump(row int, odd func(cycle int) bool, r *splitmix.Source) float64 {
	at := row % 120
	if odd(row / 120) {
		at = 119 - at
	}
	x := 20.0
	if at < 72 {
		x += float64(at) / 12
	}
	return x + 0.1*(r.Unit()-0.5)
}

// resonanceOf steps a model of one signal through rows and says what it makes of each.
func resonanceOf(t *testing.T, rows int, x func(row int) (at int64, value float64)) (raw, grade []float64, m *resonance) {
	t.Helper()
	d, err := New(Config{Kind: "resonance", Signals: 1})
	if err != nil {
		t.Fatal(err)
	}
	mem := make([]byte, d.Size())
	d.Init(mem, 1)
	var v Verdict
	for i := range rows {
		at, value := x(i)
		d.Step(mem, at, []float64{value}, &v)
		raw, grade = append(raw, d.reads[byResonance].raw), append(grade, v.Grade)
	}
	return raw, grade, d.res(mem, 0)
}

func highest(x []float64) float64 {
	top := math.Inf(-1)
	for _, v := range x {
		top = max(top, v)
	}
	return top
}

// TestResonanceKnows: a cycle run backwards, of which each value is usual, is an alert and twice as far from
// all that is known as anything before; when it comes again it is less than half as far.
func TestResonanceKnows(t *testing.T) {
	r := splitmix.Source(5)
	raw, grade, m := resonanceOf(t, 60*120, func(i int) (int64, float64) {
		return int64(i) * minute, pump(i, func(cycle int) bool { return cycle == 30 || cycle == 50 }, &r)
	})
	before, first, again := highest(raw[20*120:30*120]), highest(raw[30*120:31*120]), highest(raw[50*120:51*120])
	if first < 2*before || highest(grade[20*120:30*120]) > 0 || highest(grade[30*120:31*120]) == 0 {
		t.Errorf("a cycle run backwards is %.3f apart, grade %.2f, those before at most %.3f, grade %.2f", first, highest(grade[30*120:31*120]), before, highest(grade[20*120:30*120]))
	}
	if again > first/2 {
		t.Errorf("the second time it is %.3f apart, the first %.3f", again, first)
	}
	if m.held < 4 {
		t.Errorf("%d categories", m.held)
	}
}

// TestResonanceHolds: whatever comes, there are no more categories than there is room for, their boxes are whole, and
// their sizes are those of their sides.
func TestResonanceHolds(t *testing.T) {
	for _, b := range badInputs() {
		r, noise := splitmix.Source(5), rand.New(rand.NewPCG(2, 2))
		_, _, m := resonanceOf(t, 4000, func(i int) (int64, float64) {
			at, x := b.row(i, 20+float64(i/200%3)*r.Unit()*10, noise)
			return at, x
		})
		if m.held < 1 || m.held > resMany || m.tolerance < resFirst || m.tolerance > resMost || !(m.high > m.low) {
			t.Errorf("%s: %d categories, tolerance %g, range from %g to %g", b.name, m.held, m.tolerance, m.low, m.high)
		}
		for i := range m.held {
			sum := 0.0
			for k := range resDims {
				side := float64(m.upper[i][k] - m.lower[i][k])
				if !(side >= 0) {
					t.Fatalf("%s: side %d of category %d is %g", b.name, k, i, side)
				}
				sum += side
			}
			if math.Abs(sum-float64(m.size[i])) > 0.01*(1+sum) || m.size[i] > resHuge*resDims {
				t.Errorf("%s: the sides of category %d are %g, its size is %g", b.name, i, sum, m.size[i])
			}
		}
	}
}

// TestResonanceRefits: what a window's distance was in one range, it is in another, in parts of that.
func TestResonanceRefits(t *testing.T) {
	r := splitmix.Source(5)
	_, _, m := resonanceOf(t, 3000, func(i int) (int64, float64) {
		return int64(i) * minute, pump(i, func(int) bool { return false }, &r)
	})
	for i := range m.window { // a shape that is not known, and reaches out of the range
		m.window[i] = 18 + float64(i*i%7)*2
	}
	var f [resDims]float32
	m.features(&f)
	_, was := m.nearest(&f)
	low, high := m.from-1, m.to+2
	a := (m.to - m.from) / (high - low)
	m.refit(float32(a), float32((m.from-low)/(high-low)))
	m.from, m.to = low, high
	m.features(&f)
	_, now := m.nearest(&f)
	if was < 0.1 || math.Abs(float64(now)/float64(was)-a) > 0.02 {
		t.Errorf("%g apart, and %g in a range %g times as wide", was, now, 1/a)
	}
	wide := m.size[0]
	for i := range m.held {
		wide = max(wide, m.size[i])
	}
	held := m.held
	m.refit(2*resHuge*resDims/wide, 0)
	if m.held >= held || m.held == 0 {
		t.Errorf("%d of %d categories are left where the widest fills the range", m.held, held)
	}
}

// TestResonanceGap: a window has no gap in it.
func TestResonanceGap(t *testing.T) {
	r := splitmix.Source(5)
	const gap, window = 3001, resBlock * resWindow
	raw, _, _ := resonanceOf(t, 3200, func(i int) (int64, float64) {
		at := int64(i) * minute
		if i >= gap {
			at += day
		}
		return at, pump(i, func(int) bool { return false }, &r)
	})
	for i, x := range raw {
		if quiet := i < resLearn*resBlock-1 || i >= gap && i < gap+window-1; (x < 0) != quiet {
			t.Fatalf("row %d: %g", i, x)
		}
	}
}

// TestResonanceRecovers: a cycle run backwards is found again, and no cycle of the five before is: 1,500 rows after a thousand of
// input without values or life, and after two generations of the range where they were far too big.
func TestResonanceRecovers(t *testing.T) {
	slow := map[string]bool{"spikes both ways": true, "infinite": true, "Fahrenheit": true, "a thousand times": true, "15 % garbage": true}
	for _, b := range badInputs() {
		t.Run(b.name, func(t *testing.T) {
			heals := 1500
			if slow[b.name] {
				heals = 2*resAge*resBlock + resLearn*resBlock
			}
			odd := (2000 + heals + 119) / 120
			r, noise := splitmix.Source(5), rand.New(rand.NewPCG(2, 2))
			_, grade, m := resonanceOf(t, (odd+1)*120, func(i int) (int64, float64) {
				return b.row(i, pump(i, func(cycle int) bool { return cycle == odd }, &r), noise)
			})
			if highest(grade[odd*120:]) == 0 || highest(grade[(odd-5)*120:odd*120]) > 0 {
				t.Errorf("grade %.2f, and %.2f of the cycles before; %d categories, range from %g to %g", highest(grade[odd*120:]), highest(grade[(odd-5)*120:odd*120]), m.held, m.low, m.high)
			}
		})
	}
}

// TestResonanceSpike: one row far out is what its block is about; the noise of the others is not.
func TestResonanceSpike(t *testing.T) {
	r := splitmix.Source(5)
	_, _, m := resonanceOf(t, 600, func(i int) (int64, float64) { return int64(i) * minute, r.Unit() })
	for i, x := range m.window {
		if math.Abs(x-0.5) > 0.4 {
			t.Errorf("block %d of noise from 0 to 1 is %.2f", i, x)
		}
	}
	for i := range resBlock {
		v := view{x: 0.5, unit: 0.25}
		if i == 2 {
			v.x = -20
		}
		m.step(&v, &reading{})
	}
	if x := m.window[resWindow-1]; x < -20 || x > -18 {
		t.Errorf("a block with one row of -20 is %.2f", x)
	}
}

// TestResonanceFull: when there is no room the category that was used least goes, and boxes may be larger.
func TestResonanceFull(t *testing.T) {
	m := &resonance{held: resMany, tolerance: 0.1, from: 0, to: 1}
	for i := range m.used {
		m.used[i], m.size[i] = float32(2+(i+40)%resMany), 1
	}
	f := [resDims]float32{0.3}
	m.commit(&f)
	const least = resMany - 40
	if m.lower[least] != f || m.upper[least] != f || m.size[least] != 0 || m.used[least] != 1 || m.used[0] >= 42 || m.tolerance <= 0.1 || m.held != resMany {
		t.Errorf("category %d: from %v to %v, size %g, used %g; the first %g; tolerance %g", least, m.lower[least], m.upper[least], m.size[least], m.used[least], m.used[0], m.tolerance)
	}
	for range 100 {
		m.commit(&f)
	}
	if m.tolerance != resMost {
		t.Errorf("tolerance %g", m.tolerance)
	}
}

// TestResonanceSilent: while it has nothing to say, its calibrator learns nothing.
func TestResonanceSilent(t *testing.T) {
	d, _ := New(Config{Kind: "resonance", Signals: 1})
	mem := make([]byte, d.Size())
	d.Init(mem, 1)
	var v Verdict
	for i := range resLearn*resBlock + 10 {
		if n := d.calibrators(mem, 0)[0].n; (n > 0) != (i >= resLearn*resBlock) {
			t.Fatalf("before row %d it has learnt from %g", i, n)
		}
		d.Step(mem, int64(i)*minute, []float64{float64(i % 7)}, &v)
	}
}
