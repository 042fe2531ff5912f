package replay

import (
	"errors"
	"sync"
	"time"

	"github.com/tidemill/tidemill/engine/journal"
)

var (
	errHistory = errors.New("replay: history takes no records")
	errKey     = errors.New("the key of this channel is no text: its records cannot be gone through one device at a time")
)

// history is a piece of a channel as the engine's log: what is appended to it
// is refused, clock ticks are those that stand in it, and an end can be put behind it.
type history struct {
	journal.Log // of the past
	from, to    []uint64
	only        int // partition whose records are read; -1: all. Ticks of the others are
	gate        *gate

	mu    sync.Mutex
	ended bool
	last  int64 // time of the latest block that was read, us
}

// gate lets one record, or tick, of one partition through at a time.
type gate struct {
	open bool
	// passed is what went through last, retained until the next.
	passed *journal.Block
}

func newHistory(past journal.Log, from, to []uint64) *history {
	return &history{Log: past, from: from, to: to, only: -1}
}

func (h *history) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = true
}

// atEnd tells whether there is an end, and when.
func (h *history) atEnd() (int64, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last + 1, h.ended
}

func (h *history) see(time int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = max(h.last, time)
}

// Bounds gives those of the piece.
func (h *history) Bounds(p int) (earliest, end uint64) {
	if _, ended := h.atEnd(); ended {
		return h.from[p], h.to[p] + 1
	}
	return h.from[p], h.to[p]
}

// Read opens a reader of a partition.
func (h *history) Read(p int, from uint64) (journal.Reader, error) {
	r, err := h.Log.Read(p, min(from, h.to[p]))
	if err != nil {
		return nil, err
	}
	return &reader{h: h, past: r, p: p, want: from}, nil
}

// Hold, Retain, Trim and Close leave the past alone: it is somebody else's.
func (h *history) Hold(string, []uint64)              {}
func (h *history) Retain(time.Duration, int64, int64) {}
func (h *history) Trim(int64) (int64, error)          { return 0, nil }
func (h *history) Close() error                       { return nil }

// Appender returns one that takes nothing.
func (h *history) Appender() journal.Appender { return refusing{h.Partitions()} }

type refusing struct{ partitions int }

func (refusing) Append(journal.Batch) error                { return errHistory }
func (refusing) Control(journal.Kind, int64, []byte) error { return nil }
func (refusing) Flush() error                              { return nil }
func (refusing) Pending() int                              { return 0 }
func (r refusing) Position(string) journal.Position {
	return journal.Position{Reached: make([]uint64, r.partitions)}
}

// reader reads one partition of a history.
type reader struct {
	h    *history
	past journal.Reader
	p    int
	want uint64         // offset that comes next
	held *journal.Block // the rest of a block, for a gate
}

// Next returns the next block of the piece.
func (r *reader) Next() (*journal.Block, error) {
	for {
		b, err := r.next()
		if b == nil || err != nil {
			return nil, err
		}
		if b.Kind == journal.Records && r.h.only >= 0 && r.h.only != r.p {
			b.Release()
			continue
		}
		return b, nil
	}
}

func (r *reader) next() (*journal.Block, error) {
	gated := r.h.gate != nil && r.h.only == r.p
	if gated && !r.h.gate.open {
		return nil, nil
	}
	b, err := r.block()
	if b == nil || err != nil {
		return nil, err
	}
	if gated {
		b = r.one(b)
	}
	r.want = b.First + uint64(b.Count)
	return b, nil
}

// one takes the first record off a block, keeps the rest, and closes the gate.
func (r *reader) one(b *journal.Block) *journal.Block {
	g := r.h.gate
	g.open = false
	if b.Kind == journal.Records && b.Count > 1 {
		r.held = b.Slice(1, b.Count)
		first := b.Slice(0, 1)
		b.Release()
		b = first
	}
	if g.passed != nil {
		g.passed.Release()
	}
	b.Retain()
	g.passed = b
	return b
}

// block returns the next block, or the rest of one, cut at the piece's end.
func (r *reader) block() (*journal.Block, error) {
	if b := r.held; b != nil {
		r.held = nil
		return b, nil
	}
	to := r.h.to[r.p]
	if r.want >= to {
		at, ended := r.h.atEnd()
		if !ended || r.want > to {
			return nil, nil
		}
		b := &journal.Block{Kind: journal.End, Partition: r.p, First: to, Count: 1, Time: at}
		b.Retain()
		return b, nil
	}
	b, err := r.past.Next()
	if b == nil || err != nil {
		return nil, err
	}
	r.h.see(b.Time)
	first, last := int(max(b.First, r.want)-b.First), int(min(b.First+uint64(b.Count), to)-b.First)
	if b.Kind == journal.Records && (first > 0 || last < b.Count) {
		part := b.Slice(first, last)
		b.Release()
		return part, nil
	}
	return b, nil
}

// Close closes the reader.
func (r *reader) Close() error {
	if r.held != nil {
		r.held.Release()
		r.held = nil
	}
	return r.past.Close()
}

var _ journal.Log = (*history)(nil)
