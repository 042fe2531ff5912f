package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/tidemill/tidemill/engine/env"
)

// smallBlock is the size, bytes, up to which blocks are gathered for one write.
const smallBlock = 32 << 10

// forgetBytes is how much is durable in a segment before its page cache is
// given back, bytes: doc.go says why.
const forgetBytes = 1 << 20

// active is the segment that is written to. Nothing but the tail that the next
// Flush writes ever changes in it.
type active struct {
	*segment
	file   env.File
	listed bool // its name is durable
	forgot int64
}

// forget gives back the page cache of what is durable.
func (a *active) forget() {
	if n := a.size - a.forgot; n >= forgetBytes {
		if f, ok := a.file.(env.Forgetter); ok {
			f.Forget(a.forgot, n)
		}
		a.forgot = a.size
	}
}

func (l *disk) Flush() error {
	l.flushing.Lock()
	defer l.flushing.Unlock()
	again := l.under != nil
	if err := l.flushOne(); err != nil || !again {
		return err
	}
	return l.flushOne()
}

// flushOne writes the group under way or, if there is none, the next.
func (l *disk) flushOne() error {
	if err := l.dead(); err != nil {
		return err
	}
	if l.under == nil {
		if l.under = l.take(); l.under == nil {
			return nil
		}
		l.groups++
	}
	g := l.under
	err := l.write(g)
	switch {
	case err == nil:
	case isFull(err):
		err = &ErrFull{Reason: "the disk is full: " + err.Error()}
		l.setFull(err)
		return err
	default:
		return l.fail(err)
	}
	l.publish(g)
	l.active.forget()
	l.under = nil
	l.setFull(nil)
	for _, done := range g.dones {
		done(nil)
	}
	return nil
}

// isFull tells errors that go away when there is room from those that do not.
func isFull(err error) bool {
	var stop *fatal
	return !errors.As(err, &stop) && (errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT))
}

// fatal is an error after which it is not known what is on disk.
type fatal struct{ err error }

func (f *fatal) Error() string { return f.err.Error() }
func (f *fatal) Unwrap() error { return f.err }

func (l *disk) dead() error {
	l.filling.mu.Lock()
	defer l.filling.mu.Unlock()
	return l.filling.refuse
}

func (l *disk) setFull(err error) {
	l.filling.mu.Lock()
	defer l.filling.mu.Unlock()
	l.filling.full = err
}

// write puts a group on disk. It returns an error that isFull when the same
// may be tried again.
func (l *disk) write(g *group) error {
	if err := l.fence(); err != nil {
		return err
	}
	if !g.encoded {
		if l.active.headed && l.active.size >= l.o.SegmentBytes {
			if err := l.roll(); err != nil {
				return err
			}
		}
		l.encode(g)
	}
	l.e.Point("journal.before-write")
	if err := l.writeBlocks(g); err != nil {
		return err
	}
	l.e.Point("journal.before-sync")
	if err := l.active.file.Sync(); err != nil {
		return &fatal{err}
	}
	if !l.active.listed {
		if err := l.e.FS.SyncDir(l.dir); err != nil {
			return &fatal{err}
		}
		l.active.listed = true
	}
	l.e.Point("journal.after-sync")
	return nil
}

// fence finds out whether a newer owner has opened the channel: opening makes
// the next segment.
func (l *disk) fence() error {
	next, err := l.e.FS.Open(segmentName(l.dir, l.active.id+1), env.ReadOnly)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		next.Close() // nothing was done to it
		return ErrFenced
	}
	return err
}

// roll goes on to a new segment. The old one is complete and synced.
func (l *disk) roll() error {
	next, err := l.create(l.active.id + 1)
	if err != nil {
		return err
	}
	l.e.Point("journal.roll")
	l.shown.mu.Lock()
	l.active.newest = l.shown.at.newest
	next.first = append([]uint64(nil), l.shown.at.next...)
	l.shown.segments = append(l.shown.segments, next.segment)
	l.shown.mu.Unlock()
	l.active.file.Close() // all of it is synced: an error has nothing to say
	l.active = next
	return nil
}

// create makes the file of a segment, empty.
func (l *disk) create(id uint64) (*active, error) {
	name := segmentName(l.dir, id)
	f, err := l.e.FS.Open(name, env.Create)
	if err != nil {
		return nil, err
	}
	return &active{segment: &segment{id: id, name: name}, file: f}, nil
}

// encode makes the bytes of a group, once: a group that is tried again is
// written the same to the same place.
func (l *disk) encode(g *group) {
	if !l.active.headed {
		l.shown.mu.Lock()
		body := l.shown.at.encodeHead()
		l.shown.mu.Unlock()
		g.head = l.internal(kindHead, body)
		g.head.head.count = format
		g.extents = append(g.extents, g.head)
	}
	g.extents = append(g.extents, g.blocks...)
	if len(g.marks) > 0 {
		g.trailer = l.internal(kindMarks, encodeMarks(g.marks))
		g.extents = append(g.extents, g.trailer)
	}
	at := l.active.size
	padded := l.padding(g)
	for i, m := range g.extents {
		l.seq++
		m.block.Seq = l.seq
		if m.block.Kind == Records {
			m.encodeRecords(l.pool)
		} else {
			m.head.seq = l.seq
		}
		if padded(i) {
			m.fillPage(l.pool, at)
		}
		m.seal()
		m.head.owner, m.head.group, m.head.nth = l.owner, l.groups, uint32(i)
		m.finish(l.active.segment, at)
		at += m.head.size()
	}
	g.size = at - l.active.size
	g.encoded = true
}

// internal returns a block that readers do not see.
func (l *disk) internal(kind Kind, meta []byte) *memory {
	m := l.pool.get(headerSize + len(meta) + Slack)
	m.buf = append(m.buf[:headerSize], meta...)
	m.block.Kind, m.block.Time = kind, l.e.Clock.Now().UnixMicro()
	m.head = header{kind: kind, partition: allPartitions, meta: uint32(len(meta)), time: m.block.Time}
	return m
}

// writeBlocks writes a group's bytes, small blocks several at a time.
func (l *disk) writeBlocks(g *group) error {
	if done, err := l.writeDirect(g); done {
		return err
	}
	l.small = l.small[:0]
	at := l.active.size
	gathered := func() error {
		if len(l.small) == 0 {
			return nil
		}
		err := l.writeAt(l.small, at)
		at += int64(len(l.small))
		l.small = l.small[:0]
		return err
	}
	for _, m := range g.extents {
		if len(m.buf) <= smallBlock {
			l.small = append(l.small, m.buf...)
			if len(l.small) < 8*smallBlock {
				continue
			}
			if err := gathered(); err != nil {
				return err
			}
			continue
		}
		if err := gathered(); err != nil {
			return err
		}
		if err := l.writeAt(m.buf, at); err != nil {
			return err
		}
		at += int64(len(m.buf))
	}
	return gathered()
}

func (l *disk) writeAt(b []byte, at int64) error {
	n, err := l.active.file.WriteAt(b, at)
	switch {
	case err == nil && n < len(b):
		panic("BUG: a short write without an error")
	case err == nil || isFull(err):
		return err
	}
	return &fatal{err}
}

// publish shows a durable group to readers.
func (l *disk) publish(g *group) {
	l.shown.mu.Lock()
	s := &l.shown
	if g.head != nil {
		s.at.newest, s.at.voids, s.at.gaps = 0, nil, nil
	}
	for _, m := range g.blocks {
		s.at.newest = max(s.at.newest, m.block.Time)
		if m.block.Kind == Records {
			p := m.block.Partition
			s.at.next[p] = m.block.First + uint64(m.block.Count)
			s.at.reach(m.source, p, m.pos)
		} else {
			for p, first := range m.firsts {
				s.at.next[p] = first + 1
			}
		}
		s.cache.add(m)
	}
	for name, pos := range g.marks {
		s.at.commit(name, pos)
	}
	l.active.size += g.size
	l.active.headed = true
	l.active.newest = s.at.newest
	s.total += g.size
	s.cache.drop(l.o.CacheBytes)
	over := s.overHeld(&l.o)
	s.mu.Unlock()
	for _, m := range []*memory{g.head, g.trailer} {
		if m != nil {
			m.block.Release()
		}
	}
	l.filling.mu.Lock()
	defer l.filling.mu.Unlock()
	l.filling.pending -= g.bytes
	l.filling.over = over
}

// fail ends the log's writing: what is not durable is told so, and nothing
// more is taken until the channel is opened again.
func (l *disk) fail(cause error) error {
	var stop *fatal
	if !errors.Is(cause, ErrFenced) && !errors.As(cause, &stop) {
		return cause // nothing was written: the next Flush tries again
	}
	err := ErrFenced
	if stop != nil {
		err = fmt.Errorf("journal: the disk failed, and %s takes nothing more until the channel is opened again: %w", l.active.name, stop.err)
	}
	dones := l.under.dones
	l.under = nil
	f := &l.filling
	f.mu.Lock()
	f.refuse = err
	dones = append(dones, f.dones...)
	f.dones, f.sealed, f.open, f.pending, f.waiting = nil, nil, nil, 0, 0
	f.mu.Unlock()
	if stop != nil {
		l.disown()
	}
	for _, done := range dones {
		done(err)
	}
	return err
}

// disown starts a segment whose Head says that nothing of the failed group
// counts. Otherwise the next Open finds the group in the page cache, and believes and settles it,
// though who had sent it was told that it failed.
func (l *disk) disown() {
	if l.roll() != nil {
		return // then Open counts what it finds
	}
	l.groups++
	g := &group{}
	l.encode(g)
	if l.writeBlocks(g) == nil && l.active.file.Sync() == nil && l.e.FS.SyncDir(l.dir) == nil {
		l.publish(g)
	}
}
