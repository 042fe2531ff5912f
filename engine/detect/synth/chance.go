package synth

import "math"

// chance is SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014).
type chance struct{ state uint64 }

// newChance begins a sequence of its own for each series of a corpus.
func newChance(seed uint64, series int) *chance {
	c := &chance{state: seed}
	c.state = c.next() ^ uint64(series)
	c.state = c.next()
	return c
}

func (c *chance) next() uint64 {
	c.state += 0x9e3779b97f4a7c15
	z := c.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// unit is uniform between 0 and 1, never either.
func (c *chance) unit() float64 { return (float64(c.next()>>11) + 0.5) / (1 << 53) }

// below is one of the numbers from 0 to n-1.
func (c *chance) below(n int) int { return int(c.unit() * float64(n)) }

// normal is a standard normal number (Box, Muller: Annals of Mathematical Statistics 29, 1958).
func (c *chance) normal() float64 {
	return math.Sqrt(2*c.exponential()) * math.Cos(2*math.Pi*c.unit())
}

// exponential has mean 1.
func (c *chance) exponential() float64 { return -math.Log(c.unit()) }
