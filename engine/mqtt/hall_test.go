package mqtt

import "testing"

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
