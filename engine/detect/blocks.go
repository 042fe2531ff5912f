package detect

import "math"

// blocks are two members that look at stretches of rows, where a single row is nothing special: how far the mean of
// the last rows is from that of those before, and how far apart the highest and the lowest lately are.
type blocks struct {
	n           int64
	late, early float64 // sums of the last rows and of those before, cut
	ring        [lateRows + earlyRows]float32
}

const (
	lateRows  = 36
	earlyRows = 4 * lateRows
	swingRows = 24
	blockMost = 8 // scales that one row counts at most in a mean
)

func (m *blocks) step(v *view, turn, swing *reading) {
	cut := func(row int64) float64 {
		return min(max(float64(m.ring[row%int64(len(m.ring))]), -blockMost), blockMost)
	}
	if m.n >= int64(len(m.ring)) {
		m.early -= cut(m.n)
	}
	if m.n >= lateRows {
		x := cut(m.n - lateRows)
		m.late -= x
		m.early += x
	}
	last := int(m.n % int64(len(m.ring)))
	m.ring[last] = float32(v.z)
	m.late += cut(m.n)
	m.n++
	if m.n < 2*lateRows {
		return
	}
	d := m.late/lateRows - m.early/float64(min(m.n-lateRows, earlyRows))
	turn.raw, turn.low = math.Abs(d), d < 0
	low, high := m.ring[last], m.ring[last]
	at := last + 1 - swingRows
	if at < 0 {
		low, high = ends(m.ring[at+len(m.ring):], low, high)
		at = 0
	}
	low, high = ends(m.ring[at:last+1], low, high)
	swing.raw = float64(high - low)
}

// ends widens a range to values. Comparisons by hand: they are no NaN, which min and max would look for.
func ends(values []float32, low, high float32) (float32, float32) {
	for _, z := range values {
		if z < low {
			low = z
		}
		if z > high {
			high = z
		}
	}
	return low, high
}
