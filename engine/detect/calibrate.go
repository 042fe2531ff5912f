package detect

import "math"

// Calibrator turns a detector's raw score, whatever its scale, into surprise:
// -log10 of the probability that this device's usual raw scores are as high. It is
// a histogram over log2(raw), in quarter octaves, that forgets; what lies beyond
// the highest percent follows a Pareto tail whose index is Hill's estimate (Hill, Annals
// of Statistics 3, 1975), drawn towards a prior while there is little to go by.
type Calibrator struct {
	n       float32
	at      float32 // bucket from which the tail is Pareto
	slope   float32 // digits a bucket there
	level   float32 // digits at `at`
	fresh   uint32  // points until the table is made anew
	most    float32 // digits that so few points can tell: twice their logarithm
	count   [buckets]float32
	digits  [buckets]float32 // surprise at a bucket's lower end; negative: not asked for yet, and so many are at or above it
	forgets float32
	of      float32 // points that the table is of
}

const (
	buckets     = 96
	perOctave   = 4
	bucketZero  = 48 // bucket of raw score 1
	maxSurprise = 12
	tailPart    = 0.01
	tailLeast   = 8
	priorPoints = 6
	priorIndex  = 0.25 // of a Pareto tail: half way between a normal's and a heavy one
)

// Init makes an empty calibrator that halves what it knows after so many points.
func (c *Calibrator) Init(memory int) { *c = Calibrator{forgets: float32(memory)} }

// place is where a raw score falls among the buckets, and between them.
func place(raw float64) float64 {
	if !(raw > 1e-9) {
		return 0
	}
	return max(0, bucketZero+perOctave*log2(raw))
}

// log2 is the binary logarithm of a positive normal number to 0.01: rising and without
// jumps, which is what buckets want, at a tenth of the exact one's cost.
func log2(x float64) float64 {
	b := math.Float64bits(x)
	f := math.Float64frombits(b&(1<<52-1)|1023<<52) - 1
	return float64(int(b>>52)-1023) + f + 0.3431*f*(1-f)
}

// Judge is Surprise and then Learn.
func (c *Calibrator) Judge(raw float64) float64 {
	p := place(raw)
	digits := c.surprise(p)
	c.learn(p)
	return digits
}

// Surprise is of a raw score, in decimal digits, before it is learnt.
func (c *Calibrator) Surprise(raw float64) float64 { return c.surprise(place(raw)) }

func (c *Calibrator) surprise(p float64) float64 {
	if c.n < 2 {
		return 0
	}
	if p >= float64(c.at) {
		return min(float64(c.level)+(p-float64(c.at))*float64(c.slope), maxSurprise, float64(c.most))
	}
	i := int(p)
	a, b := float64(c.lower(i)), float64(c.lower(min(i+1, buckets-1)))
	return a + (b-a)*(p-float64(i))
}

// lower is the surprise at a bucket's lower end. Logarithms are dear, and few of a table's buckets are asked for
// before it is made anew.
func (c *Calibrator) lower(i int) float32 {
	d := c.digits[i]
	if d < 0 {
		d = float32(max(0, -math.Log10(float64(-d)/float64(c.of))))
		c.digits[i] = d
	}
	return d
}

// Learn takes a raw score in.
func (c *Calibrator) Learn(raw float64) { c.learn(place(raw)) }

func (c *Calibrator) learn(p float64) {
	c.count[min(int(p), buckets-1)]++
	c.n++
	if c.n >= c.forgets {
		for i := range c.count {
			c.count[i] /= 2
		}
		c.n /= 2
	}
	if c.fresh == 0 {
		c.rebuild()
		c.fresh = uint32(min(max(c.n/16, 1), 32))
	}
	c.fresh--
}

func (c *Calibrator) rebuild() {
	c.most = float32(2 * math.Log10(float64(c.n)))
	want := max(tailLeast, tailPart*c.n)
	above := float32(0)
	u := buckets
	for u > 1 && above < want {
		u--
		above += c.count[u]
	}
	excess := float32(0)
	for i := u; i < buckets; i++ {
		excess += c.count[i] * (float32(i-u) + 0.5)
	}
	step := math.Ln2 / perOctave
	index := (float64(excess)*step + priorPoints*priorIndex) / (float64(above) + priorPoints)
	c.at = float32(u)
	c.slope = float32(step / max(index, 0.03) / math.Ln10)
	c.level = float32(-math.Log10(float64(above+0.5) / float64(c.n+1)))
	c.of = c.n
	for i := u; i < buckets; i++ {
		c.digits[i] = c.level + c.slope*float32(i-u)
	}
	cum := above
	for i := u - 1; i >= 0; i-- {
		cum += c.count[i]
		c.digits[i] = -cum
	}
}
