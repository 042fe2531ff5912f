package run

import (
	"cmp"
	"slices"

	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/state"
)

// StateStatus tells how much a table holds, over all partitions, as of the latest tick of each.
type StateStatus struct {
	Owner   string `json:"owner"` // a stage's address, or a channel such as "channel.telemetry"
	Table   string `json:"table"`
	Entries int64  `json:"entries"`
	// Bytes are those of its memory, with the room that it has made; of a stage's first table also what the stage holds
	// beside its tables, if it tells (stage.Sized).
	Bytes int64 `json:"bytes"`
}

// measure notes how much memory the task's tables take, for onlookers.
func (t *task) measure() {
	var out []StateStatus
	add := func(owner string, beside int64, tables []*state.Table) {
		for _, tb := range tables {
			out = append(out, StateStatus{owner, tb.Decl().Name, int64(tb.Len()), tb.MemoryBytes() + beside})
			beside = 0
		}
	}
	add("channel."+t.name, 0, t.ownTables())
	if t.plugin != nil {
		add(t.plugin.plan.Address, 0, t.plugin.tables)
	}
	for _, p := range t.pipes {
		for _, n := range p.nodes {
			beside := int64(0)
			if s, ok := n.stage.(stage.Sized); ok {
				beside = s.MemoryBytes()
			}
			add(n.plan.Address, beside, n.tables)
		}
	}
	t.counters.state.Store(&out)
}

// state sums up what the tables of all tasks hold, by owner and table.
func (v *graph) state() []StateStatus {
	var all, out []StateStatus
	for _, t := range v.tasks {
		if held := t.counters.state.Load(); held != nil {
			all = append(all, *held...)
		}
	}
	slices.SortFunc(all, func(a, b StateStatus) int {
		return cmp.Or(cmp.Compare(a.Owner, b.Owner), cmp.Compare(a.Table, b.Table))
	})
	for _, s := range all {
		if n := len(out); n > 0 && out[n-1].Owner == s.Owner && out[n-1].Table == s.Table {
			out[n-1].Entries, out[n-1].Bytes = out[n-1].Entries+s.Entries, out[n-1].Bytes+s.Bytes
			continue
		}
		out = append(out, s)
	}
	return out
}
