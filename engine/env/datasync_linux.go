package env

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// datasync writes the file's data, and what is needed to find it again, to the
// medium; unlike fsync it leaves times alone.
func datasync(f *os.File) error {
	for {
		if err := unix.Fdatasync(int(f.Fd())); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// Forget gives the page cache of a range back, if the system cares to.
func (f realFile) Forget(off, n int64) {
	_ = unix.Fadvise(int(f.Fd()), off, n, unix.FADV_DONTNEED) // advice: nothing depends on it
}
