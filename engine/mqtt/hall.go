package mqtt

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"time"
)

// hall is where handshakes are under way: so many at one time. Who waits for a place gets it when it is the turn of its
// address, and of one address who came last comes first: when more come than can be served, whoever has waited for long has mostly given up, or never
// meant it. One time in hallOldest it is who came first, so that under a flood that does not end nobody waits for ever. A client that has a place may take so long to answer before it
// goes to another. That is short while clients do not answer at all, since ten thousand of those would keep
// everybody else waiting, and long again when they do, if late: a fleet that comes back is slow, not silent.
type hall struct {
	mu     sync.Mutex
	free   int                     // places
	from   map[netip.Prefix]*crowd // who waits; nobody does while places are free
	turns  []*crowd                // the same; the first is next
	silent int                     // clients that did not answer; each answer counts against several of them
}

const (
	// hallPause is how long a client may take to answer where clients do.
	hallPause = 100 * time.Millisecond
	// hallStep is how many silent clients halve the pause, and hallSteps how often it is halved.
	hallStep, hallSteps = 16, 5
	// hallAnswer is how many silent clients one answer makes up for.
	hallAnswer = 4
	// hallOldest is of how many places that go to an address one goes to who has waited there the longest.
	hallOldest = 4
)

// crowd is who waits of one address, in the order in which they came.
type crowd struct {
	from   netip.Prefix
	calls  []chan struct{}
	served uint // while there were always some who wait
}

// next takes out whose turn it is.
func (c *crowd) next() (call chan struct{}) {
	c.served++
	if c.served%hallOldest == 0 {
		call, c.calls[0] = c.calls[0], nil
		c.calls = c.calls[1:]
		return call
	}
	last := len(c.calls) - 1
	call, c.calls[last] = c.calls[last], nil
	c.calls = c.calls[:last]
	return call
}

func newHall(n int) *hall { return &hall{free: n, from: map[netip.Prefix]*crowd{}} }

// enter waits for a place.
func (h *hall) enter(from netip.Prefix) {
	h.mu.Lock()
	if h.free > 0 {
		h.free--
		h.mu.Unlock()
		return
	}
	c := h.from[from]
	if c == nil {
		c = &crowd{from: from}
		h.from[from] = c
		h.turns = append(h.turns, c)
	}
	call := make(chan struct{})
	c.calls = append(c.calls, call)
	h.mu.Unlock()
	<-call
}

// leave gives the place to who is next.
func (h *hall) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.turns) == 0 {
		h.free++
		return
	}
	c := h.turns[0]
	h.turns[0] = nil
	h.turns = h.turns[1:]
	close(c.next())
	if len(c.calls) > 0 {
		h.turns = append(h.turns, c)
	} else {
		delete(h.from, c.from)
	}
}

func (h *hall) pause() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return hallPause >> (h.silent / hallStep)
}

func (h *hall) note(answered bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if answered {
		h.silent = max(0, h.silent-hallAnswer)
	} else {
		h.silent = min(h.silent+1, hallStep*hallSteps)
	}
}

// firstRecord finds out when the first record of a handshake has come whole, RFC 8446, section 5.1:
// type u8, version u16, length u16. Before that there is nothing to do for it.
type firstRecord struct {
	head [5]byte
	had  int
}

const recordHandshake = 22

func (f *firstRecord) whole(p []byte) bool {
	if f.had < len(f.head) {
		copy(f.head[f.had:], p)
	}
	f.had += len(p)
	if f.head[0] != recordHandshake {
		return true // it is none, and TLS says so
	}
	return f.had >= len(f.head) && f.had-len(f.head) >= int(binary.BigEndian.Uint16(f.head[3:]))
}
