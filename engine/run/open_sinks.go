package run

import (
	"context"
	"errors"
	"fmt"

	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/stage"
)

const takesFirst = stage.TakesFirst

// openSinks opens the sinks of a plan and takes back what they wrote after the checkpoint.
func (e *Engine) openSinks(p *plan.Plan, last *checkpoint) error {
	for _, pl := range p.Pipelines {
		for _, n := range pl.Nodes {
			if !n.IsSink() {
				continue
			}
			s, err := e.openSink(n, pl, last, nil)
			if err != nil {
				return fmt.Errorf("%s: %w", n.Address, err)
			}
			e.sinks[n.Address] = s
			e.sinkOrder = append(e.sinkOrder, s)
		}
	}
	return nil
}

// openSink opens a sink with a lane from every task that gives it rows; one
// that cannot commit with the epoch gets a spool, and a deliverer behind it. was, if
// not nil, is the deliverer of the same sink with other arguments, whose spool it takes over.
func (e *Engine) openSink(n *plan.Node, pl *plan.Pipeline, last *checkpoint, was *deliverer) (*sinker, error) {
	s, ch := e.newSinker(n, pl), pl.Channel.Config
	if n.Feeds != nil {
		to := n.Feeds.Config
		f, err := e.openFeed(s.key, to.Name, len(s.lanes), to.Partitions, to.Retention, last.Tokens[s.key])
		if err == nil {
			s.feedTo(f, n.Feeds)
		}
		return s, err
	}
	d := &deliverer{engine: e, node: n, key: s.key, channel: ch.Name, delivered: last.Delivered[s.key], rowsOut: &Counter{}}
	refuse := d.refuse
	if n.Bound.Delivery == stage.Transactional {
		refuse = func(r stage.Reject) { e.sinkRejects(n.Address, r) }
	}
	real, err := n.Bound.OpenSink(stage.Opening{Env: e.env, DataDir: e.o.Data, Alloc: e.alloc, Address: n.Address, Partition: -1, Hub: e.hub,
		Origin: e.originOf(n, pl), Reject: refuse, Count: e.counter(n.Address), Report: e.report})
	if err != nil {
		return nil, err
	}
	if n.Bound.Delivery == stage.Transactional {
		s.sink = real
		if err := real.Recover(e.working, last.Tokens[s.key]); err != nil {
			return nil, errors.Join(err, real.Close())
		}
		return s, nil
	}
	if was != nil {
		return s, e.inherit(s, d, real, was)
	}
	sp, err := openSpool(e.env, spoolDir(e.o.Data, n), last.Tokens[s.key], &e.o)
	if err != nil {
		return nil, errors.Join(err, real.Close())
	}
	s.sink, d.spool, d.sink = sp, sp, real
	sp.marks = keeper(real) != nil
	if err := d.open(); err != nil {
		return nil, errors.Join(err, d.close(), sp.Close())
	}
	e.delivers = append(e.delivers, d)
	return s, nil
}

// laneOf returns a task's lane to the sink; nil where it gives it no rows, or there is no sink.
func (s *sinker) laneOf(t *task) *lane {
	if s == nil {
		return nil
	}
	base, ok := s.bases[t.name]
	if !ok {
		return nil
	}
	return s.lanes[base+t.part]
}

func (e *Engine) newSinker(n *plan.Node, pl *plan.Pipeline) *sinker {
	homes, lanes, bases := n.Homes(pl), 0, map[string]int{}
	for _, h := range homes {
		bases[h.Config.Name] = lanes
		lanes += h.Config.Partitions
	}
	s := &sinker{env: e.env, node: n, key: n.SinkKey(), ctx: func() context.Context { return e.working }, wake: e.sinkBell, bases: bases, parked: make([]bool, lanes), report: e.report,
		rowsOut: &Counter{}, failures: &Counter{}}
	if n.Feeds != nil {
		s.key = feedKey(n, homes)
	}
	s.answer = func(epoch uint64, token []byte) { e.sinkDone(epoch, s.key, token) }
	s.tasks = lanes
	if n.Rejects {
		lanes++ // of what sinks behind spools reject
		s.parked = make([]bool, lanes)
	}
	for range lanes {
		s.lanes = append(s.lanes, newLane(max(1, e.plan.Config.Engine.QueueRows/lanes), e.sinkBell, e.taskBell))
	}
	return s
}
