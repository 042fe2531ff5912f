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
	like   int64 // the shape that was nearest last, which probably is near again
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
	var rows [stretch * coarse]float32 // oldest first
	copy(rows[copy(rows[:], m.ring[at+1:]):], m.ring[:at+1])
	var now [stretch]float32
	for i := range now {
		r := rows[coarse*i : coarse*i+coarse]
		now[i] = r[0]/coarse + r[1]/coarse + r[2]/coarse + r[3]/coarse
	}
	best := m.nearest(&now)
	if m.held >= library/4 {
		out.raw = math.Sqrt(float64(best) / stretch)
	}
	m.keep(&now)
}

// apart is the squared distance of two shapes.
func apart(a, b *[stretch]float32) (sum float32) {
	for j := 0; j < stretch; j += 4 {
		d0, d1, d2, d3 := a[j]-b[j], a[j+1]-b[j+1], a[j+2]-b[j+2], a[j+3]-b[j+3]
		sum += d0*d0 + d1*d1 + d2*d2 + d3*d3
	}
	return sum
}

// nearest is the squared distance of the nearest of the library; sums in the order of apart.
func (m *discord) nearest(b *[stretch]float32) float32 {
	best := float32(math.MaxFloat32)
	if m.held > 0 {
		best = apart(&m.shape[m.like%library], b)
	}
	for i := range m.shape[:m.held] {
		a := &m.shape[i]
		d0, d1, d2, d3 := a[0]-b[0], a[1]-b[1], a[2]-b[2], a[3]-b[3]
		sum := d0*d0 + d1*d1 + d2*d2 + d3*d3
		if sum >= best {
			continue
		}
		d0, d1, d2, d3 = a[4]-b[4], a[5]-b[5], a[6]-b[6], a[7]-b[7]
		if sum += d0*d0 + d1*d1 + d2*d2 + d3*d3; sum >= best {
			continue
		}
		d0, d1, d2, d3 = a[8]-b[8], a[9]-b[9], a[10]-b[10], a[11]-b[11]
		if sum += d0*d0 + d1*d1 + d2*d2 + d3*d3; sum < best {
			best, m.like = sum, int64(i)
		}
	}
	return best
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
	score := 0
	for t := range hsTrees {
		i, depth := 1, 0
		dim, cut, mass, now := &m.dim[t], &m.cut[t], &m.mass[t], &m.now[t]
		for range hsDepth {
			now[i]++
			depth += int((hsLeast - int32(mass[i])) >> 31 & 1) // masses fall on the way down: so many are above the least
			beyond := math.Float32bits(cut[i&(hsNodes-1)]-x[dim[i&(hsNodes-1)]&1]) >> 31
			i = (2*i + int(beyond)) & (2*hsNodes - 1)
		}
		now[i]++
		score += int(mass[i>>(hsDepth-depth)]) << depth
	}
	if m.n >= hsWindow {
		out.raw = hsTrees * hsWindow / float64(score+hsTrees)
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
