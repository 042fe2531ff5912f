package publish

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Crowd is a number of clients of one broker. Safe for concurrent use.
type Crowd struct {
	o     Options
	dials chan struct{} // a place for each connection that is being made
	quit  context.Context
	stop  context.CancelFunc
	stats counters
	alive sync.WaitGroup // clients
	pens  sync.WaitGroup // writers

	mu      sync.Mutex
	some    sync.Cond
	dirty   []*Client // that have bytes to write, in order
	ended   bool      // no more will be written
	clients []*Client
	closed  bool

	waiting  atomic.Int64 // messages that are not done
	sleepers atomic.Int32
	fewer    chan struct{} // told when messages are done while somebody sleeps
}

// New makes a crowd without members. Close it.
func New(o Options) *Crowd {
	o.setDefaults()
	c := &Crowd{o: o, dials: make(chan struct{}, o.Dials), fewer: make(chan struct{}, 1)}
	c.quit, c.stop = context.WithCancel(context.Background())
	c.some.L = &c.mu
	for range o.Writers {
		c.pens.Add(1)
		go c.write()
	}
	return c
}

// Client adds a client, which connects by itself, and again whenever it has to.
func (c *Crowd) Client(id string) *Client {
	cl := &Client{crowd: c, id: id, change: make(chan struct{}, 1)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		panic("BUG: a client joins a crowd that is closed")
	}
	c.clients = append(c.clients, cl)
	c.alive.Add(1)
	go cl.live()
	return cl
}

// Waiting is how many messages are not done.
func (c *Crowd) Waiting() int64 { return c.waiting.Load() }

// Below waits until fewer than n messages are not done; with 1, until all are. It
// returns the context's error when that ends first.
func (c *Crowd) Below(ctx context.Context, n int64) error {
	for c.waiting.Load() >= n {
		c.sleepers.Add(1)
		if c.waiting.Load() >= n {
			select {
			case <-c.fewer:
			case <-ctx.Done():
				c.sleepers.Add(-1)
				return ctx.Err()
			}
		}
		c.sleepers.Add(-1)
	}
	c.less(0) // whoever else waits
	return nil
}

// less notes that n messages are done.
func (c *Crowd) less(n int64) {
	c.waiting.Add(-n)
	if c.sleepers.Load() > 0 {
		select {
		case c.fewer <- struct{}{}:
		default:
		}
	}
}

// farewell is how long Close waits for connections that take nothing.
const farewell = 2 * time.Second

// Close says goodbye to the broker on all connections and ends everything.
// What is not done stays so.
func (c *Crowd) Close() {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.closed = true
	clients := c.clients
	c.mu.Unlock()
	for _, cl := range clients {
		cl.leave()
	}
	c.stop()
	stop := c.o.Env.Clock.After(farewell, func() {
		for _, cl := range clients {
			cl.cut()
		}
	})
	c.alive.Wait()
	stop()
	c.mu.Lock()
	c.ended = true
	c.some.Broadcast()
	c.mu.Unlock()
	c.pens.Wait()
}

// wants puts a client on the writers' list. The client's lock may be held.
func (c *Crowd) wants(cl *Client) {
	c.mu.Lock()
	c.dirty = append(c.dirty, cl)
	c.mu.Unlock()
	c.some.Signal()
}

// write is the life of a writer.
func (c *Crowd) write() {
	defer c.pens.Done()
	for {
		c.mu.Lock()
		for len(c.dirty) == 0 && !c.ended {
			c.some.Wait()
		}
		if len(c.dirty) == 0 {
			c.mu.Unlock()
			return
		}
		cl := c.dirty[0]
		c.dirty[0] = nil
		if c.dirty = c.dirty[1:]; len(c.dirty) == 0 {
			c.dirty = nil
		}
		c.mu.Unlock()
		cl.flush()
	}
}

// pause waits, or until f tells something, or until the end.
func (c *Crowd) pause(d time.Duration, f <-chan struct{}) {
	passed := make(chan struct{})
	defer c.o.Env.Clock.After(d, func() { close(passed) })()
	select {
	case <-passed:
	case <-f:
	case <-c.quit.Done():
	}
}
