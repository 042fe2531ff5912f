package join

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestCuts: which pairs go out, and in which order, does not depend on where batches end and where the stage is restarted, with rows
// that are late, have no key or find no room among them.
func TestCuts(t *testing.T) {
	pairs, rejects := 0, 0
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 29))
		events := stream(r, 1+r.IntN(400), 1+r.IntN(6), 1+r.IntN(10))
		events = append(events, row{end: true, received: events[len(events)-1].received})
		body := take + fmt.Sprintf("before = \"%ds\"\nafter = \"%ds\"\ngrace = \"%ds\"\nwait = \"%ds\"\nmax_rows = %d\nmax_total = %d\nrows = %q\n",
			r.IntN(30), r.IntN(30), r.IntN(20), 10+r.IntN(100), 1+r.IntN(20), 10+r.IntN(50), []string{"inner", "left"}[r.IntN(2)])
		var want *bench
		for way := range uint64(6) {
			b := newBench(t, Interval(), body, way, nil)
			if b.cut, b.lives = []int{1, 3, 9, 300}[way%4], 4; way == 0 {
				b.lives = 0
			}
			if b.run(slices.Clone(events)); way == 0 {
				want = b
				continue
			}
			if !slices.Equal(b.lines, want.lines) || !slices.Equal(b.rejects, want.rejects) {
				t.Fatalf("seed %d, way %d of\n%s: %d rejects, want %d\n%s", seed, way, body, len(b.rejects), len(want.rejects), firstDifference(b.lines, want.lines))
			}
		}
		pairs, rejects = pairs+len(want.lines), rejects+len(want.rejects)
	}
	if pairs < 3000 || rejects < 1000 {
		t.Errorf("%d rows, %d rejects: this check cannot fail", pairs, rejects)
	}
}
