package detect

import "math"

// signal is what all members know of one signal: a slow level and scale that
// one odd value moves by at most its scale, however big it is. The update is a
// stochastic gradient step on Huber's loss (Huber, Annals of Statistics 35, 1964).
type signal struct {
	n      float64
	last   float64
	level  float64
	scale  float64 // mean distance from the level, outliers cut
	noise  float64 // mean size of a step, outliers cut
	finest float64 // smallest step that was ever seen, slowly forgotten: the sensor's resolution
	run    float64 // rows since the value changed
	away   float64 // rows in a row that were outliers
}

// view is a row as members see it.
type view struct {
	at    int64   // event time, microseconds
	level float64 // slow level before this row
	x     float64 // value
	z     float64 // distance from the slow level, in scales
	step  float64 // distance from the value before, in usual steps
	unit  float64 // scale
	first bool    // nothing came before
	gap   bool    // much time passed since the row before
}

const (
	slowPoints = 2000 // memory of the slow level
	settleRows = 100
	huber      = 4   // scales from where a distance no longer counts more
	wide       = 1e6 // no z is beyond
)

// see looks at a value and then learns it.
func (s *signal) see(at int64, x float64, gap bool) view {
	v := view{at: at, x: x, gap: gap, first: s.n == 0}
	if v.first {
		*s = signal{level: x, last: x, finest: math.Inf(1)}
	}
	d, step := x-s.level, x-s.last
	v.level = s.level
	v.unit = s.width(s.scale)
	v.z = min(max(d/v.unit, -wide), wide)
	v.step = min(max(step/s.width(s.noise), -wide), wide)
	s.n++
	rate := 1 / min(s.n+1, slowPoints)
	if s.n < 32 {
		rate = 1 / (s.n + 1)
	}
	limit := huber * v.unit
	s.settle(x, math.Abs(d) > limit)
	s.level += rate * min(max(d, -limit), limit)
	s.scale += rate * (min(math.Abs(d), limit) - s.scale)
	most := huber * s.width(s.noise)
	s.noise += rate * (min(math.Abs(step), most) - s.noise)
	s.run++
	if step != 0 {
		s.run = 0
		s.finest = min(s.finest*1.001, math.Abs(step))
	}
	s.last = x
	return v
}

// settle takes what has been far away for long as the new usual, such as after
// a change of the unit, and learns fast again.
func (s *signal) settle(x float64, outlier bool) {
	if !outlier {
		s.away = 0
		return
	}
	if s.away++; s.away >= settleRows {
		s.level, s.n, s.away = x, settleRows, 0
	}
}

// width is a scale that is never nothing: a constant signal has the width of
// its resolution.
func (s *signal) width(scale float64) float64 {
	floor := 1e-9*math.Abs(s.level) + 1e-12
	if !math.IsInf(s.finest, 1) {
		floor = max(floor, s.finest/4)
	}
	return max(scale, floor)
}

// reading is what a member says of a row.
type reading struct {
	raw                    float64 // higher is odder; negative: nothing to say yet; never NaN or infinite
	expected, lower, upper float64 // NaN where it has none
	low                    bool    // odd for being too low, or for falling; else for being too high
}

// ewma is the member that expects what was lately, exponentially weighted.
type ewma struct{ n, mean, spread float64 }

const ewmaRate = 0.2

func (m *ewma) step(v *view, s *signal, out *reading) {
	if m.n == 0 || v.gap {
		m.mean = v.x
	}
	d := v.x - m.mean
	w := s.width(m.spread)
	out.raw, out.low = math.Abs(d)/w, d < 0
	out.expected, out.lower, out.upper = m.mean, m.mean-4*w, m.mean+4*w
	m.n++
	m.mean += ewmaRate * d
	rate := 1 / min(m.n+1, 500)
	m.spread += rate * (min(math.Abs(d), 6*w) - m.spread)
}

// shift is the member that finds changes of the level: two CUSUM sums (Page,
// Biometrika 41, 1954) over values that are cut at three scales, with a leak.
type shift struct{ up, down, mean, scale, n float64 }

func (m *shift) step(v *view, out *reading) {
	z := min(max(v.z, -3), 3)
	m.up = max(0, 0.995*m.up+z-0.5)
	m.down = max(0, 0.995*m.down-z-0.5)
	out.raw, out.low = max(m.up, m.down), m.down > m.up
	out.expected = v.level
	out.lower, out.upper = out.expected-4*v.unit, out.expected+4*v.unit
}

// spread is the member that finds changes of the volatility, to more or to less.
type spread struct{ n, short, mean, dev float64 }

func (m *spread) step(v *view, out *reading) {
	s := min(math.Abs(v.step), 1e3)
	if v.first || v.gap {
		return
	}
	m.n++
	m.short += (s - m.short) / min(m.n, 24)
	l := math.Log(m.short + 0.02)
	d := l - m.mean
	if m.n > 24 {
		out.raw, out.low = math.Abs(d)/max(m.dev, 0.05), d < 0
	}
	rate := 1 / min(m.n+1, 1000)
	m.mean += rate * d
	m.dev += rate * (math.Abs(d) - m.dev)
}

// stuck is the member that finds dead sensors: how long the value has not
// changed, against how long it usually stays.
type stuck struct{ usual, n float64 }

func (m *stuck) step(v *view, s *signal, out *reading) {
	out.raw = s.run / (m.usual + 1)
	m.n++
	m.usual += (min(s.run, 4*m.usual+4) - m.usual) / min(m.n+1, 1000)
}
