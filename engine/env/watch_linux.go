package env

import (
	"os"
	"syscall"
	"time"
)

// Watched is a descriptor that Go's own poller watches, so that waiting for it takes no thread. Others
// than sockets and files can be, such as an epoll's.
type Watched struct {
	file *os.File
	raw  syscall.RawConn
}

// Watch takes over fd, which must not wait (O_NONBLOCK) and which Close closes, also when there is an error.
func Watch(fd int, name string) (*Watched, error) {
	w := &Watched{file: os.NewFile(uintptr(fd), name)}
	err := w.file.SetReadDeadline(time.Time{})
	if err == nil {
		w.raw, err = w.file.SyscallConn()
	}
	return w, err
}

// Until calls look, again each time that there may be something new, until it returns true. late: the
// deadline has passed before.
func (w *Watched) Until(look func(fd uintptr) bool) (late bool, err error) {
	err = w.raw.Read(look)
	if late = os.IsTimeout(err); late {
		err = nil
	}
	return late, err
}

// Deadline ends Until from t on.
func (w *Watched) Deadline(t time.Time) error { return w.file.SetReadDeadline(t) }

// Close closes the descriptor.
func (w *Watched) Close() error { return w.file.Close() }
