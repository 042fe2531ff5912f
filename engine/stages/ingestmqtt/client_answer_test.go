package ingestmqtt

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/decode"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/journal"
	"github.com/tidemill/tidemill/engine/stage"
)

// unlinked is a client of a broker without connection and goroutines, before a journal.
type unlinked struct {
	*upstream
	m       *moody
	counts  map[string]int64
	rejects []string
	batches []*batch
}

func newUnlinked(t *testing.T, answers ...error) *unlinked {
	t.Helper()
	ch := &config.Channel{Name: "telemetry", Partitions: 4, Key: "device"}
	b, diags := bound(t, "url = \"mqtt://broker.example\"\ntopic = \"dt/{device}\"\n", ch, "/conf")
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	u := &unlinked{m: &moody{answers: answers}, counts: map[string]int64{}}
	s, err := b.OpenSource(stage.Opening{Env: env.Real(), Address: "ingest.t",
		Count:  func(name string, n int64) { u.counts[name] += n },
		Reject: func(r stage.Reject) { u.rejects = append(u.rejects, r.Reason) },
	}, stage.SourceEnv{Channel: ch, Journal: u.m, NewPartition: func() func([]byte) int { return func([]byte) int { return 0 } }})
	if err != nil {
		t.Fatal(err)
	}
	u.upstream = s.(*upstream)
	t.Cleanup(u.stop)
	return u
}

func on(topic string, id uint16) message {
	return message{topic: topic, payload: []byte(fmt.Sprint(id)), id: id, received: 1, ack: func() {}}
}

// bring is what feed does with messages that have come.
func (u *unlinked) bring(messages ...message) bool {
	b := &batch{messages: messages}
	u.batches = append(u.batches, b)
	u.owed = append(u.owed, b)
	return u.append(b)
}

// answered are the identifiers that may be acknowledged by now.
func (u *unlinked) answered() string {
	text := ""
	for _, m := range u.acks {
		text += fmt.Sprint(m.id, " ")
	}
	return strings.TrimSpace(text)
}

// TestClientWaits: that there is no room is waited for, and nothing is acknowledged by that; after any other error nothing more is taken.
func TestClientWaits(t *testing.T) {
	full, broken := &journal.ErrFull{Reason: "the disk is full"}, errors.New("a sector cannot be written")
	for _, c := range []struct {
		what       string
		answers    []error
		closed     bool
		goesOn     bool
		asked      int
		disk, busy int64
		trouble    error
	}{
		{what: "taken", answers: []error{nil}, goesOn: true, asked: 1},
		{what: "room comes", answers: []error{journal.ErrBusy, full, journal.ErrBusy, nil}, goesOn: true, asked: 4, disk: 1, busy: 2},
		{what: "it breaks", answers: []error{journal.ErrBusy, broken}, asked: 2, busy: 1, trouble: broken},
		{what: "the ingest closes", answers: []error{journal.ErrBusy}, closed: true, asked: 1, busy: 1},
	} {
		t.Run(c.what, func(t *testing.T) {
			u := newUnlinked(t, c.answers...)
			if c.closed {
				u.stop()
			}
			goesOn := u.bring(on("dt/a", 1))
			if goesOn != c.goesOn || u.m.asked != c.asked || u.counts["waits_for_disk"] != c.disk || u.counts["waits_for_journal"] != c.busy || u.trouble != c.trouble {
				t.Errorf("goes on: %v, asked %d times, counts %v, trouble %v", goesOn, u.m.asked, u.counts, u.trouble)
			}
			if len(u.acks) > 0 {
				t.Error("it may be acknowledged, and is not durable")
			}
			for _, done := range u.m.dones {
				done(nil)
			}
			if want := map[bool]string{true: "1", false: ""}[c.goesOn]; u.answered() != want {
				t.Errorf("acknowledged are %q, want %q", u.answered(), want)
			}
		})
	}
}

// TestClientAcknowledges: what is durable, in the order in which it came, and nothing else; what belongs to nobody when its turn has come.
func TestClientAcknowledges(t *testing.T) {
	u := newUnlinked(t, nil)
	again, unasked := on("dt/a", 2), on("dt/a", 0)
	again.resent, unasked.ack = true, nil
	u.bring(on("dt/a", 1), again, unasked)
	u.bring(on("other", 3))
	u.bring(on("dt/a", 4), on("other", 5))
	u.bring(on("dt/a", 6))
	u.bring(on("other", 7))
	if len(u.m.took) != 5 || len(u.m.dones) != 3 || u.counts["other_topics"] != 3 || u.counts["sent_again"] != 1 {
		t.Fatalf("%d records in %d batches, %v", len(u.m.took), len(u.m.dones), u.counts)
	}
	lost := errors.New("it is lost")
	for i, c := range []struct {
		batch int
		err   error
		want  string
	}{{-1, nil, ""}, {1, lost, ""}, {0, nil, "1 2 3"}, {2, nil, "1 2 3 6 7"}} {
		if c.batch >= 0 {
			u.m.dones[c.batch](c.err)
		}
		if got := u.answered(); got != c.want {
			t.Errorf("step %d: acknowledged are %q, want %q", i, got, c.want)
		}
	}
	if len(u.owed) > 0 || u.trouble != lost {
		t.Errorf("%d batches are owed, trouble %v", len(u.owed), u.trouble)
	}
}

// TestClientRecords: every message of the largest batch is a record of its device's partition, with its identity.
func TestClientRecords(t *testing.T) {
	const most = 512
	u := newUnlinked(t, nil)
	var messages []message
	for id := range most {
		m := on(fmt.Sprintf("dt/d%d", id%7), uint16(id))
		m.resent = id%3 == 0
		messages = append(messages, m)
	}
	u.bring(messages...)
	if len(u.m.took) != most {
		t.Fatalf("%d records, want %d", len(u.m.took), most)
	}
	for id, r := range u.m.took {
		e, err := decode.ParseEnvelope(r.Envelope)
		want := decode.Envelope{Session: u.session, Packet: uint16(id), Resent: id%3 == 0}
		if id == 0 {
			want = decode.Envelope{} // of QoS 0: nobody can tell whether it comes again
		}
		partition := flow.PartitionOf(flow.Hash(fmt.Appendf(nil, "d%d", id%7)), 4)
		if err != nil || string(r.Payload) != fmt.Sprint(id) || r.Partition != partition || e.Session != want.Session || e.Packet != want.Packet || e.Resent != want.Resent {
			t.Fatalf("record %d: %+v, envelope %+v, %v", id, r, e, err)
		}
	}
	for i := range maxTopics + 1 {
		u.partition(&message{topic: fmt.Sprintf("dt/%d", i)})
		if len(u.memos) > maxTopics {
			t.Fatalf("%d topics are remembered", len(u.memos))
		}
	}
}

// TestClientTooLarge: a message that no record can hold, which a broker of 3.1.1 may send, is left out and acknowledged: if it stopped
// the ingest it would come again, and stop it again.
func TestClientTooLarge(t *testing.T) {
	u := newUnlinked(t, nil)
	large := on("dt/a", 2)
	large.payload = make([]byte, journal.MaxRecord+1)
	if !u.bring(on("dt/a", 1), large, on("dt/a", 3)) || !u.bring(large) {
		t.Fatal("it stops")
	}
	if len(u.m.took) != 2 || u.counts["too_large"] != 2 || len(u.rejects) != 2 || !strings.Contains(u.rejects[0], "67108865 bytes is left out") {
		t.Errorf("%d records, %v, %q", len(u.m.took), u.counts, u.rejects)
	}
	u.m.dones[0](nil)
	if got := u.answered(); got != "1 2 3 2" {
		t.Errorf("acknowledged are %q", got)
	}
}
