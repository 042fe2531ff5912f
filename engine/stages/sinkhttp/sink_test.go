package sinkhttp

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
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

// got is a request that came.
type got struct {
	body, key string
	header    http.Header
}

// server answers as told by do: n is the number of the request, from 0. It notes what it has taken.
type server struct {
	*httptest.Server
	mu  sync.Mutex
	all []got
	one sync.Mutex // holds while do runs
	do  func(n int, g got, w http.ResponseWriter)
}

func serve(t testing.TB, do func(n int, g got, w http.ResponseWriter)) *server {
	t.Helper()
	s := &server{do: do}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		g := got{string(body), r.Header.Get("Idempotency-Key"), r.Header.Clone()}
		g.header.Set("Method", r.Method)
		s.mu.Lock()
		s.all = append(s.all, g)
		n := len(s.all) - 1
		s.mu.Unlock()
		if s.do != nil {
			s.one.Lock()
			defer s.one.Unlock()
			s.do(n, g, w)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) requests() []got {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.all)
}

func (s *server) bodies() []string {
	var out []string
	for _, g := range s.requests() {
		out = append(out, g.body)
	}
	return out
}

func bind(t testing.TB, text string, in ...*arrow.Schema) (stage.Bound, hcl.Diagnostics) {
	t.Helper()
	f, diags := hclsyntax.ParseConfig([]byte(text), "t.hcl", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	a := Spec().Args()
	if diags := config.DecodeBody(f.Body, a, nil); diags.HasErrors() {
		return stage.Bound{}, diags
	}
	at := stage.At{Address: "pipeline.p.sink.s", Inputs: []string{"rule.r"}}
	at.Scope = func(i int) *expr.Scope { return &expr.Scope{Schema: in[i], What: "rule.r"} }
	return a.Bind(in, at)
}

// rig is a sink over a clock that a test moves.
type rig struct {
	*sink
	sim     *env.Sim
	rejects []string
}

func open(t testing.TB, alloc memory.Allocator, args string, in ...*arrow.Schema) *rig {
	t.Helper()
	b, diags := bind(t, args, in...)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	r := &rig{sim: env.NewSim(1)}
	s, err := b.OpenSink(stage.Opening{Env: r.sim.Env(), Address: "pipeline.p.sink.s", Alloc: alloc, Count: func(string, int64) {},
		Reject: func(x stage.Reject) { r.rejects = append(r.rejects, fmt.Sprintf("%d: %s", x.Row, x.Reason)) }})
	if err != nil {
		t.Fatal(err)
	}
	r.sink = s.(*sink)
	t.Cleanup(func() { s.Close() })
	return r
}

// parsed makes rows n = 0, 1, ... of a device.
func parsed(t testing.TB, n int) arrow.RecordBatch {
	t.Helper()
	text := "device:string\tn:number\n"
	for i := range n {
		text += fmt.Sprintf("d%d\t%d\n", i%3, i)
	}
	return parse(t, text)
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

// TestBodies: what is sent of three rows, under the settings.
func TestBodies(t *testing.T) {
	for _, c := range []struct {
		args, kind string
		want       []string
	}{
		{"", "application/json", []string{`{"device":"d0","n":0}`, `{"device":"d1","n":1}`, `{"device":"d2","n":2}`}},
		{"batch_rows = 2", "application/json", []string{`[{"device":"d0","n":0},{"device":"d1","n":1}]`, `[{"device":"d2","n":2}]`}},
		{"batch_rows = 9\nformat = \"ndjson\"", "application/x-ndjson", []string{"{\"device\":\"d0\",\"n\":0}\n{\"device\":\"d1\",\"n\":1}\n{\"device\":\"d2\",\"n\":2}\n"}},
		{"batch_rows = 9\nbody = { data = { id = device, twice = 2 * n }, text = \"${device} \\\"is\\\" at ${n}\" }", "application/json",
			[]string{`[{"data":{"id":"d0","twice":0},"text":"d0 \"is\" at 0"},{"data":{"id":"d1","twice":2},"text":"d1 \"is\" at 1"},{"data":{"id":"d2","twice":4},"text":"d2 \"is\" at 2"}]`}},
		{"body = \"${device}: ${n}\"", "text/plain; charset=utf-8", []string{"d0: 0", "d1: 1", "d2: 2"}},
		{"body = \"${device}: ${n}\"\nbatch_rows = 2", "text/plain; charset=utf-8", []string{"d0: 0\nd1: 1", "d2: 2"}},
		{"method = \"PUT\"\nheaders = { \"content-type\" = \"application/cloudevents+json\", X-Team = \"cold\" }\nbody = { n = n }", "application/cloudevents+json", []string{`{"n":0}`, `{"n":1}`, `{"n":2}`}},
	} {
		alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
		srv := serve(t, nil)
		rows := parsed(t, 3)
		s := open(t, alloc, fmt.Sprintf("url = %q\n%s\n", srv.URL+"/hook", c.args), rows.Schema())
		if err := s.Write(context.Background(), 0, rows); err != nil {
			t.Fatal(err)
		}
		if got := srv.bodies(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q", c.args, got)
		}
		for _, g := range srv.requests() {
			if g.header.Get("Content-Type") != c.kind || len(g.key) != 32 || g.header.Get("X-Signature-256") != "" {
				t.Errorf("%s: headers %v", c.args, g.header)
			}
			if strings.Contains(c.args, "PUT") && (g.header.Get("Method") != "PUT" || g.header.Get("X-Team") != "cold") {
				t.Errorf("%s: headers %v", c.args, g.header)
			}
		}
		alloc.AssertSize(t, 0)
	}
}

func TestNullBody(t *testing.T) {
	srv := serve(t, nil)
	rows := parse(t, "device:string\tn:number\na\t1\n-\t2\nc\t3\n")
	s := open(t, memory.DefaultAllocator, fmt.Sprintf("url = %q\nbody = \"x ${device}\"\nbatch_rows = 5\n", srv.URL), rows.Schema())
	if err := s.Write(context.Background(), 0, rows); err != nil {
		t.Fatal(err)
	}
	if got := srv.bodies(); !slices.Equal(got, []string{"x a", "x c"}) || len(s.rejects) != 1 || !strings.HasPrefix(s.rejects[0], "1: the body is null") {
		t.Errorf("%q, rejects %q", got, s.rejects)
	}
}

// TestSignature checks the signature as a receiver would.
func TestSignature(t *testing.T) {
	srv := serve(t, nil)
	rows := parsed(t, 1)
	s := open(t, memory.DefaultAllocator, fmt.Sprintf("url = %q\nsecret = \"a-long-secret\"\nsignature_header = \"x-hub-signature-256\"\n", srv.URL), rows.Schema())
	if err := s.Write(context.Background(), 0, rows); err != nil {
		t.Fatal(err)
	}
	g := srv.requests()[0]
	mac := hmac.New(sha256.New, []byte("a-long-secret"))
	mac.Write([]byte(g.body))
	if want := "sha256=" + hex.EncodeToString(mac.Sum(nil)); g.header.Get("X-Hub-Signature-256") != want {
		t.Errorf("%q, want %q", g.header.Get("X-Hub-Signature-256"), want)
	}
}

// TestAnswers: what each status does to a row: taken, rejected, or tried again.
func TestAnswers(t *testing.T) {
	for code := 200; code < 600; code++ {
		if code > 210 && code < 300 || code > 310 && code < 399 || code > 452 && code < 500 || code > 512 {
			continue
		}
		srv := serve(t, func(n int, _ got, w http.ResponseWriter) {
			if n == 0 {
				w.WriteHeader(code)
				fmt.Fprint(w, "no\r\n\x1b[31m thanks")
			}
		})
		rows := parsed(t, 1)
		s := open(t, memory.DefaultAllocator, fmt.Sprintf("url = %q\n", srv.URL+"/hook?token=hunter2"), rows.Schema())
		err := s.Write(context.Background(), 0, rows)
		taken, rejected := code < 300, code >= 400 && code < 500 && !slices.Contains([]int{401, 403, 404, 405, 407, 408, 421, 423, 424, 425, 426, 428, 429}, code)
		if (err == nil) != (taken || rejected) || (len(s.rejects) == 1) != rejected {
			t.Errorf("%d: %v, rejects %q", code, err, s.rejects)
		}
		said := fmt.Sprint(err, s.rejects)
		if !taken && (!strings.Contains(said, fmt.Sprint(code)) || code != 304 && !strings.Contains(said, "no [31m thanks") || strings.Contains(said, "hunter2")) {
			t.Errorf("%d: %s", code, said)
		}
		if err != nil {
			if err := s.Write(context.Background(), 0, rows); err != nil {
				t.Errorf("%d: the second time: %v", code, err)
			}
			if all := srv.requests(); len(all) != 2 || all[0].key != all[1].key || all[0].body != all[1].body {
				t.Errorf("%d: the second time it is another request: %v", code, all)
			}
		}
		srv.Close()
	}
}

// TestBisect: rows that the server does not want are found among many, each
// is rejected once, every other row is taken once.
func TestBisect(t *testing.T) {
	for name, bad := range map[string]func(row int) bool{
		"one": func(row int) bool { return row == 37 }, "none": func(int) bool { return false },
		"many": func(row int) bool { return row%7 == 3 || row > 90 }, "all": func(int) bool { return true },
	} {
		t.Run(name, func(t *testing.T) {
			const count = 100
			var taken []string
			flaky := 0
			srv := serve(t, func(_ int, g got, w http.ResponseWriter) {
				if flaky++; flaky%5 == 0 {
					w.WriteHeader(503)
					return
				}
				lines := strings.Split(strings.TrimSpace(g.body), "\n")
				for _, line := range lines {
					var row int
					fmt.Sscanf(line, "row %d.", &row)
					if bad(row) {
						w.WriteHeader(422)
						fmt.Fprintf(w, "row %d is bad", row)
						return
					}
				}
				taken = append(taken, lines...)
			})
			rows := parsed(t, count)
			s := open(t, memory.DefaultAllocator, fmt.Sprintf("url = %q\nbatch_rows = 40\nbody = \"row ${n}.\"\n", srv.URL), rows.Schema())
			var err error
			for range 1000 {
				if err = s.Write(context.Background(), 0, rows); err == nil {
					break
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			var want, wantRejects []string
			for i := range count {
				if bad(i) {
					wantRejects = append(wantRejects, fmt.Sprintf("%d: %s answered 422 Unprocessable Entity: row %d is bad", i, srv.URL, i))
				} else {
					want = append(want, fmt.Sprintf("row %d.", i))
				}
			}
			if !slices.Equal(taken, want) || !slices.Equal(s.rejects, wantRejects) {
				t.Errorf("taken %q\nrejects %q", taken, s.rejects)
			}
			if n := len(srv.requests()); n > 3*count {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// TestDedupe: a receiver that knows the keys it has taken ends with every row
// once, however often requests fail after they were taken, and though the sink starts anew
// in between; other places give other keys.
func TestDedupe(t *testing.T) {
	keys := map[string]string{}
	var rows []string
	srv := serve(t, func(n int, g got, w http.ResponseWriter) {
		if strings.Count(g.body, "\n") > 2 {
			w.WriteHeader(413) // so that requests get smaller, in the same way each time
			return
		}
		if body, twice := keys[g.key]; twice && body != g.body {
			t.Errorf("one key for two bodies: %q, %q", body, g.body)
		} else if !twice {
			keys[g.key] = g.body
			rows = append(rows, strings.Split(strings.TrimSpace(g.body), "\n")...)
		}
		if n%3 != 2 {
			panic(http.ErrAbortHandler) // taken, and the answer lost
		}
	})
	srv.Config.ErrorLog = nil
	batch := parsed(t, 7)
	args := fmt.Sprintf("url = %q\nbatch_rows = 3\nformat = \"ndjson\"\n", srv.URL)
	s := open(t, memory.DefaultAllocator, args, batch.Schema())
	for place := range uint64(4) {
		for try := 0; ; try++ {
			s.Place(place)
			if s.Write(context.Background(), 0, batch) == nil {
				break
			}
			if try%6 == 5 { // a crash: nothing is known any more
				s = open(t, memory.DefaultAllocator, args, batch.Schema())
			}
			if try > 200 {
				t.Fatal("it never ends")
			}
		}
	}
	if len(rows) != 4*7 {
		t.Errorf("%d rows: %q", len(rows), rows)
	}
}

// TestRetryAfter: the server is left alone for as long as it asks.
func TestRetryAfter(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"30": 30 * time.Second, "999999999": longestWait, "0": 0, "-5": 0, "soon": 0, "": 0,
		"Thu, 01 Jan 2026 12:00:10 GMT": 10 * time.Second, "Thu, 01 Jan 2026 11:00:00 GMT": 0,
	} {
		srv := serve(t, func(n int, _ got, w http.ResponseWriter) {
			if n == 0 {
				w.Header().Set("Retry-After", text)
				w.WriteHeader(429)
			}
		})
		rows := parsed(t, 1)
		s := open(t, memory.DefaultAllocator, fmt.Sprintf("url = %q\n", srv.URL), rows.Schema())
		if err := s.Write(context.Background(), 0, rows); err == nil {
			t.Error("429 is no error")
		}
		if want > 0 {
			s.sim.Advance(want - time.Millisecond)
			if err := s.Write(context.Background(), 0, rows); err == nil || !strings.Contains(err.Error(), "left alone") || len(srv.requests()) != 1 {
				t.Errorf("%q: too early: %v, %d requests", text, err, len(srv.requests()))
			}
			s.sim.Advance(time.Millisecond)
		}
		if err := s.Write(context.Background(), 0, rows); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestTrouble: servers that hang, are not there, answer no HTTP or without end: an error, in
// time, that holds no secret.
// TestPauses: a server that refuses every other request is tried again soon, one that takes nothing with the engine's growing pauses, and one
// that says when, then.
func TestPauses(t *testing.T) {
	tries := 0
	s := serve(t, func(n int, _ got, w http.ResponseWriter) {
		switch {
		case n == 6:
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusServiceUnavailable)
		case n%2 == 1 || n > 8:
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	r := open(t, memory.DefaultAllocator, fmt.Sprintf("url = %q", s.URL), parsed(t, 6).Schema())
	for _, want := range []time.Duration{shortPause, shortPause, shortPause, 7 * time.Second, -1, shortPause, -1, -1} {
		tries++
		now := r.sim.Env().Clock.Now()
		err := r.Write(context.Background(), 0, parsed(t, 6))
		var later *stage.Later
		switch {
		case err == nil:
			t.Fatalf("try %d: nothing is wrong", tries)
		case errors.As(err, &later) != (want >= 0):
			t.Errorf("try %d: %#v, want %s", tries, err, want)
		case want >= 0 && later.Until.Sub(now) != want:
			t.Errorf("try %d: another in %s, want %s", tries, later.Until.Sub(now), want)
		}
		if want == 7*time.Second {
			if err := r.Write(context.Background(), 0, parsed(t, 6)); !errors.As(err, &later) || later.Until.Sub(now) != want || len(s.requests()) != 7 {
				t.Errorf("while it is to be left alone: %v, and %d requests", err, len(s.requests()))
			}
		}
		r.sim.Advance(max(want, 0))
	}
	if got := len(s.requests()); got != 12 {
		t.Errorf("%d requests: %q", got, s.bodies())
	}
}

func TestTrouble(t *testing.T) {
	stop := make(chan struct{})
	hang := serve(t, func(_ int, _ got, _ http.ResponseWriter) { <-stop })
	endless := serve(t, func(_ int, _ got, w http.ResponseWriter) {
		w.WriteHeader(500)
		for w != nil {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	})
	cut := serve(t, func(_ int, _ got, w http.ResponseWriter) { panic(http.ErrAbortHandler) })
	moved := serve(t, func(_ int, _ got, w http.ResponseWriter) {
		w.Header().Set("Location", "https://elsewhere.example/x")
		w.WriteHeader(301)
	})
	gone := serve(t, nil)
	gone.Close()
	defer close(stop)
	rows := parsed(t, 1)
	for _, c := range []struct{ url, says string }{
		{hang.URL, "no answer in time"}, {endless.URL, "500"}, {cut.URL, "does not answer"}, {gone.URL, "refused"},
		{moved.URL, "moved to https://elsewhere.example/x"}, {strings.Replace(gone.URL, "http", "https", 1), "does not answer"},
	} {
		s := open(t, memory.DefaultAllocator, fmt.Sprintf("url = %q\ntimeout = \"200ms\"\n", c.url+"/?token=hunter2"), rows.Schema())
		began := time.Now()
		err := s.Write(context.Background(), 0, rows)
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %q", c.url, err, c.says)
		}
		if d := time.Since(began); d > 20*time.Second {
			t.Errorf("%s: it took %s", c.url, d)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := open(t, memory.DefaultAllocator, fmt.Sprintf("url = %q\n", hang.URL), rows.Schema())
	time.AfterFunc(20*time.Millisecond, cancel)
	if err := s.Write(ctx, 0, rows); err == nil {
		t.Error("a Write whose context has ended is no error")
	}
}

// TestBind: mistakes, in words that hold no secret.
func TestBind(t *testing.T) {
	const good = "url = \"https://example.com/hook\"\n"
	rows := parsed(t, 1)
	for _, c := range []struct{ args, says string }{
		{good, ""},
		{"url = \"ftp://example.com\"\n", "begins with http"},
		{"url = \"https://\"\n", "names no host"},
		{"url = \"https://example.com:65536/\"\n", "go up to 65535"},
		{"url = \"https://example.com:65535/\"\n", ""},
		{"url = \"https://u:hunter2@example.com\"\n", "Password in a URL"},
		{"url = \"https://example.com/%zz?hunter2\"\n", "cannot be understood"},
		{"url = \"https://example.com/#x\"\n", "behind #"},
		{"url = \"http://example.com/\"\nheaders = { Authorization = \"hunter2\" }\n", "Secrets in the clear"},
		{"url = \"http://127.0.0.1/\"\nheaders = { Authorization = \"hunter2\" }\n", ""},
		{good + "method = \"GET\"\n", "POST, PUT, PATCH"},
		{good + "format = \"jsn\"\n", "json"},
		{good + "headers = { \"X Y\" = \"hunter2\" }\n", "cannot be the name"},
		{good + "headers = { X = \"hunter2\\nY: z\" }\n", "line break"},
		{good + "headers = { host = \"hunter2\" }\n", "itself"},
		{good + "headers = { x = \"hunter2\", X = \"y\" }\n", "twice"},
		{good + "secret = \"hunter2\"\n", "shorter than 8"},
		{good + "signature_header = \"X-S\"\n", "secret"},
		{good + "secret = \"hunter2-long\"\nsignature_header = \"X S\"\n", "signature_header"},
		{good + "batch_rows = 0\n", "batch_rows goes"},
		{good + "batch_bytes = \"1B\"\n", "batch_bytes goes"},
		{good + "timeout = \"1ms\"\n", "timeout goes"},
		{good + "body = {}\n", "Empty body"},
		{good + "body = 7\n", "body"},
		{good + "body = { x = devise }\n", "device"},
		{good + "body = { x = n }\nmeta = true\n", "meta"},
		{good + "body = { a = n, a = n }\n", "stands already"},
	} {
		_, diags := bind(t, c.args, rows.Schema())
		if strings.Contains(diags.Error(), "hunter2") {
			t.Errorf("%s: a secret is told: %v", c.args, diags)
		}
		if c.says == "" && len(diags) > 0 || c.says != "" && (len(diags) != 1 || !strings.Contains(diags[0].Summary+diags[0].Detail, c.says)) {
			t.Errorf("%s: %v, want %q", c.args, diags, c.says)
		}
	}
}
