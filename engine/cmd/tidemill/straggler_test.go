package main

import (
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/env"
)

// TestStraggler: a fleet that goes on does not wait for the time to pass again in which an earlier run sent everything but the records of a
// device that was away.
func TestStraggler(t *testing.T) {
	machine := env.NewSim(1)
	p := &dispatcher{app: &app{env: machine.Env()}, flags: &simulateFlags{pace: 60}}
	const hour = int64(time.Hour / time.Microsecond)
	began := machine.Env().Clock.Now()
	due := func(first, at int64) time.Duration {
		return time.Duration(float64(at-first)/p.flags.pace*1e3) - machine.Env().Clock.Now().Sub(began)
	}
	old := 7 * hour
	first := p.from(began, 0, old, 0)
	if wait := due(first, old); wait != 0 {
		t.Errorf("the first record waits for %v", wait)
	}
	machine.Advance(2 * time.Second)
	first = p.from(began, first, old+3*hour, 1) // everything between was sent
	if wait := due(first, old+3*hour); wait != 0 {
		t.Errorf("the first record behind those that were sent waits for %v", wait)
	}
	if wait := due(first, old+4*hour); wait != time.Minute {
		t.Errorf("an hour of the fleet's time takes %v", wait)
	}
	machine.Advance(10 * time.Minute)
	if again := p.from(began, first, old+4*hour, 2); again != first {
		t.Error("a fleet that is behind its time falls further behind")
	}
}
