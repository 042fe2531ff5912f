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

// wait returns when the bell rang, stop is closed, or the pause is over.
func (b bell) wait(stop <-chan struct{}, clock env.Clock, pause time.Duration) {
	cancel := clock.After(pause, b.ring)
	defer cancel()
	select {
	case <-b:
	case <-stop:
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
