package run

import (
	"errors"
	"fmt"

	"github.com/tidemill/tidemill/engine/plan"
)

// Swap exchanges the graph for the one that was asked for. The driver calls it
// after ErrSwap, while no actor moves. Everything new is opened before
// anything old is closed; on an error the old graph goes on. Tables, sinks, spools and
// ingests whose declaration is the same are kept.
func (e *Engine) Swap() error {
	c := e.coord
	c.mu.Lock()
	req := c.swap
	c.swap = nil
	c.mu.Unlock()
	err := e.swapTo(req.plan)
	e.request.Store(nil)
	for _, t := range e.tasks {
		t.paused.Store(false)
	}
	if err == nil {
		e.publish()
		// The next checkpoint is full and comes at once: it is what makes the swap durable.
		c.forceful = true
		c.nextCheckpoint = e.env.Clock.Now()
		e.report("the new configuration runs from here on")
	}
	req.done <- err
	return err
}

// graph is what a swap exchanges.
type graph struct {
	plan      *plan.Plan
	tasks     []*task
	sinks     map[string]*sinker
	sinkOrder []*sinker
	delivers  []*deliverer
	sources   []*sourcer
}

func (e *Engine) graph() graph {
	return graph{e.plan, e.tasks, e.sinks, e.sinkOrder, e.delivers, e.sources}
}

func (e *Engine) setGraph(g graph) {
	e.plan, e.tasks, e.sinks, e.sinkOrder, e.delivers, e.sources = g.plan, g.tasks, g.sinks, g.sinkOrder, g.delivers, g.sources
}

func (e *Engine) swapTo(p *plan.Plan) error {
	for _, ch := range p.Channels {
		if log := e.logs[ch.Config.Name]; log != nil && log.Partitions() != ch.Config.Partitions {
			return fmt.Errorf("channel.%s has %d partitions and cannot change to %d: make another channel", ch.Config.Name, log.Partitions(), ch.Config.Partitions)
		}
	}
	e.env.Point("swap.begin")
	old := e.graph()
	e.setGraph(graph{plan: p, sinks: map[string]*sinker{}})
	if err := e.openBeside(old); err != nil {
		half := e.graph()
		e.setGraph(old)
		return errors.Join(err, half.closeBut(old))
	}
	e.env.Point("swap.opened")
	now := e.graph()
	return old.closeBut(now)
}

// openBeside opens the new graph, taking over from the old one what stays.
func (e *Engine) openBeside(old graph) error {
	for _, ch := range e.plan.Channels {
		if e.logs[ch.Config.Name] == nil {
			if err := e.openLog(ch, nil); err != nil {
				return err
			}
		}
	}
	for _, pl := range e.plan.Pipelines {
		for _, n := range pl.Nodes {
			if n.IsSink() {
				if err := e.swapSink(n, pl.Channel.Config.Partitions, old); err != nil {
					return fmt.Errorf("%s: %w", n.Address, err)
				}
			}
		}
	}
	for _, ch := range e.plan.Channels {
		if !e.isRead(ch) {
			continue
		}
		for part := range ch.Config.Partitions {
			t, err := e.openTask(ch, part, old.handOver(ch.Config.Name, part))
			if err != nil {
				return err
			}
			e.tasks = append(e.tasks, t)
		}
	}
	return e.swapSources(old)
}

// handOver gives a task's state to its successor, as a checkpoint would.
func (g graph) handOver(channel string, part int) *restored {
	for _, t := range g.tasks {
		if t.channel.Config.Name == channel && t.part == part {
			return &restored{
				state: partState{Next: t.next.Load(), Ended: t.ended.Load(), Tick: t.tick, Fields: t.learned()}, tables: t.have(),
			}
		}
	}
	return nil
}

func (e *Engine) swapSink(n *plan.Node, lanes int, old graph) error {
	was := old.sinks[n.Address]
	if was == nil || was.key != sinkKey(n) || was.node.ArgsDigest != n.ArgsDigest {
		s, err := e.openSink(n, lanes, e.coord.last)
		if err == nil {
			e.sinks[n.Address] = s
			e.sinkOrder = append(e.sinkOrder, s)
		}
		return err
	}
	s := e.newSinker(n, lanes)
	s.sink, s.rowsOut, s.failures = was.sink, was.rowsOut, was.failures
	e.sinks[n.Address] = s
	e.sinkOrder = append(e.sinkOrder, s)
	for _, d := range old.delivers {
		if d.key == s.key {
			e.delivers = append(e.delivers, d)
		}
	}
	return nil
}

func (e *Engine) swapSources(old graph) error {
	for _, n := range e.plan.Ingests {
		if !n.Block.Enabled {
			continue
		}
		var kept *sourcer
		for _, s := range old.sources {
			if s.node.Address == n.Address && s.node.Digest == n.Digest && s.node.Block.To.Name == n.Block.To.Name {
				kept = s
			}
		}
		if kept == nil {
			s, err := e.openSource(n)
			if err != nil {
				return fmt.Errorf("%s: %w", n.Address, err)
			}
			kept = s
		}
		e.sources = append(e.sources, kept)
	}
	return nil
}

// closeBut closes what g has and other has not taken over.
func (g graph) closeBut(other graph) error {
	var errs []error
	for _, t := range g.tasks {
		t.close()
	}
	for _, s := range g.sinkOrder {
		if o := other.sinks[s.node.Address]; o == nil || o.sink != s.sink {
			errs = append(errs, s.close())
		}
	}
	for _, d := range g.delivers {
		if !contains(other.delivers, d) {
			errs = append(errs, d.close())
		}
	}
	for _, s := range g.sources {
		if !contains(other.sources, s) {
			errs = append(errs, s.source.Close())
		}
	}
	return errors.Join(errs...)
}

func contains[T comparable](list []T, x T) bool {
	for _, y := range list {
		if x == y {
			return true
		}
	}
	return false
}
