package detect

import "math"

// seasonal is the member that knows the time of day, the day of the week, and a
// period that it found by itself. Each is a hypothesis with a profile of
// its own, and the one whose forecasts were best is believed; a season is believed at
// all when it beats none by a tenth.
type seasonal struct {
	n        float64
	offset   [seasons + 1]float64 // of the last values from each hypothesis
	origin   float64              // the first value: profiles are relative to it
	loss     [seasons + 1]float64 // mean forecast error; [0] is: no season
	tried    [seasons + 1]float64 // forecasts that the loss is of
	lag      int64                // points of the period found; 0: none
	count    int64
	day      [bins]bin
	week     [weekBins]bin
	found    [bins]bin
	auto     [lags]float32
	ring     [lags]float32 // backwards, so that it goes the way of auto
	filled   float64
	believed float64
	changed  bool // the belief changed with the last row
}

const (
	seasons  = 3
	bins     = 48
	weekBins = 84
	lags     = 192
	day      = 86_400_000_000
)

// bin is a time of the season: what is usual there and by how much it varies.
type bin struct{ n, mean, dev float32 }

func (m *seasonal) step(v *view, s *signal, out *reading) {
	if m.n == 0 {
		m.origin = v.x
	}
	z := min(max(v.z, -50), 50)
	m.n++
	m.correlate(min(max(v.z, -4), 4))
	best := m.choose()
	x := v.level + z*v.unit - m.origin
	for h := 0; h <= seasons; h++ {
		p, dev, ok := m.profile(h, v)
		if ok {
			m.judge(h, best, x-p, dev, v, out)
		}
		m.learn(h, v, x)
	}
	m.count++
}

// judge compares a forecast with what came, e apart from the profile.
func (m *seasonal) judge(h, best int, e, dev float64, v *view, out *reading) {
	if m.tried[h] == 0 || v.gap {
		m.loss[h] = max(m.loss[h], m.loss[0])
	}
	m.tried[h]++
	whole := e
	e -= m.offset[h]
	if h == best {
		w := math.Sqrt(dev*dev+m.loss[h]*m.loss[h]) + 0.05*v.unit
		out.raw, out.low = math.Abs(e)/w, e < 0
		out.expected = v.x - e
		out.lower, out.upper = out.expected-4*w, out.expected+4*w
	}
	limit := 6*m.loss[h] + v.unit
	m.loss[h] += (min(math.Abs(e), limit) - m.loss[h]) / min(m.tried[h]+20, 1000)
	if m.tried[h] == 1 {
		m.offset[h] = min(max(whole, -limit), limit)
		return
	}
	m.offset[h] += 0.05 * min(max(e, -limit/2), limit/2)
}

// choose says which hypothesis is believed.
func (m *seasonal) choose() int {
	best, low := 0, m.loss[0]*0.9
	for h := 1; h <= seasons; h++ {
		loss := m.loss[h]
		if h == int(m.believed) {
			loss *= 0.9 // who is believed stays so on a tie
		}
		if m.ready(h) && loss < low {
			best, low = h, loss
		}
	}
	m.changed = best != int(m.believed)
	m.believed = float64(best)
	return best
}

// ready says whether a hypothesis has made forecasts enough to be judged.
func (m *seasonal) ready(h int) bool { return m.tried[h] >= 100 }

// cells of a hypothesis, and where in them a row falls.
func (m *seasonal) cells(h int, v *view) ([]bin, float64) {
	turn := func(period int64) float64 {
		p := v.at % period
		if p < 0 {
			p += period
		}
		return float64(p) / float64(period)
	}
	switch h {
	case 1:
		return m.day[:], turn(day) * bins
	case 2:
		return m.week[:], turn(7*day) * weekBins
	}
	if m.lag == 0 {
		return nil, 0
	}
	n := min(m.lag, bins)
	return m.found[:n], float64(m.count%m.lag) / float64(m.lag) * float64(n)
}

// profile is what a hypothesis expects, between two bins.
func (m *seasonal) profile(h int, v *view) (mean, dev float64, ok bool) {
	if h == 0 {
		return 0, 0, true
	}
	cells, at := m.cells(h, v)
	if cells == nil {
		return 0, 0, false
	}
	at -= 0.5
	if at < 0 {
		at += float64(len(cells))
	}
	i := int(at) % len(cells)
	a, b, w := &cells[i], &cells[(i+1)%len(cells)], at-math.Floor(at)
	if a.n == 0 || b.n == 0 {
		return 0, 0, false
	}
	return float64(a.mean)*(1-w) + float64(b.mean)*w, float64(a.dev)*(1-w) + float64(b.dev)*w, true
}

func (m *seasonal) learn(h int, v *view, x float64) {
	if h == 0 {
		return
	}
	cells, at := m.cells(h, v)
	if cells == nil {
		return
	}
	c := &cells[min(int(at), len(cells)-1)]
	c.n++
	rate := 1 / min(c.n, 60)
	e := float32(x) - c.mean
	if c.n > 8 {
		limit := 4*c.dev + float32(0.2*v.unit)
		e = min(max(e, -limit), limit)
	}
	c.mean += rate * e
	c.dev += rate * (max(e, -e) - c.dev)
}

// correlate keeps the autocorrelation of the last values, and now and then
// takes the lag that stands out as a period.
func (m *seasonal) correlate(z float64) {
	at := int(m.filled) % lags
	f := float32(z)
	rate := float32(1 / min(m.filled+1, 2000))
	at = lags - 1 - at
	if m.filled >= lags {
		lagged(m.auto[1:lags-at], m.ring[at+1:], f, rate)
		lagged(m.auto[lags-at:], m.ring[:at], f, rate)
		m.auto[0] += rate * (f*f - m.auto[0])
	}
	m.ring[at] = f
	m.filled++
	if int(m.filled)%256 == 0 && m.filled > 3*lags {
		m.search()
	}
}

// lagged lets means of products learn those of f and what was before it.
func lagged(mean, past []float32, f, rate float32) {
	past = past[:len(mean)]
	for i, m := range mean {
		mean[i] = m + rate*(f*past[i]-m)
	}
}

// search takes the highest peak of the autocorrelation behind its first dip.
func (m *seasonal) search() {
	i := 1
	for i < lags-1 && m.auto[i+1] <= m.auto[i] {
		i++
	}
	best := 0
	for ; i < lags-1; i++ {
		if m.auto[i] >= m.auto[i-1] && m.auto[i] >= m.auto[i+1] && (best == 0 || m.auto[i] > 1.02*m.auto[best]) {
			best = i
		}
	}
	if best < 4 || m.auto[best] < 0.3*m.auto[0] || int64(best) == m.lag {
		return
	}
	if m.lag > 0 && m.ready(3) && m.loss[3] < 0.9*m.loss[0] {
		return // what works is kept
	}
	m.lag, m.count = int64(best), 0
	m.found = [bins]bin{}
	m.loss[3], m.offset[3], m.tried[3] = 0, 0, 0
}
