package sinkinfluxdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/expr"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
)

const table = "_time\tdevice:string\tsite:string\tn:integer\n1\ta\tx\t0\n2\tb\tx\t1\n3\ta\tx\t2\n4\tb\ty\t3\n"

func bind(t testing.TB, text string, schema *arrow.Schema) (stage.Bound, hcl.Diagnostics) {
	t.Helper()
	f, diags := hclsyntax.ParseConfig([]byte(text), "t.hcl", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	a := Spec().Args()
	if diags := config.DecodeBody(f.Body, a, nil); diags.HasErrors() {
		return stage.Bound{}, diags
	}
	at := stage.At{Address: "pipeline.p.sink.s", Inputs: []string{"rule.r"}, Keys: []string{"device"}, By: [][]string{{"site"}}, Channel: &config.Channel{Key: "device"}}
	at.Scope = func(int) *expr.Scope { return &expr.Scope{Schema: schema, What: "rule.r"} }
	return a.Bind([]*arrow.Schema{schema}, at)
}

func parse(t testing.TB, text string) arrow.RecordBatch {
	t.Helper()
	rows, err := flow.ParseRows(memory.DefaultAllocator, text)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(rows.Release)
	return rows
}

type rig struct {
	*sink
	sim              *env.Sim
	rejects, reports []string
}

func open(t testing.TB, args string, rows arrow.RecordBatch) *rig {
	t.Helper()
	b, diags := bind(t, args, rows.Schema())
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	r := &rig{sim: env.NewSim(1)}
	s, err := b.OpenSink(stage.Opening{Env: r.sim.Env(), Address: "pipeline.p.sink.s", Alloc: memory.DefaultAllocator, Count: func(string, int64) {},
		Reject: func(x stage.Reject) { r.rejects = append(r.rejects, fmt.Sprintf("%d: %s", x.Row, x.Reason)) },
		Report: func(line string) { r.reports = append(r.reports, line) }})
	if err != nil {
		t.Fatal(err)
	}
	r.sink = s.(*sink)
	t.Cleanup(func() { _ = s.Close() })
	return r
}

func (r *rig) send(rows arrow.RecordBatch) error {
	if err := r.Write(context.Background(), 0, rows); err != nil {
		return err
	}
	_, err := r.Prepare(context.Background(), 1)
	return err
}

// TestRefused: the rows that the server refuses, and no others, are rejected with its words.
func TestRefused(t *testing.T) {
	taken := map[string]bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bad := 0
		for line := range strings.Lines(string(body)) {
			if strings.Contains(line, "n=2i") {
				bad++
			} else {
				taken[line] = true
			}
		}
		if bad > 0 {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"error":"partial write: field type conflict: input field \"n\" on measurement \"r\" is type integer, already exists as type float dropped=%d"}`, bad)
		}
	}))
	defer server.Close()
	rows := parse(t, table)
	s := open(t, fmt.Sprintf("url = %q\ndatabase = \"d\"\n", server.URL), rows)
	if err := s.send(rows); err != nil {
		t.Fatal(err)
	}
	if len(taken) != 3 || !taken["r,device=a,site=x n=0i 1\n"] {
		t.Errorf("taken: %v", taken)
	}
	if len(s.rejects) != 1 || !strings.HasPrefix(s.rejects[0], "2: ") || !strings.Contains(s.rejects[0], "first written as float, and this row has an integer") || strings.Contains(s.rejects[0], "dropped") {
		t.Errorf("rejects: %q", s.rejects)
	}
}

// TestNotTheRowsFault: what is no refusal of rows is tried again, not before it makes sense.
func TestNotTheRowsFault(t *testing.T) {
	for _, code := range []int{301, 400, 401, 403, 404, 429, 500, 503} {
		tries := 0
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if tries++; tries == 1 {
				w.Header().Set("Retry-After", "30")
				w.WriteHeader(code)
				fmt.Fprint(w, "no")
			}
		}))
		rows := parse(t, table)
		s := open(t, fmt.Sprintf("url = %q\nbucket = \"d\"\ntoken = \"hunter2\"\n", server.URL), rows)
		err := s.send(rows)
		var later *stage.Later
		if !errors.As(err, &later) || strings.Contains(err.Error(), "hunter2") || later.Until.Sub(s.sim.Env().Clock.Now()) != 30*time.Second {
			t.Errorf("%d: %v", code, err)
		}
		if _, err := s.Prepare(context.Background(), 1); err == nil || tries != 1 {
			t.Errorf("%d: it is tried at once again: %v", code, err)
		}
		s.sim.Advance(30 * time.Second)
		if _, err := s.Prepare(context.Background(), 1); err != nil || len(s.rejects) > 0 {
			t.Errorf("%d: afterwards %v, rejects %q", code, err, s.rejects)
		}
		server.Close()
	}
}

// TestGuard: too many series are reported at half of the limit and at the limit, with the tag.
func TestGuard(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	text := "_time\tdevice:string\tn:integer\n"
	for i := range 50 {
		text += fmt.Sprintf("%d\td%d\t%d\n", i, i, i)
	}
	rows := parse(t, text)
	s := open(t, fmt.Sprintf("url = %q\nbucket = \"d\"\nseries_limit = 20\n", server.URL), rows)
	for range 2 {
		if err := s.send(rows); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.reports) != 2 || !strings.Contains(s.reports[0], "11 series") || !strings.Contains(s.reports[1], "20 series") || !strings.Contains(s.reports[1], "rule.r device, 20 of them") {
		t.Errorf("%q", s.reports)
	}
}

// TestBind: mistakes, in words that hold no secret.
func TestBind(t *testing.T) {
	const good = "url = \"http://127.0.0.1:8086\"\nbucket = \"b\"\n"
	rows := parse(t, table)
	for _, c := range []struct{ args, says string }{
		{good, ""},
		{"url = \"http://127.0.0.1:8086\"\n", "No bucket"},
		{good + "database = \"d\"\n", "Bucket and database"},
		{good + "username = \"hunter2\"\n", "username belongs to the API of version 1"},
		{"url = \"ftp://x\"\nbucket = \"b\"\n", "begins with http"},
		{"url = \"http://u:hunter2@x\"\nbucket = \"b\"\n", "Password in a URL"},
		{"url = \"http://127.0.0.1/api/v2/write\"\nbucket = \"b\"\n", "without /api/v2/write"},
		{"url = \"http://far.example\"\nbucket = \"b\"\ntoken = \"hunter2\"\n", "Secrets in the clear"},
		{good + "token = \"hunter2\\n\"\n", "control character"},
		{good + "precision = \"h\"\n", "ns, us, ms, s"},
		{good + "batch_rows = 0\n", "batch_rows goes"},
		{good + "tags = [devise]\n", "device"},
		{good + "tags = { time = device }\n", "keeps the name time"},
		{good + "tags = []\n", "One series for all"},
		{good + "tags = { v = n * 1.5 }\n", "A series for each value"},
		{good + "fields = {}\n", "No field"},
		{good + "measurement = \"#\"\n", "begins with #"},
	} {
		_, diags := bind(t, c.args, rows.Schema())
		if strings.Contains(diags.Error(), "hunter2") {
			t.Errorf("%s: a secret is told: %v", c.args, diags)
		}
		if c.says == "" && len(diags) > 0 || c.says != "" && !slices.ContainsFunc(diags, func(d *hcl.Diagnostic) bool { return strings.Contains(d.Summary+d.Detail, c.says) }) {
			t.Errorf("%s: %v, want %q", c.args, diags, c.says)
		}
	}
}
