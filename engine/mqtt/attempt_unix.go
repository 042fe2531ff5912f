//go:build unix

package mqtt

import "syscall"

// readOnce and writeOnce do not wait. They return how many bytes the system gave or took, perhaps none; again says that it could
// do nothing yet.
func readOnce(fd int, p []byte) (n int, again bool, err error)  { return once(readNow, fd, p) }
func writeOnce(fd int, p []byte) (n int, again bool, err error) { return once(writeNow, fd, p) }

func once(call func(fd int, p []byte) (int, error), fd int, p []byte) (n int, again bool, err error) {
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
