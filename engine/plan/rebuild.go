package plan

import (
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/tidemill/tidemill/engine/flow"
)

// Past is what a channel's journal still holds, to make state of it again.
type Past struct {
	// Whole says that nothing was dropped. Since is else when the oldest record that is kept was received, us.
	Whole bool
	Since int64
	// Marks are the watermarks of the keys there are, us, rising.
	Marks []int64
	// Records counts those kept that were received from a time, us, on; with all, every one.
	Records func(from int64, all bool) uint64
}

// Slack is by how much, us, the time of a block in the journal may be before the receive time of its
// records, with much to spare: it is when the block was begun.
const Slack = int64(time.Minute / time.Microsecond)

// Reach is how far, us, the state of a stage looks back before the watermark of a key, with the stages before
// it. known is false where it may follow from all that ever came.
func (n *Node) Reach() (us int64, known bool) {
	if us = n.Bound.Reach; us == 0 && len(n.Bound.State) > 0 {
		return 0, false
	}
	before := int64(0)
	for _, in := range n.In {
		if in.Node == nil {
			continue
		}
		r, known := in.Node.Reach()
		if !known {
			return 0, false
		}
		before = max(before, r)
	}
	return us + before, true
}

// From is when the records were received that the state of a key follows from, at the earliest, us:
// reach before its watermark, which no clock is further ahead of than the channel allows.
func (ch *Channel) From(mark, reach int64) int64 {
	return mark - reach - ch.Config.Ahead.Microseconds() - Slack
}

// Rebuilds tells whether the state of a stage can be made again from its channel's journal.
func (n *Node) Rebuilds() bool {
	return !n.IsSink() && n.Home != nil && !n.Home.Fed && n != n.Home.Decoder
}

// fateOfState says what becomes of state of so many entries that means something else now.
func (n *Node) fateOfState(c Change, h *Held, held int64) Change {
	c.Entries = held
	anew := "its state means something else now: it starts empty, and what it holds for " + entries(held) + " is lost"
	switch {
	case !n.Rebuilds():
		c.Fate, c.Why = Lost, anew
		if n.Home != nil && n.Home.Fed {
			c.Why += ": it reads what pipelines feed, which is not kept to be read again"
		}
		return c
	case h.otherKeys(n.Home):
		c.Fate, c.Why = Lost, anew+": its channel has another key now"
		return c
	case h.Past == nil:
		c.Fate, c.Why = Rebuilt, "its state means something else now: it is made again from the journal"
		return c
	}
	past, err := h.Past(n.Home.Config.Name)
	if err != nil {
		c.Fate, c.Why = Lost, anew+": the journal cannot be read: "+err.Error()
		return c
	}
	c.Fate = Rebuilt
	reach, known := n.Reach()
	missing := 0
	if known {
		missing = sort.Search(len(past.Marks), func(i int) bool { return past.Whole || n.Home.From(past.Marks[i], reach) >= past.Since })
	}
	from := int64(0)
	if len(past.Marks) > 0 {
		from = n.Home.From(past.Marks[0], reach)
	}
	if !known && !past.Whole || missing > 0 {
		from = past.Since
	}
	since := strings.Trim(string(flow.AppendTime(nil, past.Since)), `"`)
	records := uint64(0)
	if !known || len(past.Marks) > 0 { // else nothing has come that state follows from
		records = past.Records(from, !known)
	}
	c.Why = fmt.Sprintf("its state means something else now: it is made again from at most %s of the journal", plural(int(min(records, 1<<62)), "record", "records"))
	switch {
	case missing > 0 && missing == len(past.Marks):
		c.Fate, c.Why = Lost, anew+": the records that it follows from are no longer in the journal, which begins at "+since
	case missing > 0:
		c.Why += fmt.Sprintf("; of %s of %s a part is lost, since the journal begins at %s", plural(missing, "key", "keys"), thousands(int64(len(past.Marks))), since)
	case !known && !past.Whole:
		c.Why += "; what came before " + since + " is no longer there, and what follows from it is lost"
	}
	return c
}

// otherKeys tells whether the channel had another key.
func (h *Held) otherKeys(ch *Channel) bool {
	decl := ch.KeysDecl()
	for _, t := range h.Tables {
		if t.Address == "" && t.Decl.Name == decl.Name && !t.Decl.Same(decl) {
			return true
		}
	}
	return false
}

// Anew lists the stages of the plan that must make state again, where another plan has run: those that were there and declare
// tables that they did not. Order is the plan's.
func (p *Plan) Anew(was *Plan) (out []*Node) {
	before := map[string]*Node{}
	for _, n := range was.nodes() {
		before[n.Address] = n
	}
	for _, n := range p.nodes() {
		w := before[n.Address]
		if w == nil || len(w.Bound.State) == 0 || !n.Rebuilds() {
			continue
		}
		for _, d := range n.Bound.State {
			if !w.declares(d) {
				out = append(out, n)
				break
			}
		}
	}
	return out
}

// HeldSpool is a spool of which not all is delivered.
type HeldSpool struct {
	Address string `json:"address"` // of its sink
	Key     string `json:"-"`       // Node.SinkKey
	Dir     string `json:"dir"`
	Batches uint64 `json:"batches"` // of rows, undelivered
}

// SinkKey names what a sink's state belongs to: the same place, leading to the same thing.
func (n *Node) SinkKey() string {
	if n.Bound.Moves {
		return n.Address + " " + n.Spec.Type
	}
	if n.Bound.Identity != "" {
		return n.Address + " " + n.Bound.Identity
	}
	return n.Address + " " + n.ArgsDigest
}

// SinkKeys are the keys of the plan's sinks.
func (p *Plan) SinkKeys() map[string]bool {
	keys := map[string]bool{}
	for _, n := range p.nodes() {
		if n.IsSink() {
			keys[n.SinkKey()] = true
		}
	}
	return keys
}

// strands says what a sink's spools hold that nobody would deliver under the plan.
func (p *Plan) strands(h *Held, address string) string {
	keys, why := p.SinkKeys(), ""
	for _, s := range h.Spools {
		if s.Address == address && !keys[s.Key] {
			why += fmt.Sprintf("; %s of rows undelivered in %s: what is not delivered when the change is made stays there, and comes to the sink if it comes back as it was",
				plural(int(min(s.Batches, 1<<62)), "batch", "batches"), s.Dir)
		}
	}
	return why
}
