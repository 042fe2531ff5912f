package env

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
)

// inode is a file's content: as processes see it, and as the medium has it.
type inode struct {
	data    []byte
	durable []byte // unless same
	// same says that the medium has the first synced bytes of data. So a file that is only
	// appended to is never copied.
	same   bool
	synced int
	forgot bool   // a sync failed: the medium may lack what is not dirty
	dirty  []span // written, or cut off, since the last sync; in order of writing
	cut    int    // least size since the last sync; bytes of durable past it are dirty too
	like   int    // bytes that it may come to
	gone   bool   // no name leads here any more; takes no room
	opens  int    // files that are open, also those of processes that are dead
}

// part gives the medium bytes of its own, before data differs from them.
func (n *inode) part() {
	if n.same {
		n.same, n.durable = false, bytes.Clone(n.data[:n.synced])
	}
}

type span struct{ lo, hi int }

func (n *inode) touch(lo, hi int) {
	if k := len(n.dirty); k > 0 && n.dirty[k-1].hi == lo {
		n.dirty[k-1].hi = hi
		return
	}
	n.dirty = append(n.dirty, span{lo, hi})
}

// quickly is up to where the memory of a file grows by four, and not by two, bytes.
const quickly = 1 << 20

// grow extends b with zeros to n bytes.
func grow(b []byte, n int) []byte {
	if n <= len(b) {
		return b
	}
	had := len(b)
	if n > cap(b) {
		out := make([]byte, n, roomFor(b, n))
		copy(out, b)
		return out
	}
	b = b[:n]
	clear(b[had:])
	return b
}

// roomFor is the memory of a file of n bytes that has grown out of b.
func roomFor(b []byte, n int) int {
	if cap(b) <= quickly {
		return max(n, 4*cap(b))
	}
	return max(n, 2*cap(b))
}

// stretch is grow for what is written from off on: only the bytes before that become
// zeros. Large memory comes from files that are gone, and goes to the next ones; at once so much
// as the file may come to.
func (s *Sim) stretch(b []byte, off, n, like int) []byte {
	had := len(b)
	switch {
	case n <= had:
		return b
	case n <= cap(b):
		b = b[:n]
	default:
		room := roomFor(b, n)
		if like > n {
			room = like + like/16
		}
		var out []byte
		if room >= quickly {
			room = (room + quickly/2 - 1) &^ (quickly/2 - 1) // files of about one size have memory of one size
			out = s.reuse(room)
		}
		if out == nil {
			out = make([]byte, 0, room)
		}
		out = append(out, b...)[:n]
		s.recycle(b)
		b = out
	}
	clear(b[had:max(had, off)])
	return b
}

// Memory of files that are gone is kept for others, as much as there is in files, between spareLeast and spareMost bytes: that is
// what is let go of at once behind a checkpoint. Fresh memory costs more than what is written to it, by the system's page faults and the collector's zeros.
const (
	spareLeast = 32 << 20
	spareMost  = 768 << 20
)

// recycle keeps memory that nobody looks at any more.
func (s *Sim) recycle(b []byte) {
	if cap(b) >= quickly && s.spareBytes+cap(b) <= min(spareMost, max(spareLeast, int(s.used))) {
		s.spare = append(s.spare, b[:0])
		s.spareBytes += cap(b)
	}
}

// reuse returns the smallest memory that is there for n bytes, or nil. What is much larger waits for a larger file.
func (s *Sim) reuse(n int) []byte {
	best := -1
	for i, b := range s.spare {
		if cap(b) >= n && cap(b) <= 2*n && (best < 0 || cap(b) < cap(s.spare[best])) {
			best = i
		}
	}
	if best < 0 {
		return nil
	}
	b := s.spare[best]
	s.spare = slices.Delete(s.spare, best, best+1)
	s.spareBytes -= cap(b)
	return b
}

func (s *Sim) forget(n *inode) {
	if n != nil && !n.gone {
		n.gone = true
		s.used -= int64(len(n.data))
	}
}

// simFile is an open file of one process.
type simFile struct {
	s      *Sim
	dir    *simDir
	node   *inode
	name   string
	life   int
	write  bool
	closed bool
}

// enter locks the machine and counts the operation; it returns with the lock
// held. partial is called when a fault strikes; down says that the machine goes
// down with it.
func (f *simFile) enter(op Op, partial func(down bool)) error {
	f.s.mu.Lock()
	if f.life != f.s.life {
		return pathErr(op, f.name, ErrCrashed)
	}
	if f.closed {
		return pathErr(op, f.name, fs.ErrClosed)
	}
	err, crash := f.s.begin(op, f.name)
	if err != nil && !errors.Is(err, ErrCrashed) || crash {
		partial(crash)
	}
	if crash {
		f.s.mu.Unlock()
		panic(ErrCrashed)
	}
	return err
}

func nothing(bool) {}

func (f *simFile) ReadAt(p []byte, off int64) (int, error) {
	err := f.enter(OpRead, nothing)
	defer f.s.mu.Unlock()
	switch {
	case err != nil:
		return 0, err
	case off < 0:
		return 0, pathErr(OpRead, f.name, fs.ErrInvalid)
	case off >= int64(len(f.node.data)):
		if len(p) == 0 {
			return 0, nil
		}
		return 0, io.EOF
	}
	n := copy(p, f.node.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *simFile) WriteAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, pathErr(OpWrite, f.name, fs.ErrInvalid)
	}
	wrote := 0
	err := f.enter(OpWrite, func(bool) { wrote = f.put(p[:f.s.rng.IntN(len(p)+1)], off) })
	defer f.s.mu.Unlock()
	switch {
	case err != nil:
		return wrote, err
	case !f.write:
		return 0, pathErr(OpWrite, f.name, fs.ErrPermission)
	}
	if n := f.put(p, off); n < len(p) {
		return n, errNoSpace(OpWrite, f.name)
	}
	return len(p), nil
}

// put writes as much of p as the disk has room for.
func (f *simFile) put(p []byte, off int64) int {
	n := f.node
	if more := off + int64(len(p)) - int64(len(n.data)); more > 0 && !n.gone {
		short := more - f.s.room(more)
		p = p[:max(0, int64(len(p))-short)]
	}
	if len(p) == 0 {
		return 0
	}
	if int(off) < n.synced {
		n.part()
	}
	size := len(n.data)
	n.data = f.s.stretch(n.data, int(off), int(off)+len(p), n.like)
	copy(n.data[off:], p)
	n.touch(min(size, int(off)), int(off)+len(p))
	if !n.gone {
		f.s.used += int64(len(n.data) - size)
	}
	return len(p)
}

func (f *simFile) Sync() error {
	err := f.enter(OpSync, func(down bool) { f.s.syncSome(f.node, !down) })
	defer f.s.mu.Unlock()
	if err != nil {
		return err
	}
	f.node.sync()
	return nil
}

func (n *inode) sync() {
	if !n.forgot {
		n.same, n.synced, n.durable = true, len(n.data), nil
		n.dirty, n.cut = n.dirty[:0], len(n.data)
		return
	}
	n.part()
	n.cutDurable()
	n.durable = grow(n.durable, len(n.data))
	for _, d := range n.dirty {
		if lo, hi := d.lo, min(d.hi, len(n.data)); lo < hi {
			copy(n.durable[lo:hi], n.data[lo:hi])
		}
	}
	n.dirty, n.cut = n.dirty[:0], len(n.data)
}

// cutDurable cuts off the medium what processes have cut off.
func (n *inode) cutDurable() {
	n.durable = n.durable[:min(len(n.durable), n.cut)]
}

func (f *simFile) Truncate(size int64) error {
	err := f.enter(OpTruncate, nothing)
	defer f.s.mu.Unlock()
	n := f.node
	switch {
	case err != nil:
		return err
	case !f.write || size < 0:
		return pathErr(OpTruncate, f.name, fs.ErrInvalid)
	}
	more := size - int64(len(n.data))
	if more > 0 && !n.gone && f.s.room(more) < more {
		return errNoSpace(OpTruncate, f.name)
	}
	if more > 0 {
		n.touch(len(n.data), int(size))
		n.data = grow(n.data, int(size))
	} else {
		if int(size) < n.synced {
			n.part()
		}
		n.data = n.data[:size]
		n.cut = min(n.cut, int(size))
	}
	if !n.gone {
		f.s.used += more
	}
	return nil
}

func (f *simFile) Stat() (fs.FileInfo, error) {
	err := f.enter(OpStat, nothing)
	defer f.s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return simInfo{path.Base(f.name), int64(len(f.node.data)), false}, nil
}

func (f *simFile) Close() error {
	err := f.enter(OpClose, nothing)
	defer f.s.mu.Unlock()
	if !f.closed && f.life == f.s.life {
		f.closed = true
		f.node.opens--
		if f.write {
			f.dir.like = len(f.node.data)
		}
	}
	return err
}
