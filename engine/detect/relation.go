package detect

import "math"

// relation is the member that knows how signals go together: each is forecast
// from the others by a linear filter, normalised least mean squares (Widrow, Hoff
// 1960; Haykin, Adaptive Filter Theory, chapter 6), in scales of each.
type relation struct {
	n      int
	weight []float32 // n rows of n: what signal i takes from the others
	dev    []float64 // usual error
	rows   []int64
	in     []float64
}

func newRelation(n int) *relation { return &relation{n: n, in: make([]float64, n)} }

func (m *relation) lay() (weight, dev, rows, size int) {
	var c carver
	weight = c.take(m.n*m.n, 4)
	dev = c.take(m.n, 8)
	rows = c.take(1, 8)
	return weight, dev, rows, c.at
}

func (m *relation) size() int {
	_, _, _, size := m.lay()
	return size
}

func (m *relation) attach(mem []byte) {
	w, d, r, _ := m.lay()
	m.weight, m.dev, m.rows = words[float32](mem, w, m.n*m.n), words[float64](mem, d, m.n), words[int64](mem, r, 1)
}

// step forecasts every signal that was seen, says how far off it was, and learns.
func (m *relation) step(z []float64, seen []bool, say func(s int, raw float64)) {
	power := 0.0
	for i, v := range z {
		m.in[i] = math.Copysign(min(math.Abs(v), 10), v)
		power += m.in[i] * m.in[i]
	}
	m.rows[0]++
	rate := 1 / min(float64(m.rows[0])+1, 500)
	for i := range z {
		if !seen[i] {
			continue
		}
		row := m.weight[i*m.n : (i+1)*m.n]
		guess := 0.0
		for k, w := range row {
			guess += float64(w) * m.in[k]
		}
		e := m.in[i] - guess
		say(i, math.Abs(e)/(m.dev[i]+0.02))
		m.dev[i] += rate * (min(math.Abs(e), 6*m.dev[i]+0.1) - m.dev[i])
		mu := 0.05 * min(max(e, -2), 2) / (power - m.in[i]*m.in[i] + 1)
		for k := range row {
			if k != i {
				row[k] += float32(mu * m.in[k])
			}
		}
	}
}
