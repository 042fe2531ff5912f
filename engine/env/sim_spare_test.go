package env

import "testing"

// TestSpare: memory of a file that is gone is another's of about its size, and not that of a much smaller one, which would keep
// it from the next large one.
func TestSpare(t *testing.T) {
	for _, c := range []struct {
		name     string
		old, new int
		reused   bool
	}{
		{"as large", 4 << 20, 4 << 20, true},
		{"a little smaller", 4<<20 + 100, 4 << 20, true},
		{"a little larger, of the same step", 4<<20 + 100, 4<<20 + 200, true},
		{"larger", 4 << 20, 6 << 20, false},
		{"much smaller", 32 << 20, 2 << 20, false},
		{"small", 4 << 20, 4 << 10, false},
	} {
		s := NewSim(1)
		old := s.stretch(nil, 0, c.old, 0)
		s.recycle(old)
		b := s.stretch(nil, 0, c.new, 0)
		if got := &b[0] == &old[0]; got != c.reused || len(b) != c.new {
			t.Errorf("%s: %d bytes in memory of a file of %d: used again %v, which should be %v", c.name, len(b), c.old, got, c.reused)
		}
	}
}
