package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// lockPatience is for how long a run waits for the one before it, which may be writing its last checkpoint.
const lockPatience = 5 * time.Second

// errLocked is wrapped by the error that says who has a data folder.
var errLocked = errors.New("another tidemill")

// lockSoon is lockData for who may come a moment too early.
func (a *app) lockSoon(data string, report func(string)) (*dataLock, error) {
	const look = 20 * time.Millisecond
	for waited := time.Duration(0); ; waited += look {
		lock, err := lockData(data)
		if !errors.Is(err, errLocked) || waited >= lockPatience {
			return lock, err
		}
		if waited == 0 {
			report(fmt.Sprintf("waiting up to %s for the data folder: %v", lockPatience, err))
		}
		time.Sleep(look)
	}
}

// dataLock keeps two processes from sharing a data folder. The kernel lets go
// of it when the process ends, however it ends.
type dataLock struct{ file *os.File }

// lockData takes the folder, which must exist. The file stays behind; its
// content tells who has the lock, or had it last.
func lockData(data string) (*dataLock, error) {
	name := filepath.Join(data, "lock")
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		owner := lockOwner(f)
		_ = f.Close() // nothing was written
		return nil, fmt.Errorf("%w%s is running on the data folder %s; stop it, or give this one a folder of its own with --data", errLocked, owner, data)
	}
	if err != nil {
		_ = f.Close() // nothing was written
		return nil, fmt.Errorf("%s cannot be locked: %w", name, err)
	}
	if err := f.Truncate(0); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if _, err := fmt.Fprintf(f, "%d\n", os.Getpid()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &dataLock{f}, nil
}

// lockOwner is " (process 123)", or nothing when the file does not tell.
func lockOwner(f *os.File) string {
	text, err := io.ReadAll(io.LimitReader(f, 32))
	id := strings.TrimSpace(string(text))
	if err != nil || id == "" || strings.Trim(id, "0123456789") != "" {
		return ""
	}
	return " (process " + id + ")"
}

func (l *dataLock) release() error { return l.file.Close() }
