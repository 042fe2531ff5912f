package run

import (
	"errors"
	"fmt"
	"time"

	"github.com/tidemill/tidemill/engine/journal"
)

// Limits of a stop.
const (
	stopPatience    = 10 * time.Second // for the last checkpoint
	deliverPatience = 2 * time.Second  // for deliverers, whose rows are safe in their spools
)

// finish moves a bounded run to its end, a step at a time: every ingest has
// ended; what they sent is durable and processed; an End stands in the
// journal behind it, so that windows close; a last checkpoint commits everything; spools
// are delivered; a checkpoint notes that.
func (c *coordinator) finish(now time.Time) (bool, error) {
	if c.stopping.Load() {
		return c.halt(now), nil
	}
	if !c.engine.o.StopAtEnd {
		return false, nil
	}
	for _, s := range c.engine.sources {
		if !s.ended.Load() {
			return false, nil
		}
	}
	if ready, moved, err := c.endChannels(now); !ready {
		return moved, err
	}
	if !c.sinksDrained() {
		return false, nil
	}
	if through, moved := c.feedsThrough(now); !through {
		return moved, nil
	}
	return c.lastCheckpoint(now), nil
}

// halt stops an unbounded run: all tasks stand still at a last barrier, however
// much is still to come, and the checkpoint of it is committed.
func (c *coordinator) halt(now time.Time) bool {
	if len(c.engine.tasks) > 0 {
		if !c.standing() {
			c.begin(now, true)
			return true
		}
		if !c.sinksDrained() {
			return false
		}
		if now.Sub(c.stopBegan) < deliverPatience {
			drained, noted := c.delivered()
			if !drained {
				return false
			}
			if !noted {
				c.begin(now, true)
				return true
			}
		}
	}
	c.finished.Store(true)
	return true
}

// givenUp tells whether a stop has taken too long: a sink or the disk fails
// again and again. Nothing is lost by going without a last checkpoint.
func (c *coordinator) givenUp(now time.Time) bool {
	if c.stopBegan.IsZero() {
		c.stopBegan = now
	}
	if c.finished.Load() || now.Sub(c.stopBegan) < stopPatience {
		return false
	}
	c.engine.report(fmt.Sprintf("stopped without a last checkpoint, which could not be made in %v; the next run goes on from checkpoint %d",
		stopPatience, c.last.Epoch))
	c.finished.Store(true)
	return true
}

// delivered tells whether all spools are delivered, and whether the last
// checkpoint knows of all that was.
func (c *coordinator) delivered() (drained, noted bool) {
	drained, noted = true, true
	for _, d := range c.engine.delivers {
		drained = drained && d.drained()
		noted = noted && d.done.Load() == c.last.Delivered[d.key]
	}
	return drained, noted
}

// endChannels makes sure that the last thing every task has met is an End.
func (c *coordinator) endChannels(now time.Time) (ready, moved bool, err error) {
	ready = true
	at := max(now.UnixMicro(), c.tick+1)
	for _, f := range c.engine.flushers {
		if f.appender.Pending() > 0 {
			return false, false, nil
		}
		caught, ended := c.engine.caughtUp(f.name)
		switch {
		case !caught:
			ready = false
		case !ended:
			ready, moved = false, true
			c.tick = at
			err := f.appender.Control(journal.End, at, nil)
			var full *journal.ErrFull
			if errors.As(err, &full) {
				return false, false, nil // sources wait for room too
			}
			if err != nil {
				return false, false, fmt.Errorf("channel.%s: %w", f.name, err)
			}
			c.engine.flushBell.ring()
		}
	}
	return ready, moved, nil
}

// feedsThrough tells whether all that pipelines feed to channels is through, and an end behind it. What
// waits to be committed comes with a checkpoint.
func (c *coordinator) feedsThrough(now time.Time) (through, moved bool) {
	fresh, dirty := false, false
	for _, f := range c.engine.feeds() {
		fresh, dirty = fresh || f.fresh.Load(), dirty || f.dirty.Load()
	}
	through = !fresh
	for _, t := range c.engine.tasks {
		if t.merge == nil {
			continue
		}
		if !t.merge.through() {
			return false, false
		}
		through = through && t.ended.Load()
	}
	if !through && dirty {
		c.begin(now, false)
		return false, true
	}
	return through, false
}

// caughtUp tells whether the tasks of a channel have met everything durable,
// and whether that was an End.
func (e *Engine) caughtUp(channel string) (caught, ended bool) {
	caught, ended = true, true
	for _, t := range e.tasks {
		if t.name != channel {
			continue
		}
		_, end := t.log.Bounds(t.part)
		caught = caught && t.next.Load() >= end
		ended = ended && t.ended.Load()
	}
	return caught, ended
}

func (c *coordinator) sinksDrained() bool {
	for _, s := range c.engine.sinkOrder {
		if !s.drained() {
			return false
		}
	}
	return true
}

func (c *coordinator) lastCheckpoint(now time.Time) bool {
	if len(c.engine.tasks) == 0 {
		c.finished.Store(true)
		return true
	}
	if !c.final {
		c.final = true
		c.begin(now, false)
		return true
	}
	drained, settled := c.delivered()
	if !drained {
		return false
	}
	if !settled || c.engine.activity() != c.activity {
		c.begin(now, false)
		return true
	}
	c.finished.Store(true)
	return true
}
