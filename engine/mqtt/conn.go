package mqtt

import (
	"errors"
	"io"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

const (
	minBuffer   = 2 << 10
	maxBuffer   = 64 << 10 // beyond that a buffer grows only for a packet that needs it
	highWater   = 256 << 10
	maxTopics   = 1_024 // topics of a connection that are remembered
	shrinkAfter = 32    // small reads
)

// conn is one connection. One goroutine reads and does everything that packets
// ask for; bytes to write are gathered in out, and one of the server's writers
// writes them.
type conn struct {
	// What every message needs stands together, first what is of the reading goroutine.
	s          *Server
	sock       *sock
	t          io.ReadWriteCloser // sock, or TLS, WebSocket or both over it
	sess       *session
	last       *topic
	buf        []byte
	from, to   int // of buf: what has come and is not decoded yet
	acks       []ack
	batch      []Inbound
	v          Version
	graceful   bool  // DISCONNECT has come
	stored     bool  // something of the batch is being written down
	full       bool  // the last read filled the buffer: there may be more
	swept      bool  // a sweeper reads it
	place      int32 // there; -1: none
	now        time.Time
	nowUS      int64
	sessionTTL time.Duration
	quiet      int64 // when everything was answered, us; 0: since settled nothing is known
	settled    int64 // up to here the client has its answers, us

	waiting   atomic.Int32 // messages of QoS 1 in groups
	behind    atomic.Bool  // messages may wait in the session for room; set while session.mu is held
	mu        sync.Mutex
	scheduled bool
	closing   bool // after out is written
	dead      bool
	lent      bool // little is being written
	waiters   int32
	out       []byte
	counted   int        // bytes of out that are counted in the server's backlog
	groups    []*pending // batches not acknowledged yet, oldest first
	free      []*pending
	own       pending           // the first of free
	memory    handful           // memory, so that a connection with one batch on its way touches no other
	little    [littleBytes]byte // of out, where that is enough
	change    sync.Cond
	failed    []ack   // of batches that the inlet has not
	unsent    []ack   // of batches that it has, when the client was gone
	told      aliases // that the client knows

	// Of the reading goroutine.
	small    int // reads in a row that left the buffer mostly empty
	topics   map[string]*topic
	aliases  []*topic
	tokens   float64
	tokensAt time.Time
	failure  error         // what ended the reading, when a sweeper read
	owes     time.Duration // how long the client has to wait to be within its rate
	after    chan struct{} // closed when the inlet has what a sweeper read

	// Set before the session is attached.
	client    Client
	address   netip.Prefix  // that it is counted under
	gone      chan struct{} // closed when nothing of the connection is left
	sweeper   *sweeper      // nil: none may read this connection
	window    int           // messages in flight to it
	clientMax int           // bytes of a packet to it; 0: no limit
}

// handful is memory for what mostly is one or two.
type handful struct {
	groups, free [1]*pending
	acks         [2][2]ack
}

// ack is the answer to one PUBLISH. Answers are sent in order.
type ack struct {
	t      Type
	reason Reason
	id     uint16
	known  bool // it does not wait for the inlet: the message was refused, or is there already
}

// await waits for a change. c.mu is held.
func (c *conn) await() {
	c.waiters++
	c.change.Wait()
	c.waiters--
}

// changed tells whoever waits. c.mu is held. Mostly nobody does, and then a connection that is in no cache is touched once less.
func (c *conn) changed() {
	if c.waiters > 0 {
		c.change.Broadcast()
	}
}

// pending is a batch that the inlet has, or acks that stand behind such a batch.
type pending struct {
	c    *conn
	acks []ack
	left int // answers that it waits for: of the inlet, and of the log
	done bool
	err  error
	call func(error) // finish, bound once
}

// topic is what is remembered of a topic that a connection publishes to.
type topic struct {
	name    string
	allowed bool
	change  uint64 // of the subscriptions, that hits are as of
	hits    []hit
	memo    int32 // the inlet's
}

func newConn(s *Server, k *sock) *conn {
	c := &conn{s: s, sock: k, t: k, gone: make(chan struct{}), place: -1, sweeper: s.sweeperOf(k)}
	c.change.L = &c.mu
	c.own = pending{c: c, acks: c.memory.acks[0][:0]}
	c.own.call = c.own.finish
	c.acks, c.groups, c.free = c.memory.acks[1][:0], c.memory.groups[:0], append(c.memory.free[:0], &c.own)
	k.idle = c.drained
	return c
}

// finish ends a connection whose reading has ended.
func (c *conn) finish(err error) {
	c.submit()
	if c.graceful {
		c.s.takeBack(c.sess)
	}
	var e *Error
	if errors.As(err, &e) && !c.graceful {
		c.s.o.Count("connections_failed", 1)
		c.kick(e)
	} else if errors.Is(err, errIdle) {
		c.s.o.Count("keep_alive_timeouts", 1)
		c.kick(&Error{KeepAliveTimeout, "MQTT-3.1.2-22", "nothing came for one and a half times the keep-alive"})
	} else {
		c.kick(nil)
	}
	c.settle()
	due := c.s.detach(c)
	close(c.gone)
	c.s.publishWill(c.sess, due)
}

// settle waits until the inlet has answered for everything, and forgets the
// messages that it does not have, so that they are taken when they come again.
func (c *conn) settle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.groups) > 0 && !c.s.hurry.Load() {
		c.await()
	}
	for _, a := range c.failed {
		switch {
		case a.known:
		case a.t == Pubrec:
			c.sess.received.remove(a.id)
		}
	}
	c.sess.settled = max(c.sess.settled, c.settled)
	for _, a := range c.unsent {
		if a.t == Puback && !a.known && c.sessionTTL > 0 {
			c.sess.leave(a.id)
		}
	}
}

func (c *conn) loop() error {
	lim := Limits{Packet: c.s.o.MaxPacket, Levels: c.s.o.MaxLevels}
	if err := c.failure; err != nil {
		return err
	}
	p := c.s.packets.get()
	defer c.s.packets.put(p)
	for {
		if err := c.packets(lim, p); err != nil {
			return err
		}
		if err := c.submit(); err != nil {
			return err
		}
		if !c.breathe() {
			return io.EOF
		}
		waited, ok := c.sendRetained()
		if !ok {
			return io.EOF
		}
		for c.s.log.Load().full() && !c.s.stopped() {
			c.s.wait(10 * time.Millisecond)
		}
		if waited {
			if err := c.glance(); err != nil {
				return err
			}
			continue
		}
		parked, more, err := c.park()
		switch {
		case err != nil:
			return err
		case parked:
			return errParked
		case more:
			continue
		}
		if err := c.read(); err != nil {
			return err
		}
	}
}

// packets handles all packets that have come whole; for a sweeper, those that
// take no time, up to the first that may. It decodes into p.
func (c *conn) packets(lim Limits, p *Packet) error {
	whole := false
	if p.Checked = p.Checked[:0]; c.last != nil {
		p.Checked = append(p.Checked, c.last.name...)
	}
	c.witness()
	for c.from < c.to {
		n, err := Decode(c.buf[c.from:c.to], c.v, lim, p)
		if err != nil {
			return err
		}
		if n == 0 || c.swept && p.slow() {
			break
		}
		c.from += n
		whole = true
		if err := c.handle(p); err != nil {
			return err
		}
	}
	if whole {
		c.sock.touch(c.now)
	}
	return nil
}

// read reads once. The buffer grows when it is full, never because a packet
// says that it will be long.
func (c *conn) read() error {
	if c.from == c.to {
		c.from, c.to = 0, 0
		if c.small >= shrinkAfter && len(c.buf) > minBuffer {
			c.buf, c.small = make([]byte, len(c.buf)/2), 0
		}
	} else if c.from > 0 {
		c.to = copy(c.buf, c.buf[c.from:c.to])
		c.from = 0
	}
	if c.to == len(c.buf) {
		c.buf = append(make([]byte, 0, max(2*len(c.buf), minBuffer)), c.buf[:c.to]...)
		c.buf = c.buf[:cap(c.buf)]
	}
	n, err := c.t.Read(c.buf[c.to:])
	if err != nil && n == 0 {
		return err
	}
	c.to += n
	c.full = c.to == len(c.buf)
	if c.full && len(c.buf) < maxBuffer {
		c.buf = append(make([]byte, 0, 2*len(c.buf)), c.buf...)
		c.buf = c.buf[:cap(c.buf)]
	}
	if c.to < len(c.buf)/4 {
		c.small++
	} else {
		c.small = 0
	}
	c.now = c.s.o.Env.Clock.Now()
	c.nowUS = c.now.UnixMicro()
	return nil
}

// submit hands the batch on. Its acks are sent when the inlet says so.
func (c *conn) submit() error {
	if len(c.acks) == 0 && len(c.batch) == 0 {
		return nil
	}
	var p *pending
	if len(c.acks) > 0 {
		p = c.group()
	}
	var err error
	switch {
	case len(c.batch) == 0:
		p.finish(nil)
	case c.s.o.Inlet == nil:
		if p != nil && c.stored {
			c.s.log.Load().after(p.call)
		} else if p != nil {
			p.finish(nil)
		}
	case p == nil:
		err = c.s.o.Inlet.Append(c.batch, nil)
	default:
		if c.stored {
			p.left++
			defer c.s.log.Load().after(p.call)
		}
		if err = c.s.o.Inlet.Append(c.batch, p.call); err != nil {
			p.finish(err)
		}
	}
	n := len(c.batch)
	c.stored = false
	clear(c.batch)
	c.batch = c.batch[:0]
	if cap(c.batch) > 4*minBatch && n < cap(c.batch)/8 {
		c.batch = nil
	}
	if err == nil && c.s.o.Rate > 0 && n > 0 {
		c.pause(c.debt(n))
	}
	return err
}

const minBatch = 16

// group makes a pending of the acks.
func (c *conn) group() *pending {
	c.mu.Lock()
	defer c.mu.Unlock()
	var p *pending
	if n := len(c.free); n > 0 {
		p, c.free = c.free[n-1], c.free[:n-1]
	} else {
		p = &pending{c: c}
		p.call = p.finish
	}
	p.done, p.err, p.left = false, nil, 1
	p.acks, c.acks = c.acks, p.acks[:0]
	c.groups = append(c.groups, p)
	c.waiting.Add(p.pubacks())
	return p
}

// near reads what does not change, or is atomic, of each cache line that group and settled need.
func (c *conn) near() int {
	n := int(c.waiting.Load())
	if c.own.c != c || c.own.call == nil || c.change.L == nil {
		panic("BUG: a connection that newConn has not made")
	}
	return n
}

func (p *pending) pubacks() int32 {
	n := int32(0)
	for i := range p.acks {
		if p.acks[i].t == Puback {
			n++
		}
	}
	return n
}

// finish notes that the batch is durable, or is not, and sends the acks of all batches that are done up
// to the first that is not.
func (p *pending) finish(err error) {
	if p.settled(err) {
		p.c.s.dirty.push(p.c)
	}
	if err != nil {
		p.broken()
	}
}

// settled is finish, but whether a writer has to be told, and of the failure, is the caller's business.
func (p *pending) settled(err error) (wake bool) {
	c := p.c
	c.mu.Lock()
	defer c.mu.Unlock()
	p.left--
	p.done, p.err = p.left == 0, errors.Join(p.err, err)
	n := 0
	for ; n < len(c.groups) && c.groups[n].done; n++ {
		c.answer(c.groups[n])
	}
	c.groups = c.groups[:copy(c.groups, c.groups[n:])]
	c.changed()
	return c.wants()
}

func (p *pending) broken() {
	p.c.s.o.Count("not_durable", 1)
	p.c.kick(&Error{Reason: ServerUnavailable, Text: "messages could not be written down"})
}

// answer sends the acks of one batch. c.mu is held.
func (c *conn) answer(p *pending) {
	c.waiting.Add(-p.pubacks())
	switch {
	case p.err != nil:
		c.failed = append(c.failed, p.acks...)
	case c.dead || len(c.failed) > 0 || c.closing && c.v == V5:
		// Nothing follows a DISCONNECT (MQTT-3.14.4-1), and nothing what failed: it may be the same message, sent again meanwhile.
		c.unsent = append(c.unsent, p.acks...)
	default:
		c.out = c.bufferFor(maxAck * len(p.acks))
		for _, a := range p.acks {
			c.out = appendAck(c.out, a.t, a.id, a.reason, c.v)
		}
	}
	p.acks = p.acks[:0]
	if len(c.free) < 2 {
		c.free = append(c.free, p)
	}
}

// breathe waits while the client does not take its answers, or has too much
// unacknowledged; false when the connection is over.
func (c *conn) breathe() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.closing && !c.dead && !c.mayRead() {
		c.await()
	}
	return !c.closing && !c.dead
}

// mayRead says whether there is room for more of the client. c.mu is held.
func (c *conn) mayRead() bool {
	return !c.closing && !c.dead && len(c.out) <= highWater && int(c.waiting.Load()) <= c.s.o.ReceiveMaximum
}

// debt is how long the client has to wait after n messages more to be within its
// rate. A second's worth may come at once.
func (c *conn) debt(n int) time.Duration {
	rate := float64(c.s.o.Rate)
	c.tokens = min(c.tokens+c.now.Sub(c.tokensAt).Seconds()*rate, rate) - float64(n)
	c.tokensAt = c.now
	return max(0, time.Duration(-c.tokens/rate*1e9))
}

// pause waits for what debt says.
func (c *conn) pause(d time.Duration) {
	if d > 0 {
		c.s.o.Count("slowed_down", 1)
		c.s.wait(d)
	}
}
