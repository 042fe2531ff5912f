package synth

import (
	"fmt"
	"math"
	"slices"
)

// Series is made telemetry.
type Series struct {
	Name    string
	Times   []int64 // microseconds since 1970, rising
	Values  []float64
	Faults  []Fault
	Windows []Window // a fault each; alerts in them are right
}

// Window is a stretch of rows, both ends in it.
type Window struct{ First, Last int }

// learning is how many rows at the start a benchmark leaves for learning; no window is there.
func learning(rows int) int { return min(rows*15/100, 750) }

// Fault is what was put into a series.
type Fault struct {
	Kind        string
	First, Last int     // rows that it changed
	At          int     // the row that a person would point at
	Rough       float64 // factor of the noise while it lasts; 0: as before
	Shock       bool    // whether it begins and ends with a jerk
}

// each is how many series of a kind of signal a corpus has.
const each = 4

// Corpus makes as many series as its rules have kinds of signals, four of each.
func Corpus(seed uint64) []Series {
	var all []Series
	for k, s := range signals() {
		for n := range each {
			r := newChance(seed, k*each+n)
			all = append(all, one(s, n, r))
		}
	}
	return all
}

// Clean makes one series of every kind of signal without a fault, of so many weeks.
func Clean(seed uint64, weeks int) []Series {
	var all []Series
	for k, s := range signals() {
		r := newChance(seed, 1000+k)
		every := s.every[r.below(len(s.every))]
		all = append(all, play(s, every, weeks*7*24*60/every, nil, r))
	}
	return all
}

// one draws how a series is and plays it.
func one(s signal, n int, r *chance) Series {
	every := s.every[r.below(len(s.every))]
	rows := int(1500 * math.Pow(20000.0/1500, r.Unit()))
	count := []int{0, 1, 1, 1, 2, 2, 2, 3}[r.below(8)]
	p := &player{r: r}
	var faults []Fault
	for i := range count {
		// Each has a stretch of its own, behind what a benchmark leaves for learning.
		wide := 0.75 / float64(count)
		low := 0.2 + wide*float64(i)
		at := int(float64(rows) * p.between(low+0.15*wide, low+0.7*wide))
		faults = append(faults, draw(s, p, every, rows, at, int(0.25*wide*float64(rows))))
	}
	m := play(s, every, rows, faults, r)
	m.Name = fmt.Sprintf("%s %d", s.name, n+1)
	return m
}

// play makes the rows.
func play(s signal, every, rows int, faults []Fault, r *chance) Series {
	p := &player{r: r, day: 24 * 60 / float64(every)}
	if s.cycle != nil {
		p.cyc = float64(s.cycle(int(p.day)))
		if p.cyc < p.day {
			p.cyc *= p.between(0.5, 2)
		}
	}
	next, k := s.make(p), &knobs{noise: 1}
	restless, mood := 0.0, p.ar(1-1/p.between(50, 500))
	if p.r.Unit() < 0.5 {
		restless = p.between(0.15, 0.5)
	}
	heavy := p.r.Unit() < 0.5
	m := Series{Name: s.name, Values: make([]float64, rows), Faults: faults}
	t0 := p.between(0, 7*p.day)
	lag := 0.0
	for i := range m.Values {
		k.t, k.noise = t0+float64(i)+lag, math.Exp(restless*mood())
		if heavy {
			k.noise *= p.heavy()
		}
		for _, f := range faults {
			lag += f.turn(k, p, i)
		}
		clean, noise := next(k)
		m.Values[i] = clean + k.noise*noise
	}
	work(m.Values, p)
	sized := sizes(m.Values)
	nuisances(m.Values, sized, p)
	for _, f := range faults {
		f.change(m.Values, sized, s, p)
		m.Windows = append(m.Windows, around(f.At, rows, len(faults)))
	}
	for i, v := range m.Values {
		if s.grain > 0 {
			v = math.Round(v/s.grain) * s.grain
		}
		m.Values[i] = min(max(v, s.low), s.high)
	}
	m.Times = times(every, rows, p)
	return m
}

// around is the window of a fault: a tenth of the series for all of them together.
func around(at, rows, count int) Window {
	w := rows / 10 / count
	return Window{First: max(at-w/2, learning(rows)+1), Last: min(at+w/2, rows-1)}
}

// size is what a signal is like where it has no fault.
type size struct {
	low, high float64 // quantiles: a fiftieth is beyond
	step      float64 // median of the steps
	far       float64 // of the farthest value from the median
}

func (z size) wide() float64 { return z.high - z.low }

// sizes takes quantiles of the values and of their steps.
func sizes(x []float64) size {
	sorted, steps := slices.Clone(x), make([]float64, len(x)-1)
	for i := range steps {
		steps[i] = math.Abs(x[i+1] - x[i])
	}
	slices.Sort(sorted)
	slices.Sort(steps)
	n := len(x)
	return size{low: sorted[n/50], high: sorted[n-1-n/50], step: steps[n/2], far: max(sorted[n-1]-sorted[n/2], sorted[n/2]-sorted[0])}
}

// nuisances are what is odd and no fault, from the first row: outliers, a wandering level and small disturbances.
func nuisances(x []float64, z size, p *player) {
	if p.r.Unit() < 0.4 {
		rate, most := 1/p.between(300, 2000), p.between(0.2, 0.7)
		for i := range x {
			if p.r.Unit() < rate {
				x[i] += most * z.wide() * p.normal()
			}
		}
	}
	if p.r.Unit() < 0.4 {
		g, far := p.ar(1-1/p.between(300, 1500)), p.between(0.05, 0.2)
		for i := range x {
			x[i] += far * z.wide() * g()
		}
	}
	if p.r.Unit() < 0.6 {
		every := p.between(250, 1200)
		for i := p.r.exponential() * every; int(i) < len(x); i += p.r.exponential() * every {
			disturb(x[int(i):], z, p)
		}
	}
}

// work is what most machines do besides: short jobs of all sizes, now and then, part of what is usual.
func work(x []float64, p *player) {
	if p.r.Unit() < 0.5 {
		return
	}
	z := sizes(x)
	job, high, now, was := p.episodes(p.between(15, 150), p.between(1, 8)), p.between(0.2, 0.8)*z.wide(), 0.0, false
	if p.r.Unit() < 0.3 {
		high = -high
	}
	for i := range x {
		is := job()
		if is && !was {
			now = high * math.Exp(0.5*p.normal())
		}
		if was = is; is {
			x[i] += now * p.between(0.8, 1.1)
		}
	}
}

// disturb is a small disturbance, as there is one every few days: somebody opens a door, a job runs, a message is repeated.
func disturb(x []float64, z size, p *player) {
	small := p.between(0.08, 0.35) * z.wide() * math.Copysign(1, p.r.Unit()-0.5)
	kind, n := p.r.below(4), 0
	switch kind {
	case 0:
		n = 1 + p.r.below(5)
	case 1, 2:
		n = 15 + p.r.below(60)
	case 3:
		n = 3 + p.r.below(12)
	}
	x = x[:min(n, len(x))]
	for i := range x {
		switch kind {
		case 0, 1:
			x[i] += small
		case 2:
			x[i] += small / 2 * p.normal()
		case 3:
			x[i] = x[0]
		}
	}
}

// times are even, or shaken a little, and have gaps at times.
func times(every, rows int, p *player) []int64 {
	const minute = 60_000_000
	at, shake := int64(1_767_225_600_000_000), 0.0
	if p.r.Unit() < 0.3 {
		shake = 0.05
	}
	gap := 0.0
	if p.r.Unit() < 0.3 {
		gap = 2 / float64(rows)
	}
	out := make([]int64, rows)
	for i := range out {
		at += int64(every) * minute
		if p.r.Unit() < gap {
			at += int64(p.between(0.1, 2)*24*60) * minute
		}
		out[i] = at + int64(shake*(p.r.Unit()-0.5)*float64(every)*minute)
	}
	return out
}
