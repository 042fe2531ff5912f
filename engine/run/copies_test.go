package run_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestCopiedBeside: a task copies a large table for a barrier in pieces and takes blocks in between; and the barrier comes in
// time though every block changes more than a piece holds.
func TestCopiedBeside(t *testing.T) {
	const devices, rows = 100, 20_000
	var in strings.Builder
	for i := range rows {
		fmt.Fprintf(&in, `{"device":"d%d","ts":"2025-06-01T00:%02d:%02dZ","temp":%d,"n":%d}`+"\n", i%devices, i/60%60, i%60, i%40, i)
	}
	l := newLab(t)
	l.write("/in/a.ndjson", in.String())
	e := l.open(strings.Replace(telemetry, "key    = device", "key    = device\n  partitions = 1", 1)+strings.Replace(followed, "  follow = true\n", "", 1)+copying("p"), true)
	through := int64(0) // rows, when the first checkpoint was complete
	for !e.Done() {
		for _, a := range e.Actors() {
			_, err := a.Step()
			l.must(err)
		}
		l.machine.Advance(time.Millisecond)
		if through == 0 && e.Status().Checkpoint.Epoch > 0 {
			through = l.totals().Rows
		}
	}
	l.close()
	l.expect("/out/p.ndjson", rows)
	if through < 600 || through > 2000 {
		t.Errorf("%d rows were through with the first checkpoint: in one go it would be some 340, and without an end of copying 3,700", through)
	}
}
