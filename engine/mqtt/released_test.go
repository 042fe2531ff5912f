package mqtt

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestReleased: a message of QoS 2 that is sent again, after the server died and read its log, has the number that it had, and another message with
// its identifier has another one; with up to 4,000 in flight, identifiers that go round and the lowest free ones, also where an older binary began.
func TestReleased(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine: the race detector would see nothing, and take ten times as long")
	}
	type use struct {
		id   uint16
		uses uint32
	}
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 2))
		window, lowest := []int{1, 10, 64, 65, 300, 4_000}[r.IntN(6)], r.IntN(2) == 0
		was := &released{}
		var flight []use
		var used [1 << 16]bool
		latest := map[uint16]uint32{} // the number of an identifier's last use
		if r.IntN(2) == 0 {           // these an older binary took
			var older [64]uint32
			for range 1 + r.IntN(200) {
				id, uses := r.IntN(1<<16), uint32(r.IntN(50))
				was.noteOlder(uint64(id), uses)
				older[id%64] = max(older[id%64], uses)
			}
			for id := range uint16(r.IntN(window + 1)) {
				u := use{id + 1, older[(id+1)%64]}
				used[u.id], latest[u.id], flight = true, u.uses, append(flight, u)
			}
		}
		next := uint16(r.IntN(1 << 16))
		for range 6 * window * (1 + r.IntN(3)) {
			if len(flight) < window && r.IntN(3) > 0 {
				if lowest {
					next = 0
				}
				for next++; next == 0 || used[next]; next++ {
				}
				u := use{next, was.of(next)}
				if before, ok := latest[u.id]; ok && before == u.uses {
					t.Fatalf("seed %d, window %d: two messages with identifier %d have the number %d", seed, window, u.id, u.uses)
				}
				used[u.id], latest[u.id] = true, u.uses
				flight = append(flight, u)
			} else if len(flight) > 0 {
				at := r.IntN(min(len(flight), 3))
				was.next(flight[at].id, len(flight))
				used[flight[at].id] = false
				flight = slices.Delete(flight, at, at+1)
			}
			if r.IntN(window) == 0 {
				was = readAgain(t, was)
				for _, u := range flight {
					if got := was.of(u.id); got != u.uses {
						t.Fatalf("seed %d, window %d, lowest free identifier %t: the message with %d had number %d, and has %d", seed, window, lowest, u.id, u.uses, got)
					}
				}
			}
		}
		if lowest && len(was.last) > max(window, leastReleased) || len(was.last) > mostReleased {
			t.Errorf("seed %d, window %d: %d identifiers are kept", seed, window, len(was.last))
		}
	}
}

// readAgain is what a log says that was written of r, as a snapshot, of which a part is written twice.
func readAgain(t *testing.T, r *released) *released {
	m := newSaved()
	b := appendEntry(nil, func(b []byte) []byte { return putSession(b, &savedSession{number: 3, id: "c"}) })
	b = r.append(r.append(b, 3), 3)
	seal(b, 1, 0)
	for at := 0; at < len(b); {
		body, size, ok := entryAt(b, at, 1)
		if !ok {
			t.Fatal("the log is torn")
		}
		if err := m.apply(body); err != nil {
			t.Fatal(err)
		}
		at += size
	}
	if s := m.sessions[3]; s.released != nil {
		return s.released
	}
	return &released{}
}

// TestReleasedMost: of a client that goes round all identifiers few are kept, and of one that has ever so many in use not more than the limit.
func TestReleasedMost(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine: the race detector would see nothing, and take ten times as long")
	}
	for inUse, want := range map[int]int{1: leastReleased, 500: 500, 60_000: mostReleased} {
		r := &released{}
		for n := range 70_000 {
			r.next(uint16(n%65_535+1), inUse)
		}
		if len(r.last) != want || r.count != 70_000 {
			t.Errorf("of %d in use %d are kept, want %d", inUse, len(r.last), want)
		}
	}
}
