package mqtt

import (
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidemill/tidemill/engine/env"
)

// line is the connections that wait for a writer. It has no limit of its own:
// each connection stands in it once at most.
//
// Who came first is next, but in a crowd who came last, as long as nobody has waited for longer than patient: doc.go says why.
type line struct {
	clock   env.Clock
	mu      sync.Mutex
	some    sync.Cond
	waiting []waiting // in the order in which they came
	taken   int       // of waiting, of those who came first
	closed  bool
	crowded atomic.Bool // crowdOf wait, or more
}

// waiting is a connection in the line, and when it came.
type waiting struct {
	c  *conn
	at time.Time
}

const (
	patient = 200 * time.Millisecond
	atOnce  = 32  // connections that a writer takes, so that some are left for others
	crowdOf = 128 // connections
)

func (l *line) push(conns ...*conn) {
	if len(conns) == 0 {
		return
	}
	now := l.clock.Now()
	l.mu.Lock()
	for _, c := range conns {
		l.waiting = append(l.waiting, waiting{c, now})
	}
	l.count()
	l.mu.Unlock()
	l.some.Signal()
}

// count notes whether there is a crowd. l.mu is held. It is written only when it changes, since others read it.
func (l *line) count() {
	if now := len(l.waiting)-l.taken >= crowdOf; now != l.crowded.Load() {
		l.crowded.Store(now)
	}
}

// take waits for connections and moves a few of them to the empty slice into.
func (l *line) take(into []*conn) []*conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.taken == len(l.waiting) && !l.closed {
		l.some.Wait()
	}
	last, before := l.crowded.Load(), l.clock.Now().Add(-patient)
	for len(into) < atOnce && l.taken < len(l.waiting) {
		next := &l.waiting[l.taken]
		if last && !next.at.Before(before) {
			end := len(l.waiting) - 1
			next, l.waiting = &l.waiting[end], l.waiting[:end]
		} else {
			l.taken++
		}
		into = append(into, next.c)
		*next = waiting{}
	}
	if l.taken < len(l.waiting) {
		l.some.Signal()
	}
	if 2*l.taken >= len(l.waiting) { // moving them costs no more than they have cost already
		rest := copy(l.waiting, l.waiting[l.taken:])
		clear(l.waiting[rest:])
		l.waiting, l.taken = l.waiting[:rest], 0
	}
	l.count()
	return into
}

func (l *line) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.some.Broadcast()
}

// buffers keeps the memory of connections that have nothing to write for those that have.
type buffers struct{ pool sync.Pool }

func (b *buffers) get() []byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return (*p)[:0]
	}
	return make([]byte, 0, 1024)
}

func (b *buffers) put(p []byte) {
	if cap(p) <= 64<<10 {
		b.pool.Put(&p)
	}
}

// packets keeps packets to decode into for those who read: one is as large as all else of a connection.
type packets struct{ pool sync.Pool }

func (b *packets) get() *Packet {
	if p, ok := b.pool.Get().(*Packet); ok {
		return p
	}
	return &Packet{}
}

func (b *packets) put(p *Packet) {
	p.reset()
	p.Login = Login{}
	b.pool.Put(p)
}

// littleBytes is how much a connection has to say mostly: answers to as many messages as a client has in flight.
const littleBytes = 16 * maxAck

// buffer returns out, which has memory from here on. c.mu is held.
func (c *conn) buffer() []byte {
	switch {
	case c.out == nil:
		c.out = c.s.buffers.get()
	case cap(c.out) == littleBytes:
		c.out = append(c.s.buffers.get(), c.out...)
	}
	return c.out
}

// bufferFor is buffer for what takes n bytes at most: it is the connection's own where there is room. That lies beside
// what answering needs anyway, where the pool's memory has left the processor's caches. c.mu is held.
func (c *conn) bufferFor(n int) []byte {
	if c.out == nil && !c.lent && n <= littleBytes {
		c.out = c.little[:0]
	} else if cap(c.out) != littleBytes || len(c.out)+n > littleBytes {
		c.buffer()
	}
	return c.out
}

// wants says whether a writer has to be told that there is something to
// write, and notes that it is. c.mu is held; the caller then sends c to s.dirty without it.
func (c *conn) wants() bool {
	if c.scheduled || c.dead || len(c.out) == 0 && !c.closing {
		return false
	}
	c.scheduled = true
	return true
}

// room says whether more than answers may be written.
func (c *conn) room() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	full := len(c.out) >= highWater || len(c.out) > 4<<10 && c.s.backlog.Load() > int64(c.s.o.MaxBacklog)
	return !full && !c.closing && !c.dead
}

// uncount takes what out holds off the server's backlog. c.mu is held.
func (c *conn) uncount() {
	if c.counted != 0 {
		c.s.backlog.Add(-int64(c.counted))
		c.counted = 0
	}
}

// send writes a message; false when the client does not take packets that long.
func (c *conn) send(o *outbound, dup bool) bool {
	nowUS := c.s.o.Env.Clock.Now().UnixMicro()
	c.mu.Lock()
	if c.closing || c.dead {
		c.mu.Unlock()
		return true // it stays in flight, to be sent by the next connection
	}
	at, by := len(c.buffer()), c.told.of(o.message.Topic)
	c.out = o.append(c.out, c.v, dup, by, nowUS)
	fits := c.clientMax == 0 || len(c.out)-at <= c.clientMax
	if !fits && by.number != 0 && !by.known { // the alias itself may be too much
		by = alias{}
		c.out = o.append(c.out[:at], c.v, dup, by, nowUS)
		fits = len(c.out)-at <= c.clientMax
	}
	if fits {
		c.told.told(by)
		c.counted += len(c.out) - at
		c.s.backlog.Add(int64(len(c.out) - at))
	} else {
		c.out = c.out[:at]
	}
	wake := c.wants()
	c.mu.Unlock()
	if wake {
		c.s.dirty.push(c)
	}
	if !fits {
		c.s.o.Count("dropped_too_large", 1)
	}
	return fits
}

func (c *conn) sendAck(t Type, id uint16, r Reason) {
	c.mu.Lock()
	c.out = appendAck(c.bufferFor(maxAck), t, id, r, c.v)
	wake := c.wants()
	c.mu.Unlock()
	if wake {
		c.s.dirty.push(c)
	}
}

// sendPacket writes a packet; one that the client does not take is left out,
// which only happens to packets with texts for a person.
func (c *conn) sendPacket(p *Packet) {
	c.mu.Lock()
	at := len(c.buffer())
	c.out = Append(c.out, p, c.v)
	if c.clientMax > 0 && len(c.out)-at > c.clientMax {
		p.Props.reset()
		c.out = Append(c.out[:at], p, c.v)
	}
	wake := c.wants()
	c.mu.Unlock()
	if wake {
		c.s.dirty.push(c)
	}
}

// kick closes the connection, after a DISCONNECT with the reason where the
// protocol has that. nil: without one. Only the first kick counts.
func (c *conn) kick(why *Error) {
	c.mu.Lock()
	if c.closing || c.dead {
		c.mu.Unlock()
		return
	}
	if why != nil && c.v == V5 {
		at := len(c.buffer())
		p := Packet{Type: Disconnect, Reason: why.Reason}
		if !codeOf(Disconnect, p.Reason) {
			p.Reason = Unspecified
		}
		p.Props.SetText(ReasonString, []byte(why.Error()))
		c.out = Append(c.out, &p, c.v)
		if c.clientMax > 0 && len(c.out)-at > c.clientMax {
			c.out = Append(c.out[:at], &Packet{Type: Disconnect, Reason: p.Reason}, c.v)
		}
	}
	c.closing = true
	c.changed()
	wake := c.wants()
	c.mu.Unlock()
	if wake {
		c.s.dirty.push(c)
	}
	c.stir()
}

// write is a writer: it writes what connections have gathered. Nothing in it
// waits for a client; see sock.
func (s *Server) write() {
	defer s.writers.Done()
	var conns []*conn
	for {
		if conns = s.dirty.take(conns[:0]); len(conns) == 0 {
			return
		}
		warm := 0
		for _, c := range conns { // see sweeper.meet
			warm += int(c.waiting.Load())
		}
		for _, c := range conns {
			if c.sock.busy() {
				warm++
			}
		}
		s.warm.Store(int32(warm))
		for _, c := range conns {
			c.flush()
		}
		clear(conns)
		if s.dirty.crowded.Load() {
			runtime.Gosched() // so that what is answered already goes on
		}
	}
}

// flush writes what has gathered, and again what gathers meanwhile.
func (c *conn) flush() {
	for {
		if c.sock.busy() {
			c.mu.Lock()
			c.scheduled, c.lent = false, false
			closing := c.closing
			c.mu.Unlock()
			if closing || !c.sock.busy() {
				c.afterBusy(closing)
			}
			return // drained comes back
		}
		c.mu.Lock()
		out := c.out
		c.out = nil
		c.lent = cap(out) == littleBytes
		c.uncount()
		if len(out) == 0 {
			c.scheduled = false
			closing := c.closing && !c.dead
			c.dead = c.dead || closing
			c.changed()
			c.mu.Unlock()
			if closing {
				if t, ok := c.t.(interface{ CloseWrite() error }); ok && c.t != io.ReadWriteCloser(c.sock) {
					t.CloseWrite() // TLS says goodbye
				}
				c.sock.closeSoon()
			}
			return
		}
		if len(out) > highWater/2 {
			c.changed()
		}
		sess := c.sess
		c.mu.Unlock()
		_, err := c.t.Write(out)
		full := len(out) >= highWater
		if cap(out) != littleBytes {
			c.s.buffers.put(out)
		}
		if err != nil {
			c.lost()
			return
		}
		if sess != nil && (full || c.waits(sess)) {
			c.s.pump(sess)
		}
	}
}

// afterBusy deals with a connection that is to be closed though the client does not
// read, and with one whose bytes went out while flush looked.
func (c *conn) afterBusy(closing bool) {
	if closing {
		c.mu.Lock()
		c.dead = true
		c.changed()
		c.mu.Unlock()
		c.sock.closeSoon()
		return
	}
	c.drained()
}

// lost notes that the connection is broken.
func (c *conn) lost() {
	c.mu.Lock()
	c.dead, c.scheduled, c.out = true, false, nil
	c.uncount()
	c.changed()
	c.mu.Unlock()
	c.sock.Close()
	c.stir()
}

// drained goes on when the network has taken what it did not take before.
func (c *conn) drained() {
	c.mu.Lock()
	wake := c.wants()
	sess := c.sess
	c.mu.Unlock()
	if c.sock.failed() {
		c.stir()
	}
	if wake {
		c.s.dirty.push(c)
	} else if sess != nil {
		c.s.pump(sess)
	}
}

// waits says whether messages of its session wait for room.
func (c *conn) waits(sess *session) bool {
	if !c.behind.Load() {
		return false
	}
	sess.mu.Lock()
	defer sess.mu.Unlock()
	c.behind.Store(len(sess.queue) > 0)
	return len(sess.queue) > 0
}
