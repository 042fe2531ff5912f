package mqtt

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// TestHallTurns: addresses take turns, the newest of each first but for each fourth time, and no place is lost or given twice.
func TestHallTurns(t *testing.T) {
	for _, c := range []struct {
		come, want string // by address, in the order in which they come and get places
		places     int
	}{
		{"a1 a2 a3", "a1 a3 a2", 1},
		{"a1 a2 a3 a4 b1", "a1 a4 b1 a3 a2", 1},
		{"a1 a2 a3 b1 b2 c1", "a1 a3 b2 c1 a2 b1", 1},
		{"a1 b1 a2 a3 b2", "a1 b1 a3 b2 a2", 2},
		{"a1 a2 a3", "a1 a2 a3", 3},
		{"a1 a2 a3 a4 a5 a6 a7 a8 a9", "a1 a9 a8 a7 a2 a6 a5 a4 a3", 1},
	} {
		h := newHall(c.places)
		come := strings.Fields(c.come)
		in := make(chan string, len(come))
		waiting := func() (n int) {
			h.mu.Lock()
			defer h.mu.Unlock()
			for _, crowd := range h.turns {
				n += len(crowd.calls)
			}
			return n
		}
		var got []string
		for i, who := range come {
			go func() {
				h.enter(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, who[0]}), 32))
				in <- who
			}()
			if i < c.places {
				got = append(got, <-in)
			} else {
				eventually(t, who+" does not wait", func() bool { return waiting() == i-c.places+1 })
			}
		}
		for len(got) < len(come) {
			h.leave()
			got = append(got, <-in)
		}
		for range c.places {
			h.leave()
		}
		if !slices.Equal(got, strings.Fields(c.want)) || h.free != c.places || len(h.from) != 0 {
			t.Errorf("%s by %d: %s, not %s; %d places are free", c.come, c.places, got, c.want, h.free)
		}
	}
}

// TestHallFlood: where another comes for each who goes, without end, all who waited get in, and most of the places are for the newest.
func TestHallFlood(t *testing.T) {
	const waited = 50
	c := &crowd{}
	came := map[chan struct{}]int{}
	come := func() {
		call := make(chan struct{})
		came[call] = len(came)
		c.calls = append(c.calls, call)
	}
	for range waited {
		come()
	}
	newest, old := 0, 0
	for range waited * hallOldest {
		who := came[c.next()]
		if who == len(came)-1 {
			newest++
		} else if who < waited {
			old++
		}
		come()
	}
	if old != waited-1 || newest != waited*(hallOldest-1) { // the first to go was both
		t.Errorf("%d of those who waited and %d of those who came last", old, newest)
	}
}

// TestHallPause: clients that never answer shorten the pause, a storm of slow ones does not.
func TestHallPause(t *testing.T) {
	h := newHall(1)
	for range 1000 { // each is late, and answers all the same
		h.note(false)
		h.note(true)
	}
	if h.pause() != hallPause {
		t.Errorf("a storm: %s", h.pause())
	}
	for range 1000 {
		h.note(false)
	}
	if h.pause() != hallPause>>hallSteps {
		t.Errorf("silence: %s", h.pause())
	}
	for range hallStep * hallSteps / hallAnswer {
		h.note(true)
	}
	if h.pause() != hallPause {
		t.Errorf("afterwards: %s", h.pause())
	}
}

func TestFirstRecord(t *testing.T) {
	for _, c := range []struct {
		parts []string
		want  string // of each part: 1 when the record is whole
	}{
		{[]string{"\x16\x03\x01\x00\x03abc"}, "1"},
		{[]string{"\x16\x03\x01\x00\x03ab", "c"}, "01"},
		{[]string{"\x16", "\x03", "\x01", "\x00", "\x01", "a"}, "000001"},
		{[]string{"\x16\x03\x01\x02\x00\x01\x00\x01"}, "0"},
		{[]string{"\x16\x03\x01\x00\x03abcdef"}, "1"},
		{[]string{"GET / HTTP/1.1"}, "1"},
		{[]string{"\x10"}, "1"},
	} {
		var f firstRecord
		got := ""
		for _, p := range c.parts {
			got += map[bool]string{false: "0", true: "1"}[f.whole([]byte(p))]
		}
		if got != c.want {
			t.Errorf("%q: %s, not %s", c.parts, got, c.want)
		}
	}
}
