package detect

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// verify rebuilds every tree's masses and boxes from its leaves.
func (f *Forest) verify() error {
	for t := range f.tree {
		g := t / f.share
		seen := map[uint8]bool{}
		var walk func(kid uint32) (low, high []float32, mass int, err error)
		walk = func(kid uint32) (low, high []float32, mass int, err error) {
			if kid < internal {
				s := uint8(kid)
				if seen[s] || f.rep[g*f.cfg.Samples+int(s)] != s {
					return nil, nil, 0, fmt.Errorf("tree %d: leaf %d twice, or not the one that stands for its equals", t, s)
				}
				seen[s] = true
				return append([]float32(nil), f.row(g, s)...), append([]float32(nil), f.row(g, s)...), int(f.dup[g*f.cfg.Samples+int(s)]) + 1, nil
			}
			at := t*f.inner + int(kid-internal)
			word := uint32(f.node[at])
			l, h, m, err := walk(word & kidMask)
			if err != nil {
				return nil, nil, 0, err
			}
			l2, h2, m2, err := walk(word >> kidBits & kidMask)
			if err != nil {
				return nil, nil, 0, err
			}
			dim, cut := int(word>>(2*kidBits)), math.Float32frombits(uint32(f.node[at]>>32))
			if h[dim] > cut || l2[dim] <= cut {
				return nil, nil, 0, fmt.Errorf("tree %d: cut %g of dimension %d does not separate its kids", t, cut, dim)
			}
			for i, s := range f.faces(at) {
				if s != f.faceOf(t, word&kidMask, i) && s != f.faceOf(t, word>>kidBits&kidMask, i) {
					return nil, nil, 0, fmt.Errorf("tree %d: face %d of a node of mass %d is neither of its kids'", t, i, m+m2)
				}
			}
			low, high = f.spanned(t, g, kid)
			for d := range l {
				if min(l[d], l2[d]) != low[d] || max(h[d], h2[d]) != high[d] {
					return nil, nil, 0, fmt.Errorf("tree %d: box of a node of mass %d is wrong in dimension %d", t, m+m2, d)
				}
				l[d], h[d] = low[d], high[d]
			}
			if int(f.mass[at])+1 != m+m2 {
				return nil, nil, 0, fmt.Errorf("tree %d: mass %d, not %d", t, int(f.mass[at])+1, m+m2)
			}
			return l, h, m + m2, nil
		}
		_, _, mass, err := walk(f.tree[t] & kidMask)
		if err != nil {
			return err
		}
		if mass != int(f.count[g]) {
			return fmt.Errorf("tree %d holds %d of %d points", t, mass, f.count[g])
		}
	}
	return nil
}

// TestForestHolds: masses, cuts and boxes are right after every update, with many equal
// points, in one dimension and in several.
func TestForestHolds(t *testing.T) {
	for _, c := range []struct{ signals, shingle, levels int }{{1, 1, 3}, {1, 1, 1000}, {3, 1, 2}, {1, 4, 4}, {2, 3, 1000}, {1, 1, 1}} {
		r := rand.New(rand.NewPCG(1, uint64(c.levels)))
		f := NewForest(ForestConfig{Signals: c.signals, Shingle: c.shingle, Trees: 4, Samplers: 2, Samples: 16, Decay: 0.05})
		f.Init(make([]byte, f.Size()), 9)
		x := make([]float64, c.signals)
		for i := range 600 {
			for k := range x {
				x[k] = float64(r.IntN(c.levels)) * 0.1
			}
			if !f.Push(x) {
				continue
			}
			score, push := f.Score(f.point), f.Displacement(f.point)
			if f.Seen() > 0 && (!(score > 0 && score < 20) || !(push > 0 && push <= 1)) {
				t.Fatalf("%+v, row %d: score %g, displacement %g", c, i, score, push)
			}
			f.Update()
			if err := f.verify(); err != nil {
				t.Fatalf("%+v, row %d: %v", c, i, err)
			}
		}
	}
}

// TestForestExplains: the signal that is off has the blame, and the forest knows what it
// should have been.
func TestForestExplains(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	f := NewForest(ForestConfig{Signals: 3, Shingle: 1, Trees: 50, Samplers: 25, Samples: 256, Decay: 1e-4})
	f.Init(make([]byte, f.Size()), 1)
	usual := func() []float64 {
		a := r.Float64() * 10
		return []float64{a, 2*a + r.NormFloat64()*0.1, 5 + r.NormFloat64()}
	}
	for range 2000 {
		f.Push(usual())
		f.Update()
	}
	f.Push([]float64{3, 6, 30})
	share := make([]float64, 3)
	f.Attribution(f.point, share)
	odd := f.Score(f.point)
	mid, low, high := f.Impute(f.point, 2)
	if share[2] < 0.9 || mid < 3 || mid > 7 || low > mid || high < mid {
		t.Errorf("shares %.2f, expected %.2f from %.2f to %.2f", share, mid, low, high)
	}
	f.Push([]float64{3, 6, 5})
	if plain := f.Score(f.point); odd < 2*plain {
		t.Errorf("odd %.2f, plain %.2f", odd, plain)
	}
	if mid, _, _ := f.Impute(f.point, 1); math.Abs(mid-6) > 2 {
		t.Errorf("the second signal follows the first: expected %.2f, not about 6", mid)
	}
}
