package run

import (
	"context"
	"errors"
	"fmt"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/stage"
)

const takesFirst = stage.TakesFirst

// sinkKey names a sink's token: the same place, leading to the same thing.
func sinkKey(n *plan.Node) string {
	if n.Bound.Identity != "" {
		return n.Address + " " + n.Bound.Identity
	}
	return n.Address + " " + n.ArgsDigest
}

// openSinks opens the sinks of a plan and takes back what they wrote after the checkpoint.
func (e *Engine) openSinks(p *plan.Plan, last *checkpoint) error {
	for _, pl := range p.Pipelines {
		for _, n := range pl.Nodes {
			if !n.IsSink() {
				continue
			}
			s, err := e.openSink(n, pl.Channel.Config, last, nil)
			if err != nil {
				return fmt.Errorf("%s: %w", n.Address, err)
			}
			e.sinks[n.Address] = s
			e.sinkOrder = append(e.sinkOrder, s)
		}
	}
	return nil
}

// openSink opens a sink with a lane from every partition of the channel; one
// that cannot commit with the epoch gets a spool, and a deliverer behind it. was, if
// not nil, is the deliverer of the same sink with other arguments, whose spool it takes over.
func (e *Engine) openSink(n *plan.Node, ch *config.Channel, last *checkpoint, was *deliverer) (*sinker, error) {
	s := e.newSinker(n, ch.Partitions)
	d := &deliverer{engine: e, node: n, key: s.key, channel: ch.Name, delivered: last.Delivered[s.key], rowsOut: &Counter{}}
	refuse := d.refuse
	if n.Bound.Delivery == stage.Transactional {
		refuse = func(r stage.Reject) { e.sinkRejects(n.Address, r) }
	}
	real, err := n.Bound.OpenSink(stage.Opening{Env: e.env, DataDir: e.o.Data, Alloc: e.alloc, Address: n.Address, Partition: -1, Plan: e.plan.Digest, Hub: e.hub,
		Reject: refuse, Count: e.counter(n.Address), Report: e.report})
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

// laneOf is the number of a task's lane in the sinks of its pipelines.
func (e *Engine) laneOf(t *task) int { return t.part }

func (e *Engine) newSinker(n *plan.Node, lanes int) *sinker {
	s := &sinker{env: e.env, node: n, key: sinkKey(n), ctx: func() context.Context { return e.working }, wake: e.sinkBell, parked: make([]bool, lanes), report: e.report,
		rowsOut: &Counter{}, failures: &Counter{}}
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
