package window

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine/stages/stagetest"
)

// TestCuts: what goes out, and in which order, does not depend on where batches end, for any kind of window, with rows that
// are refused among them: some of these are all that is known of their group.
func TestCuts(t *testing.T) {
	for k := tumbling; k <= holding; k++ {
		spec := Tumbling()
		body := []string{
			"every = \"1m\"", "every = \"1m\"\nsize = \"4m\"", "gap = \"30s\"", "size = 3", "while = open",
		}[k]
		switch k {
		case sliding:
			spec = Sliding()
		case session:
			spec = Session()
		case counting:
			spec = Count()
		case holding:
			spec = State()
		}
		t.Run(spec.Type, func(t *testing.T) {
			out, rejects, counts := stagetest.Streams(t, spec, 80, func(r *rand.Rand) string { return body + "\n" + cutArgs(r, k) })
			t.Logf("%d windows, %d rejects, %d counters", out, rejects, counts)
			if out < 500 || k != counting && (rejects < 200 || counts < 50) {
				t.Error("hardly a window or a row that is refused: this check cannot fail")
			}
		})
	}
}

// cutArgs makes arguments of a kind of window, but for what it cannot do without.
func cutArgs(r *rand.Rand, k kind) string {
	b := &strings.Builder{}
	fmt.Fprintf(b, "by = [%s]\n", []string{"device", "device, door", "door", ""}[r.IntN(4)])
	if k != counting {
		late := []string{"revise", "side", "drop"}[r.IntN(3)]
		fmt.Fprintf(b, "late = %q\nkeep = \"%ds\"\n", late, 1+r.IntN(200))
	}
	if k < counting && r.IntN(2) == 0 {
		fmt.Fprintf(b, "grace = \"%ds\"\n", r.IntN(40))
	}
	if k < counting && r.IntN(4) == 0 {
		fmt.Fprintf(b, "early = \"%ds\"\n", 20+r.IntN(60))
	}
	if k < counting && r.IntN(4) == 0 {
		fmt.Fprintf(b, "idle = \"%ds\"\n", 20+r.IntN(60))
	}
	if r.IntN(6) == 0 {
		b.WriteString("having = count() > 1\n")
	}
	b.WriteString("emit = { n = count(), total = sum(temp), most = max(seq) }\n")
	return b.String()
}
