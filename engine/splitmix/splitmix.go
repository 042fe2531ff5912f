package splitmix

// Source is SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014, figure 17).
// It is its own seed and its whole state; every seed is as good as another. One goroutine draws from it.
type Source uint64

// Next draws 64 bits. They repeat after 2^64 draws.
func (s *Source) Next() uint64 {
	*s += 0x9e3779b97f4a7c15
	z := uint64(*s)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Unit draws a number that is evenly spread between 0 and 1. It is never either of them: its logarithm is finite, and so is
// that of what it lacks to 1.
func (s *Source) Unit() float64 {
	u := (float64(s.Next()>>11) + 0.5) / (1 << 53)
	if u == 1 { // the last of 2^53 is rounded up
		return 1 - 1.0/(1<<53)
	}
	return u
}
