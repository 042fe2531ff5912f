package window

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
)

// TestFarTimes: rows at the ends of what an int64 of microseconds holds are rejected with the reason, those at the last moments that windows know are in
// windows whose ends do not overflow, and the rows between are as if the others had not come; of any kind, in one phase or the first of two.
func TestFarTimes(t *testing.T) {
	times := []int64{0, math.MaxInt64, math.MinInt64, math.MinInt64 + 1, maxTime, -maxTime, maxTime - 1, 1 - maxTime, flow.MaxTime, flow.MinTime, 30_000_000}
	const refused = 5
	for kind, args := range map[string]string{"tumbling": "every = \"3653d\"\ngrace = \"3653d\"\nkeep = \"3653d\"", "sliding": "every = \"1000d\"\nsize = \"3000d\"\nkeep = \"3653d\"",
		"session": "gap = \"3653d\"\ngrace = \"3653d\"\nphases = 2", "count": "size = 2", "state": "while = seq < 100\nlate = \"revise\"\nkeep = \"3653d\""} {
		text := fmt.Sprintf("by = [tag]\n%s\nemit = { n = count() }\n", args)
		m, rejects := newRoom(t, kind, text), 0
		m.o.Reject = func(r stage.Reject) {
			if rejects++; r.Reason != farTime {
				t.Errorf("%s: %s", kind, r.Reason)
			}
		}
		for i, at := range times {
			rows := roomRows(t, []string{fmt.Sprintf("00:00:01 00:00:01 %d 00:00:01 0 d a %d\n", i, i)})
			flow.Times(rows)[0] = arrow.Timestamp(at)
			m.must(t, m.Process(0, rows, m))
			rows.Release()
		}
		m.must(t, stage.AdvanceWhole(m.window, 0, flow.Watermarks{Tick: 40_000_000, Ticked: true, Ended: true}, m))
		want := refused
		if kind == "state" {
			want -= 2 // a clock that is ahead is not believed, however far
		}
		if rejects != want || !strings.Contains(m.text.String(), "a") {
			t.Errorf("%s: %d rejects\n%s", kind, rejects, m.text.String())
		}
		if kind == "count" || kind == "state" {
			continue
		}
		f := newFullParts(t, kind, text, 8)
		for i, at := range times {
			rows := roomRows(t, []string{fmt.Sprintf("00:00:01 00:00:01 %d 00:00:01 0 d a %d\n", i, i)})
			flow.Times(rows)[0] = arrow.Timestamp(at)
			m.must(t, f.Process(0, rows, f))
			rows.Release()
		}
		m.must(t, stage.AdvanceWhole(f.parts, 0, flow.Watermarks{Tick: 40_000_000, Ticked: true, Ended: true}, f))
		if f.refused["rejects"] != refused || f.rows != int64(len(times)-refused) {
			t.Errorf("%s: %d rows in parts, %v", kind, f.rows, f.refused)
		}
	}
}
