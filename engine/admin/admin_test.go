package admin

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/run"
	"github.com/tidemill/tidemill/engine/stages"
)

const files = `
engine {
  checkpoint = "20ms"
  tick       = "1h"
}
variable "least" {
  default = 1
}
channel "c" {
  partitions = 1
  schema     = { n = number }
}
ingest "file" "in" {
  to     = channel.c
  path   = "in.ndjson"
  follow = true
}
pipeline "p" {
  from = channel.c
  rule "r" {
    where = n > var.least
  }
  sink "file" "out" {
    from = rule.r
    path = "out.ndjson"
  }
}
`

// serve runs an engine over a folder in dir, and its socket, until the test ends.
func serve(t *testing.T, dir string) (*Server, string) {
	t.Helper()
	write(t, filepath.Join(dir, "a.hcl"), files)
	write(t, filepath.Join(dir, "in.ndjson"), "{\"n\":1}\n{\"n\":2}\n")
	real := env.Real()
	c, diags := config.Load(real, dir, config.Options{})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	p, diags := plan.Build(c, stages.Builtin(), nil)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	data := filepath.Join(dir, "data")
	e, err := run.Open(p, run.Options{Env: real, Data: data, Specs: stages.Builtin()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	s := &Server{Engine: e, Env: real, Specs: stages.Builtin(), Vars: map[string]string{}}
	control, err := Serve(s, filepath.Join(data, SocketName))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := control.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(filepath.Join(data, SocketName)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket is still there: %v", err)
		}
		cancel()
		if err := errors.Join(<-ended, e.Close()); err != nil {
			t.Error(err)
		}
	})
	return s, data
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestSocket: it is the owner's alone, also where its path is too long for the
// kernel; a dead process's socket is in nobody's way.
func TestSocket(t *testing.T) {
	for name, folder := range map[string]string{"short": "x", "long": strings.Repeat("long-", 40)} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), folder)
			if err := os.MkdirAll(filepath.Join(dir, "data"), 0o755); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, "data", SocketName), "left behind")
			_, data := serve(t, dir)
			info, err := os.Lstat(filepath.Join(data, SocketName))
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode() != os.ModeSocket|0o600 {
				t.Errorf("mode %v", info.Mode())
			}
			s, err := NewClient(data).Status(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if len(s.Channels) != 1 || len(s.Stages) != 1 || len(s.Sinks) != 2 || len(s.Ingests) != 1 {
				t.Errorf("status: %+v", s)
			}
		})
	}
}

func TestNobodyThere(t *testing.T) {
	dir := t.TempDir()
	if _, err := NewClient(dir).Status(context.Background()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("no socket: %v", err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, SocketName))
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := NewClient(dir).Status(context.Background()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("a dead process's socket: %v", err)
	}
}

// TestApply: a preview changes nothing; what was shown is what is applied.
func TestApply(t *testing.T) {
	dir := t.TempDir()
	_, data := serve(t, dir)
	client, ctx := NewClient(data), context.Background()
	ask := func(q ApplyRequest) ApplyReply {
		t.Helper()
		q.Dir = dir
		r, err := client.Apply(ctx, q)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := ask(ApplyRequest{Preview: true}); !r.Same || r.Applied || r.Invalid {
		t.Errorf("the same files: %+v", r)
	}
	write(t, filepath.Join(dir, "a.hcl"), strings.Replace(files, "n > var.least", "n >= var.least", 1))
	shown := ask(ApplyRequest{Preview: true})
	if shown.Same || shown.Applied || shown.Digest == "" {
		t.Errorf("preview: %+v", shown)
	}
	if r := ask(ApplyRequest{Digest: shown.Digest, Vars: map[string]string{"least": "7"}}); r.Applied || !strings.Contains(r.Error, "changed since") {
		t.Errorf("another variable than was shown: %+v", r)
	}
	if r := ask(ApplyRequest{Digest: shown.Digest}); !r.Applied || r.Error != "" {
		t.Errorf("apply: %+v", r)
	}
	if r := ask(ApplyRequest{Preview: true}); !r.Same {
		t.Errorf("after it was applied: %+v", r)
	}
	write(t, filepath.Join(dir, "a.hcl"), files+"\nchanel {}\n")
	if r := ask(ApplyRequest{}); !r.Invalid || r.Applied || len(r.Problems) == 0 || !strings.Contains(r.Text, "chanel") {
		t.Errorf("a mistake: %+v", r)
	}
}

// TestRequests: what is no request is refused in words.
func TestRequests(t *testing.T) {
	_, data := serve(t, t.TempDir())
	client := NewClient(data).http
	for _, c := range []struct {
		method, path, body string
		code               int
		says               string
	}{
		{"POST", "/v1/apply", "{", 400, "not understood"},
		{"POST", "/v1/apply", `{"dri":"x"}`, 400, "unknown field"},
		{"POST", "/v1/apply", `{"dir":"` + strings.Repeat("x", maxRequest) + `"}`, 400, "too large"},
		{"GET", "/v1/apply", "", 405, ""},
		{"GET", "/", "", 404, ""},
	} {
		req, err := http.NewRequest(c.method, "http://engine"+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var body bytes.Buffer
		if _, err := body.ReadFrom(res.Body); err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != c.code || !strings.Contains(body.String(), c.says) {
			t.Errorf("%s %s %.20s: %d %s, want %d and %q", c.method, c.path, c.body, res.StatusCode, body.String(), c.code, c.says)
		}
	}
}
