package ingestmqtt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/packets"

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

// TestResumed: a broker sends receive_maximum messages right behind its CONNACK, where paho.golang's
// own acknowledgements by hand lose some; all of them are acknowledged, in their order, once the journal has them.
func TestResumed(t *testing.T) {
	const most = 20
	for i := range 60 { // what was lost hung on when goroutines ran
		qos := byte(i%2 + 1)
		t.Run(fmt.Sprint(qos), func(t *testing.T) {
			t.Parallel()
			port, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer port.Close()
			l := &ledger{stuck: true}
			over := make(chan error, 1)
			var broker sync.WaitGroup
			broker.Go(func() {
				conn, err := port.Accept()
				if err != nil {
					over <- err
					return
				}
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(clientPatience))
				over <- resume(conn, qos, most, l)
				_, _ = io.Copy(io.Discard, conn) // until the client has gone
			})
			s := startClient(t, fmt.Sprintf("url = \"mqtt://%s\"\ntopic = \"dt/{site}/{device}\"\nqos = %d\nreceive_maximum = %d\n", port.Addr(), qos, most), l)
			if err := <-over; err != nil {
				t.Error(err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			broker.Wait()
		})
	}
}

// resume is the broker's side: it reads CONNECT, sends CONNACK and the messages in one piece, lets
// the journal go on when it has them, and reads their acknowledgements. The second half is of another topic,
// which the journal never sees.
func resume(conn net.Conn, qos byte, most int, l *ledger) error {
	p, err := packets.ReadPacket(conn)
	if err != nil {
		return err
	}
	if r := p.Content.(*packets.Connect).Properties.ReceiveMaximum; r == nil || int(*r) != most {
		return fmt.Errorf("CONNECT says receive maximum %v, want %d", r, most)
	}
	var first bytes.Buffer
	if _, err := (&packets.Connack{SessionPresent: true, Properties: &packets.Properties{}}).WriteTo(&first); err != nil {
		return err
	}
	want := 0
	for id := range most {
		topic := "dt/a/d1"
		if id >= most/2 {
			topic = "other/d1"
		} else {
			want++
		}
		m := &packets.Publish{QoS: qos, Topic: topic, PacketID: uint16(id + 1), Payload: []byte("1"), Properties: &packets.Properties{}}
		if _, err := m.WriteTo(&first); err != nil {
			return err
		}
	}
	if _, err := conn.Write(first.Bytes()); err != nil {
		return err
	}
	for id := 0; id < most; {
		p, err := packets.ReadPacket(conn)
		if err != nil {
			return fmt.Errorf("%d of %d messages are acknowledged: %w", id, most, err)
		}
		got := uint16(0)
		switch a := p.Content.(type) {
		case *packets.Pingreq:
			if _, err := (&packets.Pingresp{}).WriteTo(conn); err != nil {
				return err
			}
			continue
		case *packets.Subscribe:
			if _, err := (&packets.Suback{PacketID: a.PacketID, Reasons: []byte{qos}, Properties: &packets.Properties{}}).WriteTo(conn); err != nil {
				return err
			}
			for end := time.Now().Add(clientPatience); l.release(want); time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					return errors.New("the journal does not get all messages")
				}
			}
			continue
		case *packets.Puback:
			got = a.PacketID
		case *packets.Pubrec:
			got = a.PacketID
		default:
			return fmt.Errorf("a packet of type %d", p.Type)
		}
		if id++; int(got) != id {
			return fmt.Errorf("message %d is acknowledged, want %d", got, id)
		}
	}
	return nil
}

// release lets a journal go on that has n records, and says whether there are fewer.
func (l *ledger) release(n int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stuck = len(l.records) < n
	return l.stuck
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
				case 1, 5:
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
			// Not in which order, nor how many at one time: 2.0.11 counts what is under way wrongly where
			// sessions are resumed (its issue 2306, mended in 2.0.13). See TestResumed for these.
			got := l.texts()
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
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
