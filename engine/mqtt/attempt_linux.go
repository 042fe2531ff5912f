//go:build !race && (amd64 || arm64)

package mqtt

import (
	"syscall"
	"unsafe"
)

// The calls that read and write sockets which do not wait. The runtime is not told of them, unlike of
// syscall.Read: they never sleep, and being told it would give the goroutine's processor away after 20 us, which takes more than the call does.
// They are those of sockets, recvfrom and sendto, since read and write find out first, and lock, what a file would need.

func readNow(fd int, p []byte) (int, error)  { return call(syscall.SYS_RECVFROM, fd, p) }
func writeNow(fd int, p []byte) (int, error) { return call(syscall.SYS_SENDTO, fd, p) }

func call(number uintptr, fd int, p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, _, e := syscall.RawSyscall6(number, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL, 0, 0)
	if e != 0 {
		return -1, e
	}
	return int(n), nil
}
