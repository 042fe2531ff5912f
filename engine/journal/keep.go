package journal

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tidemill/tidemill/engine/env"
)

func (l *disk) Hold(name string, offsets []uint64) {
	if offsets != nil && len(offsets) != l.o.Partitions {
		panic(fmt.Sprintf("BUG: %s holds %d partitions of %d", name, len(offsets), l.o.Partitions))
	}
	l.shown.mu.Lock()
	if offsets == nil {
		delete(l.shown.holds, name)
	} else {
		l.shown.holds[name] = slices.Clone(offsets)
	}
	over := l.shown.overHeld(&l.o)
	l.shown.mu.Unlock()
	l.setOver(over)
}

// Bytes is how much the channel's segments take on disk.
func (l *disk) Bytes() int64 {
	l.shown.mu.Lock()
	defer l.shown.mu.Unlock()
	return l.shown.total
}

func (l *disk) setOver(err error) {
	l.filling.mu.Lock()
	defer l.filling.mu.Unlock()
	l.filling.over = err
}

// holder returns the name of a reader that needs the oldest segment, or "".
func (s *shown) holder() string {
	if len(s.segments) < 2 {
		return ""
	}
	for _, name := range slices.Sorted(maps.Keys(s.holds)) {
		for p, offset := range s.holds[name] {
			// A reader that stands at the very end of a segment has read it.
			if offset < s.segments[1].first[p] {
				return name
			}
		}
	}
	return ""
}

// overHeld says why appends are refused: the byte limit is passed, and a
// reader needs the segment that would have to go.
func (s *shown) overHeld(o *Options) error {
	if o.RetainBytes <= 0 || s.total <= o.RetainBytes {
		return nil
	}
	name := s.holder()
	if name == "" {
		return nil
	}
	return &ErrFull{Reason: fmt.Sprintf("the channel holds %d bytes, its limit is %d, and %s has not yet read the oldest", s.total, o.RetainBytes, name)}
}

func (l *disk) Retain(age time.Duration, bytes, segment int64) {
	o := Options{RetainFor: age, RetainBytes: bytes, SegmentBytes: segment}
	o.defaults()
	l.flushing.Lock()
	defer l.flushing.Unlock()
	l.shown.mu.Lock()
	l.o.RetainFor, l.o.RetainBytes, l.o.SegmentBytes = o.RetainFor, o.RetainBytes, o.SegmentBytes
	over := l.shown.overHeld(&l.o)
	l.shown.mu.Unlock()
	l.setOver(over)
}

func (l *disk) Trim(nowUS int64) (freed int64, err error) {
	l.trimming.Lock()
	defer l.trimming.Unlock()
	for err == nil {
		s := l.droppable(nowUS)
		if s == nil {
			break
		}
		// One removal is durable before the next: a crash must not leave a gap
		// between segments.
		if err = l.e.FS.SyncDir(l.dir); err == nil {
			err = l.e.FS.Remove(s.name)
		}
		if err != nil {
			l.shown.mu.Lock()
			l.shown.segments = slices.Insert(l.shown.segments, 0, s)
			l.shown.total += s.size
			l.shown.mu.Unlock()
			break
		}
		freed += s.size
		err = l.e.FS.SyncDir(l.dir)
	}
	l.shown.mu.Lock()
	over := l.shown.overHeld(&l.o)
	l.shown.mu.Unlock()
	l.setOver(over)
	return freed, err
}

// droppable takes the oldest segment off the list if it may go, and returns it. The latest Head stays: the segment that is
// begun at an Open has none before its first Flush, and where sources stand would be forgotten with it.
func (l *disk) droppable(nowUS int64) *segment {
	s := &l.shown
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.segments) < 2 || s.holder() != "" || !slices.ContainsFunc(s.segments[1:], func(later *segment) bool { return later.headed }) {
		return nil
	}
	oldest := s.segments[0]
	old := l.o.RetainFor > 0 && oldest.newest < nowUS-l.o.RetainFor.Microseconds()
	big := l.o.RetainBytes > 0 && s.total > l.o.RetainBytes
	if !old && !big && oldest.size > 0 {
		return nil
	}
	s.segments = slices.Clone(s.segments[1:])
	s.total -= oldest.size
	return oldest
}

func (l *disk) Seek(partition int, timeUS int64) uint64 {
	l.shown.mu.Lock()
	segments := slices.Clone(l.shown.segments)
	end := l.shown.at.next[partition]
	sizes := make([]int64, len(segments))
	for i, s := range segments {
		sizes[i] = s.size
	}
	newest := l.shown.at.newest
	l.shown.mu.Unlock()
	for i, s := range segments {
		last := i == len(segments)-1
		if sizes[i] == 0 || !last && s.newest < timeUS || last && newest < timeUS {
			continue
		}
		limit := end
		if !last {
			limit = min(end, segments[i+1].first[partition])
		}
		if offset, ok := l.seekIn(s, sizes[i], partition, limit, timeUS); ok {
			return offset
		}
	}
	return end
}

// seekIn looks for the first block at or after a time in one segment. A
// segment that cannot be read is found whole: too early is safe.
func (l *disk) seekIn(s *segment, size int64, partition int, limit uint64, timeUS int64) (uint64, bool) {
	file, err := l.e.FS.Open(s.name, env.ReadOnly)
	if err != nil {
		return s.first[partition], true
	}
	defer file.Close()
	sc := newScanner(file, s, 0, size)
	for {
		f, ok, err := sc.next()
		if err != nil {
			return s.first[partition], true
		}
		if !ok {
			return 0, false
		}
		if f.time < timeUS || s.isVoid(f.seq) {
			continue
		}
		switch f.kind {
		case Records:
			if int(f.partition) == partition && f.first < limit {
				return f.first, true
			}
		case Tick, End, Note:
			m, damaged, err := sc.load(&f, l.pool, l.o.Partitions)
			if damaged != nil || err != nil {
				continue
			}
			first := m.firsts[partition]
			m.block.Release()
			if first < limit {
				return first, true
			}
		}
	}
}
