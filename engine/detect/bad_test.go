package detect

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// bad is input that nobody should send: what it makes of row i of a plain signal.
type bad struct {
	name string
	row  func(i int, x float64, r *rand.Rand) (at int64, y float64)
	// heals is how many rows after its end, row 2000, the model is as good as new: the level is
	// back within two scales of the signal's.
	heals int
}

const minute = 60_000_000

func badInputs() []bad {
	in := func(i int) bool { return i >= 1000 && i < 2000 }
	plain := func(f func(i int, x float64, r *rand.Rand) float64) func(int, float64, *rand.Rand) (int64, float64) {
		return func(i int, x float64, r *rand.Rand) (int64, float64) {
			if in(i) {
				x = f(i, x, r)
			}
			return int64(i) * minute, x
		}
	}
	return []bad{
		{"missing", plain(func(int, float64, *rand.Rand) float64 { return math.NaN() }), 0},
		{"constant", plain(func(int, float64, *rand.Rand) float64 { return 20 }), 100},
		{"one spike", plain(func(i int, x float64, _ *rand.Rand) float64 {
			if i == 1500 {
				return 1e308
			}
			return x
		}), 0},
		{"spikes both ways", plain(func(i int, x float64, _ *rand.Rand) float64 {
			if i%50 == 0 {
				return math.Copysign(1e308, float64(i%100)-25)
			}
			return x
		}), 500},
		{"infinite", plain(func(i int, x float64, _ *rand.Rand) float64 {
			if i%10 == 0 {
				return math.Inf(1 - i%20/10*2)
			}
			return x
		}), 1000},
		{"Fahrenheit", plain(func(_ int, x float64, _ *rand.Rand) float64 { return x*1.8 + 32 }), 1000},
		{"a thousand times", plain(func(_ int, x float64, _ *rand.Rand) float64 { return x * 1000 }), 6000},
		{"15 % garbage", plain(func(_ int, x float64, r *rand.Rand) float64 {
			if r.Float64() < 0.15 {
				return r.NormFloat64() * 1e6
			}
			return x
		}), 1000},
		{"gaps and equal times", func(i int, x float64, _ *rand.Rand) (int64, float64) {
			at := int64(i) / 3 * 3 * minute
			if i > 1500 {
				at += 5 * day
			}
			return at, x
		}, 0},
		{"one value for ever, then life", func(i int, x float64, _ *rand.Rand) (int64, float64) {
			if i < 2000 {
				x = 7
			}
			return int64(i) * minute, x
		}, 2000},
	}
}

// TestBadInput: no detector panics, emits what is no number, or stays poisoned.
func TestBadInput(t *testing.T) {
	for _, kind := range Kinds() {
		for _, b := range badInputs() {
			t.Run(kind+"/"+b.name, func(t *testing.T) {
				d, err := New(Config{Kind: kind, Signals: 1, Forest: ForestConfig{Trees: 10}})
				if err != nil {
					t.Fatal(err)
				}
				mem := make([]byte, d.Size())
				d.Init(mem, 3)
				r := rand.New(rand.NewPCG(2, 2))
				var v Verdict
				for i := range 2000 + b.heals + 200 {
					x := 20 + 2*math.Sin(float64(i)/20) + r.NormFloat64()*0.3
					at, y := b.row(i, x, r)
					d.Step(mem, at, []float64{y}, &v)
					if math.IsNaN(v.Score) || math.IsInf(v.Score, 0) || v.Score < 0 || v.Grade < 0 || v.Grade > 1 {
						t.Fatalf("row %d: %+v", i, v)
					}
					if s := &d.track(mem, 0).signal; i >= 2000+b.heals && !(math.Abs(s.level-20) < 4 && s.scale > 0.1 && s.scale < 10) {
						t.Fatalf("row %d: the level is %g, the scale %g", i, s.level, s.scale)
					}
				}
			})
		}
	}
}

// TestFindsAgain: after each kind of bad input and its recovery, the ensemble finds a
// plain fault again within ten rows.
func TestFindsAgain(t *testing.T) {
	for _, b := range badInputs() {
		t.Run(b.name, func(t *testing.T) {
			d, _ := New(Config{Kind: "ensemble", Signals: 1, Forest: ForestConfig{Trees: 10}})
			mem := make([]byte, d.Size())
			d.Init(mem, 3)
			r := rand.New(rand.NewPCG(2, 2))
			var v Verdict
			at, found := int64(0), false
			fault := 2000 + max(b.heals, 1000)
			for i := range fault + 10 {
				y := 20 + 2*math.Sin(float64(i)/20) + r.NormFloat64()*0.3
				at, y = b.row(i, y, r)
				if i >= fault {
					y = 40
				}
				d.Step(mem, at, []float64{y}, &v)
				found = found || i >= fault && v.Grade > 0
			}
			if !found {
				t.Errorf("a jump by ten scales is not found; score %.2f", v.Score)
			}
		})
	}
}

// TestManySignals: two hundred signals, some missing; a broken relation is found and blamed
// though each value is usual by itself.
func TestManySignals(t *testing.T) {
	for _, n := range []int{2, 3, 200} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			d, err := New(Config{Kind: "ensemble", Signals: n, Forest: ForestConfig{Trees: 10}})
			if err != nil {
				t.Fatal(err)
			}
			mem := make([]byte, d.Size())
			d.Init(mem, 3)
			r := rand.New(rand.NewPCG(2, 2))
			x := make([]float64, n)
			var v Verdict
			rows := 1500
			graded := 0.0
			for i := range rows + 5 {
				load := math.Sin(float64(i)/9) + r.NormFloat64()*0.3
				for s := range x {
					x[s] = 50 + load*float64(s%5+1) + r.NormFloat64()*0.05
				}
				if i%11 == 0 && i < rows {
					x[i%n] = math.NaN()
				}
				if i >= rows {
					x[1] = 50 - 2*load - math.Copysign(2, load)
				}
				d.Step(mem, int64(i)*minute, x, &v)
				if i >= rows {
					graded = max(graded, v.Grade)
				}
			}
			top := 0
			for s, share := range v.Share {
				if share > v.Share[top] {
					top = s
				}
			}
			if n < 100 && (graded == 0 || top != 1) {
				t.Errorf("grade %.2f, score %.2f, blamed %d: %.2f", graded, v.Score, top, v.Share)
			}
		})
	}
}

// TestCopiesAgree: a model copied at any row goes on as the one that it was copied from,
// though its detector has served another in between.
func TestCopiesAgree(t *testing.T) {
	for _, kind := range Kinds() {
		c := Config{Kind: kind, Signals: 2, Forest: ForestConfig{Trees: 6}}
		d, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		other, _ := New(c)
		mem, copied, noise := make([]byte, d.Size()), make([]byte, d.Size()), make([]byte, d.Size())
		d.Init(mem, 3)
		d.Init(noise, 4)
		r := rand.New(rand.NewPCG(2, 2))
		var v, w Verdict
		for i := range 900 {
			x := []float64{r.NormFloat64(), r.NormFloat64()}
			if i == 300 {
				copy(copied, mem)
			}
			d.Step(mem, int64(i)*minute, x, &v)
			d.Step(noise, int64(i)*minute, []float64{x[1], 3}, &w)
			if i >= 300 {
				other.Step(copied, int64(i)*minute, x, &w)
				if v.Score != w.Score || v.Grade != w.Grade {
					t.Fatalf("%s, row %d: %v and %v", kind, i, v, w)
				}
			}
		}
		if !bytes.Equal(mem, copied) {
			t.Errorf("%s: the models differ", kind)
		}
	}
}
