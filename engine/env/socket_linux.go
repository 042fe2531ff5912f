package env

import (
	"net"
	"os"
	"syscall"
	"time"
)

// Socket is a connected socket that was somebody's bare descriptor, and is Go's poller's again.
type Socket struct {
	*os.File
	local, remote net.Addr
}

var _ net.Conn = (*Socket)(nil)

// Adopt takes over fd, which must not wait (O_NONBLOCK) and which Close closes, also when there is an error. It takes no other
// descriptor, as net.FileConn would. The connection has the addresses of like, which may be closed.
func Adopt(fd int, like net.Conn) (*Socket, error) {
	s := &Socket{os.NewFile(uintptr(fd), "socket"), like.LocalAddr(), like.RemoteAddr()}
	return s, s.SetReadDeadline(time.Time{})
}

// Disown closes c, one of package net or a Socket, and returns a descriptor of its connection that Go's poller knows
// nothing of. When there is an error, c is as before.
func Disown(c net.Conn, fd int) (own int, err error) {
	const atLeast = 3 // no standard stream's
	n, _, e := syscall.RawSyscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_DUPFD_CLOEXEC, atLeast)
	if e != 0 {
		return -1, e
	}
	return int(n), c.Close()
}

func (s *Socket) LocalAddr() net.Addr  { return s.local }
func (s *Socket) RemoteAddr() net.Addr { return s.remote }

// CloseWrite says that no more comes.
func (s *Socket) CloseWrite() error {
	raw, err := s.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = syscall.Shutdown(int(fd), syscall.SHUT_WR) }); err != nil {
		return err
	}
	return failed
}
