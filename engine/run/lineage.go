package run

import (
	"slices"
	"time"

	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/stage"
)

// nearChange is how far a record's time of receipt and the time of a decision may be apart while it is open which of
// them the journal has first.
const nearChange = 5 * time.Second

// originOf returns what tells a sink which modules have made its rows.
func (e *Engine) originOf(n *plan.Node, pl *plan.Pipeline) func(from, to int64) stage.Origin {
	plugins := pluginsOf(n, pl)
	return func(from, to int64) stage.Origin {
		return stage.Origin{Plan: e.view.Load().plan.Digest, Plugins: e.rollouts.assigned(plugins, from, to)}
	}
}

// pluginsOf names the plugins whose stages stand before a sink, in other pipelines too when these feed the
// channel that it reads, and those that decode a channel's payloads; sorted.
func pluginsOf(n *plan.Node, pl *plan.Pipeline) []string {
	var names []string
	seen := map[*plan.Node]bool{}
	var walk func(n *plan.Node)
	walk = func(n *plan.Node) {
		if n == nil || seen[n] {
			return
		}
		seen[n] = true
		if n.Bound.Plugin != "" {
			names = append(names, n.Bound.Plugin)
		}
		for _, in := range n.In {
			walk(in.Node)
			if in.Channel != nil {
				walk(in.Channel.Decoder)
				for _, f := range in.Channel.Feeders {
					walk(f)
				}
			}
		}
	}
	walk(n)
	if n.Rejects {
		for _, x := range pl.Nodes {
			walk(x)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// assigned lists the modules that devices may have got of some plugins for records that were received from one time
// to another, us: what the decision before that said, and those since. It is decided by the history, which
// is there again after a crash, so that a file which is written again is the same.
func (r *rollouts) assigned(plugins []string, from, to int64) []string {
	if len(plugins) == 0 {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	before := map[string]RolloutEvent{} // by rollout, or plugin of a base: the latest before from
	known := map[string]bool{}
	take := func(ev RolloutEvent) {
		known[ev.Plugin] = true
		out = append(out, ev.Stable)
		if ev.Canary != "" && ev.Action != "shadow" { // what a shadow gives is discarded
			out = append(out, ev.Canary)
		}
	}
	slack := nearChange.Microseconds()
	for _, ev := range r.file.History {
		at := ev.At.UnixMicro()
		switch {
		case !slices.Contains(plugins, ev.Plugin):
		case at < from-slack:
			before[ev.Rollout+" "+ev.Plugin] = ev
		case at <= to+slack:
			take(ev)
		}
	}
	for _, ev := range before {
		if ev.Action != "remove" {
			take(ev)
		}
	}
	for _, name := range plugins {
		if !known[name] { // the history no longer reaches back so far
			out = append(out, r.file.Book.Base(name))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
