package main

import (
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/run"
)

// TestSummaryTellsOfWhatIsLeft: who ends a run sees what a sink has not delivered yet, and why.
func TestSummaryTellsOfWhatIsLeft(t *testing.T) {
	began := time.Unix(1000, 0)
	got := summary(run.Status{Time: began.Add(time.Second), Sinks: []run.SinkStatus{
		{Address: "pipeline.p.sink.a", Rows: 3},
		{Address: "pipeline.p.sink.b", Rows: 3692, Waiting: 5345, LastError: "it answered 503"},
		{Address: "pipeline.p.sink.c", Rows: 1, Waiting: 1},
	}}, began)
	for _, want := range []string{"3 rows written\n", "3,692 rows written, 5,345 batches wait on disk; failing: it answered 503\n", "1 row written, 1 batch waits on disk"} {
		if !strings.Contains(got+"\n", want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
}
