package ingestmqtt

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	broker "github.com/tidemill/tidemill/conformance/mosquitto"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/publish"
)

// payloads are those of all records, in their order.
func (l *ledger) payloads() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []string
	for _, r := range l.records {
		out = append(out, string(r.Payload))
	}
	return out
}

// TestClientPromises: under every protocol messages are records in the order in which they came; trouble is told as long as it lasts; and what the journal has
// not confirmed is not acknowledged, by nobody: it comes again.
func TestClientPromises(t *testing.T) {
	const each = 300
	for _, c := range []string{"qos = 1", "qos = 2", "qos = 1\nprotocol = \"3.1.1\"", "qos = 2\nprotocol = \"3.1.1\""} {
		t.Run(c, func(t *testing.T) {
			t.Parallel()
			b := broker.Start(t, "allow_anonymous true\nmax_queued_messages 0\n")
			crowd := publish.New(publish.Options{Env: env.Real(), Address: b.Address, QoS: 2, RetryMost: 100 * time.Millisecond})
			defer crowd.Close()
			sender, sent := crowd.Client("sender"), 0
			send := func(n int) (want []string) {
				for ; n > 0; n-- {
					want = append(want, fmt.Sprint(sent))
					sender.Publish("dt/a/d1", []byte(want[len(want)-1]), 0)
					sent++
				}
				ctx, cancel := context.WithTimeout(context.Background(), clientPatience)
				defer cancel()
				if err := crowd.Below(ctx, 1); err != nil {
					t.Fatal(err, crowd.Stats())
				}
				return want
			}
			l := &ledger{}
			text := fmt.Sprintf("url = \"mqtt://%s\"\ntopic = \"dt/{site}/{device}\"\n%s\n", b.Address, c)
			s := startClient(t, text, l)
			want := send(each)
			eventually(t, "all messages", func() bool { return len(l.payloads()) >= each })
			if got := l.payloads(); !slices.Equal(got, want) {
				t.Errorf("in this order: %q", got)
			}
			b.Stop()
			eventually(t, "trouble", func() bool { _, err := s.Step(); return err != nil })
			b.Restart()
			eventually(t, "an end of trouble", func() bool { _, err := s.Step(); return err == nil && connected(s) })
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			stuck := &ledger{stuck: true}
			s = startClient(t, text, stuck)
			want = send(5)
			eventually(t, "the journal", func() bool { return len(stuck.payloads()) == len(want) })
			time.Sleep(50 * time.Millisecond) // in which they could be acknowledged
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			last := &ledger{}
			s = startClient(t, text, last)
			eventually(t, "the same again", func() bool { return len(last.payloads()) >= len(want) })
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if got := last.payloads(); !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))) {
				t.Errorf("again come %q, want %q", got, want)
			}
		})
	}
}
