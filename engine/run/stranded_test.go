package run_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine/plan"
)

// TestSinkGoes: a sink that goes has all first; if its server is down, what it has not had is told of, and it
// gets that when it comes back.
func TestSinkGoes(t *testing.T) {
	for _, down := range []bool{false, true} {
		l := newLab(t)
		l.write("/out/x", "")
		l.feed(records(0, 300))
		l.open(telemetry+followed+copying("p")+server, false)
		if down {
			l.far.set(errors.New("down"), false)
			l.settle()
			var text string
			for _, c := range l.plan(telemetry + followed + copying("p")).Diff(l.engine.Held()) {
				text += string(c.Fate) + " " + c.Address + " " + c.Why + "\n"
			}
			if !strings.Contains(text, "of rows undelivered in /data/spool/pipeline.s.sink.server.") {
				t.Errorf("nothing is said before:\n%s", text)
			}
		} else {
			l.steps(func() bool { return l.totals().Records > 100 })
		}
		l.must(l.swap(telemetry + followed + copying("p")))
		stranded := func() []plan.HeldSpool { return l.engine.Status().Stranded }
		if down != l.reported("are undelivered in /data/spool/") || down != (len(stranded()) == 1) {
			t.Errorf("down %v: %v", down, l.reports)
		}
		l.settle()
		if n := l.sum(); !down && n < 100 || down && n > 0 {
			t.Errorf("down %v: the server has %d rows", down, n)
		}
		had := l.sum()
		l.close()
		l.open(telemetry+followed+copying("p"), false)
		if down != (len(stranded()) == 1) {
			t.Errorf("down %v: after a restart %v are told of", down, stranded())
		}
		l.far.set(nil, false)
		l.must(l.swap(telemetry + followed + copying("p") + server))
		l.feed(records(300, 100))
		l.settle()
		if n := l.sum(); down && n != 400 || !down && n < had+100 || len(stranded()) > 0 {
			t.Errorf("down %v: the server has %d rows", down, n)
		}
		l.close()
		for row, n := range l.far.rows {
			if n != 1 {
				t.Fatalf("down %v: this came %d times: %s", down, n, row)
			}
		}
	}
}
