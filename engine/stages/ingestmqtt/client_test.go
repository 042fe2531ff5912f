package ingestmqtt

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	broker "github.com/tidemill/tidemill/conformance/mosquitto"
	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/decode"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/journal"
	"github.com/tidemill/tidemill/engine/publish"
	"github.com/tidemill/tidemill/engine/stage"
)

const clientPatience = 30 * time.Second

// ledger is a journal that confirms late, and not at all while it is stuck.
type ledger struct {
	journal.Appender
	mu      sync.Mutex
	stuck   bool
	records []journal.Record
	waiting []journal.Batch
}

func (l *ledger) Append(b journal.Batch) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range b.Records {
		r.Payload, r.Envelope = slices.Clone(r.Payload), slices.Clone(r.Envelope)
		l.records = append(l.records, r)
	}
	l.waiting = append(l.waiting, b)
	return nil
}

// confirm is the flusher.
func (l *ledger) confirm() {
	l.mu.Lock()
	var done []journal.Batch
	if !l.stuck {
		done, l.waiting = l.waiting, nil
	}
	l.mu.Unlock()
	for _, b := range done {
		b.Done(nil)
	}
}

// texts are the payloads, those that count once where said so counted once.
func (l *ledger) texts() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []string
	sent := map[uint16]string{}
	for _, r := range l.records {
		e, _ := decode.ParseEnvelope(r.Envelope)
		if e.Resent && sent[e.Packet] == string(r.Payload) {
			continue
		}
		sent[e.Packet] = string(r.Payload)
		out = append(out, string(r.Payload))
	}
	return out
}

func startClient(t *testing.T, text string, l *ledger) stage.Source {
	t.Helper()
	ch := &config.Channel{Name: "telemetry", Partitions: 4, Key: "device"}
	b, diags := bound(t, text, ch, "/conf")
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	s, err := b.OpenSource(stage.Opening{Env: env.Real(), Address: "ingest.in", Reject: func(stage.Reject) {}, Count: func(string, int64) {}},
		stage.SourceEnv{Channel: ch, Journal: l, NewPartition: func() func([]byte) int { return func([]byte) int { return 0 } }})
	if err != nil {
		t.Fatal(err)
	}
	quit := make(chan struct{})
	var over sync.WaitGroup
	over.Go(func() {
		for {
			select {
			case <-quit:
				return
			case <-time.After(2 * time.Millisecond):
				l.confirm()
			}
		}
	})
	t.Cleanup(func() { close(quit); over.Wait() })
	eventually(t, "a connection", func() bool { _, err := s.Step(); return err == nil && connected(s) })
	return s
}

func connected(s stage.Source) bool {
	c := s.(*upstream)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.up
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(clientPatience); !f(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never comes to %s", what)
		}
	}
}

// TestClientOfABroker: a real broker is stopped and started, the ingest is closed and
// opened, the journal is stuck for a while: every message that the broker has taken is in the journal,
// and where messages come twice, they say so.
func TestClientOfABroker(t *testing.T) {
	const rounds, each = 8, 50
	for _, c := range []string{"qos = 1", "qos = 2", "qos = 1\nprotocol = \"3.1.1\"", "qos = 1\nshare = \"group\""} {
		t.Run(c, func(t *testing.T) {
			t.Parallel()
			b := broker.Start(t, "allow_anonymous true\nmax_queued_messages 0\n")
			l := &ledger{}
			text := fmt.Sprintf("url = \"mqtt://%s\"\ntopic = \"dt/{site}/{device}\"\nreceive_maximum = 20\n%s\n", b.Address, c)
			s := startClient(t, text, l)
			crowd := publish.New(publish.Options{Env: env.Real(), Address: b.Address, QoS: 1, RetryMost: 100 * time.Millisecond})
			defer crowd.Close()
			sender := crowd.Client("sender")
			var want []string
			for round := range rounds {
				for i := range each {
					want = append(want, fmt.Sprintf("%d.%d", round, i))
					sender.Publish("dt/a/d1", []byte(want[len(want)-1]), 0)
				}
				ctx, cancel := context.WithTimeout(context.Background(), clientPatience)
				if err := crowd.Below(ctx, 1); err != nil {
					t.Fatal(err, crowd.Stats())
				}
				cancel()
				switch round {
				case 5:
					l.mu.Lock()
					n := 0
					for _, w := range l.waiting {
						n += len(w.Records)
					}
					if n > 20 {
						t.Errorf("%d messages are not acknowledged at one time", n)
					}
					l.mu.Unlock()
					fallthrough
				case 1:
					if !strings.Contains(c, "share") { // mosquitto 2.0.11 forgets shared subscriptions when it restarts
						b.Stop()
						b.Restart()
					}
				case 2:
					if err := s.Close(); err != nil {
						t.Fatal(err)
					}
				case 3: // what was published meanwhile has waited with the broker
					s = startClient(t, text, l)
				case 4, 6:
					l.mu.Lock()
					l.stuck = round == 4
					l.mu.Unlock()
				}
			}
			defer func() {
				if t.Failed() {
					got := l.texts()
					t.Logf("lost: %q", slices.DeleteFunc(slices.Clone(want), func(x string) bool { return slices.Contains(got, x) }))
				}
			}()
			eventually(t, "all messages", func() bool {
				got := map[string]bool{}
				for _, text := range l.texts() {
					got[text] = true
				}
				return len(got) == len(want)
			})
			if got := l.texts(); !slices.Equal(got, want) {
				t.Errorf("%d messages, want %d: %q", len(got), len(want), got)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			for _, r := range l.records {
				if r.Topic != "dt/a/d1" || r.Partition != l.records[0].Partition || r.Received == 0 {
					t.Fatalf("record %+v", r)
				}
			}
		})
	}
}

// TestClientIsRefused: what is said when a broker lets it not in, and when none is there.
func TestClientIsRefused(t *testing.T) {
	b := broker.Start(t, "allow_anonymous false\n")
	for _, c := range []struct{ args, says string }{
		{"", "the broker refuses the connection: not authorized"},
		{"protocol = \"3.1.1\"\n", "not Authorized"},
	} {
		bd, diags := bound(t, "url = \"mqtt://"+b.Address+"\"\nuser = \"u\"\npassword = \"hunter2\"\ntopic = \"a/{device}\"\n"+c.args, &config.Channel{Name: "t", Partitions: 1}, "/")
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		s, err := bd.OpenSource(stage.Opening{Env: env.Real(), Count: func(string, int64) {}}, stage.SourceEnv{Journal: &ledger{}, NewPartition: func() func([]byte) int { return nil }})
		if err != nil {
			t.Fatal(err)
		}
		var said error
		eventually(t, "an error", func() bool { _, said = s.Step(); return said != nil })
		if !strings.Contains(said.Error(), c.says) || strings.Contains(said.Error(), "hunter2") {
			t.Errorf("%v, want %q", said, c.says)
		}
		s.Close()
	}
}
