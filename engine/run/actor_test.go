package run

import (
	"sync"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/plan"
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

// TestSleeperWakes: whoever sleeps wakes up as long as time goes on, also where the clock was set for a wait before, or has rung since.
func TestSleeperWakes(t *testing.T) {
	sim := env.NewSim(1)
	s := sleeper{bell: make(bell, 1), clock: sim.Env().Clock}
	stop := make(chan struct{})
	sleep := func(what string, pause time.Duration, meanwhile func()) {
		t.Helper()
		woken := make(chan struct{})
		go func() {
			defer close(woken)
			s.wait(stop, pause)
		}()
		for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(10 * time.Microsecond) {
			select {
			case <-woken:
				return
			default:
			}
			if meanwhile(); time.Now().After(deadline) {
				t.Fatal(what)
			}
		}
	}
	const pause = 100 * time.Millisecond
	passes := func() { sim.Advance(pause / 4) }
	for i := range 20 {
		s.ring()
		sleep("a bell wakes nobody", pause, func() {})
		sim.Advance(time.Duration(i*7) * time.Millisecond) // up to when the clock rings, and beyond
		for range 2 {
			sleep("the clock wakes nobody", pause, passes)
		}
	}
	for len(s.bell) > 0 {
		<-s.bell
	}
	sleep("it sleeps on though all has stopped", time.Hour, sync.OnceFunc(func() { close(stop) }))
	s.leave()
	if _, ok := sim.NextTimer(); ok {
		t.Error("a clock is left")
	}
}

// TestPatience: a flusher sleeps no longer than its linger still lasts, others as long as they are told.
func TestPatience(t *testing.T) {
	const pause, linger = 20 * time.Millisecond, 2 * time.Millisecond
	now := time.Unix(1_800_000_000, 0)
	e := &Engine{graph: graph{plan: &plan.Plan{Config: &config.Config{Engine: config.Engine{Linger: linger}}}}}
	for _, c := range []struct {
		name  string
		actor Actor
		want  time.Duration
	}{
		{"a writer", &writer{}, pause},
		{"a flusher without anything to flush", &flusher{engine: e}, pause},
		{"just appended", &flusher{engine: e, since: now}, linger},
		{"a while ago", &flusher{engine: e, since: now.Add(-linger / 4)}, linger * 3 / 4},
		{"over since it looked", &flusher{engine: e, since: now.Add(-linger - time.Microsecond)}, 0},
	} {
		if got := patience([]Actor{c.actor}, now, pause); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
