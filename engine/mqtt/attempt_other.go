//go:build !unix

package mqtt

import "syscall"

// attempt writes nothing here, so that everything is written by a sock's drain.
type attempt struct{}

func (a *attempt) bind(func(fd syscall.Handle, p []byte) (int, error)) {}

func (a *attempt) try(syscall.RawConn, []byte) (int, error) { return 0, nil }

func (a *attempt) again() bool { return false }
