package run

import (
	"errors"
	"maps"
	"slices"
	"sort"

	"github.com/tidemill/tidemill/engine/journal"
	"github.com/tidemill/tidemill/engine/plan"
)

// graph is everything that a plan has brought to life. It is changed only
// while nothing moves: by Open and by Swap.
type graph struct {
	plan      *plan.Plan
	logs      map[string]journal.Log // by channel
	flushers  []*flusher             // one a log
	tasks     []*task
	sinks     map[string]*sinker // by address
	sinkOrder []*sinker
	delivers  []*deliverer
	sources   []*sourcer
	left      map[string]*feed // by key: nobody writes there any more, and not all has been read
	stranded  []plan.HeldSpool // nobody delivers what they hold
}

func newGraph(p *plan.Plan) graph {
	return graph{plan: p, logs: map[string]journal.Log{}, sinks: map[string]*sinker{}, left: map[string]*feed{}}
}

// flusher returns the flusher of a channel.
func (g *graph) flusher(channel string) *flusher {
	for _, f := range g.flushers {
		if f.name == channel {
			return f
		}
	}
	panic("BUG: channel " + channel + " has a log and no flusher")
}

// closeBut closes what g has and other has not taken over: what reads or
// writes a log before the log.
func (g *graph) closeBut(other graph) error {
	var errs []error
	for _, s := range g.sources {
		if !contains(other.sources, s) {
			errs = append(errs, s.source.Close())
		}
	}
	for _, t := range g.tasks {
		if !contains(other.tasks, t) {
			t.close()
		}
	}
	for _, d := range g.delivers {
		if !contains(other.delivers, d) {
			errs = append(errs, d.close())
		}
	}
	for _, s := range g.sinkOrder {
		if s.feed != nil && other.feed(s.feed.key) == s.feed {
			s.drop()
			continue
		}
		if o := other.sinks[s.node.Address]; o == nil || o.sink != s.sink {
			errs = append(errs, s.close())
		}
	}
	for _, key := range slices.Sorted(maps.Keys(g.left)) {
		if f := g.left[key]; other.feed(key) != f {
			errs = append(errs, f.Close())
		}
	}
	for _, name := range g.channels() {
		if log := g.logs[name]; other.logs[name] != log {
			errs = append(errs, log.Close())
		}
	}
	return errors.Join(errs...)
}

// feed returns the feed of that key, in use or left; nil when there is none.
func (g *graph) feed(key string) *feed {
	for _, s := range g.sinkOrder {
		if s.feed != nil && s.feed.key == key {
			return s.feed
		}
	}
	return g.left[key]
}

// feeds lists the feeds there are, those that are left last.
func (g *graph) feeds() []*feed {
	var out []*feed
	for _, s := range g.sinkOrder {
		if s.feed != nil {
			out = append(out, s.feed)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(g.left)) {
		out = append(out, g.left[key])
	}
	return out
}

// channels lists the channels that have a log, sorted.
func (g *graph) channels() []string {
	names := make([]string, 0, len(g.logs))
	for name := range g.logs {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

func contains[T comparable](list []T, x T) bool {
	for _, y := range list {
		if x == y {
			return true
		}
	}
	return false
}
