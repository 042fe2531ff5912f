package env

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

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
func (f realFile) WriteDirect(pieces [][]byte, off int64) (err error) {
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
	return f.writePieces(int(fd), pieces, off)
}

// mostPieces is how many pieces the system takes at once (IOV_MAX).
const mostPieces = 1024

func (f realFile) writePieces(fd int, pieces [][]byte, off int64) error {
	rest := slices.Clone(pieces)
	for began := false; len(rest) > 0; {
		n, err := unix.Pwritev(fd, rest[:min(len(rest), mostPieces)], off)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EINVAL) && !began:
			return fmt.Errorf("%s: %w", f.Name(), errors.ErrUnsupported)
		case err != nil:
			return &fs.PathError{Op: "pwritev", Path: f.Name(), Err: err}
		case n == 0:
			return &fs.PathError{Op: "pwritev", Path: f.Name(), Err: io.ErrShortWrite}
		}
		began, off = true, off+int64(n)
		for n > 0 && n >= len(rest[0]) {
			n, rest = n-len(rest[0]), rest[1:]
		}
		if n > 0 {
			rest[0] = rest[0][n:]
		}
	}
	return nil
}
