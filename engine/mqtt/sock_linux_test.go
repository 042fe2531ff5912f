package mqtt

import (
	"bytes"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/env"
)

// couple is a sock and the other side of its connection.
func couple(t *testing.T) (*sock, net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	there, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	here, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	s := newSock(here, env.Real().Clock, time.Minute, new(atomic.Int64))
	t.Cleanup(func() { s.Close(); there.Close() })
	// Else a system may let its buffer grow, with what has been read, to more than the tests write (net.ipv4.tcp_rmem).
	if err := there.(*net.TCPConn).SetReadBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	there.SetDeadline(time.Now().Add(time.Minute))
	return s, there
}

// TestDetach takes a connection from Go's poller and lets happen to it what may: it works as before, twice over, and no descriptor is left.
func TestDetach(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789abcdef"), 6<<20/16) // more than the network takes at once
	for _, c := range []struct {
		name string
		do   func(t *testing.T, s *sock, there net.Conn)
		bare bool // afterwards
	}{
		{"a look", func(t *testing.T, s *sock, there net.Conn) {
			there.Write([]byte("hello"))
			s.swept = true
			b := make([]byte, 8)
			var n int
			eventually(t, "nothing comes", func() bool { n, _ = s.look(b); s.dry = false; return n > 0 })
			if string(b[:n]) != "hello" {
				t.Errorf("%q", b[:n])
			}
		}, true},
		{"a little to write", func(t *testing.T, s *sock, there net.Conn) { hear(t, s, there, []byte("answer")) }, true},
		{"more to write than is taken", func(t *testing.T, s *sock, there net.Conn) { hear(t, s, there, big) }, false},
		{"a goroutine of its own, and silence", func(t *testing.T, s *sock, there net.Conn) {
			s.quiet = time.Millisecond
			s.sweep(false)
			if _, err := s.Read(make([]byte, 1)); err != errIdle {
				t.Error(err)
			}
			s.quiet = 0
		}, false},
		{"a goroutine of its own, and something comes", func(t *testing.T, s *sock, there net.Conn) {
			s.sweep(false)
			there.Write([]byte("x"))
			if n, err := s.Read(make([]byte, 8)); n != 1 || err != nil {
				t.Error(n, err)
			}
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, there := couple(t)
			where := there.LocalAddr().String()
			for range 2 {
				s.sweep(true)
				s.detach()
				if !s.bare || s.RemoteAddr().String() != where {
					t.Fatalf("bare %v, of %s", s.bare, s.RemoteAddr())
				}
				c.do(t, s, there)
				if s.bare != c.bare {
					t.Fatalf("bare afterwards: %v", s.bare)
				}
			}
			s.closeSoon()
			if _, err := there.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("the end is not heard: %v", err)
			}
			there.Close()
			s.discard(make([]byte, 64))
			if s.fd != -1 {
				t.Error("a descriptor is left")
			}
		})
	}
}

// TestDetachStays: what is being written, or closed with a deadline, stays with Go's poller.
func TestDetachStays(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789abcdef"), 6<<20/16)
	s, there := couple(t)
	if _, err := s.Write(big); err != nil || !s.busy() {
		t.Fatalf("busy %v: %v", s.busy(), err)
	}
	if s.detach(); s.bare {
		t.Error("bare while something is being written")
	}
	got := make([]byte, len(big))
	if n, err := io.ReadFull(there, got); err != nil || !bytes.Equal(got, big) {
		t.Fatalf("%d bytes come, or others: %v", n, err)
	}
	eventually(t, "something is kept", func() bool { return !s.busy() })
	s.closeSoon()
	if s.detach(); s.bare {
		t.Error("bare while the other side has a moment to close")
	}
	s.discard(make([]byte, 64)) // the other side does not close: it is the deadline that ends this
	if _, err := there.Read(got); err != io.EOF {
		t.Errorf("the end is not heard: %v", err)
	}
}

// hear sees that what is written comes, and waits until nothing is kept.
func hear(t *testing.T, s *sock, there net.Conn, p []byte) {
	t.Helper()
	if _, err := s.Write(p); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(p))
	if _, err := io.ReadFull(there, got); err != nil || !bytes.Equal(got, p) {
		t.Errorf("other bytes come: %v", err)
	}
	eventually(t, "something is kept", func() bool { return !s.busy() })
}

// TestDetachedCloses: the other side hears at once that a bare descriptor is closed, and nothing goes there afterwards, where another
// connection may have its number.
func TestDetachedCloses(t *testing.T) {
	s, there := couple(t)
	s.detach()
	s.Close()
	if _, err := there.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the end is not heard: %v", err)
	}
	if _, err := s.look(make([]byte, 1)); err != net.ErrClosed {
		t.Errorf("a look: %v", err)
	}
	if _, err := s.Write([]byte("x")); err != net.ErrClosed {
		t.Errorf("a write: %v", err)
	}
	s.sweep(false)
	if _, err := s.Read(make([]byte, 1)); err == nil {
		t.Error("a read of a closed connection")
	}
	if s.Close() == nil {
		t.Error("it closes twice")
	}
	if s.with(func(int) error { return nil }) != syscall.EBADF {
		t.Error("it has a descriptor still")
	}
}
