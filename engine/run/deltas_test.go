package run

import (
	"slices"
	"testing"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/decode"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/state"
)

// restore makes a table again of a whole snapshot and those of what changed since.
func restore(t *testing.T, d state.Decl, chain ...*state.Snapshot) *state.Table {
	t.Helper()
	table, err := state.Restore(d, chain...)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// TestSendersChanges: what is noted of messages, and when they came last, is in the snapshot of what has changed since.
func TestSendersChanges(t *testing.T) {
	ch := &plan.Channel{Config: &config.Channel{Name: "c"}}
	d := ch.SentDecl()
	s := &senders{table: state.New(d), full: &Counter{}}
	first, second := decode.Envelope{Session: 1, Packet: 1}, decode.Envelope{Session: 1, Packet: 2} // of one row
	s.judge(&first, 11, 1000)
	chain := []*state.Snapshot{s.table.Snapshot(true)}
	s.judge(&second, 22, 2000)
	chain = append(chain, s.table.Snapshot(false))
	second.Resent = true
	if s.table = restore(t, d, chain...); !s.judge(&second, 22, 3000) {
		t.Error("a message that came is not known")
	}
	s.table = restore(t, d, chain...)
	chain = append(chain[:0], s.table.Snapshot(true))
	if !s.judge(&second, 22, 3000) {
		t.Error("a message that came is not known again")
	}
	chain = append(chain, s.table.Snapshot(false))
	s.table = restore(t, d, chain...)
	if second.Settled = 2500; !s.judge(&second, 22, 4000) {
		t.Error("a message came at 3000, which is not known: it was settled at 2500")
	}
	if second.Settled = 4500; s.judge(&second, 22, 5000) {
		t.Error("a message that was settled is taken for a duplicate")
	}
}

// TestRepeatsChanges: so are duplicates that were found, and where the next is noted.
func TestRepeatsChanges(t *testing.T) {
	ch := &plan.Channel{Config: &config.Channel{Name: "c"}}
	d := ch.RepeatsDecl()
	r := newRepeats(d, 0)
	chain := []*state.Snapshot{r.table.Snapshot(true)}
	for i, offset := range []int64{5, 6, 100, 101, 300} {
		r.note(offset, wholeRecord)
		chain = append(chain, r.table.Snapshot(false))
		again := restore(t, d, chain...)
		if got, want := again.I64(0), r.table.I64(0); !slices.Equal(got[:3*again.Slots()], want[:3*r.table.Slots()]) {
			t.Fatalf("after %d duplicates it is %d, and not %d", i+1, got, want)
		}
	}
}
