package run

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidemill/tidemill/engine/env"
)

// Actor is something that moves. Step is called by one goroutine at a time.
type Actor interface {
	// Step does a bounded piece of work and tells whether there was any. An
	// error is fatal to the engine.
	Step() (moved bool, err error)
	// Name is for messages, such as "task telemetry/3".
	Name() string
}

// bell wakes whoever waits for it. Ringing never blocks; rings between two
// waits count once.
type bell chan struct{}

func (b bell) ring() {
	select {
	case b <- struct{}{}:
	default:
	}
}

// sleeper waits for its bell, which a clock rings too.
type sleeper struct {
	bell
	clock  env.Clock
	due    time.Time // when the clock rings next, if that is still to come
	cancel func()    // that; nil: it was never to
}

// wait returns when the bell rang, stop is closed, or the pause is over; or earlier. A clock that was set for a wait before, and rings
// sooner than now asked for, is left as it is: mostly somebody else rings first, and to set and stop a clock each time takes as long as many a step.
func (s *sleeper) wait(stop <-chan struct{}, pause time.Duration) {
	if now := s.clock.Now(); s.cancel == nil || !now.Before(s.due) || s.due.After(now.Add(pause)) {
		s.leave()
		s.due, s.cancel = now.Add(pause), s.clock.After(pause, s.ring)
	}
	select {
	case <-s.bell:
	case <-stop:
	}
}

// leave stops the clock.
func (s *sleeper) leave() {
	if s.cancel != nil {
		s.cancel()
		s.cancel = nil
	}
}

// Counter counts something since the process started. Safe for concurrent use.
type Counter struct{ n atomic.Int64 }

// Add adds n.
func (c *Counter) Add(n int64) { c.n.Add(n) }

// Value returns the count.
func (c *Counter) Value() int64 { return c.n.Load() }

// bells are the bells of all goroutines of one kind.
type bells struct {
	mu   sync.Mutex
	list []bell
}

// join adds a bell for one goroutine.
func (b *bells) join() bell {
	own := make(bell, 1)
	b.mu.Lock()
	b.list = append(b.list, own)
	b.mu.Unlock()
	return own
}

func (b *bells) leaveAll() {
	b.mu.Lock()
	b.list = nil
	b.mu.Unlock()
}

func (b *bells) ring() {
	b.mu.Lock()
	for _, own := range b.list {
		own.ring()
	}
	b.mu.Unlock()
}
