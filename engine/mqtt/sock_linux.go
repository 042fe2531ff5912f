package mqtt

import (
	"syscall"

	"github.com/tidemill/tidemill/engine/env"
)

// detach takes the descriptor from Go's poller, so that nobody but a sweeper hears of what comes. Where that cannot be,
// for want of descriptors or since something is being written, everything is as it was.
func (s *sock) detach() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bare || !s.direct || s.fd < 0 || s.draining.Load() || s.ending.Load() {
		return
	}
	s.looking.Lock()
	defer s.looking.Unlock()
	own, err := env.Disown(s.Conn, s.fd)
	if own < 0 {
		return
	}
	if err != nil {
		panic("BUG: a connection closes twice: " + err.Error())
	}
	s.fd, s.bare = own, true
}

// attach gives the descriptor back, for what waits or has a deadline. s.mu is held.
func (s *sock) attach() {
	if !s.bare || s.fd < 0 {
		return
	}
	s.bare = false
	c, err := env.Adopt(s.fd, s.Conn)
	s.Conn = c
	if err != nil { // the poller has no room
		s.broken = err
		s.close()
	}
}

// closeBare is close where Conn is closed already.
func closeBare(fd int) error { return syscall.Close(fd) }

// with calls f with the descriptor, if there is one.
func (s *sock) with(f func(fd int) error) error {
	s.looking.Lock()
	defer s.looking.Unlock()
	if s.fd < 0 {
		return syscall.EBADF
	}
	return f(s.fd)
}
