package ingestmqtt

import (
	"errors"
	"net"
	"slices"
	"testing"

	"github.com/tidemill/tidemill/engine/decode"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/journal"
	"github.com/tidemill/tidemill/engine/mqtt"
	"github.com/tidemill/tidemill/engine/stage"
)

// moody is a journal that gives these answers, the last one for ever, and keeps what it takes.
type moody struct {
	journal.Appender
	answers []error
	asked   int
	took    []journal.Record
	dones   []func(error)
}

func (m *moody) Append(b journal.Batch) error {
	err := m.answers[min(m.asked, len(m.answers)-1)]
	m.asked++
	for _, r := range b.Records {
		if len(r.Payload) > journal.MaxRecord {
			err = errors.New("too large: no retry helps")
		}
	}
	if err == nil {
		for _, r := range b.Records {
			r.Payload, r.Envelope = slices.Clone(r.Payload), slices.Clone(r.Envelope)
			m.took = append(m.took, r)
		}
		m.dones = append(m.dones, b.Done)
	}
	return err
}

// bare is a source without a server before a journal.
func bare(m *moody) (s *source, counts map[string]int64) {
	counts = map[string]int64{}
	s = &source{quit: make(chan struct{}), to: stage.SourceEnv{Journal: m},
		op: stage.Opening{Env: env.Real(), Count: func(name string, n int64) { counts[name] += n }}}
	s.slots.New = func() any { return &slot{} }
	return s, counts
}

func inbound(payload string) mqtt.Inbound {
	memo := int32(memoFirst)
	return mqtt.Inbound{Topic: "t", Payload: []byte(payload), Client: &mqtt.Client{}, Memo: &memo, QoS: 1}
}

// TestAnswers: what the server is told for each of the journal's answers. That there is no room is waited for, or said; any other
// error is the server's to know, or its client waits for ever.
func TestAnswers(t *testing.T) {
	full, broken := &journal.ErrFull{Reason: "the disk is full"}, errors.New("a sector cannot be written")
	for _, c := range []struct {
		what       string
		answers    []error
		closed     bool
		try, took  bool
		err        error
		asked      int
		disk, busy int64
	}{
		{what: "try: taken", answers: []error{nil}, try: true, took: true, asked: 1},
		{what: "try: busy", answers: []error{journal.ErrBusy}, try: true, asked: 1},
		{what: "try: full", answers: []error{full}, try: true, asked: 1},
		{what: "try: broken", answers: []error{broken}, try: true, took: true, err: broken, asked: 1},
		{what: "taken", answers: []error{nil}, took: true, asked: 1},
		{what: "room comes", answers: []error{journal.ErrBusy, full, journal.ErrBusy, nil}, took: true, asked: 4, disk: 1, busy: 2},
		{what: "it breaks", answers: []error{full, broken}, took: true, err: broken, asked: 2, disk: 1},
		{what: "the ingest closes", answers: []error{journal.ErrBusy}, closed: true, took: true, err: net.ErrClosed, asked: 1, busy: 1},
	} {
		t.Run(c.what, func(t *testing.T) {
			m := &moody{answers: c.answers}
			s, counts := bare(m)
			if c.closed {
				close(s.quit)
			}
			took, err, batch := true, error(nil), []mqtt.Inbound{inbound("1")}
			if done := func(error) {}; c.try {
				took, err = s.TryAppend(batch, done)
			} else {
				err = s.Append(batch, done)
			}
			if took != c.took || err != c.err || m.asked != c.asked || counts["waits_for_disk"] != c.disk || counts["waits_for_journal"] != c.busy {
				t.Errorf("took %v, %v, asked %d times, counts %v", took, err, m.asked, counts)
			}
		})
	}
}

// TestTaken: what of messages becomes records, with which envelopes, however often the memory for them was used.
func TestTaken(t *testing.T) {
	m := &moody{answers: []error{nil}}
	s, _ := bare(m)
	one := &slot{}
	s.slots.New = func() any { return one }
	told := 0
	clears := inbound("")
	clears.Retain = true
	if err := s.Append([]mqtt.Inbound{clears}, func(err error) {
		if err == nil {
			told++
		}
	}); err != nil || m.asked != 0 || told != 1 {
		t.Errorf("what clears a retained message: %v, %d batches, answered %d times", err, m.asked, told)
	}
	want := decode.Envelope{Session: 7, Packet: 3, Resent: true, Uses: 5, Settled: 123}
	size := 0
	for i := range 3 {
		a, b := inbound("a"), inbound("b")
		b.Session, b.Packet, b.Resent, b.Uses, b.Settled = want.Session, want.Packet, want.Resent, want.Uses, want.Settled
		if err := s.Append([]mqtt.Inbound{a, clears, b}, nil); err != nil {
			t.Fatal(err)
		}
		if i > 0 && len(one.envelopes) != size {
			t.Errorf("the memory of envelopes grows from %d bytes to %d", size, len(one.envelopes))
		}
		size = len(one.envelopes)
	}
	if len(m.took) != 6 {
		t.Fatalf("%d records, want 6", len(m.took))
	}
	for i, r := range m.took {
		e, err := decode.ParseEnvelope(r.Envelope)
		if i%2 == 0 && (string(r.Payload) != "a" || len(r.Envelope) > 0) ||
			i%2 == 1 && (string(r.Payload) != "b" || err != nil || e.Session != want.Session || e.Packet != want.Packet || !e.Resent || e.Uses != want.Uses || e.Settled != want.Settled) {
			t.Errorf("record %d: %q %+v, %v", i, r.Payload, e, err)
		}
	}
}
