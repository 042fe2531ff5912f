package detect

import "math"

// resonance is the member that knows the shapes a signal takes: fuzzy adaptive resonance (Carpenter, Grossberg,
// Rosen: Fuzzy ART, Neural Networks 4, 1991). A window of blocks of rows is a point of features, a category is a
// box of such points. A point near enough to a box belongs to it, and the box grows to it by a part; any other becomes a
// box of its own, so that the next one like it is known. Vigilance falls when boxes do not suffice.
//
//	6 rows --> block --> window of 8 blocks --> 16 features --> nearest of 64 boxes --> how far, 0 to 1 and more
//	              '----> range of the signal -------^
//
// Features are parts of the signal's range: the values of the blocks, their mean, and by how much neighbouring halves of
// ever shorter stretches differ (Haar). Complement coding, which keeps a box's lower and upper sides in one vector,
// is two vectors here. Of dual vigilance (Brito da Silva, Elnabarawy, Wunsch, Neural Networks 109, 2019) the second
// one, under which a point is no further category of what is known but new, is the calibrator's: how rare such a distance is.
type resonance struct {
	rows        float64 // of the block that is being gathered, and their sum, highest and lowest
	sum         float64
	top, bottom float64
	far         float64            // how far the farthest row of a block usually is from its mean
	blocks      float64            // since the model began
	known       float64            // since it had no category
	filled      float64            // without a gap, up to a window
	low, high   float64            // the signal's range
	from, to    float64            // the range that boxes are parts of
	least, most float64            // lowest and highest block of this generation
	tolerance   float64            // one less the vigilance: mean side up to which boxes grow
	raw         float64            // of the last window; less than 0: none
	anew        float64            // 1: with this row, all that was known was forgotten
	window      [resWindow]float64 // oldest first
	held        int64
	lower       [resMany][resDims]float32
	upper       [resMany][resDims]float32
	size        [resMany]float32 // sum of the sides
	used        [resMany]float32 // by how many windows, slowly forgotten
}

const (
	resBlock  = 6
	resWindow = 8
	resDims   = 2 * resWindow
	resMany   = 64
	resLearn  = 64    // blocks without an answer, until shapes have categories
	resSpan   = 1024  // blocks in which a range forgets its ends
	resAge    = 512   // blocks of a generation: at its end a range is at most twice as wide as what it had
	resAnew   = 4     // times narrower, a range is another one, and what was known in the old one is forgotten
	resUnits  = 8     // scales of the signal that a range has at least
	resBeyond = 2     // ranges that a value counts at most beyond the range
	resFirst  = 0.05  // tolerance of a new model
	resMost   = 0.3   // and of one that knows too many shapes
	resRise   = 1.05  // by which it grows when there is no room for another box
	resForget = 0.999 // what is left of the use of boxes then
	resHuge   = 0.5   // mean side from which a box says nothing any more
	resRate   = 0.25  // by which a box grows to a point: fast to commit, slow to recode
)

func (m *resonance) step(v *view, out *reading) {
	m.anew = 0
	if v.gap {
		m.rows, m.filled, m.raw = 0, 0, -1
	}
	if m.rows == 0 {
		m.sum, m.top, m.bottom = 0, v.x, v.x
	}
	m.rows++
	m.sum += v.x
	m.top, m.bottom = max(m.top, v.x), min(m.bottom, v.x)
	if m.rows == resBlock {
		m.gather(v.unit)
		m.rows = 0
	}
	if out.raw = m.raw; m.known < resLearn {
		out.raw = -1
	}
}

// gather makes a number of a block: its mean, and what its farthest row stands out beyond twice the usual, so that a
// spike is not lost among five other rows, and noise is.
func (m *resonance) gather(unit float64) {
	x := m.sum / m.rows
	far := m.top - x
	if x-m.bottom > far {
		far = m.bottom - x
	}
	m.known++
	if m.blocks++; m.blocks == 1 {
		m.low, m.high, m.tolerance, m.far, m.raw = x, x, resFirst, math.Abs(far), -1
		m.least, m.most = x, x
	}
	usual := m.far
	m.far += (min(math.Abs(far), 4*usual+0.01*(m.high-m.low)) - usual) / min(m.blocks, 256)
	if over := math.Abs(far) - 2*usual; over > 0 && m.blocks > resWindow {
		x += math.Copysign(over, far)
	}
	m.span(x, resUnits*unit)
	copy(m.window[:], m.window[1:])
	m.window[resWindow-1] = x
	if m.filled = min(m.filled+1, resWindow); m.filled == resWindow {
		m.resonate()
	}
}

// span widens the range for a value outside of it, by half of itself at most; otherwise its ends come slowly nearer,
// and at the end of a generation as near as half of what there was.
func (m *resonance) span(x, least float64) {
	half := (m.high - m.low) / 2
	low, high := m.low+(x-m.low)/resSpan, m.high+(x-m.high)/resSpan
	switch {
	case x < m.low:
		low, high = max(x, m.low-half), m.high
	case x > m.high:
		low, high = m.low, min(x, m.high+half)
	}
	m.least, m.most = min(m.least, x), max(m.most, x)
	if int64(m.blocks)%resAge == 0 {
		half = (m.most - m.least) / 2
		low, high = max(low, m.least-half), min(high, m.most+half)
		m.least, m.most = x, x
	}
	if mid := (low + high) / 2; high-low < least {
		low, high = min(low, mid-least/2), max(high, mid+least/2)
	}
	m.low, m.high = low, high
	if m.held > 0 && resAnew*(high-low) < m.to-m.from { // all of it would be in any box from then
		m.held, m.known, m.tolerance, m.raw, m.far, m.anew = 0, 0, resFirst, -1, min(m.far, (high-low)/2), 1
	}
	if math.Abs(low-m.from)+math.Abs(high-m.to) < 0.03*min(high-low, m.to-m.from) {
		return
	}
	m.refit(float32((m.to-m.from)/(high-low)), float32((m.from-low)/(high-low)))
	m.from, m.to = low, high
}

// refit brings boxes to another range: what was x of the old one is a*x+b of it. A box that has become too large is
// forgotten.
func (m *resonance) refit(a, b float32) {
	kept := int64(0)
	for i := range m.held {
		if m.size[i] *= a; m.size[i] > resHuge*resDims {
			continue
		}
		lower, upper := &m.lower[kept], &m.upper[kept]
		for k := range lower {
			lower[k], upper[k] = a*m.lower[i][k], a*m.upper[i][k]
			if k <= resWindow {
				lower[k], upper[k] = lower[k]+b, upper[k]+b
			}
		}
		m.size[kept], m.used[kept] = m.size[i], m.used[i]
		kept++
	}
	m.held = kept
}

// features are the values of the window, their mean, and the differences of the halves of all its stretches.
func (m *resonance) features(f *[resDims]float32) {
	var u [resWindow]float64
	for i, x := range m.window {
		u[i] = min(max((x-m.from)/(m.to-m.from), -resBeyond), 1+resBeyond)
		f[i] = float32(u[i])
	}
	at := resDims
	for n := resWindow / 2; n > 0; n /= 2 {
		at -= n
		for i := range n {
			a, b := u[2*i], u[2*i+1]
			f[at+i], u[i] = float32((a-b)/2), (a+b)/2
		}
	}
	f[resWindow] = float32(u[0])
}

// resonate finds the category of the window and lets it learn, or makes one.
func (m *resonance) resonate() {
	var f [resDims]float32
	m.features(&f)
	who, away := m.nearest(&f)
	if who < 0 {
		m.raw = -1
		m.commit(&f)
		return
	}
	m.raw = float64(away) / float64(resDims-m.size[who])
	if float64(m.size[who]+away) > m.tolerance*resDims {
		m.commit(&f)
		return
	}
	m.used[who]++
	size := float32(0)
	lower, upper := &m.lower[who], &m.upper[who]
	for k, x := range f {
		lower[k] += resRate * min(x-lower[k], 0)
		upper[k] += resRate * max(x-upper[k], 0)
		size += upper[k] - lower[k]
	}
	m.size[who] = size
}

// nearest is the category whose choice function is greatest, and how far a point is from its box, city blocks.
func (m *resonance) nearest(f *[resDims]float32) (who int, away float32) {
	who, best := -1, float32(math.MaxFloat32)
	for i := range int(m.held) {
		room := resDims - m.size[i]
		enough, d := best*room, float32(0)
		lower, upper := &m.lower[i], &m.upper[i]
		for k := 0; k < resDims && d < enough; k += 4 {
			d += max(lower[k]-f[k], f[k]-upper[k], 0) + max(lower[k+1]-f[k+1], f[k+1]-upper[k+1], 0) +
				max(lower[k+2]-f[k+2], f[k+2]-upper[k+2], 0) + max(lower[k+3]-f[k+3], f[k+3]-upper[k+3], 0)
		}
		if d < enough {
			who, away, best = i, d, d/room
		}
	}
	return who, away
}

// commit makes a category of a point: of the least used one when there is no room, and vigilance falls.
func (m *resonance) commit(f *[resDims]float32) {
	i := m.held
	if i < resMany {
		m.held++
	} else {
		i = 0
		for k := range m.used {
			if m.used[k] < m.used[i] {
				i = int64(k)
			}
			m.used[k] *= resForget
		}
		m.tolerance = min(m.tolerance*resRise, resMost)
	}
	m.lower[i], m.upper[i], m.size[i], m.used[i] = *f, *f, 0, 1
}
