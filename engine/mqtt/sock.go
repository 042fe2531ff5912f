package mqtt

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tidemill/tidemill/engine/env"
)

// errIdle ends the reading of a connection that kept silent for too long.
var errIdle = errors.New("mqtt: nothing came for too long")

// maxUnsent is how many bytes that the network did not take a sock keeps
// before it gives up; callers look at busy and do not come near.
const maxUnsent = 8 << 20

// sock is a network connection whose Write never waits: what the network does
// not take at once is kept, and a goroutine that lives only until then writes
// it. Everything above it, TLS and WebSocket included, can so be written to by a few shared goroutines.
//
// Read closes connections that keep silent, by one deadline that is moved
// only when it passes, since moving it at every read costs more.
type sock struct {
	net.Conn
	clock   env.Clock
	timeout time.Duration // of writing
	idle    func()        // called, without locks, when everything that was kept is written
	backlog *atomic.Int64 // bytes kept by all socks are counted here

	// Of the reading goroutine.
	gate   *gate // given up while waiting for bytes; nil: none held
	hall   *hall // of handshakes under way; nil: not in a handshake
	inside bool  // it has a place in the hall
	first  firstRecord
	hello  bool          // the first record has come whole, and it has had a place
	quiet  time.Duration // how long nothing may come; 0: for ever
	last   time.Time     // when something came
	swept  bool          // Read never waits
	dry    bool          // it has found less than there was room for
	over   bool          // the other side has said that no more comes, so that less says nothing

	// fd is read and written without package net; -1: it cannot be, or is closed. It changes while mu and looking are held.
	fd     int
	direct bool // it can be, while it is open
	// bare says that fd is this sock's own and Conn is closed, from detach to attach, which hold mu. That is only where the
	// reading goroutine does not wait and drain does not run, so that these may use Conn without mu.
	bare     bool
	looking  sync.Mutex // is held while fd is read; taken while mu is held, never the other way round
	mu       sync.Mutex
	unsent   []byte
	draining atomic.Bool // changes while mu is held
	broken   error
	closing  bool // once everything is written
	ending   atomic.Bool
}

func newSock(c net.Conn, clock env.Clock, timeout time.Duration, backlog *atomic.Int64) *sock {
	s := &sock{Conn: c, clock: clock, timeout: timeout, backlog: backlog, last: clock.Now(), fd: -1}
	if sc, ok := c.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil && raw.Control(func(fd uintptr) { s.fd = int(fd) }) == nil {
			s.direct = true
		}
	}
	return s
}

// Close closes the connection. Nothing else may, since another one gets the number of its descriptor.
func (s *sock) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.close()
}

// close is Close where s.mu is held.
func (s *sock) close() error {
	s.looking.Lock()
	fd := s.fd
	s.fd = -1
	s.looking.Unlock()
	if !s.bare {
		return s.Conn.Close()
	}
	if fd < 0 {
		return net.ErrClosed
	}
	return closeBare(fd)
}

// setQuiet says how long nothing may come from now on.
func (s *sock) setQuiet(d time.Duration) {
	s.quiet, s.last = d, s.clock.Now()
	if d == 0 {
		s.Conn.SetReadDeadline(time.Time{})
	} else {
		s.Conn.SetReadDeadline(s.last.Add(d))
	}
}

// touch notes that something whole has come.
func (s *sock) touch(now time.Time) { s.last = now }

// sweep says whether Read waits from now on: without, the deadline is not the
// system's to watch, since it would fail reads that find something.
func (s *sock) sweep(on bool) {
	s.swept, s.dry, s.over = on, false, false
	s.mu.Lock()
	defer s.mu.Unlock()
	if !on {
		s.attach()
	}
	switch {
	case s.ending.Load(): // the deadline stands
	case on:
		s.Conn.SetReadDeadline(time.Time{})
	case s.quiet > 0:
		s.Conn.SetReadDeadline(s.last.Add(s.quiet))
	}
}

// look is a Read that does not wait.
func (s *sock) look(p []byte) (int, error) {
	if s.dry {
		return 0, errAgain
	}
	s.looking.Lock()
	if s.fd < 0 {
		s.looking.Unlock()
		return 0, net.ErrClosed
	}
	n, again, err := readOnce(s.fd, p)
	s.looking.Unlock()
	switch {
	case err != nil:
		return 0, err
	case again:
		s.dry = true
		return 0, errAgain
	case n == 0:
		return 0, io.EOF
	}
	s.dry = n < len(p) && !s.over
	return n, nil
}

func (s *sock) Read(p []byte) (int, error) {
	if s.swept {
		return s.look(p)
	}
	if s.gate != nil {
		s.gate.leave()
		defer s.gate.enter()
	}
	if s.inside {
		s.Conn.SetReadDeadline(s.clock.Now().Add(s.hall.pause()))
	}
	for {
		n, err := s.Conn.Read(p)
		if n > 0 && s.hall != nil {
			s.heard(p[:n])
		}
		var timeout net.Error
		if n > 0 || !errors.As(err, &timeout) || !timeout.Timeout() {
			return n, err
		}
		if s.ending.Load() {
			return 0, net.ErrClosed
		}
		if s.inside {
			s.hall.note(false)
			s.depart()
		}
		until := s.last.Add(s.quiet)
		if s.quiet > 0 && !s.clock.Now().Before(until) {
			return 0, errIdle
		}
		if s.quiet == 0 {
			until = time.Time{}
		}
		if err := s.Conn.SetReadDeadline(until); err != nil {
			return 0, err
		}
	}
}

// heard takes a part of a handshake. A place is for those who have begun: a hello that does not come whole takes none.
func (s *sock) heard(p []byte) {
	switch {
	case s.hello:
		s.hall.note(true)
	case s.first.whole(p):
		s.admit()
	}
}

// admit waits for a place in the hall, which is no fault of the client.
func (s *sock) admit() {
	s.hall.enter(siteOf(s.Conn.RemoteAddr()))
	s.hello, s.inside = true, true
	s.setQuiet(s.quiet)
}

// depart gives the place up; the handshake may go on without.
func (s *sock) depart() {
	if s.inside {
		s.inside = false
		s.hall.leave()
	}
}

// Write takes all of p.
func (s *sock) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil {
		return 0, s.broken
	}
	if s.direct && s.fd < 0 {
		s.broken = net.ErrClosed
		return 0, s.broken
	}
	rest := p
	if len(s.unsent) == 0 && !s.draining.Load() && s.direct {
		n, _, err := writeOnce(s.fd, p)
		if err != nil {
			s.broken = err
			return 0, err
		}
		rest = p[n:]
	}
	if len(rest) == 0 {
		return len(p), nil
	}
	if len(s.unsent)+len(rest) > maxUnsent {
		s.broken = errors.New("mqtt: the client does not read")
		s.close()
		return 0, s.broken
	}
	s.unsent = append(s.unsent, rest...)
	s.backlog.Add(int64(len(rest)))
	if !s.draining.Load() {
		s.attach()
		s.draining.Store(true)
		go s.drain()
	}
	return len(p), nil
}

// failed says that nothing can be written any more.
func (s *sock) failed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broken != nil
}

// busy says that bytes wait for the network.
func (s *sock) busy() bool { return s.draining.Load() }

// drain writes what is kept.
func (s *sock) drain() {
	const chunk = 64 << 10
	var buf []byte
	for {
		s.mu.Lock()
		s.backlog.Add(-int64(len(buf))) // written, or never to be
		if len(s.unsent) == 0 || s.broken != nil {
			s.backlog.Add(-int64(len(s.unsent)))
			s.unsent = nil
			s.draining.Store(false)
			if s.broken != nil {
				s.close()
			} else if s.closing {
				s.end()
			}
			s.mu.Unlock()
			break
		}
		buf = append(buf[:0], s.unsent[:min(len(s.unsent), chunk)]...)
		s.unsent = s.unsent[:copy(s.unsent, s.unsent[len(buf):])]
		if !s.closing { // else the deadline stands
			s.Conn.SetWriteDeadline(s.clock.Now().Add(s.timeout))
		}
		s.mu.Unlock()
		if _, err := s.Conn.Write(buf); err != nil {
			s.mu.Lock()
			s.broken = err
			s.mu.Unlock()
		}
	}
	if s.idle != nil {
		s.idle()
	}
}

// closeSoon ends the connection when everything is written, or after a second
// if that does not happen. The reader then meets an end, and closes it: closing a
// connection that has bytes unread would reset it, and the other side might never read why.
func (s *sock) closeSoon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining.Load() {
		s.closing = true
		s.Conn.SetWriteDeadline(s.clock.Now().Add(time.Second))
		return
	}
	s.end()
}

// lingering is how long the other side has to close when this side has.
const lingering = 250 * time.Millisecond

func (s *sock) end() {
	s.attach()
	s.ending.Store(true)
	half, ok := s.Conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		s.close()
		return
	}
	s.Conn.SetReadDeadline(s.clock.Now().Add(lingering))
}

// discard reads what still comes until the other side closes, or for a short
// while, and closes. The reading goroutine calls it when it has no more use for the connection.
func (s *sock) discard(buf []byte) {
	for len(buf) > 0 {
		if _, err := s.Conn.Read(buf); err != nil {
			break
		}
	}
	s.Close()
}

// SetDeadline and its relatives do nothing: the sock keeps its own deadlines,
// and what lies above, such as the WebSocket library, would remove them.
func (s *sock) SetDeadline(time.Time) error      { return nil }
func (s *sock) SetReadDeadline(time.Time) error  { return nil }
func (s *sock) SetWriteDeadline(time.Time) error { return nil }

// gate lets a few goroutines compute at one time.
type gate struct{ slots chan struct{} }

func newGate(n int) *gate { return &gate{make(chan struct{}, n)} }

func (g *gate) enter() { g.slots <- struct{}{} }
func (g *gate) leave() { <-g.slots }
