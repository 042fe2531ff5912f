package run

import (
	"math/rand/v2"
	"testing"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/decode"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/state"
)

// aSender is a client in a session: it sends while fewer than window are in flight, and sends all of these again when it comes back.
type aSender struct {
	session uint64
	window  int
	pause   int64 // us between two messages
	lowest  bool  // takes the lowest identifier that is free; else the next one
	next    uint16
	used    [1 << 16]bool
	flight  []inFlight
	now     int64
	until   int64 // then its server takes it for one that has few messages in flight
}

// many is what a server says that sees at least half of what is in flight unanswered.
func (c *aSender) many(r *rand.Rand) bool {
	if n := len(c.flight); n-r.IntN(n/2+1) > 32 {
		c.until = c.now + 60_000_000
	}
	return c.now < c.until
}

type inFlight struct {
	id      uint16
	sum     uint64
	arrived bool // a record of it is in the journal
}

// another puts the next message in flight, the newest of which are at the end.
func (c *aSender) another(sum uint64, arrived bool) *inFlight {
	if c.lowest {
		c.next = 0
	}
	for c.next++; c.next == 0 || c.used[c.next]; c.next++ {
	}
	c.used[c.next] = true
	c.flight = append(c.flight, inFlight{id: c.next, sum: rand.NewPCG(sum, 9).Uint64(), arrived: arrived})
	return &c.flight[len(c.flight)-1]
}

// answered takes the n oldest messages out of flight.
func (c *aSender) answered(n int) {
	for _, f := range c.flight[:n] {
		c.used[f.id] = false
	}
	c.flight = c.flight[n:]
}

func sentTable() *state.Table {
	return state.New((&plan.Channel{Config: &config.Channel{Name: "c"}}).SentDecl())
}

// TestSenders: what a client sends again is a duplicate if it has come, however many are in flight up to 4,000, whatever identifiers
// it takes, and after however long a time within days; nothing else is one. The table is cut now and then, and goes on from what was written of it.
func TestSenders(t *testing.T) {
	if RaceDetector {
		t.Skip("one goroutine")
	}
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 1))
		s := &senders{table: sentTable(), full: &Counter{}}
		var clients []*aSender
		for i := range 4 {
			window := []int{1, 5, 63, 64, 65, 200, 1_000, 4_000}[r.IntN(8)]
			clients = append(clients, &aSender{session: uint64(i + 1), window: window, lowest: r.IntN(3) == 0, next: uint16(r.IntN(1 << 16)), now: 1e15,
				pause: []int64{1, 1_000, 20_000, 30_000_000}[r.IntN(4)]})
			if c := clients[i]; c.window > 64 { // all that is in flight was sent within half a minute
				c.pause = min(c.pause, 25_000_000/int64(c.window))
			}
		}
		sums := uint64(0)
		for range 20 {
			c := clients[r.IntN(len(clients))]
			for range r.IntN(2 * c.window * 3) {
				if len(c.flight) == c.window {
					c.answered(1 + r.IntN(len(c.flight)))
				}
				sums++
				f := c.another(sums, true)
				c.now += c.pause
				if s.judge(&decode.Envelope{Session: c.session, Packet: f.id, Many: c.many(r)}, f.sum, c.now) {
					t.Fatalf("seed %d, window %d: a new message is taken for a duplicate", seed, c.window)
				}
			}
			for tries := r.IntN(3); tries >= 0; tries-- {
				if s = cut(t, r, s); !comesBack(t, r, s, c, &sums, tries > 0) {
					t.Fatalf("seed %d: window %d, %d us between messages, lowest free identifier %t", seed, c.window, c.pause, c.lowest)
				}
			}
		}
		if s.full.Value() != 0 {
			t.Errorf("seed %d: the table is full: %d rows", seed, s.table.Len())
		}
	}
}

// comesBack has a client send again what was in flight when its connection broke, which may break again on the way. What of it came
// last may have been lost.
func comesBack(t *testing.T, r *rand.Rand, s *senders, c *aSender, sums *uint64, breaks bool) bool {
	t.Helper()
	for range r.IntN(3) { // these never came
		if len(c.flight) == c.window {
			break
		}
		*sums++
		c.another(*sums, false)
	}
	c.now += []int64{1_000_000, 3_600_000_000, 24 * 3_600_000_000}[r.IntN(3)]
	all := len(c.flight)
	if breaks {
		all = r.IntN(all + 1)
	}
	for i := range all {
		f := &c.flight[i]
		c.now += 10
		if got := s.judge(&decode.Envelope{Session: c.session, Packet: f.id, Resent: true, Many: true}, f.sum, c.now); got != f.arrived {
			t.Errorf("message %d of %d in flight, sent again: a duplicate %t, want %t", i, len(c.flight), got, f.arrived)
			return false
		}
		f.arrived = true
	}
	return true
}

// cut writes the table down now and then, and goes on with what was read of it.
func cut(t *testing.T, r *rand.Rand, s *senders) *senders {
	if r.IntN(2) == 0 {
		return s
	}
	written, err := state.DecodeSnapshot(s.table.Snapshot(true).AppendTo(nil))
	if err != nil {
		t.Fatal(err)
	}
	table, err := state.Restore(sentTable().Decl(), written)
	if err != nil {
		t.Fatal(err)
	}
	return &senders{table: table, full: s.full}
}

// TestSendersRows: who has few messages in flight has the rows of 64 identifiers, and who has many and sends slowly some more, also after it went
// round all of them; who sends quickly has as many as lie within half a minute, or up to eight times that, and never more than those of 4,608.
func TestSendersRows(t *testing.T) {
	for _, c := range []struct {
		many  bool
		pause int64
		most  int
	}{{false, 1_000, 8}, {true, 600_000_000, 9}, {true, 1_000_000, 9}, {true, 100_000, 72}, {true, 1_000, 576}} {
		s := &senders{table: sentTable(), full: &Counter{}}
		most := 0
		for n := range int64(100_000) {
			s.judge(&decode.Envelope{Session: 1, Packet: uint16(n%65_535 + 1), Many: c.many}, uint64(n)<<8, 1e15+n*c.pause)
			most = max(most, s.table.Len())
		}
		if most > c.most+1 || most < c.most {
			t.Errorf("many %t, %d us between messages: %d rows, want %d", c.many, c.pause, most, c.most)
		}
	}
}

// TestSendersFull: where there is no room for a sender, its records count, and that is counted.
func TestSendersFull(t *testing.T) {
	d := sentTable().Decl()
	d.MaxKeys = 2
	s := &senders{table: state.New(d), full: &Counter{}}
	for session := range uint64(4) {
		for _, resent := range []bool{false, true} {
			if got := s.judge(&decode.Envelope{Session: session + 1, Packet: 1, Resent: resent}, 5, 1e15); got != (resent && session < 2) {
				t.Errorf("session %d: a duplicate %t", session, got)
			}
		}
	}
	if n := s.full.Value(); n != 4 {
		t.Errorf("%d records are not noted, want 4", n)
	}
}

func BenchmarkSenders(b *testing.B) {
	for _, many := range []bool{false, true} {
		b.Run(map[bool]string{false: "few", true: "many"}[many], func(b *testing.B) {
			s := &senders{table: sentTable(), full: &Counter{}}
			for i := range b.N {
				n := i / 1000 // of a thousand senders one after another
				s.judge(&decode.Envelope{Session: uint64(i%1000 + 1), Packet: uint16(n%65_535 + 1), Many: many}, uint64(i)<<8, 1e15+int64(i)*100)
			}
		})
	}
}
