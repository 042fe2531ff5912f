package order

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tidemill/tidemill/engine/stages/stagetest"
)

// TestCases runs testdata/*.txt; UPDATE_TESTDATA=1 writes down what comes out.
func TestCases(t *testing.T) { stagetest.Cases(t, Spec()) }

// TestCuts: what goes out, and in which order, does not depend on where batches end, with rows among them that come too late.
func TestCuts(t *testing.T) {
	out, rejects, _ := stagetest.Streams(t, Spec(), 60, func(r *rand.Rand) string {
		late := []string{"", "late = \"pass\"\n", "late = \"drop\"\n"}[r.IntN(3)]
		return late + fmt.Sprintf("bound = \"%ds\"\nwait = \"%ds\"\nmax_rows = %d\n", 1+r.IntN(100), 1+r.IntN(100), 1+r.IntN(20))
	})
	if out < 1000 || rejects < 50 {
		t.Errorf("%d rows, %d rejects: this check cannot fail", out, rejects)
	}
}
