package detect

import (
	"math"

	"github.com/tidemill/tidemill/engine/splitmix"
)

// discord is the member that finds shapes unlike any before: the distance from
// the last stretch of the signal to the nearest of a library of earlier
// ones, as the matrix profile has it (Yeh et al., ICDM 2016), streaming, over a
// reservoir instead of all of history.
type discord struct {
	random uint64
	n      float64
	ring   [stretch * coarse]float32
	shape  [library][stretch]float32
	held   int64
}

const (
	stretch = 12 // values a shape
	coarse  = 4  // rows a value
	library = 64
)

func (m *discord) step(v *view, out *reading) {
	at := int(m.n) % len(m.ring)
	m.ring[at] = float32(min(max(v.z, -20), 20))
	m.n++
	if m.n < float64(len(m.ring)) {
		return
	}
	var now [stretch]float32
	for i := range m.ring {
		k := (at + 1 + i) % len(m.ring)
		now[i/coarse] += m.ring[k] / coarse
	}
	best := float32(math.MaxFloat32)
	for i := range m.held {
		best = min(best, apart(&m.shape[i], &now, best))
	}
	if m.held >= library/4 {
		out.raw = math.Sqrt(float64(best) / stretch)
	}
	m.keep(&now)
}

// apart is the squared distance of two shapes, or more than enough as soon as it is that.
func apart(a, b *[stretch]float32, enough float32) float32 {
	sum := float32(0)
	for j := 0; j < stretch && sum < enough; j += 4 {
		d0, d1, d2, d3 := a[j]-b[j], a[j+1]-b[j+1], a[j+2]-b[j+2], a[j+3]-b[j+3]
		sum += d0*d0 + d1*d1 + d2*d2 + d3*d3
	}
	return sum
}

// keep puts every 16th stretch into the library: at a random place when it is full.
func (m *discord) keep(now *[stretch]float32) {
	if int64(m.n)%16 != 0 {
		return
	}
	i := m.held
	if m.held < library {
		m.held++
	} else {
		r := splitmix.Source(m.random)
		i = int64(r.Next() % library)
		m.random = uint64(r)
	}
	m.shape[i] = *now
}

// halfSpace is a forest of half-space trees (Tan, Ting, Liu: Fast Anomaly
// Detection for Streaming Data, IJCAI 2011) over value and step, both in their scales:
// the mass of the last full window in the node where a row ends, times two to its depth.
type halfSpace struct {
	n    float64
	dim  [hsTrees][hsNodes]uint8
	cut  [hsTrees][hsNodes]float32
	mass [hsTrees][2 * hsNodes]uint16 // of the window before
	now  [hsTrees][2 * hsNodes]uint16
}

const (
	hsTrees  = 8
	hsDepth  = 6
	hsNodes  = 1 << hsDepth
	hsWindow = 250
	hsLeast  = 10 // mass where a walk ends
)

func (m *halfSpace) begin(seed uint64) {
	r := splitmix.Source(seed)
	for t := range hsTrees {
		var lo, hi [2 * hsNodes][2]float32
		for d := range 2 {
			s := float32(r.Unit()*2-1) * 2
			w := max(s+5, 5-s)
			lo[1][d], hi[1][d] = s-w, s+w
		}
		for i := 1; i < hsNodes; i++ {
			d := int(r.Next() & 1)
			mid := (lo[i][d] + hi[i][d]) / 2
			m.dim[t][i], m.cut[t][i] = uint8(d), mid
			for k := range 2 {
				lo[2*i+k], hi[2*i+k] = lo[i], hi[i]
			}
			hi[2*i][d], lo[2*i+1][d] = mid, mid
		}
	}
}

func (m *halfSpace) step(v *view, out *reading) {
	x := [2]float32{float32(squash(v.z)), float32(squash(v.step))}
	score := 0.0
	for t := range hsTrees {
		i, done := 1, false
		for depth := 0; ; depth++ {
			m.now[t][i]++
			if !done && (m.mass[t][i] <= hsLeast || depth == hsDepth) {
				score += float64(m.mass[t][i]) * float64(int(1)<<depth)
				done = true
			}
			if depth == hsDepth {
				break
			}
			next := 2 * i
			if x[m.dim[t][i]] > m.cut[t][i] {
				next++
			}
			i = next
		}
	}
	if m.n >= hsWindow {
		out.raw = hsTrees * hsWindow / (score + hsTrees)
	}
	m.n++
	if int(m.n)%hsWindow == 0 {
		m.mass = m.now
		m.now = [hsTrees][2 * hsNodes]uint16{}
	}
}

// squash is x near zero and grows as a logarithm far away.
func squash(x float64) float64 {
	if a := math.Abs(x); a > 2 {
		return math.Copysign(2+math.Log(a/2), x)
	}
	return x
}
