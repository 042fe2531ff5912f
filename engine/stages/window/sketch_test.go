package window

import (
	"math"
	"testing"
)

// TestNearestRank: of few values, of either sign, a percentile is the one that a person would count off.
func TestNearestRank(t *testing.T) {
	for _, c := range []struct {
		p      float64
		values []float64
		want   float64
	}{
		{99, []float64{10, 20, 30, 40, 50}, 50},
		{99, []float64{-50, -40, -30, -20, -10}, -10},
		{80, []float64{10, 20, 30, 40, 50}, 40},
		{80, []float64{-50, -40, -30, -20, -10}, -20},
		{81, []float64{-50, -40, -30, -20, -10}, -10},
		{50, []float64{1, 2, 3, 4}, 2},
		{50, []float64{-4, -3, -2, -1}, -3},
		{50, []float64{-4, 0, 0, 7}, 0},
		{25, []float64{-4, 0, 0, 7}, -4},
		{26, []float64{-4, 0, 0, 7}, 0},
		{75, []float64{-4, 0, 0, 7}, 0},
		{76, []float64{-4, 0, 0, 7}, 7},
		{0, []float64{3, 5, 9}, 3},
		{100, []float64{3, 5, 9}, 9},
		{0.1, []float64{-8}, -8},
		{7, hundred(), 7}, // 0.07 * 100 is more than 7
		{28, hundred(), 28},
		{99.9, hundred(), 100},
	} {
		s := percentileSketches().fresh()
		for _, v := range c.values {
			if err := s.Add(v); err != nil {
				t.Fatal(err)
			}
		}
		if got := nearestRank(s, c.p); math.Abs(got-c.want) > percentileAccuracy*math.Abs(c.want)*1.0001 {
			t.Errorf("percentile %v of %v is %v, want %v", c.p, c.values, got, c.want)
		}
	}
}

func hundred() (out []float64) {
	for i := range 100 {
		out = append(out, float64(i+1))
	}
	return out
}
