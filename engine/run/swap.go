package run

import (
	"cmp"
	"errors"
	"fmt"
	"time"

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
	_ = c.rebuild.close() // only reads
	c.rebuild = nil
	e.coord.hold()
	if err == nil {
		if err := e.rollouts.began(&e.graph); err != nil {
			e.report("rollouts: " + err.Error())
		}
	}
	e.request.Store(nil)
	for _, t := range e.tasks {
		t.paused.Store(false)
	}
	if err == nil {
		e.retain()
		e.findStranded()
		e.publish()
		// The next checkpoint is full and comes at once: it is what makes the swap durable.
		c.forceful = true
		c.nextCheckpoint = e.env.Clock.Now()
		e.report("the new configuration runs from here on")
	}
	req.done <- err
	return err
}

func (e *Engine) swapTo(p *plan.Plan) error {
	for _, ch := range p.Channels {
		if was := e.plan.Channel(ch.Config.Name); was != nil && was.Fed != ch.Fed {
			return fmt.Errorf("channel.%s cannot change between records of ingests and rows of pipelines: make another channel", ch.Config.Name)
		} else if was != nil && ch.Fed && was.Config.Partitions != ch.Config.Partitions {
			return fmt.Errorf("channel.%s has %d partitions and cannot change to %d: make another channel", ch.Config.Name, was.Config.Partitions, ch.Config.Partitions)
		}
		if log := e.logs[ch.Config.Name]; log != nil && log.Partitions() != ch.Config.Partitions {
			return fmt.Errorf("channel.%s has %d partitions and cannot change to %d: make another channel", ch.Config.Name, log.Partitions(), ch.Config.Partitions)
		}
	}
	// An ingest that is opened anew goes on behind what is durable: what the old
	// one has appended must be.
	for _, f := range e.flushers {
		if err := f.appender.Flush(); err != nil {
			return fmt.Errorf("channel.%s: %w", f.name, err)
		}
	}
	e.env.Point("swap.begin")
	old := e.graph
	e.graph = newGraph(p)
	e.before = &old
	defer func() { e.before = nil }()
	if err := e.openBeside(old); err != nil {
		half := e.graph
		e.graph = old
		for _, t := range old.tasks { // a task that was opened for another key has taken its place
			t.counters.devices.bind(t.keys, t.figures, t.clocks, t.channel)
		}
		return errors.Join(err, half.closeBut(old))
	}
	e.env.Point("swap.opened")
	e.publish() // before anything of the old graph is closed
	e.stranded = old.stranded
	e.leave(old)
	if err := old.closeBut(e.graph); err != nil {
		e.report("what the old configuration had open could not be closed: " + err.Error())
	}
	return nil
}

// retain lets journals keep what the plan says, from here on.
func (e *Engine) retain() {
	for _, ch := range e.plan.Channels {
		c := ch.Config
		if log := e.logs[c.Name]; log != nil {
			log.Retain(c.Retention, c.RetainBytes, cmp.Or(e.o.SegmentBytes, segmentFor(c.RetainBytes)))
		}
	}
	for _, s := range e.sinkOrder {
		if s.feed != nil {
			s.feed.log.Retain(max(s.node.Feeds.Config.Retention, time.Microsecond), 0, cmp.Or(e.o.SegmentBytes, spoolSegment))
		}
	}
	e.coord.nextTrim = time.Time{}
}

// openBeside opens the new graph, taking over from the old one what stays.
func (e *Engine) openBeside(old graph) error {
	idle := e.coord.last.idleParts()
	for _, ch := range e.plan.Channels {
		if ch.Fed {
			continue
		}
		if log := old.logs[ch.Config.Name]; log != nil {
			e.logs[ch.Config.Name] = log
			e.flushers = append(e.flushers, old.flusher(ch.Config.Name))
			continue
		}
		if err := e.openLog(ch, idle); err != nil {
			return err
		}
	}
	for _, pl := range e.plan.Pipelines {
		for _, n := range pl.Nodes {
			if n.IsSink() {
				if err := e.swapSink(n, pl, old); err != nil {
					return fmt.Errorf("%s: %w", n.Address, err)
				}
			}
		}
	}
	err := e.openTasks(func(channel string, part int) (*restored, error) {
		if r := old.handOver(channel, part); r != nil {
			return r, e.coord.rebuild.into(partID(channel, part), r)
		}
		return idle[partID(channel, part)], nil
	})
	if err != nil {
		return err
	}
	return e.swapSources(old)
}

// handOver gives a task's state to its successor, as a checkpoint would.
func (g graph) handOver(channel string, part int) *restored {
	for _, t := range g.tasks {
		if t.name == channel && t.part == part {
			r := &restored{
				state: partState{Next: t.next.Load(), Ended: t.ended.Load(), Tick: t.tick, Label: t.label, Fields: t.learned()}, tables: t.have(),
			}
			if t.merge != nil {
				r.state.Lanes = t.merge.states()
			}
			return r
		}
	}
	return nil
}

func (e *Engine) swapSink(n *plan.Node, pl *plan.Pipeline, old graph) error {
	was, s := old.sinks[n.Address], e.newSinker(n, pl)
	if f := old.feed(s.key); f != nil && n.Feeds != nil {
		s.feedTo(f, n.Feeds)
		if was != nil {
			s.rowsOut, s.failures = was.rowsOut, was.failures
		}
		e.sinks[n.Address] = s
		e.sinkOrder = append(e.sinkOrder, s)
		return nil
	}
	if was == nil || was.key != s.key || was.node.ArgsDigest != n.ArgsDigest {
		s, err := e.openSink(n, pl, e.coord.last, old.heirloom(n))
		if err == nil {
			e.sinks[n.Address] = s
			e.sinkOrder = append(e.sinkOrder, s)
		}
		return err
	}
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
			if s.serves(n, e.plan.Channel(n.Block.To.Name)) {
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
