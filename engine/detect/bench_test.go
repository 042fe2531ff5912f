package detect

import (
	"math"
	"math/rand/v2"
	"testing"
)

// BenchmarkForest: 30 trees of 256 samples in 8 dimensions, score and update; hot, in bursts of 16 points
// a device over more devices than any cache holds, and cold, one point a device.
func BenchmarkForest(b *testing.B) {
	for _, c := range []struct {
		name           string
		devices, burst int
	}{{"hot", 1, 1}, {"bursts", 300, 16}, {"cold", 300, 1}} {
		b.Run(c.name, func(b *testing.B) {
			f := NewForest(ForestConfig{Signals: 8, Shingle: 1, Trees: 30, Samplers: 15, Samples: 256, Decay: 1.0 / 2560})
			r := rand.New(rand.NewPCG(1, 1))
			x := make([]float64, 8)
			point := func() {
				for i := range x {
					x[i] = r.NormFloat64()
				}
				f.Push(x)
			}
			first := make([]byte, f.Size())
			f.Init(first, 1)
			for range 3000 {
				point()
				f.Update()
			}
			mems := [][]byte{first}
			for len(mems) < c.devices {
				mems = append(mems, append([]byte(nil), first...))
			}
			b.ResetTimer()
			for i := range b.N {
				if i%c.burst == 0 {
					f.Attach(mems[i/c.burst%c.devices])
				}
				point()
				f.Score(f.point)
				f.Update()
			}
			b.ReportMetric(float64(f.Size())/1000, "kB/model")
		})
	}
}

// BenchmarkDetectors is a point of one signal, for each kind; "no forest" is the ensemble without it,
// "rcf unread" a forest whose explanations nobody reads.
func BenchmarkDetectors(b *testing.B) {
	for _, kind := range append(Kinds(), "no forest", "rcf unread") {
		b.Run(kind, func(b *testing.B) {
			c := Config{Kind: kind, Signals: 1}
			if kind == "no forest" {
				c.Kind = "ensemble"
			}
			if kind == "rcf unread" {
				c.Kind = "rcf"
			}
			d, err := New(c)
			if err != nil {
				b.Fatal(err)
			}
			if kind == "rcf unread" {
				d.Silence(Silent{Share: true, Bands: true})
			}
			mem := make([]byte, d.Size())
			d.Init(mem, 1)
			if kind == "no forest" {
				d.forest = nil
			}
			r := rand.New(rand.NewPCG(1, 1))
			x := make([]float64, 4096)
			for i := range x {
				x[i] = math.Sin(float64(i)/40) + 0.2*r.NormFloat64()
			}
			var v Verdict
			for i := range 4096 {
				d.Step(mem, int64(i)*5*minute, x[i:i+1], &v)
			}
			b.ResetTimer()
			for i := range b.N {
				k := i & 4095
				d.Step(mem, int64(4096+i)*5*minute, x[k:k+1], &v)
			}
			b.ReportMetric(float64(d.Size())/1000, "kB/model")
		})
	}
}
