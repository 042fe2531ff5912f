package detect

import (
	"math/rand/v2"
	"testing"
)

// TestGathers: vectors and plain code give the same bits, in every number of
// dimensions, for points inside and outside, at the last node of the memory too.
func TestGathers(t *testing.T) {
	if !haveGathers() {
		t.Skip("this machine cannot gather")
	}
	r := rand.New(rand.NewPCG(5, 5))
	inside := 0
	for dims := 1; dims <= 70; dims++ {
		face, vals, x := make([]uint8, 2*dims), make([]float32, 256*dims), make([]float32, dims)
		for range 100 {
			for i := range vals {
				vals[i] = float32(r.NormFloat64() * 1000)
			}
			for d := range x {
				low, high := uint8(r.IntN(256)), uint8(r.IntN(256))
				if vals[int(low)*dims+d] > vals[int(high)*dims+d] {
					low, high = high, low
				}
				face[d], face[dims+d] = low, high
				x[d] = vals[int(low)*dims+d] // on the edge
				if r.IntN(2*dims) == 0 {
					x[d] = float32(r.NormFloat64() * 2000)
				}
			}
			total, gap := boxGap(&face[0], &vals[0], &x[0], dims)
			want, outside := plainGap(&face[0], &vals[0], x)
			if total != want || gap != outside {
				t.Fatalf("%d dimensions: %v and %v, not %v and %v", dims, total, gap, want, outside)
			}
			if gap == 0 {
				inside++
			}
		}
	}
	if inside == 0 || inside == 7000 {
		t.Errorf("%d of 7000 points were inside", inside)
	}
}

// TestForestWithoutGathers: a model has the same bytes and scores with and without vectors.
func TestForestWithoutGathers(t *testing.T) {
	c := ForestConfig{Signals: 5, Shingle: 2, Trees: 10, Samplers: 5, Samples: 64, Decay: 0.01}
	a, b := NewForest(c), NewForest(c)
	b.gathers = false
	memA, memB := make([]byte, a.Size()), make([]byte, b.Size())
	a.Init(memA, 3)
	b.Init(memB, 3)
	r := rand.New(rand.NewPCG(6, 6))
	x := make([]float64, 5)
	for i := range 1000 {
		for s := range x {
			x[s] = r.NormFloat64()
		}
		a.Push(x)
		if !b.Push(x) {
			continue
		}
		if p, q := a.Score(a.point), b.Score(b.point); p != q {
			t.Fatalf("row %d: %v and %v", i, p, q)
		}
		a.Update()
		b.Update()
	}
	if string(memA) != string(memB) {
		t.Error("the models differ")
	}
}
