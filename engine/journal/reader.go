package journal

import (
	"errors"
	"fmt"
	"slices"
	"sort"

	"github.com/tidemill/tidemill/engine/env"
)

// errLost is the Err of a Lost block of which nothing is left to say more.
var errLost = errors.New("journal: nothing readable holds these offsets")

func (l *disk) Read(partition int, from uint64) (Reader, error) {
	if uint(partition) >= uint(l.o.Partitions) {
		panic(fmt.Sprintf("BUG: a reader of partition %d of %d", partition, l.o.Partitions))
	}
	earliest, end := l.Bounds(partition)
	if from < earliest || from > end {
		return nil, &ErrOutOfRange{uint64(partition), from, earliest, end}
	}
	l.shown.mu.Lock()
	defer l.shown.mu.Unlock()
	if l.shown.readers == nil {
		l.shown.readers = make([]int, l.o.Partitions)
	}
	l.shown.readers[partition]++
	return &reader{l: l, p: partition, want: from}, nil
}

// reader reads one partition: from the cache where it can, else from disk. It
// always knows where on disk the block after the last one is to be sought.
type reader struct {
	l     *disk
	p     int
	want  uint64   // offset that the next block must hold
	seg   *segment // where to go on looking; nil: find it by want
	at    int64
	limit uint64 // blocks of seg at or past this offset do not count
	sc    *scanner
	ahead *Block // read, but what is missing comes before it
	bad   error  // what was wrong with the damage last met
	over  bool   // closed
}

func (r *reader) Next() (*Block, error) {
	if b := r.ahead; b != nil {
		if b.First > r.want {
			return r.give(r.missing(b.First)), nil
		}
		r.ahead = nil
		return r.give(b), nil
	}
	for {
		b, more, err := r.cached()
		if b != nil || !more || err != nil {
			return b, err
		}
		if b, err = r.fromDisk(); b != nil || err != nil {
			return b, err
		}
		r.seg = nil // this segment has no more: the next holds want
	}
}

// give hands a block out and moves on past it.
func (r *reader) give(b *Block) *Block {
	r.want = b.First + uint64(b.Count)
	return b
}

// cached returns the wanted block if the cache has it. more is false at the
// durable end. Otherwise it leaves the segment to read in r.seg.
func (r *reader) cached() (b *Block, more bool, err error) {
	s := &r.l.shown
	s.mu.Lock()
	defer s.mu.Unlock()
	end := s.at.next[r.p]
	switch earliest := s.segments[0].first[r.p]; {
	case s.closed:
		return nil, false, errClosed
	case r.want >= end:
		return nil, false, nil
	case r.want < earliest:
		return nil, false, &ErrOutOfRange{uint64(r.p), r.want, earliest, end}
	}
	if b, after := s.cache.find(r.p, r.want); b != nil {
		r.forget(after.segment, after.at)
		if s.readers[r.p] == 1 {
			s.cache.pass(r.p, r.want)
		}
		return r.give(b), true, nil
	}
	i := slices.Index(s.segments, r.seg)
	if i < 0 {
		// The last segment that starts at or before want: others of the same start are empty.
		i = sort.Search(len(s.segments), func(i int) bool { return s.segments[i].first[r.p] > r.want }) - 1
		r.forget(s.segments[i], 0)
	}
	r.limit = end
	if i+1 < len(s.segments) {
		r.limit = min(end, s.segments[i+1].first[r.p])
	}
	if r.sc == nil {
		r.sc = newScanner(nil, r.seg, r.at, 0)
	}
	r.sc.end = r.seg.size
	return nil, true, nil
}

// forget makes the reader go on at a place in a segment.
func (r *reader) forget(seg *segment, at int64) {
	if r.sc != nil && r.seg == seg && r.sc.file != nil {
		r.sc.at = max(r.sc.at, at)
		r.at = r.sc.at
		return
	}
	r.closeFile()
	r.seg, r.at = seg, at
}

func (r *reader) closeFile() {
	if r.sc != nil && r.sc.file != nil {
		r.sc.file.Close() // opened for reading only
	}
	r.sc = nil
}

// fromDisk returns the next block of the partition in r.seg, or a Lost or Void block
// for offsets that are missing there; nil when the segment has no more.
func (r *reader) fromDisk() (*Block, error) {
	if r.sc.file == nil {
		file, err := r.l.e.FS.Open(r.seg.name, env.ReadOnly)
		if err != nil {
			return nil, err
		}
		r.sc.file = file
	}
	for r.want < r.limit {
		f, ok, err := r.sc.next()
		if err != nil {
			return nil, err
		}
		if f.lostTo > f.lost {
			r.hurt(f.lost, f.lostTo, "no block begins here", !ok)
		}
		if !ok {
			break
		}
		b, err := r.consider(&f)
		if b != nil || err != nil {
			return b, err
		}
	}
	if r.want < r.limit {
		return r.give(r.missing(r.limit)), nil
	}
	r.closeFile()
	return nil, nil
}

// consider returns the block that was found if it is wanted, or a Lost or Void block
// if others should have come before it.
func (r *reader) consider(f *found) (*Block, error) {
	switch f.kind {
	case Records:
		end := f.first + uint64(f.count)
		if int(f.partition) != r.p || end <= r.want || f.first >= r.limit {
			return nil, nil
		}
		if r.seg.isVoid(f.seq) {
			return nil, nil
		}
	case Tick, End, Note:
	default:
		return nil, nil
	}
	m, damaged, err := r.sc.load(f, r.l.pool, r.l.o.Partitions)
	if err != nil {
		return nil, err
	}
	if damaged != nil {
		r.hurt(f.at, r.sc.at, damaged.Error(), false)
		if f.kind != Records {
			return nil, nil // which offset it had shows when the next block comes
		}
		return r.give(r.missing(min(r.limit, f.first+uint64(f.count)))), nil
	}
	b := &m.block
	if f.kind != Records {
		b = m.view(r.p)
		m.block.Release()
		if b.First < r.want || b.First >= r.limit {
			return nil, nil
		}
	}
	if b.First > r.want {
		r.ahead = b
		return r.give(r.missing(b.First)), nil
	}
	r.bad = nil
	return r.give(b), nil
}

// missing returns the block that stands for the offsets from want on, as far up to end as all of
// them are lost, or all void.
func (r *reader) missing(end uint64) *Block {
	end, void := r.seg.gapAt(r.p, r.want, end)
	b := &Block{Kind: Void, Partition: r.p, First: r.want, Count: int(end - r.want)}
	if !void {
		b.Kind, b.Err = Lost, errLost
		if r.bad != nil {
			b.Err = r.bad
		}
	}
	r.bad = nil
	b.refs.Store(1)
	return b
}

// hurt reports damage, unless it is a tail of which nothing is missing.
func (r *reader) hurt(from, to int64, reason string, tail bool) {
	if tail && r.want >= r.limit {
		return
	}
	r.bad = fmt.Errorf("journal: %s is damaged from byte %d to %d: %s", r.seg.name, from, to, reason)
	r.l.damage(r.seg, Damage{File: r.seg.name, Offset: from, Bytes: to - from, Reason: reason})
}

func (r *reader) Close() error {
	if r.ahead != nil {
		r.ahead.Release()
		r.ahead = nil
	}
	r.closeFile()
	if !r.over {
		r.over = true
		r.l.shown.mu.Lock()
		defer r.l.shown.mu.Unlock()
		r.l.shown.readers[r.p]--
	}
	return nil
}
