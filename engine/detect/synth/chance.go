package synth

import (
	"math"

	"github.com/tidemill/tidemill/engine/splitmix"
)

// chance draws numbers of several shapes.
type chance struct{ splitmix.Source }

// newChance begins a sequence of its own for each series of a corpus.
func newChance(seed uint64, series int) *chance {
	c := &chance{splitmix.Source(seed)}
	c.Source = splitmix.Source(c.Next() ^ uint64(series))
	c.Source = splitmix.Source(c.Next())
	return c
}

// below is one of the numbers from 0 to n-1.
func (c *chance) below(n int) int { return int(c.Unit() * float64(n)) }

// normal is a standard normal number (Box, Muller: Annals of Mathematical Statistics 29, 1958).
func (c *chance) normal() float64 {
	return math.Sqrt(2*c.exponential()) * math.Cos(2*math.Pi*c.Unit())
}

// exponential has mean 1.
func (c *chance) exponential() float64 { return -math.Log(c.Unit()) }
