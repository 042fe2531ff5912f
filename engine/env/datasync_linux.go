package env

import (
	"errors"
	"fmt"
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

// WriteDirect switches the file over for one write and back, which costs less than to keep it open twice.
func (f realFile) WriteDirect(b []byte, off int64) (err error) {
	fd := f.Fd()
	flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0)
	if err != nil {
		return err
	}
	if _, err := unix.FcntlInt(fd, unix.F_SETFL, flags|unix.O_DIRECT); err != nil {
		return fmt.Errorf("%s: %w", f.Name(), errors.ErrUnsupported)
	}
	defer func() {
		if _, back := unix.FcntlInt(fd, unix.F_SETFL, flags); back != nil {
			err = errors.Join(err, back)
		}
	}()
	n, err := f.WriteAt(b, off)
	if n == 0 && errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("%s: %w", f.Name(), errors.ErrUnsupported)
	}
	return err
}
