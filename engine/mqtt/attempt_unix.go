//go:build unix

package mqtt

import "syscall"

// attempt is one write that does not wait. The function that it gives to the
// runtime is made once, since making it at every write would allocate.
type attempt struct {
	p   []byte
	n   int
	err error
	do  func(fd uintptr) bool
}

func (a *attempt) bind() {
	a.do = func(fd uintptr) bool {
		for {
			a.n, a.err = syscall.Write(int(fd), a.p)
			if a.err != syscall.EINTR {
				return true
			}
		}
	}
}

// write returns how many bytes the system took, perhaps none.
func (a *attempt) write(raw syscall.RawConn, p []byte) (int, error) {
	a.p = p
	err := raw.Write(a.do)
	a.p = nil
	if err == nil && a.err != syscall.EAGAIN {
		err = a.err
	}
	return max(a.n, 0), err
}
