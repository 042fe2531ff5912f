package dedupe

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tidemill/tidemill/engine/stages/stagetest"
)

// TestCases runs testdata/*.txt; UPDATE_TESTDATA=1 writes down what comes out.
func TestCases(t *testing.T) { stagetest.Cases(t, Spec()) }

// TestCuts: which rows are repeated does not depend on where batches end, also where rows are forgotten for want of room.
func TestCuts(t *testing.T) {
	out, _, counts := stagetest.Streams(t, Spec(), 60, func(r *rand.Rand) string {
		by := []string{"", "by = [device, seq]\n", "by = [door]\n"}[r.IntN(3)]
		return by + fmt.Sprintf("within = \"%ds\"\nmax = %d\n", 5+r.IntN(300), 1+r.IntN(40))
	})
	if out < 1000 || counts < 50 {
		t.Errorf("%d rows, %d counters: this check cannot fail", out, counts)
	}
}
