package mqtt

import (
	"crypto/tls"
	"errors"
	"io"
	"sync"
	"time"
)

// errParked says that a connection's goroutine has ended and a sweeper reads it.
var errParked = errors.New("mqtt: a sweeper reads the connection now")

// errAgain says that a connection that a sweeper reads has nothing more. It
// looks like a timeout, since that is what crypto/tls goes on after.
var errAgain error = again{}

type again struct{}

func (again) Error() string   { return "mqtt: nothing has come" }
func (again) Timeout() bool   { return true }
func (again) Temporary() bool { return true }

const (
	sweepRead   = 16 << 10  // bytes of one read of a swept connection
	sweepArena  = 512 << 10 // bytes that a sweep reads before it hands on what it has
	bulkReads   = 8         // reads of a connection in one sweep, after which it gets a goroutine
	sweepPause  = 500       // ms between looks for connections that have kept silent for too long
	leaveAtOnce = 64        // connections that get a goroutine before the others are looked at again
)

// Taker is an Inlet that can be asked not to wait. Servers read many
// connections with one goroutine where their inlet is one.
type Taker interface {
	// TryAppend is Append, but where Append would wait it takes nothing and returns false.
	TryAppend(batch []Inbound, done func(error)) (took bool, err error)
}

// sweep is what one round over connections with something to read has gathered.
type sweep struct {
	batch   []Inbound
	answers []*pending // that wait for the batch
	from    []*conn    // whose messages are in it
	arena   []byte     // what the batch points to
	used    int
	leaving []*conn // that get a goroutine of their own again, and have not yet
	told    int     // of leaving: those that know what to wait for
	packet  *Packet // that is decoded into
}

// swept is the answers of a sweep, to be sent when its batch is durable.
type swept struct {
	s       *Server
	answers []*pending
	wake    []*conn
	call    func(error) // finish, bound once
}

func newSwept(s *Server) *swept {
	g := &swept{s: s}
	g.call = g.finish
	return g
}

func (g *swept) finish(err error) {
	warm := 0
	for _, p := range g.answers { // see sweeper.meet
		warm += p.c.near()
	}
	g.s.warm.Store(int32(warm))
	for _, p := range g.answers {
		if p.settled(err) {
			g.wake = append(g.wake, p.c)
		}
		if err != nil {
			p.broken()
		}
	}
	g.s.dirty.push(g.wake...)
	clear(g.answers)
	clear(g.wake)
	g.answers, g.wake = g.answers[:0], g.wake[:0]
	g.s.groups.Put(g)
}

// visit reads a connection as far as something has come.
func (w *sweeper) visit(c *conn) {
	c.sock.dry = false
	lim := Limits{Packet: c.s.o.MaxPacket, Levels: c.s.o.MaxLevels}
	_, encrypted := c.t.(*tls.Conn)
	for reads := 0; ; reads++ {
		if reads == bulkReads {
			w.release(c)
			return
		}
		p := w.arena[w.used : w.used+sweepRead]
		n, err := c.t.Read(p)
		if n == 0 {
			if err != errAgain {
				c.failure = err
				w.release(c)
			}
			return
		}
		w.used += n
		if !w.take(c, p[:n], lim) {
			w.release(c)
			return
		}
		if !encrypted && c.sock.dry {
			return
		}
	}
}

// take handles what one read gave. false: the connection needs a goroutine of
// its own, to wait for the rest of a packet, for room, or for the end.
func (w *sweeper) take(c *conn, p []byte, lim Limits) bool {
	c.now, c.nowUS = w.now, w.nowUS
	c.buf, c.from, c.to = p, 0, len(p)
	had := len(w.batch)
	c.batch, c.swept = w.batch, true
	c.failure = c.packets(lim, w.packet)
	w.batch, c.batch, c.swept = c.batch, nil, false
	rest := c.buf[c.from:c.to]
	c.buf, c.from, c.to = nil, 0, 0
	came := len(w.batch) - had
	if came > 0 {
		w.from = append(w.from, c)
	}
	if len(c.acks) > 0 {
		p := c.group()
		if c.stored {
			p.left++
			c.s.log.Load().after(p.call)
		}
		if came > 0 {
			w.answers = append(w.answers, p)
		} else {
			p.finish(nil)
		}
	}
	c.stored = false
	if c.failure != nil {
		return false
	}
	if came > 0 && c.s.o.Rate > 0 {
		c.owes = c.debt(came)
	}
	if len(rest) > 0 {
		c.buf = make([]byte, max(minBuffer, 2*len(rest)))
		c.to = copy(c.buf, rest)
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.owes == 0 && c.mayRead() && !c.s.log.Load().full()
}

// low says that another connection may find no room.
func (w *sweeper) low() bool { return len(w.arena)-w.used < bulkReads*sweepRead }

// slow says that handling a packet may wait for a disk, or ends the connection.
func (p *Packet) slow() bool {
	switch p.Type {
	case Publish, Puback, Pubrec, Pubrel, Pubcomp, Pingreq:
		return false
	}
	return true
}

// flush hands the sweep on. Connections that leave go on only when their
// messages are with the inlet, so that later ones cannot overtake them. Few go at a time: when a fleet
// drops at once, those who stay would otherwise wait until thousands of goroutines have had their turn.
func (w *sweeper) flush() {
	var after chan struct{}
	if len(w.batch) > 0 {
		after = w.append()
	}
	for _, c := range w.leaving[w.told:] {
		c.after = after
	}
	n := min(len(w.leaving), leaveAtOnce)
	for _, c := range w.leaving[:n] {
		go c.run()
	}
	rest := copy(w.leaving, w.leaving[n:])
	clear(w.leaving[rest:])
	w.leaving, w.told, w.used = w.leaving[:rest], rest, 0
}

// append gives the batch to the inlet. An inlet that would have to wait gets it on a
// goroutine, and with it this sweep's memory: then all connections of the sweep wait for the channel that is returned.
func (w *sweeper) append() chan struct{} {
	var call func(error)
	g := w.s.groups.Get().(*swept)
	if len(w.answers) > 0 {
		g.answers = append(g.answers, w.answers...)
		call = g.call
	} else {
		w.s.groups.Put(g)
	}
	took, err := true, error(nil)
	switch {
	case w.s.taker != nil:
		took, err = w.s.taker.TryAppend(w.batch, call)
	case call != nil:
		call(nil)
	}
	if !took {
		return w.wait(call)
	}
	if err != nil && call != nil {
		call(err)
	}
	clear(w.batch)
	clear(w.answers)
	clear(w.from)
	w.batch, w.answers, w.from = w.batch[:0], w.answers[:0], w.from[:0]
	return nil
}

func (w *sweeper) wait(call func(error)) chan struct{} {
	for _, c := range w.from {
		w.release(c)
	}
	after, batch, s := make(chan struct{}), w.batch, w.s
	w.sweep = sweep{arena: make([]byte, sweepArena), leaving: w.leaving, told: w.told, packet: w.packet}
	go func() {
		defer close(after)
		if err := s.o.Inlet.Append(batch, call); err != nil && call != nil {
			call(err)
		}
	}()
	return after
}

// run reads the connection on a goroutine of its own until it is parked or over.
func (c *conn) run() {
	if c.after != nil {
		<-c.after
		c.after = nil
	}
	if c.owes > 0 {
		c.pause(c.owes)
		c.owes = 0
	}
	err := c.loop()
	if errors.Is(err, errParked) {
		return
	}
	c.finish(err)
	c.over()
}

// park leaves a connection that has nothing more to read to a sweeper. more:
// something has come meanwhile, and is in buf.
func (c *conn) park() (parked, more bool, err error) {
	if c.sweeper == nil || c.from != c.to || c.full || len(c.sess.behind) > 0 {
		return false, false, nil
	}
	_, encrypted := c.t.(*tls.Conn)
	if !encrypted && c.t != io.ReadWriteCloser(c.sock) {
		return false, false, nil // what a WebSocket has read ahead cannot be told
	}
	c.sock.sweep(true)
	if encrypted {
		// Of what has been decrypted, or read and not decrypted, the kernel says nothing.
		if more, err = c.rest(); more || err != nil {
			c.sock.sweep(false)
			return false, more, err
		}
	}
	c.buf, c.from, c.to, c.small = nil, 0, 0, 0
	if !c.sweeper.add(c) {
		c.sock.sweep(false)
		return false, false, nil
	}
	return true, false, nil
}

// rest reads without waiting.
func (c *conn) rest() (more bool, err error) {
	if len(c.buf) == 0 {
		c.buf = make([]byte, minBuffer)
	}
	n, err := c.t.Read(c.buf)
	if n == 0 && err != errAgain {
		return false, err
	}
	c.from, c.to = 0, n
	c.now = c.s.o.Env.Clock.Now()
	c.nowUS = c.now.UnixMicro()
	return n > 0, nil
}

// stir gives a connection that a sweeper reads a goroutine of its own, so that
// it finds out that it is over.
func (c *conn) stir() {
	if c.sweeper != nil {
		c.sweeper.ask(c)
	}
}

// place is where a sweeper keeps a connection. Guarded by sweeper.mu.
type place struct {
	c     *conn
	turn  int32 // so that events of a connection that was here before are known
	asked bool
}

// places is a sweeper's connections.
type places struct {
	mu     sync.Mutex
	list   []place
	free   []int32
	asked  []*conn
	closed bool
}

// put finds a place. t.mu is held.
func (t *places) put(c *conn) (at, turn int32) {
	if n := len(t.free); n > 0 {
		at, t.free = t.free[n-1], t.free[:n-1]
	} else {
		at = int32(len(t.list))
		t.list = append(t.list, place{})
	}
	p := &t.list[at]
	p.c, p.asked = c, false
	p.turn++
	c.place = at
	return at, p.turn
}

// find is at where t.mu is not held.
func (t *places) find(at, turn int32) *conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.at(at, turn)
}

// at returns the connection that an event is meant for; nil: it has left. t.mu is held.
func (t *places) at(at, turn int32) *conn {
	if p := &t.list[at]; p.turn == turn {
		return p.c
	}
	return nil
}

// remove says whether the connection was there. t.mu is held.
func (t *places) remove(c *conn) bool {
	if c.place < 0 {
		return false
	}
	t.list[c.place].c = nil
	t.free = append(t.free, c.place)
	c.place = -1
	return true
}

// late returns the connections that have kept silent for too long.
func (t *places) late(now time.Time) (late []*conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.list {
		if c := t.list[i].c; c != nil && c.sock.quiet > 0 && !now.Before(c.sock.last.Add(c.sock.quiet)) {
			late = append(late, c)
		}
	}
	return late
}
