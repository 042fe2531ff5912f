package mqtt

import "slices"

// released tells when the client of a session has last given back each identifier of QoS 2: what came with it before and what
// comes after that are two messages, however alike they are. Times are the how many-th of all releases of the session:
//
//	released    9   7   8   9
//	number      1   2   3   4   ->   last: 7 is 2, 8 is 3, 9 is 4
//
// Of identifiers that were given back long ago nothing is known, as if they never were. That makes no difference to a message
// in flight, as long as there are not more of them than are kept: an identifier that is used again soon is among the
// latest ones, and one that all others are used before, and with it its message, was forgotten long before.
type released struct {
	last  []release // by number, rising; an identifier stands there once
	count uint32
	most  int // of last
	// older is what an older binary wrote down, which told identifiers apart modulo 64: how often one of them was released.
	older *[olderReleased]uint32
}

type release struct {
	id     uint16
	number uint32
}

const (
	// leastReleased and mostReleased say how many identifiers are kept of a session: as many as it had in use at one time, within these.
	leastReleased, mostReleased = 64, 4_096
	olderReleased               = 64
)

// of returns the number of an identifier's last release; 0: it was never released, as far as is known. A nil one knows nothing.
func (r *released) of(id uint16) uint32 {
	if r == nil {
		return 0
	}
	if i := r.find(id); i >= 0 {
		return r.last[i].number
	}
	if r.older != nil {
		return r.older[id%olderReleased]
	}
	return 0
}

// find looks from the latest on: who takes the lowest identifier that is free uses these again.
func (r *released) find(id uint16) int {
	for i := len(r.last) - 1; i >= 0; i-- {
		if r.last[i].id == id {
			return i
		}
	}
	return -1
}

// next notes that an identifier was released, of so many that were in use.
func (r *released) next(id uint16, inUse int) release {
	n := release{id, r.count + 1}
	r.note(n, inUse)
	return n
}

// note takes down a release that has its number, perhaps not for the first time.
func (r *released) note(n release, most int) {
	r.most = min(max(r.most, most, leastReleased), mostReleased)
	r.count = max(r.count, n.number)
	if i := r.find(n.id); i >= 0 {
		if r.last[i].number >= n.number {
			return
		}
		r.last = slices.Delete(r.last, i, i+1)
	}
	at, _ := slices.BinarySearchFunc(r.last, n.number, func(have release, number uint32) int { return int(have.number) - int(number) })
	r.last = slices.Insert(r.last, at, n)
	if over := len(r.last) - r.most; over > 0 {
		r.last = slices.Delete(r.last, 0, over)
	}
}

// noteOlder takes down what an older binary has: an identifier, or another one that is the same modulo 64, was released so often. Later
// releases get other numbers.
func (r *released) noteOlder(id uint64, uses uint32) {
	if r.older == nil {
		r.older = new([olderReleased]uint32)
	}
	was := &r.older[id%olderReleased]
	*was = max(*was, uses)
	r.count = max(r.count, uses)
}

// append writes everything as entries of the log.
func (r *released) append(dst []byte, session uint64) []byte {
	if r == nil {
		return dst
	}
	if r.older != nil {
		for id, uses := range r.older {
			if uses > 0 {
				dst = appendEntry(dst, func(b []byte) []byte { return entryOf(b, entryFreed, session, uint64(id), uint64(uses)) })
			}
		}
	}
	for _, n := range r.last {
		dst = appendEntry(dst, func(b []byte) []byte { return putRelease(b, session, n, r.most) })
	}
	return dst
}

func putRelease(dst []byte, session uint64, n release, most int) []byte {
	return entryOf(dst, entryGivenBack, session, uint64(n.id), uint64(n.number), uint64(most))
}
