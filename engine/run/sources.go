package run

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/decode"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/journal"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/stage"
)

// sourcer drives an ingest.
type sourcer struct {
	engine  *Engine
	node    *plan.Node
	channel *plan.Channel // as it was when the source was opened
	source  stage.Source
	retry   backoff
	told    string
	trouble atomic.Pointer[string] // why the latest step failed, nil if it did not; for onlookers
	ended   atomic.Bool            // read by the coordinator
}

func (e *Engine) openSource(n *plan.Node) (*sourcer, error) {
	ch := e.plan.Channel(n.Block.To.Name)
	s, log := &sourcer{engine: e, node: n, channel: ch}, e.logs[ch.Config.Name]
	src, err := n.Bound.OpenSource(
		stage.Opening{Env: e.env, DataDir: e.o.Data, Alloc: e.alloc, Address: n.Address, Partition: -1, Hub: e.hub,
			Reject: func(r stage.Reject) { e.report(n.Address + ": " + r.Reason) }, Count: e.counter(n.Address)},
		stage.SourceEnv{Channel: ch.Config, Past: log, Journal: &throttled{log.Appender(), e, ch.Config.Name, n.Bound.Push},
			Partition: partitioner(ch.Config), NewPartition: func() func([]byte) int { return partitioner(ch.Config) }, Once: e.o.Once})
	if err != nil {
		return nil, err
	}
	s.source = src
	return s, nil
}

// partitioner sends a payload to the partition of its key. Payloads without a
// key go to partition 0, where the decoder tells what is wrong with them.
func partitioner(c *config.Channel) func([]byte) int {
	if c.Key == "" || c.Partitions == 1 {
		return func([]byte) int { return 0 }
	}
	f := decode.NewKeyFinder(c.Key)
	return func(payload []byte) int {
		h, ok := f.Hash(payload)
		if !ok {
			return 0
		}
		return flow.PartitionOf(h, c.Partitions)
	}
}

// serves tells whether the source can go on as n, feeding ch: what it was opened
// with is the same.
func (s *sourcer) serves(n *plan.Node, ch *plan.Channel) bool {
	was, is := s.channel.Config, ch.Config
	return s.node.Address == n.Address && s.node.Digest == n.Digest && was.Name == is.Name &&
		was.Key == is.Key && (was.Decode == nil) == (is.Decode == nil) && slices.EqualFunc(was.Schema, is.Schema, func(a, b config.Field) bool {
		return a.Name == b.Name && a.Unit == b.Unit && arrow.TypeEqual(a.Type, b.Type)
	})
}

// throttled is the journal as a source sees it that can wait: it is busy while
// a whole group waits to be written, and while the tasks are further behind than a
// queue may hold, so that what is written and read next is still in the
// processor's cache.
type throttled struct {
	journal.Appender
	engine  *Engine
	channel string
	push    bool // never busy for that reason
}

func (t *throttled) Append(b journal.Batch) error {
	if !t.push && (t.Pending() >= bulkBytes || t.engine.behind(t.channel)) {
		return journal.ErrBusy
	}
	err := t.Appender.Append(b)
	if err == nil {
		t.engine.flushBell.ring()
	}
	return err
}

func (s *sourcer) Name() string { return s.node.Address }

func (s *sourcer) Step() (bool, error) {
	now := s.engine.env.Clock.Now()
	if s.ended.Load() || s.retry.waiting(now) {
		return false, nil
	}
	status, err := s.source.Step()
	if err != nil {
		s.fails(err)
		s.engine.count(s.node.Address+" errors", 1)
		s.retry.fail(now)
		return false, nil
	}
	if s.retry.pause > 0 {
		s.retry, s.told = backoff{}, ""
		s.trouble.Store(nil)
	}
	if status == stage.Ended {
		s.ended.Store(true)
		s.engine.coordBell.ring()
	}
	return status == stage.Busy, nil
}

// fails tells people why a step failed, unless the journal is full, of which the channel tells.
func (s *sourcer) fails(err error) {
	var full *journal.ErrFull
	if errors.As(err, &full) {
		s.trouble.Store(nil)
		return
	}
	why := err.Error()
	s.trouble.Store(&why)
	if s.told != why {
		s.told = why
		s.engine.report(fmt.Sprintf("%s: %s; trying again", s.node.Address, why))
	}
}

// bulkBytes is how much is written at once when much comes: with less the
// syncs weigh, and with more it has left the processor's cache before the tasks read it.
const bulkBytes = 1 << 20

// flusher makes one channel's appends durable: at once when much waits, or
// after the linger, so that what comes together is synced together.
type flusher struct {
	engine   *Engine
	name     string
	appender journal.Appender
	since    time.Time              // when something began to wait
	until    time.Time              // while the disk is full
	trouble  atomic.Pointer[string] // why appends wait, as it was told; nil: they do not
}

func (f *flusher) Name() string { return "flush " + f.name }

func (f *flusher) Step() (bool, error) {
	pending := f.appender.Pending()
	if pending == 0 {
		f.since = time.Time{}
		return false, nil
	}
	now := f.engine.env.Clock.Now()
	if now.Before(f.until) {
		return false, nil
	}
	if f.since.IsZero() {
		f.since = now
	}
	if pending < bulkBytes && now.Sub(f.since) < f.engine.plan.Config.Engine.Linger {
		return false, nil
	}
	f.since = time.Time{}
	f.engine.groups.Add(1)
	f.engine.grouped.Add(int64(pending))
	err := f.appender.Flush()
	var full *journal.ErrFull
	switch {
	case errors.As(err, &full):
		if f.trouble.Load() == nil {
			f.engine.report(fmt.Sprintf("channel.%s: %v; appends wait until there is room", f.name, err))
			why := err.Error()
			f.trouble.Store(&why)
		}
		f.engine.count("channel."+f.name+" full", 1)
		f.until = now.Add(200 * time.Millisecond)
		return false, nil
	case err != nil:
		return false, fmt.Errorf("channel.%s: %w", f.name, err)
	}
	if f.trouble.Swap(nil) != nil {
		f.engine.report(fmt.Sprintf("channel.%s: there is room again", f.name))
	}
	f.engine.taskBell.ring()
	f.engine.sourceBell.ring() // a source may wait for the group to be written
	return true, nil
}
