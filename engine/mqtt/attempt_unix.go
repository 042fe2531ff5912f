//go:build unix

package mqtt

import "syscall"

// attempt is one read or write that does not wait. The function that it gives to the
// runtime is made once, since making it every time would allocate.
type attempt struct {
	p   []byte
	n   int
	err error
	do  func(fd uintptr) bool
}

func (a *attempt) bind(call func(fd int, p []byte) (int, error)) {
	a.do = func(fd uintptr) bool {
		for {
			a.n, a.err = call(int(fd), a.p)
			if a.err != syscall.EINTR {
				return true
			}
		}
	}
}

// try returns how many bytes the system took or gave, perhaps none.
func (a *attempt) try(raw syscall.RawConn, p []byte) (int, error) {
	a.p = p
	err := raw.Write(a.do)
	a.p = nil
	if err == nil && a.err != syscall.EAGAIN {
		err = a.err
	}
	return max(a.n, 0), err
}

// again says of the last try that it could do nothing yet.
func (a *attempt) again() bool { return a.err == syscall.EAGAIN }
