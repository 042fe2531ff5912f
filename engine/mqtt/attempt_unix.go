//go:build unix

package mqtt

import "syscall"

// attempt is a read or write that does not wait.
type attempt func(fd int, p []byte) (int, error)

var (
	reading attempt = readNow
	writing attempt = writeNow
)

// try returns how many bytes the system took or gave, perhaps none; again says that it could do nothing yet.
func (call attempt) try(fd int, p []byte) (n int, again bool, err error) {
	for {
		n, err = call(fd, p)
		switch err {
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0, true, nil
		default:
			return max(n, 0), false, err
		}
	}
}
