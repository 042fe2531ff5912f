package hostile

import (
	"encoding/json"
	"os"
	"runtime/debug"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/wasm"
)

// TestPauses: while a guest loops, with fuel for seconds, the garbage collector
// still gets its turn: fuel is given out in slices.
func TestPauses(t *testing.T) {
	p, err := newHost(t).Load(liar(t), wasm.Limits{FuelPerRow: 1_000_000_000, Deadline: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, problems := p.Manifest.Settings(map[string]json.RawMessage{}); len(problems) != 1 {
		t.Errorf("problems %v; want the missing argument", problems)
	}
	s := newScene(t, p, 1)
	done := make(chan map[int]string)
	go func() {
		_, rejects := s.run(t, []float64{poison})
		done <- rejects
	}()
	var before, after debug.GCStats
	debug.ReadGCStats(&before)
	var rejects map[int]string
	for rejects == nil {
		select {
		case rejects = <-done:
		default:
			debug.FreeOSMemory() // collects
		}
	}
	debug.ReadGCStats(&after)
	if len(rejects) != 1 {
		t.Errorf("rejects %v", rejects)
	}
	if len(s.evidence) == 0 || !s.evidence[0].ByClock {
		t.Errorf("the deadline was passed and nobody was told: %v", s.evidence)
	}
	n := int(after.NumGC - before.NumGC)
	if n < 3 {
		t.Skipf("the guest looped through %d collections only", n)
	}
	pauses := after.Pause[:min(n, len(after.Pause))]
	long, worst := 0, time.Duration(0)
	for _, pause := range pauses {
		worst = max(worst, pause)
		if pause > 20*time.Millisecond {
			long++
		}
	}
	t.Logf("%d collections, the longest pause %v", n, worst)
	// A busy machine can stop any process for longer, so a few may be unless it is said to be quiet; a guest that cannot be
	// stopped would make every pause as long as its loop.
	allowed := len(pauses)/10 + 1
	if os.Getenv("TIDEMILL_QUIET") != "" {
		allowed = 0
	}
	if long > allowed {
		t.Errorf("%d of %d pauses were longer than 20 ms, up to %v", long, len(pauses), worst)
	}
}
