package ingestbenthos

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/journal"
	"github.com/tidemill/tidemill/engine/stage"
)

const patienceOfTests = 2 * time.Minute

// ledger is a journal that confirms when it is told to.
type ledger struct {
	journal.Appender
	mu      sync.Mutex
	got     []string
	waiting []journal.Batch
}

func (l *ledger) Append(b journal.Batch) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range b.Records {
		l.got = append(l.got, string(r.Payload))
	}
	l.waiting = append(l.waiting, b)
	return nil
}

func (l *ledger) confirm(err error) {
	l.mu.Lock()
	done := l.waiting
	l.waiting = nil
	l.mu.Unlock()
	for _, b := range done {
		b.Done(err)
	}
}

func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.got)
}

func start(t *testing.T, text string, l *ledger) stage.Source {
	t.Helper()
	f, diags := hclsyntax.ParseConfig([]byte(text), "t.hcl", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	a := Spec().Args()
	ctx := &hcl.EvalContext{}
	if diags := config.DecodeBody(f.Body, a, ctx); diags.HasErrors() {
		t.Fatal(diags)
	}
	b, diags := a.Bind(nil, stage.At{Address: "ingest.t", Eval: ctx})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	s, err := b.OpenSource(stage.Opening{Env: env.Real(), Count: func(string, int64) {}, Reject: func(r stage.Reject) { t.Log(r.Reason) }},
		stage.SourceEnv{Journal: l, NewPartition: func() func([]byte) int { return func([]byte) int { return 0 } }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := s.Step(); err != nil {
		t.Fatal(err)
	}
	return s
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(patienceOfTests); !f(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never comes to %s", what)
		}
	}
}

// TestUntilTheEnd: everything an input has comes in order, before anything is
// acknowledged, and the source ends with it.
func TestUntilTheEnd(t *testing.T) {
	l := &ledger{}
	s := start(t, "config = { generate = { mapping = \"root.n = counter()\", count = 200, interval = \"\" } }\n", l)
	eventually(t, "all messages", func() bool { return l.count() == 200 })
	for i, text := range l.got {
		if text != fmt.Sprintf(`{"n":%d}`, i+1) {
			t.Fatalf("message %d is %s", i, text)
		}
	}
	if status, err := s.Step(); status == stage.Ended || err != nil {
		t.Errorf("ended before anything was durable: %v, %v", status, err)
	}
	eventually(t, "the end", func() bool { l.confirm(nil); status, err := s.Step(); return status == stage.Ended && err == nil })
}

// TestAcknowledgedAfterTheJournal: an HTTP input answers when the journal has it,
// and what the journal could not keep is sent again by the input.
func TestAcknowledgedAfterTheJournal(t *testing.T) {
	nl, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := nl.Addr().String()
	nl.Close()
	l := &ledger{}
	start(t, "config = <<EOT\nhttp_server:\n  address: "+address+"\n  path: /post\n  timeout: 20s\nEOT\n", l)
	answer := make(chan error, 1)
	var res *http.Response
	eventually(t, "an HTTP server", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	go func() {
		r, err := http.Post("http://"+address+"/post", "application/json", strings.NewReader(`{"a":1}`))
		if err == nil {
			_, _ = io.Copy(io.Discard, r.Body)
			r.Body.Close()
		}
		res = r
		answer <- err
	}()
	eventually(t, "the message", func() bool { return l.count() == 1 })
	select {
	case <-answer:
		t.Fatal("it was answered before the journal had it")
	case <-time.After(50 * time.Millisecond):
	}
	l.confirm(nil)
	select {
	case err := <-answer:
		if err != nil || res.StatusCode != http.StatusOK {
			t.Error(res, err)
		}
	case <-time.After(patienceOfTests):
		t.Fatal("no answer")
	}
	if !slices.Equal(l.got, []string{`{"a":1}`}) {
		t.Errorf("%q", l.got)
	}
}

// TestSentAgain: what the journal could not keep comes again.
func TestSentAgain(t *testing.T) {
	l := &ledger{}
	start(t, "config = { generate = { mapping = \"root.n = counter()\", count = 1, interval = \"\" } }\n", l)
	eventually(t, "the message", func() bool { return l.count() == 1 })
	l.confirm(errors.New("the disk is gone"))
	eventually(t, "the message again", func() bool { return l.count() == 2 })
	l.confirm(nil)
	if l.got[0] != l.got[1] {
		t.Errorf("%q", l.got)
	}
}
