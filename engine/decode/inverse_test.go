package decode

import (
	"math"
	"testing"
)

// TestInverse holds the product with an inverse against the quotient, for every
// number that the fast way multiplies: up to seven digits beside a point.
func TestInverse(t *testing.T) {
	most := 10_000_000
	if testing.Short() {
		most = 300_000
	}
	for n := int64(0); n <= 7; n++ {
		by, power := inverseOf(n), exactPow10(n)
		for i := range most {
			m := float64(i)
			if got := math.FMA(m, by.near, m*by.rest); got != m/power {
				t.Fatalf("%d / 10^%d is %v, not %v", i, n, m/power, got)
			}
		}
	}
	for i := 10_000_000; i < 100_000_000; i++ { // without a point there are eight
		if m, by := float64(i), inverseOf(0); math.FMA(m, by.near, m*by.rest) != m {
			t.Fatal(i)
		}
		i += 997
	}
}
