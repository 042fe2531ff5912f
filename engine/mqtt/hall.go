package mqtt

import (
	"encoding/binary"
	"sync"
	"time"
)

// hall is where handshakes are under way: a gate, and how long a client that has a place may take to answer before its place
// goes to another. That is short while clients do not answer at all, since ten thousand of those would keep
// everybody else waiting, and long again when they do, if late: a fleet that comes back is slow, not silent.
type hall struct {
	*gate
	mu     sync.Mutex
	silent int // clients that did not answer; each answer counts against several of them
}

const (
	// hallPause is how long a client may take to answer where clients do.
	hallPause = 100 * time.Millisecond
	// hallStep is how many silent clients halve the pause, and hallSteps how often it is halved.
	hallStep, hallSteps = 16, 5
	// hallAnswer is how many silent clients one answer makes up for.
	hallAnswer = 4
)

func newHall(n int) *hall { return &hall{gate: newGate(n)} }

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
