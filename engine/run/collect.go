package run

import (
	"slices"
	"time"
)

// underWay tells whether a checkpoint is being taken: tasks and sinks are asked, or the writer is at it. One at a time: snapshots
// of the next one would be deltas to one of which nobody knows yet whether it will be.
func (c *coordinator) underWay() bool {
	c.mu.Lock()
	asked := c.answers != nil
	c.mu.Unlock()
	return asked || c.engine.writer.job.Load() != nil
}

// collect hands the checkpoint to the writer once everybody has answered, and takes it back.
func (c *coordinator) collect(now time.Time) (moved bool) {
	if j := c.engine.writer.job.Load(); j != nil {
		return c.takeBack(now, j)
	}
	c.mu.Lock()
	a := c.answers
	whole := len(a.parts) == len(c.engine.tasks) && len(a.tokens) == len(c.engine.sinkOrder)
	c.mu.Unlock()
	if !whole || c.retry.waiting(now) {
		return false
	}
	c.engine.writer.give(c.checkpointOf(a), c.last, a.req.place)
	return true
}

// takeBack looks how far the writer is.
func (c *coordinator) takeBack(now time.Time, j *writing) (moved bool) {
	switch j.how() {
	case beingWritten:
		return false
	case notWritten:
		c.engine.writer.job.Store(nil)
		c.writeFailed(now, j.err)
		return false
	}
	over := j.how() == cleanedUp
	if !j.settled {
		c.settle(j)
	} else if !over {
		return false
	}
	if over {
		c.engine.writer.job.Store(nil)
		c.tell(j.err)
	}
	return true
}

// settle tells everybody that a checkpoint is durable: sinks may commit, and the journal forget.
func (c *coordinator) settle(j *writing) {
	if c.retry.pause > 0 {
		c.retry = backoff{}
		c.trouble.Store(nil)
		c.engine.report("checkpoints can be written again")
	}
	c.mu.Lock()
	a := c.answers
	c.answers = nil
	c.mu.Unlock()
	if a.req.full {
		c.fullSize, c.sizes = j.size, 0
	} else {
		c.sizes += j.size
	}
	j.settled, c.forceful = true, false
	c.last.before = nil
	if len(j.checkpoint.Chain) > 0 {
		j.checkpoint.before = c.last
	}
	c.last, c.engine.epoch = j.checkpoint, j.checkpoint.Epoch
	for _, s := range c.engine.sinkOrder {
		s.commit(a.tokens[s.key])
	}
	c.checkpoints.Add(1)
	after := c.engine.env.Clock.Now()
	c.duration.Store(int64(after.Sub(c.began)))
	c.shown.Store(&CheckpointStatus{Epoch: c.engine.epoch, At: after, Duration: after.Sub(c.began), Bytes: int(j.size + j.seldom)})
	c.nextCheckpoint, c.lastAt = c.began.Add(c.engine.plan.Config.Engine.Checkpoint), after
	c.hold()
}

func (c *coordinator) checkpointOf(a *answers) *checkpoint {
	next := &checkpoint{
		Epoch: a.req.epoch, Plan: c.engine.plan.Digest, Config: c.engine.plan.Config.Digest,
		Tokens: map[string][]byte{}, Delivered: map[string]uint64{}, Nodes: c.engine.plan.HeldNodes(),
		Parts: slices.Concat(a.parts, c.idleParts()), // not in the place of the answers: these may be asked again, and it will be sorted
	}
	for k, v := range c.last.Tokens {
		next.Tokens[k] = v
	}
	for k, v := range a.tokens {
		next.Tokens[k] = v
	}
	for k, v := range c.last.Delivered {
		next.Delivered[k] = v
	}
	for _, d := range c.engine.delivers {
		next.Delivered[d.key] = d.marked.Load()
	}
	next.Seldom, c.seldomSize = needed(c.last.Seldom, a.parts)
	if !a.req.full {
		next.Chain = append(append([]uint64(nil), c.last.Chain...), c.last.Epoch)
	}
	return next
}

// idleParts are the partitions of the last checkpoint that no task reads now.
func (c *coordinator) idleParts() []partState {
	read := map[string]bool{}
	for _, t := range c.engine.tasks {
		read[t.name] = true
	}
	var out []partState
	for i := range c.last.Parts {
		if p := &c.last.Parts[i]; !read[p.Channel] {
			out = append(out, p.idle())
		}
	}
	return out
}

// writeFailed reports and sees that the same checkpoint is tried again a little
// later: the tasks have answered and their changes are in it. Until then the
// journal keeps what has come in, so that there is nothing to stop for.
func (c *coordinator) writeFailed(now time.Time, err error) {
	c.failures.Add(1)
	if c.retry.pause == 0 {
		c.engine.report("the checkpoint could not be written: " + err.Error() + "; trying again")
	}
	why := err.Error()
	c.trouble.Store(&why)
	c.retry.fail(now)
}
