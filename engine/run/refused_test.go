package run_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine/run"
)

// TestRefused: a row that the server behind a sink does not want goes to the
// rejects of its pipeline, with the row, and is told and counted; the others go through.
func TestRefused(t *testing.T) {
	taken := make(chan string, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || strings.Contains(string(body), `"n":12`) {
			w.WriteHeader(http.StatusUnprocessableEntity)
			fmt.Fprint(w, "twelve is one too many")
			return
		}
		taken <- string(body)
	}))
	defer server.Close()
	l := newLab(t)
	text := strings.Replace(tapped, "follow = true", "", 1)
	text = strings.Replace(text, "sink \"file\" \"out\" {", fmt.Sprintf("sink \"http\" \"hook\" {\n from = rule.r\n url = %q\n batch_rows = 5\n }\n sink \"file\" \"out\" {", server.URL), 1)
	var in strings.Builder
	for i := range 20 {
		fmt.Fprintf(&in, `{"device":"d","n":%d}`+"\n", i)
	}
	l.write("/in/a.ndjson", in.String())
	status := l.complete(text)
	close(taken)
	rows := 0
	for body := range taken {
		rows += strings.Count(body, "device")
	}
	if rows != 9 || !l.reported("twelve is one too many; it goes to the rejects") {
		t.Errorf("%d rows taken; reports: %q", rows, l.reports)
	}
	rejects := l.lines("/data/rejects/p.ndjson")
	if len(rejects) != 1 || !strings.Contains(rejects[0], "twelve is one too many") || !strings.Contains(rejects[0], `"row":"{\"device\":\"d\",\"n\":12}"`) {
		t.Errorf("rejects: %q", rejects)
	}
	if want := (run.RejectStatus{Stage: "pipeline.p.sink.hook", Reason: "row", Count: 1}); !slices.Contains(status.Rejects, want) {
		t.Errorf("rejects: %v", status.Rejects)
	}
}
