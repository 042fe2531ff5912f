package mqtt

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Server is an MQTT server. Safe for concurrent use.
type Server struct {
	o        Options
	proof    time.Duration
	gate     *gate // of what computes
	hall     *hall // of handshakes under way
	tree     tree
	retained retained
	// retaining is held while retained changes and that is written down.
	retaining sync.Mutex
	log       atomic.Pointer[entryLog] // nil: nothing is written down
	dirty     line
	buffers   buffers
	packets   packets
	quit      chan struct{} // closed by Close
	writers   sync.WaitGroup
	readers   sync.WaitGroup
	sweepers  []*sweeper
	sweeping  sync.WaitGroup
	taker     Taker         // the inlet; nil: none, or it cannot be asked not to wait
	groups    sync.Pool     // of *swept
	turn      atomic.Uint32 // of the sweepers
	open      atomic.Int64  // connections
	addresses addresses     // that they come from
	backlog   atomic.Int64  // bytes that Options.MaxBacklog limits
	warm      atomic.Int32  // of no meaning: see sweeper.meet
	hurry     atomic.Bool   // nobody waits for the inlet any more

	mu        sync.Mutex
	sessions  map[string]*session
	conns     map[*conn]struct{}
	listeners []net.Listener
	closed    bool
}

// Listener is a door of a server.
type Listener struct {
	net.Listener
	// TLS is how connections are encrypted; nil: not at all. Clients that are to be
	// known by their certificate need VerifyClientCertIfGiven or RequireAndVerifyClientCert, or Chain.
	TLS *tls.Config
	// Chain returns the certificates from a client's own, the first that it has sent, to one that is trusted; an error
	// ends the connection. nil: TLS has verified them.
	Chain func(sent []*x509.Certificate) ([]*x509.Certificate, error)
	// WebSocket says that MQTT goes in WebSocket messages, section 6; under the path "/mqtt" or any other.
	WebSocket bool
}

// NewServer makes a server; it serves nobody before Listen. Close it.
func NewServer(o Options) *Server {
	o.setDefaults()
	s := &Server{o: o, proof: proofAfter, gate: newGate(o.Handshakes), hall: newHall(handshakesAtOnce), quit: make(chan struct{}), sessions: map[string]*session{}, conns: map[*conn]struct{}{}}
	s.addresses.most = o.MaxPerAddress
	s.retained.maxCount, s.retained.maxBytes = o.MaxRetained, o.MaxRetainedBytes
	s.dirty.some.L, s.dirty.clock = &s.dirty.mu, o.Env.Clock
	s.startSweepers()
	for range o.Writers {
		s.writers.Add(1)
		go s.write()
	}
	return s
}

// Listen serves the connections of l, which Close closes, on goroutines of its own.
func (s *Server) Listen(l Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		l.Close()
		return
	}
	s.listeners = append(s.listeners, l)
	s.readers.Add(1)
	go s.accept(l)
}

// handshakesAtOnce is how many handshakes are under way at one time, beside those whose clients are slow to answer.
const handshakesAtOnce = 64

// acceptAtOnce is how many connections are taken before others have their turn.
const acceptAtOnce = 16

// accept takes connections until the listener is closed. Other errors, such as
// that there are no more descriptors, pass.
func (s *Server) accept(l Listener) {
	defer s.readers.Done()
	pause := time.Duration(0)
	for n := 1; ; n++ {
		if n%acceptAtOnce == 0 {
			runtime.Gosched() // or else connected clients wait for a whole fleet's first steps
		}
		nc, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) || s.stopped() {
				return
			}
			if pause == 0 {
				s.o.Report("cannot accept a connection, trying again: " + err.Error())
			}
			s.o.Count("accept_errors", 1)
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.wait(pause)
			continue
		}
		pause = 0
		if s.open.Load() >= int64(s.o.MaxConnections) {
			s.o.Count("connections_over_limit", 1)
			nc.Close()
			continue
		}
		from, ok := s.addresses.enter(nc.RemoteAddr())
		if !ok {
			s.o.Count("connections_over_address_limit", 1)
			nc.Close()
			continue
		}
		s.start(nc, from, l)
	}
}

// start serves a connection on a goroutine of its own.
func (s *Server) start(nc net.Conn, from netip.Prefix, l Listener) {
	s.readers.Add(1)
	s.open.Add(1)
	go s.serve(nc, from, l)
}

// wait waits, or until Close.
func (s *Server) wait(d time.Duration) {
	passed := make(chan struct{})
	defer s.o.Env.Clock.After(d, func() { close(passed) })()
	select {
	case <-passed:
	case <-s.quit:
	}
}

func (s *Server) stopped() bool {
	select {
	case <-s.quit:
		return true
	default:
		return false
	}
}

// serve is the life of a connection.
func (s *Server) serve(nc net.Conn, from netip.Prefix, l Listener) {
	c := newConn(s, newSock(nc, s.o.Env.Clock, s.o.WriteTimeout, &s.backlog))
	c.address = from
	c.client.Remote = nc.RemoteAddr().String()
	if !s.enlist(c) {
		nc.Close()
		c.leave()
		return
	}
	c.sock.setQuiet(s.o.ConnectTimeout)
	c.buf = make([]byte, minBuffer)
	if err := c.prepare(l); err != nil {
		s.o.Count("handshakes_failed", 1)
		c.lost()
		c.leave()
		return
	}
	if c.greet() {
		c.run()
		return
	}
	c.kick(nil)
	c.over()
}

// over lets go of the connection.
func (c *conn) over() {
	if len(c.buf) == 0 {
		c.buf = make([]byte, 512)
	}
	c.sock.discard(c.buf)
	c.mu.Lock()
	c.uncount()
	c.mu.Unlock()
	c.leave()
}

// leave ends the count of the connection.
func (c *conn) leave() {
	c.s.delist(c)
	c.s.addresses.leave(c.address)
	c.s.open.Add(-1)
	c.s.readers.Done()
}

// sweeperOf chooses who reads a connection that keeps still between messages; nil: its own goroutine.
func (s *Server) sweeperOf(k *sock) *sweeper {
	if !k.direct || len(s.sweepers) == 0 {
		return nil
	}
	return s.sweepers[s.turn.Add(1)%uint32(len(s.sweepers))]
}

// startSweepers starts them where the inlet can be asked not to wait.
func (s *Server) startSweepers() {
	s.groups.New = func() any { return newSwept(s) }
	s.taker, _ = s.o.Inlet.(Taker)
	if s.taker == nil && s.o.Inlet != nil {
		return
	}
	for range s.o.Sweepers {
		if w := newSweeper(s); w != nil {
			s.sweepers = append(s.sweepers, w)
			s.sweeping.Add(1)
			go w.run()
		}
	}
}

// prepare does the handshakes below MQTT.
func (c *conn) prepare(l Listener) error {
	if l.TLS != nil {
		if err := c.shake(&l); err != nil {
			return err
		}
	}
	if l.WebSocket {
		return c.upgrade()
	}
	return nil
}

func (s *Server) enlist(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.conns[c] = struct{}{}
	}
	return !s.closed
}

func (s *Server) delist(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// patience is how long Close waits for what the inlet still has.
const patience = time.Second

// Close says goodbye to all clients, closes everything and waits until it is.
// What the inlet does not confirm within a second is not acknowledged.
func (s *Server) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	for _, l := range s.listeners {
		l.Close()
	}
	for c := range s.conns {
		c.mu.Lock()
		connected := c.sess != nil
		c.mu.Unlock()
		if connected {
			c.kick(&Error{Reason: ShuttingDown, Text: "the server stops"})
		} else {
			c.sock.Close()
		}
	}
	for _, sess := range s.sessions {
		if sess.stop != nil {
			sess.stop()
		}
	}
	close(s.quit)
	s.mu.Unlock()
	defer s.o.Env.Clock.After(patience, s.giveUp)()
	s.readers.Wait()
	for _, w := range s.sweepers {
		w.stop()
	}
	s.sweeping.Wait()
	s.log.Load().close()
	s.dirty.close()
	s.writers.Wait()
	return nil
}

// giveUp lets connections end that wait for the inlet.
func (s *Server) giveUp() {
	s.hurry.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.mu.Lock()
		c.changed()
		c.mu.Unlock()
	}
}

// Stats is how many there are of what.
type Stats struct{ Connections, Sessions, Subscriptions, Retained int }

// Stats counts.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	n := len(s.sessions)
	s.mu.Unlock()
	s.retained.mu.RLock()
	defer s.retained.mu.RUnlock()
	return Stats{Connections: int(s.open.Load()), Sessions: n, Subscriptions: int(s.tree.count.Load()), Retained: s.retained.count}
}

// Disconnect closes the connections of all clients that f chooses, with a reason.
// f must not wait. Sessions stay; who may not come back is the Access's to say.
func (s *Server) Disconnect(why Reason, f func(*Client) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sess := range s.sessions {
		if c := sess.owner; c != nil && f(&c.client) {
			c.kick(&Error{Reason: why, Text: why.String()})
		}
	}
}
