package alarm

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tidemill/tidemill/engine/stages/stagetest"
)

// TestCases runs testdata/*.txt; UPDATE_TESTDATA=1 writes down what comes out.
func TestCases(t *testing.T) { stagetest.Cases(t, Spec()) }

// TestCuts: what is raised and cleared, and in which order, does not depend on where batches end, with rows among them that are out of order.
func TestCuts(t *testing.T) {
	out, _, counts := stagetest.Streams(t, Spec(), 80, func(r *rand.Rand) string {
		args := fmt.Sprintf("by = [%s]\nwith = [temp, seq]\n", []string{"device", "device, door", "door"}[r.IntN(3)])
		if r.IntN(3) == 0 {
			return args + fmt.Sprintf("absent = \"%ds\"\n", 1+r.IntN(60))
		}
		args += fmt.Sprintf("when = temp > %d\nfor = \"%ds\"\n", r.IntN(20)-10, r.IntN(40))
		if r.IntN(2) == 0 {
			args += fmt.Sprintf("clear = temp < -5\nclear_for = \"%ds\"\n", r.IntN(40))
		}
		return args
	})
	if out < 300 || counts < 20 {
		t.Errorf("%d events, %d counters: this check cannot fail", out, counts)
	}
}
