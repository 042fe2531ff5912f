package run

import (
	"time"

	"github.com/tidemill/tidemill/engine/journal"
)

// finish moves a bounded run to its end, a step at a time: every ingest has
// ended; what they sent is durable and processed; an End stands in the
// journal behind it, so that windows close; a last checkpoint commits everything; spools
// are delivered; a checkpoint notes that.
func (c *coordinator) finish(now time.Time) (bool, error) {
	if !c.engine.o.StopAtEnd && !c.stopping.Load() {
		return false, nil
	}
	if !c.stopping.Load() {
		for _, s := range c.engine.sources {
			if !s.ended.Load() {
				return false, nil
			}
		}
		if ready, moved, err := c.endChannels(now); !ready {
			return moved, err
		}
	}
	if !c.sinksDrained() {
		return false, nil
	}
	return c.lastCheckpoint(now), nil
}

// endChannels makes sure that the last thing every task has met is an End.
func (c *coordinator) endChannels(now time.Time) (ready, moved bool, err error) {
	ready = true
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
			if err := f.appender.Control(journal.End, now.UnixMicro(), nil); err != nil {
				return false, false, err
			}
			c.engine.flushBell.ring()
		}
	}
	return ready, moved, nil
}

// caughtUp tells whether the tasks of a channel have met everything durable,
// and whether that was an End.
func (e *Engine) caughtUp(channel string) (caught, ended bool) {
	caught, ended = true, true
	for _, t := range e.tasks {
		if t.channel.Config.Name != channel {
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
	settled := true
	for _, d := range c.engine.delivers {
		if !d.drained() {
			return false
		}
		settled = settled && d.done.Load() == c.last.Delivered[d.key]
	}
	if !settled || c.engine.activity() != c.activity {
		c.begin(now, false)
		return true
	}
	c.finished.Store(true)
	return true
}
