package env

import (
	"io/fs"
	"strings"
	"syscall"
)

// Op names an operation of the simulated file system.
type Op string

// The operations that a Fault can match.
const (
	OpOpen     Op = "open"
	OpRead     Op = "read"
	OpWrite    Op = "write"
	OpSync     Op = "sync"
	OpTruncate Op = "truncate"
	OpStat     Op = "stat"
	OpClose    Op = "close"
	OpRename   Op = "rename"
	OpRemove   Op = "remove"
	OpMkdir    Op = "mkdir"
	OpReadDir  Op = "readdir"
	OpSyncDir  Op = "syncdir"
)

// Fault makes operations of the simulated file system go wrong.
type Fault struct {
	Op    Op     // "" matches every operation
	Name  string // matches names that contain it; "" matches every name
	After int    // how many matching operations go well first
	Times int    // how many then fail; 0 means one, less than 0 all that follow
	// Err is what the operation returns, inside an *fs.PathError. A failed write
	// may have written a part. A failed sync leaves some of the data on the
	// medium and forgets that the rest is not: a later sync will not write it.
	Err error
	// Crash takes the machine down in the middle of the operation: it panics with
	// ErrCrashed, and everything after returns ErrCrashed until Crash or Kill.
	Crash bool

	fired int
}

// Fail adds a fault. Faults are asked in the order in which they were added.
func (s *Sim) Fail(f Fault) {
	if f.Err == nil && !f.Crash {
		panic("BUG: a fault without an error")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
}

// Heal removes all faults and returns how often they struck.
func (s *Sim) Heal() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, f := range s.faults {
		n += f.fired
	}
	s.faults = nil
	return n
}

// Ops returns how many file system operations there have been.
func (s *Sim) Ops() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ops
}

// SetDisk sets the size of the disk in bytes; 0 means no limit. What goes
// beyond is refused with ENOSPC. Only file contents take room.
func (s *Sim) SetDisk(bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = bytes
}

// Used returns how many bytes the files hold.
func (s *Sim) Used() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}

// begin counts an operation and returns the fault that strikes it, as an
// error. The caller holds s.mu. crash reports that the machine goes down in it.
func (s *Sim) begin(op Op, name string) (err error, crash bool) {
	if s.down {
		return &fs.PathError{Op: string(op), Path: name, Err: ErrCrashed}, false
	}
	s.ops++
	for _, f := range s.faults {
		if (f.Op != "" && f.Op != op) || !strings.Contains(name, f.Name) {
			continue
		}
		if f.After > 0 {
			f.After--
			continue
		}
		if f.Times >= 0 && f.fired >= max(1, f.Times) {
			continue
		}
		f.fired++
		if f.Crash {
			s.down = true
			return &fs.PathError{Op: string(op), Path: name, Err: ErrCrashed}, true
		}
		return &fs.PathError{Op: string(op), Path: name, Err: f.Err}, false
	}
	return nil, false
}

// room returns how many of the n more bytes a write wants the disk has.
func (s *Sim) room(n int64) int64 {
	if s.limit == 0 {
		return n
	}
	return min(n, max(0, s.limit-s.used))
}

func errNoSpace(op Op, name string) error {
	return &fs.PathError{Op: string(op), Path: name, Err: syscall.ENOSPC}
}
