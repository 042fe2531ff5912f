package journal

import (
	"errors"
	"slices"
	"sync"

	"github.com/tidemill/tidemill/engine/env"
)

// disk is a Log in segments on disk. It has three sides, each with its lock;
// who takes more than one takes them in this order.
//
//	flushing  one Flush at a time: the group under way and the active segment
//	filling   Append and Control: the open blocks
//	shown     what is durable: ends, segments, positions, the tail cache
type disk struct {
	e     *env.Env
	dir   string
	o     Options
	owner uint64 // the number of the first segment that this log made
	pool  *pool

	flushing sync.Mutex
	active   *active
	under    *group // taken from filling, not yet durable
	groups   uint64 // number of the last group
	seq      uint64 // of the last block
	small    []byte // where small blocks are gathered for one write
	direct   direct // where what is no multiple of pages is gathered
	buffered bool   // the file system takes no direct writes
	least    int64  // leastDirect, or what a test sets

	trimming sync.Mutex // one Trim at a time; taken before shown
	filling  filling
	shown    shown
}

// group is what one Flush writes and syncs.
type group struct {
	blocks  []*memory
	marks   map[string]uint64
	dones   []func(error)
	bytes   int // what Pending counts for it
	encoded bool
	head    *memory   // when the group starts a segment
	trailer *memory   // the Marks block, or nil
	extents []*memory // head, blocks and trailer, in the order in which they lie
	size    int64
}

// filling is the appending side.
type filling struct {
	mu      sync.Mutex
	open    []*memory // by partition; nil: none
	like    []int     // bytes of the block before, by partition
	sealed  []*memory
	next    []uint64 // next offset to give, by partition
	marks   map[string]uint64
	dones   []func(error)
	known   map[string]bool // sources, for the limit on their number
	pending int
	waiting int   // bytes not yet taken by a Flush
	refuse  error // nil, or why appends are refused for good
	full    error // nil, or *ErrFull: why they are refused for now
	over    error // nil, or *ErrFull: the channel's byte limit
}

// shown is what readers and retention see.
type shown struct {
	mu       sync.Mutex
	closed   bool
	segments []*segment
	at       *standing // next holds the durable ends
	cache    cache
	readers  []int // that are open, by partition
	holds    map[string][]uint64
	total    int64 // bytes of all segments
	reported map[place]bool
}

var errClosed = errors.New("journal: the channel is closed")

// maxSources is how many sources one channel remembers.
const maxSources = 100_000

func (l *disk) Appender() Appender { return l }
func (l *disk) Partitions() int    { return l.o.Partitions }

func (l *disk) Bounds(partition int) (earliest, end uint64) {
	l.shown.mu.Lock()
	defer l.shown.mu.Unlock()
	return l.shown.segments[0].first[partition], l.shown.at.next[partition]
}

func (l *disk) Position(source string) Position {
	l.shown.mu.Lock()
	defer l.shown.mu.Unlock()
	out := Position{Reached: make([]uint64, l.o.Partitions)}
	if p := l.shown.at.sources[source]; p != nil {
		out.Committed = p.committed
		copy(out.Reached, p.reached)
	}
	return out
}

func (l *disk) Close() error {
	l.flushing.Lock()
	defer l.flushing.Unlock()
	l.filling.mu.Lock()
	l.filling.refuse = errClosed
	l.filling.mu.Unlock()
	l.shown.mu.Lock()
	defer l.shown.mu.Unlock()
	if l.shown.closed {
		return nil
	}
	l.shown.closed = true
	l.shown.cache.drop(0)
	if l.active == nil {
		return nil
	}
	return l.active.file.Close()
}

// damage tells Options.Report of a place once, however many readers meet it.
func (l *disk) damage(s *segment, d Damage) {
	l.shown.mu.Lock()
	at := place{s.id, d.Offset}
	told := l.shown.reported[at]
	if !told && len(l.shown.reported) < 4096 {
		l.shown.reported[at] = true
	}
	l.shown.mu.Unlock()
	if !told && l.o.Report != nil {
		l.o.Report(d)
	}
}

type place struct {
	segment uint64
	offset  int64
}

// segment is a file of blocks.
type segment struct {
	id     uint64
	name   string
	size   int64    // durable bytes of the active one, all bytes of an older one
	headed bool     // its Head is durable
	first  []uint64 // offset, by partition, at which it starts
	newest int64    // newest block time in it, us; of an older one known from the next Head
	voids  []uint64 // sorted seqs of blocks that do not count
	gaps   []gap    // offsets that hold nothing; rising within a partition
}

// gapAt tells whether an offset is in a gap, and where that, or what is before the next gap, ends; at most to.
func (s *segment) gapAt(partition int, offset, to uint64) (end uint64, in bool) {
	for _, g := range s.gaps {
		switch {
		case g.partition != partition || g.to <= offset:
		case g.from <= offset:
			return min(g.to, to), true
		default:
			return min(g.from, to), false
		}
	}
	return to, false
}

func (s *segment) isVoid(seq uint64) bool {
	_, found := slices.BinarySearch(s.voids, seq)
	return found
}
