package admin

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// maxSocketPath is how long a path may be for the kernel of any system we know, bytes.
const maxSocketPath = 100

// listen makes a socket that only its owner can use.
func listen(socket string) (net.Listener, error) {
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("the control socket: %w", err)
	}
	name, done, err := shorten(socket)
	if err != nil {
		return nil, err
	}
	defer done()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("the control socket: %w", err)
	}
	l.SetUnlinkOnClose(false) // under its short name it is not there any more
	if err := os.Chmod(socket, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return &listener{l, socket}, nil
}

// listener removes its socket when it closes.
type listener struct {
	net.Listener
	socket string
}

func (l *listener) Close() error {
	err := l.Listener.Close()
	if e := os.Remove(l.socket); !errors.Is(e, os.ErrNotExist) {
		err = errors.Join(err, e)
	}
	return err
}

// shorten returns a name by which a socket can be reached until done is called.
func shorten(socket string) (name string, done func(), err error) {
	if len(socket) <= maxSocketPath {
		return socket, func() {}, nil
	}
	dir, err := os.Open(filepath.Dir(socket))
	if err != nil {
		return "", nil, err
	}
	name = fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(socket))
	return name, func() { _ = dir.Close() }, nil // only looked at
}
