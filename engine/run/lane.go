package run

import (
	"sync"

	"github.com/tidemill/tidemill/engine/flow"
)

// parcel is an item on its way to input in of a sink.
type parcel struct {
	item flow.Item
	in   int
}

// lane is the queue from one task to one sink, bounded by rows: a task does
// not step while a lane of its has no room, so a lane holds at most its limit and what
// one block gives. One goroutine pushes, one pops.
type lane struct {
	mu     sync.Mutex
	items  []parcel
	head   int
	rows   int
	limit  int
	filled *bells // rung on push
	taken  *bells // rung when room has come back
}

// laneSlack is how many places of taken items a lane may keep.
const laneSlack = 32

func newLane(limit int, filled, taken *bells) *lane {
	return &lane{limit: limit, filled: filled, taken: taken}
}

func (l *lane) push(p parcel) {
	l.mu.Lock()
	l.items = append(l.items, p)
	if p.item.Rows != nil {
		l.rows += int(p.item.Rows.NumRows())
	}
	l.mu.Unlock()
	l.filled.ring()
}

func (l *lane) full() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rows >= l.limit
}

func (l *lane) empty() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head == len(l.items)
}

// pop takes the first item off; ok is false when there is none.
func (l *lane) pop() (p parcel, ok bool) {
	l.mu.Lock()
	if l.head == len(l.items) {
		l.mu.Unlock()
		return parcel{}, false
	}
	p = l.items[l.head]
	l.items[l.head] = parcel{}
	l.head++
	switch {
	case l.head == len(l.items):
		l.items, l.head = l.items[:0], 0
	case l.head >= laneSlack && l.head > len(l.items)/2:
		// A lane that is never empty must not keep the places of all that went through.
		n := copy(l.items, l.items[l.head:])
		clear(l.items[n:])
		l.items, l.head = l.items[:n], 0
	}
	was := l.rows >= l.limit
	if p.item.Rows != nil {
		l.rows -= int(p.item.Rows.NumRows())
	}
	room := was && l.rows < l.limit
	l.mu.Unlock()
	if room {
		l.taken.ring()
	}
	return p, true
}

// drop empties the lane and releases what was in it.
func (l *lane) drop() {
	for {
		p, ok := l.pop()
		if !ok {
			return
		}
		if p.item.Rows != nil {
			p.item.Rows.Release()
		}
	}
}
