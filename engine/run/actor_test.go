package run

import (
	"testing"
	"time"
)

// setClock notes what it is set to, and rings when the test lets it.
type setClock struct {
	now  time.Time
	set  []time.Duration
	off  int
	ring func()
}

func (c *setClock) Now() time.Time { return c.now }

func (c *setClock) After(d time.Duration, f func()) func() {
	c.set, c.ring = append(c.set, d), f
	return func() { c.off++ }
}

// TestSleeper: a clock that rings soon enough is not set again, and one that has rung, or would ring too late, is.
func TestSleeper(t *testing.T) {
	clock := &setClock{now: time.Unix(1_800_000_000, 0)}
	s := sleeper{bell: make(bell, 1), clock: clock}
	wait := func(passed, pause time.Duration, sets, offs int) {
		t.Helper()
		clock.now = clock.now.Add(passed)
		s.ring()
		s.wait(nil, pause)
		if len(clock.set) != sets || clock.off != offs {
			t.Fatalf("the clock was set to %v and stopped %d times, want %d and %d times", clock.set, clock.off, sets, offs)
		}
	}
	wait(0, 100*time.Millisecond, 1, 0)
	wait(50*time.Millisecond, 100*time.Millisecond, 1, 0)
	wait(10*time.Millisecond, 40*time.Millisecond, 1, 0)  // it rings just then
	wait(10*time.Millisecond, 20*time.Millisecond, 2, 1)  // too late for that
	wait(20*time.Millisecond, 20*time.Millisecond, 3, 2)  // it has rung
	wait(10*time.Millisecond, 100*time.Millisecond, 3, 2) // sooner than asked for
	clock.ring()
	s.wait(nil, time.Hour)
	stop := make(chan struct{})
	close(stop)
	s.wait(stop, time.Hour)
	s.leave()
	if clock.off != len(clock.set) {
		t.Fatalf("the clock was set %d times, and stopped %d times", len(clock.set), clock.off)
	}
}
