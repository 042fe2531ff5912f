package sinkbenthos

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

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

func bind(t *testing.T, text string, schema *arrow.Schema) (stage.Bound, hcl.Diagnostics) {
	t.Helper()
	f, diags := hclsyntax.ParseConfig([]byte(text), "t.hcl", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	a := Spec().Args()
	ctx := &hcl.EvalContext{}
	if diags := config.DecodeBody(f.Body, a, ctx); diags.HasErrors() {
		return stage.Bound{}, diags
	}
	at := stage.At{Address: "pipeline.p.sink.s", Inputs: []string{"rule.r"}, Eval: ctx}
	at.Scope = func(int) *expr.Scope { return &expr.Scope{Schema: schema, What: "rule.r"} }
	return a.Bind([]*arrow.Schema{schema}, at)
}

func open1(t *testing.T, text string, schema *arrow.Schema, rejects *[]string) *sink {
	t.Helper()
	b, diags := bind(t, text, schema)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	s, err := b.OpenSink(stage.Opening{Env: env.Real(), Alloc: memory.DefaultAllocator, Count: func(string, int64) {},
		Reject: func(x stage.Reject) { *rejects = append(*rejects, fmt.Sprintf("%d: %s", x.Row, x.Reason)) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s.(*sink)
}

func parse(t *testing.T, text string) arrow.RecordBatch {
	t.Helper()
	rows, err := flow.ParseRows(memory.DefaultAllocator, text)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(rows.Release)
	return rows
}

// TestFile: rows in a file, as lines.
func TestFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "out.ndjson")
	rows := parse(t, "device:string\tn:number\na\t1\n-\t2\nc\t3\n")
	var rejects []string
	s := open1(t, "config = <<EOT\nfile:\n  path: "+name+"\n  codec: lines\nEOT\nbody = \"${device} has ${n}\"\n", rows.Schema(), &rejects)
	if err := s.Write(context.Background(), 0, rows); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(name); err != nil || string(got) != "a has 1\nc has 3\n" || len(rejects) != 1 || rejects[0] != "1: the body is null for this row" {
		t.Errorf("%q, %v, %q", got, err, rejects)
	}
}

// TestNotTaken: a server that refuses and hangs gets every row in the end; a batch that is
// on its way is not written a second time.
func TestNotTaken(t *testing.T) {
	var mu sync.Mutex
	var got []string
	hang := make(chan struct{})
	calls := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		mu.Lock()
		calls++
		n := calls
		mu.Unlock()
		switch n {
		case 1:
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		case 2:
			<-hang
		}
		mu.Lock()
		got = append(got, string(b))
		mu.Unlock()
	}))
	defer srv.Close()
	rows := parse(t, "device:string\tn:number\na\t1\n")
	s := open1(t, "config = { http_client = { url = \""+srv.URL+"\", retries = 0 } }\ntimeout = \"300ms\"\n", rows.Schema(), nil)
	s.Place(7)
	if err := s.Write(context.Background(), 0, rows); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("refused: %v", err)
	}
	if err := s.Write(context.Background(), 0, rows); err == nil || !strings.Contains(err.Error(), "not confirmed the batch in time") {
		t.Errorf("hanging: %v", err)
	}
	close(hang)
	if err := s.Write(context.Background(), 0, rows); err != nil {
		t.Errorf("in the end: %v", err)
	}
	mu.Lock()
	defer mu.Unlock()
	if calls != 2 || len(got) != 1 || got[0] != `{"device":"a","n":1}` {
		t.Errorf("%d calls, %q", calls, got)
	}
}

func TestBind(t *testing.T) {
	schema := parse(t, "device:string\tn:number\na\t1\n").Schema()
	const good = "config = { drop = {} }\n"
	for _, c := range []struct{ args, says string }{
		{good, ""},
		{"config = { dorp = {} }\n", "This version has: "},
		{good + "timeout = \"1ms\"\n", "timeout goes"},
		{good + "body = { x = devise }\n", "device"},
		{good + "body = { x = n }\nmeta = true\n", "meta beside body"},
	} {
		_, diags := bind(t, c.args, schema)
		if c.says == "" && len(diags) > 0 || c.says != "" && (len(diags) != 1 || !strings.Contains(diags[0].Summary+diags[0].Detail, c.says)) {
			t.Errorf("%s: %v, want %q", c.args, diags, c.says)
		}
	}
}
