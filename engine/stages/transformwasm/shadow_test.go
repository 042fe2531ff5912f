package transformwasm

import (
	"math"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// TestAlike: numbers that differ by rounding are the same; what only one version can count is not.
func TestAlike(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct {
		a, b float64
		want bool
	}{
		{1, 1, true},
		{1, 1 + 1e-10, true},
		{1, 1 + 1e-8, false},
		{0, 1e-300, false},
		{1e308, -1e308, false},
		{inf, 5, false},
		{5, -inf, false},
		{inf, -inf, false},
	} {
		b := array.NewFloat64Builder(memory.DefaultAllocator)
		b.AppendValues([]float64{c.a, c.b}, nil)
		col := b.NewFloat64Array()
		if got := alike(col, 0, col, 1); got != c.want {
			t.Errorf("%v and %v: %v", c.a, c.b, got)
		}
		col.Release()
		b.Release()
	}
}
