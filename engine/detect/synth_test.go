package detect

import (
	"math"
	"math/rand/v2"

	"github.com/tidemill/tidemill/engine/detect/nab"
)

// made is a synthetic series with a label.
type made struct {
	name    string
	every   int64
	values  []float64
	times   []int64
	windows []nab.Window
}

func window(n, at, count int) nab.Window {
	w := n / 10 / count
	return nab.Window{First: max(at-w/2, n*15/100+1), Last: min(at+w/2, n-1)}
}

// synthetic makes signals of many kinds, each with the faults that such signals have.
func synthetic(seed uint64) []made {
	r := rand.New(rand.NewPCG(seed, 1))
	const n = 4032
	var all []made
	add := func(name string, every int64, values []float64, at ...int) {
		m := made{name: name, every: every, values: values}
		for _, a := range at {
			m.windows = append(m.windows, window(len(values), a, len(at)))
		}
		all = append(all, m)
	}
	at := func(lo, hi float64) int { return int(n * (lo + (hi-lo)*r.Float64())) }
	base := func(f func(i int) float64) []float64 {
		x := make([]float64, n)
		for i := range x {
			x[i] = f(i)
		}
		return x
	}
	ar := func(phi, sd float64) func(i int) float64 {
		y := 0.0
		return func(int) float64 { y = phi*y + r.NormFloat64()*sd; return y }
	}
	day := func(i int) float64 { return math.Sin(2 * math.Pi * float64(i) / 288) }
	square := func(i int) float64 {
		if p := i % 288; p > 100 && p < 210 {
			return 1
		}
		return 0
	}
	five := int64(300e6)
	a := at(0.3, 0.9)
	x := base(func(i int) float64 { return 40 + r.NormFloat64() })
	x[a] += 9
	add("noise, spike", five, x, a)

	a = at(0.3, 0.9)
	g := ar(0.98, 1)
	x = base(func(i int) float64 {
		v := 90 + g(i)
		if i > a && i < a+250 {
			v -= 25 * math.Min(1, float64(i-a)/20)
		}
		return v
	})
	add("wandering, drop", five, x, a+10)

	a = at(0.4, 0.9)
	x = base(func(i int) float64 {
		v := 40*square(i) + 20 + r.Float64()*3
		if i/288 == a/288 {
			v = 20 + r.Float64()*3
		}
		return v
	})
	add("daily, none one day", five, x, a/288*288+110)

	a = at(0.4, 0.9)
	x = base(func(i int) float64 {
		v := 40*square(i) + 20 + r.Float64()*3
		if i/288 == a/288 && square(i) > 0 {
			v += 50
		}
		return v
	})
	add("daily, twice as high", five, x, a/288*288+110)

	a = at(0.4, 0.9)
	x = base(func(i int) float64 {
		v := 30*day(i) + 50 + r.NormFloat64()
		if i > a && i < a+200 {
			v = 50 + 30*day(a) + r.NormFloat64()
		}
		return v
	})
	add("daily, held", five, x, a+30)

	a = at(0.3, 0.9)
	x = base(func(i int) float64 {
		v := math.Exp(0.6 * r.NormFloat64())
		if r.Float64() < 0.01 {
			v *= 8
		}
		return v
	})
	for i := range 12 {
		x[a+i] += 25 + 10*r.Float64()
	}
	add("bursty, long burst", five, x, a)

	a, b := at(0.25, 0.5), at(0.6, 0.9)
	x = base(func(i int) float64 {
		v := 2 + 0.1*r.NormFloat64()
		if r.Float64() < 0.02 {
			v += 2 * r.Float64()
		}
		if i > b {
			v += 1.5
		}
		return v
	})
	x[a] = 30
	add("cpu, spike then level", five, x, a, b)

	a = at(0.3, 0.9)
	x = base(func(i int) float64 {
		sd := 1.0
		if i > a && i < a+300 {
			sd = 4
		}
		return 20 + sd*r.NormFloat64()
	})
	add("noise grows", five, x, a+5)

	a = at(0.3, 0.9)
	g = ar(0.9, 1)
	hold := 0.0
	x = base(func(i int) float64 {
		v := g(i) + 5*day(i)
		if i == a {
			hold = v
		}
		if i >= a && i < a+200 {
			return hold
		}
		return v
	})
	add("stuck", five, x, a+20)

	add("noise, nothing", five, base(func(i int) float64 { return 10 + r.NormFloat64() }))
	add("daily, nothing", five, base(func(i int) float64 { return 40*square(i) + r.Float64()*5 }))
	g = ar(0.97, 1)
	add("wandering, nothing", five, base(g))

	half := int64(1800e6)
	a, b = at(0.35, 0.6), at(0.65, 0.92)
	x = base(func(i int) float64 {
		h := float64(i%48) / 48
		w := i / 48 % 7
		v := 1000 * (1.2 - math.Cos(2*math.Pi*h) - 0.4*math.Cos(4*math.Pi*h))
		if w >= 5 {
			v *= 0.75
		}
		if i/48 == a/48 {
			v *= 0.5
		}
		if i/48 == b/48 {
			v *= 1.5
		}
		return v * (1 + 0.05*r.NormFloat64())
	})
	add("weekly, two odd days", half, x, a/48*48+20, b/48*48+20)

	a = at(0.3, 0.9)
	g = ar(0.8, 2)
	x = base(func(i int) float64 {
		v := 60 + g(i)
		if i%97 < 6 {
			v += 30
		}
		if i > a && i < a+300 && i%97 < 6 {
			v -= 30
		}
		return v
	})
	add("cycles of 97 rows stop", five, x, a+100)

	a, b = at(0.25, 0.5), at(0.6, 0.9)
	x = base(func(i int) float64 { return math.Floor(5 + 3*r.ExpFloat64()) })
	for i := range 5 {
		x[a+i] += 40
	}
	for i := range 60 {
		x[b+i] = 0
	}
	add("counts, burst and silence", five, x, a, b)

	a = at(0.3, 0.9)
	x = base(func(i int) float64 {
		v := 70 + 0.005*float64(i) + r.NormFloat64()
		if i > a {
			v += 8
		}
		return v
	})
	add("trend, step", five, x, a)
	return all
}
