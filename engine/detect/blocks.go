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
	m.ring[m.n%int64(len(m.ring))] = float32(v.z)
	m.late += cut(m.n)
	m.n++
	if m.n < 2*lateRows {
		return
	}
	d := m.late/lateRows - m.early/float64(min(m.n-lateRows, earlyRows))
	turn.raw, turn.low = math.Abs(d), d < 0
	low, high := float32(math.MaxFloat32), float32(-math.MaxFloat32)
	at := int((m.n - swingRows) % int64(len(m.ring)))
	for range swingRows {
		z := m.ring[at]
		low, high = min(low, z), max(high, z)
		if at++; at == len(m.ring) {
			at = 0
		}
	}
	swing.raw = float64(high - low)
}
