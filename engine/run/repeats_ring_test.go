package run

import (
	"testing"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/state"
)

// TestRepeats notes every third record, and another row of every ninth, more than there are slots for: what the
// table says that it knows of is as it was noted, and as far back as it has to.
func TestRepeats(t *testing.T) {
	if RaceDetector {
		t.Skip("one goroutine")
	}
	ch := &plan.Channel{Config: &config.Channel{Name: "c"}}
	for _, n := range []int64{1, 100, 63 * plan.MaxRepeats, 65 * plan.MaxRepeats} {
		const from = 1000
		r := newRepeats(ch.RepeatsDecl(), from)
		whole := func(offset int64) bool { return offset%3 == 0 }
		row := func(offset int64) bool { return offset%9 == 0 && offset > from+n-1000 }
		for offset := int64(from); offset < from+n; offset++ {
			if whole(offset) {
				r.note(offset, wholeRecord)
			}
			if row(offset) {
				r.note(offset, 5)
			}
		}
		v := verdictsOf(ch, uint64(from+n), map[string]*state.Table{tableKey("", ch.RepeatsDecl()): r.table})
		if v.since < from || int64(v.since) > max(from, from+n-60*plan.MaxRepeats) {
			t.Errorf("of %d offsets it knows from %d on", n, v.since)
		}
		if !v.of(v.since) || v.of(v.since-1) || v.of(v.until) {
			t.Error("it does not know what it knows")
		}
		for offset := max(int64(v.since), from+n-5000); offset < from+n; offset++ {
			if v.repeated(offset, wholeRecord) != whole(offset) || v.repeated(offset, 5) != row(offset) || v.repeated(offset, 0) {
				t.Fatalf("offset %d of %d", offset, n)
			}
		}
		for offset := int64(v.since); offset < from+n; offset += 997 {
			if v.repeated(offset, wholeRecord) != whole(offset) {
				t.Fatalf("offset %d of %d", offset, n)
			}
		}
	}
}
