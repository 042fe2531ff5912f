package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/run"
)

// TestListen: beyond this machine only by the author's own word.
func TestListen(t *testing.T) {
	for _, c := range []struct {
		address  string
		insecure bool
		says     string
	}{
		{"127.0.0.1:0", false, ""}, {"localhost:0", false, ""}, {"0.0.0.0:0", true, ""},
		{"0.0.0.0:0", false, "other machines"}, {":9464", false, "other machines"}, {"9464", false, "no port"}, {"http://127.0.0.1:1", true, "slash"},
	} {
		l, err := Listen(c.address, c.insecure)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", c.address, err, c.says)
		}
		if l != nil {
			l.Close()
		}
	}
	l, err := Listen("127.0.0.1:0", false)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := Listen(l.Addr().String(), false); err == nil {
		t.Error("one address is listened on twice")
	}
}

// web serves an engine's HTTP listener beside its socket.
func web(t *testing.T, stopping func() bool) (base, data string) {
	t.Helper()
	s, data := serve(t, t.TempDir())
	s.Stopping = stopping
	l, err := Listen("127.0.0.1:0", false)
	if err != nil {
		t.Fatal(err)
	}
	c := ServeHTTP(s, l)
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String(), data
}

func get(t *testing.T, method, url, host string) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body), res.Header
}

func TestWeb(t *testing.T) {
	base, _ := web(t, nil)
	for _, c := range []struct {
		method, path, host string
		code               int
		says               string
	}{
		{"GET", "/healthz", "", 200, `"ok"`},
		{"GET", "/readyz", "", 200, `"ready":true`},
		{"GET", "/v1/status", "", 200, `"channels"`},
		{"GET", "/v1/pipelines", "", 200, `"plan":{`},
		{"GET", "/v1/taps", "", 200, `"pipeline.p.rule.r"`},
		{"GET", "/v1/taps/rule.s", "", 404, "no such edge"},
		{"GET", "/v1/devices?limit=2", "", 200, `"devices":[`},
		{"GET", "/v1/devices?limit=0", "", 400, "limit goes from 1"},
		{"GET", "/v1/devices?limit=many", "", 400, "limit is a number"},
		{"GET", "/v1/devices?after=x", "", 400, "after takes the next of the page before"},
		{"GET", "/v1/devices?channel=no", "", 400, "no channel"},
		{"GET", "/v1/devices?name=x", "", 400, "no parameter"},
		{"GET", "/metrics", "", 200, `tidemill_duplicates_total{channel="c",partition="0",by="packet"} 0`},
		{"GET", "/metrics", "localhost:1", 200, "tidemill_records_total"},
		{"GET", "/metrics", "", 200, "# TYPE tidemill_skewed_devices gauge"},
		{"GET", "/", "", 404, "/healthz"},
		{"GET", "/v1/apply", "", 404, "nothing"},
		{"POST", "/v1/apply", "", 405, "tidemill apply"},
		{"DELETE", "/healthz", "", 405, "GET"},
		{"GET", "/metrics", "evil.example", 403, "evil.example"},
		{"GET", "/v1/taps/rule.r", "evil.example:80", 403, "evil.example"},
	} {
		code, body, header := get(t, c.method, base+c.path, c.host)
		if code != c.code || !strings.Contains(body, c.says) {
			t.Errorf("%s %s %s: %d %s, want %d %s", c.method, c.path, c.host, code, body, c.code, c.says)
		}
		if header.Get("Cache-Control") != "no-store" || header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: headers %v", c.path, header)
		}
		if c.path != "/metrics" && !json.Valid([]byte(body)) {
			t.Errorf("%s is not JSON: %s", c.path, body)
		}
	}
}

func TestNotReady(t *testing.T) {
	base, _ := web(t, func() bool { return true })
	if code, body, _ := get(t, "GET", base+"/readyz", ""); code != 503 || !strings.Contains(body, "stopping") {
		t.Errorf("%d %s", code, body)
	}
	if code, _, _ := get(t, "GET", base+"/healthz", ""); code != 200 {
		t.Errorf("an engine that stops is not dead: %d", code)
	}
}

// TestTroubleIsTold: an engine whose disk is full takes nothing; one that cannot deliver does, and says why it cannot.
func TestTroubleIsTold(t *testing.T) {
	for _, c := range []struct {
		status run.Status
		ready  bool
		why    string
	}{
		{run.Status{}, true, ""},
		{run.Status{Channels: []run.ChannelStatus{{Name: "c", LastError: "the disk is full"}}}, false, "channel.c takes nothing: the disk is full"},
		{run.Status{Checkpoint: run.CheckpointStatus{LastError: "no room"}}, true, "the checkpoint cannot be written: no room"},
		{run.Status{Ingests: []run.IngestStatus{{Address: "ingest.i", LastError: "the port is taken"}}}, true, "ingest.i is failing: the port is taken"},
		{run.Status{Sinks: []run.SinkStatus{{Address: "pipeline.p.sink.s", Failing: true, LastError: "503"}}}, true, "pipeline.p.sink.s is failing: 503"},
	} {
		c.status.Time = time.Unix(1000, 0)
		c.status.Began = c.status.Time
		if got := readiness(c.status, time.Second, false); got.Ready != c.ready || strings.Join(got.Why, "") != c.why {
			t.Errorf("%+v, want %t %q", got, c.ready, c.why)
		}
	}
}

// readMetrics reads the text format strictly: every sample behind its family's HELP and TYPE,
// families once and in one piece, no sample twice.
func readMetrics(text string) (map[string]float64, error) {
	help, kind := regexp.MustCompile(`^# HELP ([a-z_]+) \S.*$`), regexp.MustCompile(`^# TYPE ([a-z_]+) (counter|gauge)$`)
	sample := regexp.MustCompile(`^([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)+)\})? (\S+)$`)
	values, families, family, typed := map[string]float64{}, map[string]bool{}, "", ""
	if !strings.HasSuffix(text, "\n") {
		return nil, errors.New("no line end at the end")
	}
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		if m := help.FindStringSubmatch(line); m != nil {
			if families[m[1]] {
				return nil, fmt.Errorf("line %d: %s again", i+1, m[1])
			}
			family, typed = m[1], ""
			families[family] = true
		} else if m := kind.FindStringSubmatch(line); m != nil && m[1] == family {
			typed = m[2]
		} else if m := sample.FindStringSubmatch(line); m != nil && m[1] == family && typed != "" {
			id := m[1] + "{" + m[2] + "}"
			v, err := strconv.ParseFloat(m[3], 64)
			if _, twice := values[id]; twice || err != nil || strings.HasSuffix(m[2], ",") {
				return nil, fmt.Errorf("line %d: %s", i+1, line)
			}
			if (typed == "counter") != strings.HasSuffix(family, "_total") || v < 0 {
				return nil, fmt.Errorf("line %d: a %s of this name: %s", i+1, typed, line)
			}
			values[id] = v
		} else {
			return nil, fmt.Errorf("line %d makes no sense: %q", i+1, line)
		}
	}
	return values, nil
}

// TestMetrics writes a status in which names are as bad as can be.
func TestMetrics(t *testing.T) {
	now := time.Unix(1000, 0)
	s := run.Status{
		Time: now, Checkpoint: run.CheckpointStatus{Epoch: 7, At: now.Add(-2 * time.Second), Duration: 30 * time.Millisecond, Bytes: 99, Failures: 1},
		Ingests: []run.IngestStatus{{Address: "ingest.a", Errors: 2, Counters: map[string]int64{"requests": 5, "refused_401": 1}}},
		Channels: []run.ChannelStatus{{Name: "c\"\\\n\xff", Pending: 3, Bytes: 1 << 40, Partitions: []run.PartitionStatus{
			{Records: 10, Rows: 9, Lag: 4, Received: now.Add(-1500 * time.Millisecond), Watermark: now.Add(-time.Minute)}, {Records: 1, Received: now.Add(-time.Hour)},
		}}},
		Stages:  []run.StageStatus{{Address: "pipeline.p.rule.r", Rows: 3, Counters: map[string]int64{"late_dropped": 2}}},
		Sinks:   []run.SinkStatus{{Address: "pipeline.p.sink.s", Rows: 3, Waiting: 2, Failures: 4, Failing: true}},
		Rejects: []run.RejectStatus{{Stage: "channel.c", Reason: "field", Count: 6}},
		State:   []run.StateStatus{{Owner: "pipeline.p.window.w", Table: "groups", Entries: 2, Bytes: 128}},
	}
	got, err := readMetrics(string(metricsOf(&s)))
	if err != nil {
		t.Fatal(err)
	}
	const c = `channel="c\"\\\n` + "\ufffd" + `"`
	for id, want := range map[string]float64{
		"tidemill_records_total{" + c + `,partition="0"}`: 10, "tidemill_records_total{" + c + `,partition="1"}`: 1,
		"tidemill_lag_records{" + c + `,partition="0"}`: 4, "tidemill_lag_seconds{" + c + `,partition="0"}`: 1.5,
		"tidemill_lag_seconds{" + c + `,partition="1"}`: 0, "tidemill_watermark_age_seconds{" + c + `,partition="0"}`: 60,
		"tidemill_journal_bytes{" + c + "}": 1 << 40, `tidemill_rejects_total{stage="channel.c",reason="field"}`: 6,
		`tidemill_ingest_events_total{ingest="ingest.a",event="refused_401"}`: 1, `tidemill_stage_events_total{stage="pipeline.p.rule.r",event="late_dropped"}`: 2,
		`tidemill_state_bytes{owner="pipeline.p.window.w",table="groups"}`: 128, `tidemill_state_entries{owner="pipeline.p.window.w",table="groups"}`: 2,
		`tidemill_sink_errors_total{sink="pipeline.p.sink.s"}`: 4, `tidemill_sink_failing{sink="pipeline.p.sink.s"}`: 1,
		"tidemill_checkpoint_age_seconds{}": 2, "tidemill_checkpoint_duration_seconds{}": 0.03, "tidemill_checkpoint_epoch{}": 7,
	} {
		if v, ok := got[id]; !ok || v != want {
			t.Errorf("%s: %v %v, want %v", id, v, ok, want)
		}
	}
	if _, ok := got["tidemill_watermark_age_seconds{"+c+`,partition="1"}`]; ok {
		t.Error("a watermark that there is not has an age")
	}
	base, _ := web(t, nil)
	_, text, header := get(t, "GET", base+"/metrics", "")
	if _, err := readMetrics(text); err != nil || header.Get("Content-Type") != metricsType {
		t.Errorf("of a running engine: %v, %v", err, header)
	}
	for _, bad := range []string{"", "a 1\n", "# HELP a_total x\n# TYPE a_total counter\na_total 1\na_total 1\n", "# HELP a x\n# TYPE a counter\na 1\n", "# HELP a x\n# TYPE a gauge\na{b=\"\"\"} 1\n"} {
		if _, err := readMetrics(bad); err == nil {
			t.Errorf("the check takes %q", bad)
		}
	}
}

// TestTapStream looks on through the socket and through HTTP while rows are added.
func TestTapStream(t *testing.T) {
	base, data := web(t, nil)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for { // what is in the file already
		s, err := NewClient(data).Status(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if s.Totals().Records == 2 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	res, err := http.Get(base + "/v1/taps/channel.c")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.Header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("headers %v", res.Header)
	}
	enough := errors.New("enough")
	rows := make(chan string, 10)
	ended := make(chan error, 1)
	opened := make(chan struct{})
	go func() {
		first := true
		ended <- NewClient(data).tapFrom(ctx, "rule.r", func() { close(opened) }, func(row []byte, missed int64) error {
			rows <- string(row)
			if first {
				first = false
				return nil
			}
			return enough
		})
	}()
	<-opened
	f, err := os.OpenFile(filepath.Join(filepath.Dir(data), "in.ndjson"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("{\"n\":0}\n{\"n\":7}\n{\"n\":8}\n"); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if err := <-ended; err != enough || <-rows != `{"n":7}` || <-rows != `{"n":8}` {
		t.Errorf("by the socket: %v", err)
	}
	in := bufio.NewScanner(res.Body)
	for in.Scan() && in.Text() != `data: {"n":8}` {
	}
	if in.Err() != nil || in.Text() != `data: {"n":8}` {
		t.Errorf("by HTTP: %q %v", in.Text(), in.Err())
	}
	err = NewClient(data).Tap(ctx, "rule.nowhere", func([]byte, int64) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "no such edge") {
		t.Errorf("an edge that is not there: %v", err)
	}
	short, stop := context.WithTimeout(ctx, 20*time.Millisecond)
	defer stop()
	if err := NewClient(data).Tap(short, "rule.r", func([]byte, int64) error { return nil }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("told to stop: %v", err)
	}
	if err := NewClient(t.TempDir()).Tap(ctx, "rule.r", nil); !errors.Is(err, ErrNotRunning) {
		t.Errorf("nobody there: %v", err)
	}
}

// TestSlowHeader: a client that says nothing is cut.
func TestSlowHeader(t *testing.T) {
	t.Parallel()
	base, _ := web(t, nil)
	c, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "GET / HTTP/1.1\r\nX: y")
	c.SetReadDeadline(time.Now().Add(headerTimeout + 5*time.Second))
	if _, err := io.ReadAll(c); err != nil {
		t.Errorf("it is not cut: %v", err)
	}
}
