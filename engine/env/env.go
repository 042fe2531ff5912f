package env

import (
	"errors"
	"io"
	"io/fs"
	"runtime"
	"time"
)

// Env is one world. It is passed down explicitly; there is no global one.
type Env struct {
	Clock Clock
	FS    FS
	// OnDisk says that FS is the machine's own, so that a library that does not know
	// FS can be given a folder to keep what may be lost.
	OnDisk bool
	// Var looks an environment variable up.
	Var func(name string) (value string, ok bool)
	// Point marks a place at which a crash is interesting, such as
	// "journal.before-sync". The real one does nothing unless a test asks for a
	// kill there; the simulated one may crash, by panicking with ErrCrashed.
	Point func(name string)
	// Procs is how many processors the process may use; 0: as many as the Go scheduler has.
	Procs int
}

// Processors is how many processors there are for the process, at times when the scheduler makes do with fewer too.
func (e *Env) Processors() int {
	if e.Procs > 0 {
		return e.Procs
	}
	return runtime.GOMAXPROCS(0)
}

// ErrCrashed is what Point and the simulated FS panic with, or return, when the
// simulated machine has gone down. Only a simulation's driver recovers it.
var ErrCrashed = errors.New("the simulated machine has crashed")

// Clock tells the time. It is safe for concurrent use.
type Clock interface {
	// Now returns the wall clock time. It may jump in either direction.
	Now() time.Time
	// After calls f once, on a goroutine of its own, d from now. In a
	// simulation f runs on the driver's goroutine when virtual time gets there.
	After(d time.Duration, f func()) (stop func())
}

// FS is a file system. Names use forward slashes and are relative to the
// process's working directory unless they start with a slash. Errors are
// *fs.PathError, so that errors.Is(err, fs.ErrNotExist) works. Safe for
// concurrent use.
type FS interface {
	// Open opens a file that exists: for reading only with flag ReadOnly, for
	// reading and writing with ReadWrite; Create makes it, empty, if need be.
	Open(name string, flag Flag) (File, error)
	// Rename replaces to atomically. It is durable after SyncDir of the folder.
	Rename(from, to string) error
	Remove(name string) error
	Folders
}

// Folders is the part of a file system that is about folders.
type Folders interface {
	// MkdirAll makes a folder and those above it. It is durable when it returns.
	MkdirAll(name string) error
	// ReadDir lists a folder, sorted by name.
	ReadDir(name string) ([]fs.DirEntry, error)
	// SyncDir makes creations, renames and removals in a folder durable.
	SyncDir(name string) error
}

// Flag says how a file is opened.
type Flag uint8

const (
	// ReadOnly opens an existing file for reading.
	ReadOnly Flag = iota
	// ReadWrite opens an existing file for reading and writing.
	ReadWrite
	// Create opens for reading and writing, and makes the file if need be; it
	// does not empty one that exists.
	Create
)

// File is an open file. It is used by one goroutine at a time.
type File interface {
	Content
	// Sync makes what was written durable (fdatasync). After an error nothing is
	// known about what is on disk, and the file must not be written again.
	Sync() error
	Truncate(size int64) error
	Stat() (fs.FileInfo, error)
	io.Closer
}

// Content is what is in a file.
type Content interface {
	io.ReaderAt
	io.WriterAt
}

// Forgetter is a File that can give back the memory that the system keeps
// copies of its content in. Optional: ask for it with a type assertion.
type Forgetter interface {
	// Forget says that n bytes at off, which are durable, will hardly be read soon.
	Forget(off, n int64)
}

// DirectPage is what WriteDirect wants offsets, lengths and addresses to be multiples of, bytes.
const DirectPage = 4096

// DirectWriter is a File that can be written around the memory in which the system keeps copies of
// files. Optional: ask for it with a type assertion.
type DirectWriter interface {
	// WriteDirect is WriteAt for pieces, one after the other, of whole pages each. It fails with errors.ErrUnsupported,
	// and has written nothing, where the file system does not do that. What was written has to be synced all the same.
	WriteDirect(pieces [][]byte, off int64) error
}
