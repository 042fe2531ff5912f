package ingesthttp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/journal"
	"github.com/tidemill/tidemill/engine/stage"
)

const testPartitions = 3

func bind(t testing.TB, text string) (stage.Bound, hcl.Diagnostics) {
	t.Helper()
	f, diags := hclsyntax.ParseConfig([]byte(text), "t.hcl", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	a := Spec().Args()
	if diags := config.DecodeBody(f.Body, a, nil); diags.HasErrors() {
		return stage.Bound{}, diags
	}
	return a.Bind(nil, stage.At{Address: "ingest.t", Dir: "/conf"})
}

// rig is a source over a real journal, with what run does around them.
type rig struct {
	t      testing.TB
	env    *env.Env
	log    journal.Log
	src    *source
	flush  sync.WaitGroup
	stop   chan struct{}
	mu     sync.Mutex
	counts map[string]int64
	told   []string
}

// gate is an appender that a test can make refuse.
type gate struct {
	journal.Appender
	mu   sync.Mutex
	err  error
	lost error // what it takes is not kept, and this becomes of it
}

// lose has the appender take what comes, and say later that it is not durable; nil ends that.
func (g *gate) lose(err error) {
	g.mu.Lock()
	g.lost = err
	g.mu.Unlock()
}

func (g *gate) set(err error) {
	g.mu.Lock()
	g.err = err
	g.mu.Unlock()
}

// fate is what becomes of a batch: refused, or taken and lost.
func (g *gate) fate() (refused, lost error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err, g.lost
}

func (g *gate) Append(b journal.Batch) error {
	refused, lost := g.fate()
	switch {
	case refused != nil:
		return refused
	case lost != nil:
		time.AfterFunc(50*time.Millisecond, func() { b.Done(lost) })
		return nil
	}
	return g.Appender.Append(b)
}

// Flush of a process that is dead must not reach the disk of the next.
func (g *gate) Flush() error {
	if refused, _ := g.fate(); errors.Is(refused, env.ErrCrashed) {
		return refused
	}
	return g.Appender.Flush()
}

// start opens the journal in dir and a source over it, listening.
func start(t testing.TB, e *env.Env, dir, args string, o journal.Options) *rig {
	t.Helper()
	o.Partitions = testPartitions
	log, err := journal.Open(e, dir, o)
	if err != nil {
		t.Fatal(err)
	}
	b, diags := bind(t, args)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	r := &rig{t: t, env: e, log: log, stop: make(chan struct{}), counts: map[string]int64{}}
	part := func(payload []byte) int { return flow.PartitionOf(flow.Hash(payload), testPartitions) }
	src, err := b.OpenSource(stage.Opening{
		Env: e, Address: "ingest.t", Partition: -1, Reject: func(x stage.Reject) { r.note(x.Reason) },
		Count: func(name string, n int64) { r.mu.Lock(); r.counts[name] += n; r.mu.Unlock() },
	}, stage.SourceEnv{Journal: &gate{Appender: log.Appender()}, Partition: part, NewPartition: func() func([]byte) int { return part }, Past: log})
	if err != nil {
		t.Fatal(err)
	}
	r.src = src.(*source)
	for range 100 {
		if _, err = src.Step(); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
	r.flush.Go(func() {
		defer func() {
			if p := recover(); p != nil && p != env.ErrCrashed {
				panic(p)
			}
		}()
		for {
			select {
			case <-r.stop:
				return
			case <-time.After(time.Millisecond):
				_ = log.Appender().Flush() // tests look at what senders are told
			}
		}
	})
	return r
}

func (r *rig) note(line string) {
	r.mu.Lock()
	r.told = append(r.told, line)
	r.mu.Unlock()
}

func (r *rig) count(name string) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counts[name]
}

func (r *rig) gate() *gate { return r.src.to.Journal.(*gate) }

// halt ends flushing, as run does before it closes sources.
func (r *rig) halt() {
	close(r.stop)
	r.flush.Wait()
}

func (r *rig) close() {
	r.halt()
	if err := r.src.Close(); err != nil {
		r.t.Error(err)
	}
	if err := r.log.Close(); err != nil {
		r.t.Error(err)
	}
}

func (r *rig) url() string {
	scheme := "http"
	if r.src.tls != nil {
		scheme = "https"
	}
	return scheme + "://" + (*r.src.address.Load()).String() + r.src.opts.path
}

// records lists the payloads in the journal, by partition, in order.
func (r *rig) records() []string {
	r.t.Helper()
	var out []string
	for p := range testPartitions {
		earliest, _ := r.log.Bounds(p)
		in, err := r.log.Read(p, earliest)
		if err != nil {
			r.t.Fatal(err)
		}
		for {
			b, err := in.Next()
			if err != nil {
				r.t.Fatal(err)
			}
			if b == nil {
				break
			}
			for i := range b.Count {
				if b.Kind == journal.Records {
					out = append(out, string(b.Record(i)))
				}
			}
			b.Release()
		}
		in.Close()
	}
	return out
}

// reply is what came back.
type reply struct {
	code     int
	accepted int
	text     string
	header   http.Header
}

// post sends a body. headers come in pairs.
func post(c *http.Client, url, body string, headers ...string) (reply, error) {
	req, err := http.NewRequest("POST", url, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		if headers[i+1] == "" {
			req.Header.Del(headers[i])
		} else if headers[i] == "Host" {
			req.Host = headers[i+1]
		} else {
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	res, err := c.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return reply{}, err
	}
	out := reply{code: res.StatusCode, text: string(text), header: res.Header}
	var fields map[string]any
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&fields); err != nil {
		return out, fmt.Errorf("%d %q is no JSON: %w", out.code, text, err)
	}
	if out.code == 200 {
		n, ok := fields["accepted"].(float64)
		if !ok || len(fields) != 1 {
			return out, fmt.Errorf("an answer of its own kind: %s", text)
		}
		out.accepted = int(n)
		return out, nil
	}
	for _, name := range []string{"error", "right"} {
		if s, _ := fields[name].(string); s == "" {
			return out, fmt.Errorf("%d without %s: %s", out.code, name, text)
		}
	}
	return out, nil
}

func mustPost(t testing.TB, url, body string, headers ...string) reply {
	t.Helper()
	a, err := post(&http.Client{Timeout: time.Minute}, url, body, headers...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}
