package demo

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// shown is what an engine under a fleet has to show, by the beginning of a sample's line: its number
// lies above least, or there is none above.
var shown = []struct {
	sample string
	least  float64
}{
	{`tidemill_records_total{channel="telemetry",partition="3"}`, 1},
	{`tidemill_rows_total{channel="telemetry",partition="0"}`, 1},
	{`tidemill_rejects_total{stage="channel.telemetry",reason="record"}`, 1},
	{`tidemill_duplicates_total{channel="telemetry",partition="0",by="key"}`, 1},
	{`tidemill_ingest_connections{ingest="ingest.trailers"}`, devices / 2},
	{`tidemill_ingest_sessions{ingest="ingest.trailers"}`, devices},
	{`tidemill_lag_records{channel="telemetry",partition="0"}`, 0},
	{`tidemill_lag_seconds{channel="telemetry",partition="3"}`, 0},
	{`tidemill_watermark_age_seconds{channel="telemetry",partition="0"}`, 0.001},
	{`tidemill_checkpoint_age_seconds`, 0.000001},
	{`tidemill_checkpoint_duration_seconds`, 0.000001},
	{`tidemill_checkpoint_failures_total`, 0},
	{`tidemill_journal_bytes{channel="telemetry"}`, 1000},
	{`tidemill_stage_rows_total{stage="pipeline.cold_chain.window.five_min"}`, 1},
	{`tidemill_sink_errors_total{sink="pipeline.cold_chain.sink.averages"}`, 0},
	{`tidemill_sink_errors_total{sink="pipeline.cold_chain.sink.dispatch"}`, 0},
	{`tidemill_sink_rows_total{sink="pipeline.cold_chain.sink.dispatch"}`, 1},
}

// look asks the running engine what Prometheus, a load balancer and a person ask it.
func (d *demo) look(t *testing.T, p *program) {
	t.Helper()
	missing := ""
	defer func() {
		if t.Failed() {
			t.Log(missing)
		}
	}()
	eventually(t, p, "metrics of all that is named", func() bool {
		missing = lacks(d.get(t, "/metrics"))
		return missing == ""
	})
	for path, want := range map[string]string{"/healthz": `"ok"`, "/readyz": `"ready":true`, "/v1/pipelines": `"cold_chain"`} {
		if text := d.get(t, path); !strings.Contains(text, want) {
			t.Errorf("%s: %.200s has no %s", path, text, want)
		}
	}
	eventually(t, p, "a list with every device", func() bool { return d.listed(t) >= devices })
	if n := d.listed(t); n != devices {
		t.Errorf("%d devices are known, %d publish", n, devices)
	}
}

// lacks says which samples are not there, or too small.
func lacks(text string) (missing string) {
	found := map[string]float64{}
	for line := range strings.Lines(text) {
		at := strings.LastIndexByte(line, ' ')
		if v, err := strconv.ParseFloat(strings.TrimSpace(line[at+1:]), 64); err == nil && line[0] != '#' {
			found[line[:at]] = v
		}
	}
	for _, s := range shown {
		if v, ok := found[s.sample]; !ok || v < s.least {
			missing += fmt.Sprintf("%s is %v (there: %v), not %v\n", s.sample, v, ok, s.least)
		}
	}
	return missing
}

func (d *demo) get(t *testing.T, path string) string {
	t.Helper()
	res, err := http.Get("http://127.0.0.1:" + d.admin + path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v\n%s", path, res.Status, err, text)
	}
	return string(text)
}

// listed reads the list of devices to its end, page by page, and counts them.
func (d *demo) listed(t *testing.T) int {
	t.Helper()
	type device struct {
		Device   string
		LastSeen time.Time `json:"last_seen"`
		Records  int
		Rejects  *int
		Skew     *float64 `json:"skew_seconds"`
	}
	var page struct {
		Devices []device
		Next    string
	}
	seen := map[string]bool{}
	for query := "?limit=70"; ; query = "?limit=70&after=" + page.Next {
		page.Next, page.Devices = "", nil
		if err := json.Unmarshal([]byte(d.get(t, "/v1/devices"+query)), &page); err != nil {
			t.Fatal(err)
		}
		for _, x := range page.Devices {
			seen[x.Device] = true
			if x.Records == 0 || x.Rejects == nil || x.Skew == nil || time.Since(x.LastSeen) > patience {
				t.Errorf("device %+v", x)
			}
		}
		if page.Next == "" {
			break
		}
	}
	return len(seen)
}
