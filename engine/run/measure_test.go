package run_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/run"
)

// stormWork is a channel with windows whose state is asked for before and measured behind.
const stormWork = `
channel "c" {
  key        = device
  time       = ts
  partitions = 2
  schema     = { device = string, ts = timestamp, temp = number }
}
ingest "file" "in" {
  to   = channel.c
  path = "/in/storm.ndjson"
}
pipeline "p" {
  from = channel.c
  window "tumbling" "half" {
    by    = [device]
    every = "30m"
    keep  = "2h"
    emit  = { a = avg(temp), n = count() }
  }
  window "sliding" "two" {
    from  = channel.c
    by    = [device]
    size  = "2h"
    every = "30m"
    keep  = "1h"
    emit  = { a = avg(temp), h = max(temp) }
  }
  window "state" "warm" {
    from  = channel.c
    by    = [device]
    while = temp > 0
    late  = "drop"
    emit  = { h = max(temp) }
  }
  sink "file" "out" {
    from = window.half
    path = "/out/half.ndjson"
  }
  sink "file" "rest" {
    from = [window.two, window.warm]
    path = "/out/rest.ndjson"
  }
}
`

const (
	stormDevices = 10_000
	stormSteps   = 52
)

// storm is what 10,000 devices send, half an hour apart, in order of arrival: one in twenty of them is away for up to a day and
// sends a hundred records in the time of one when it is back.
func storm() string {
	const devices, steps, most = stormDevices, stormSteps, 48
	rng := rand.New(rand.NewPCG(10, 20))
	came := make([]strings.Builder, steps+1)
	for d := range devices {
		from, span := steps, 0
		if d%20 == 0 {
			span = 1 + rng.IntN(most)
			from = rng.IntN(steps - span)
		}
		for i := range steps {
			at := i
			if i >= from && i < from+span {
				at = from + span
			}
			fmt.Fprintf(&came[at], `{"device":"trailer-%05d","ts":"2020-01-%02dT%02d:%02d:00Z","temp":%d}`+"\n", d, 1+i/48, i/2%24, i%2*30, rng.IntN(40)-20)
		}
	}
	var all strings.Builder
	for i := range came {
		all.WriteString(came[i].String())
	}
	return all.String()
}

// TestStateAgainstPlan holds what the plan says of the memory of 10,000 devices' state, before, against what the engine says
// of it when they have reported for a day.
func TestStateAgainstPlan(t *testing.T) {
	if testing.Short() {
		t.Skip("a day of 10,000 devices on one goroutine")
	}
	l := newLab(t)
	l.memory = memory.NewCheckedAllocator(memory.DefaultAllocator)
	l.write("/in/storm.ndjson", storm())
	p := l.plan(stormWork)
	e, err := run.Open(p, run.Options{Env: l.machine.Env(), Data: "/data", Specs: l.specs(), Alloc: l.memory, Report: l.report})
	l.must(err)
	l.engine = e
	l.steps(func() bool { return l.totals().Records == stormDevices*stormSteps })
	l.settle() // the next ticks
	s := e.Status()
	l.close()
	held, all := map[string]int64{}, int64(0)
	for _, x := range s.State {
		held[x.Owner] += x.Bytes
		all += x.Bytes
	}
	x := p.Explain()
	planned := map[string]int64{"channel.c": x.Channels[0].Keys.Bytes + x.Channels[0].Figures.Bytes}
	for _, st := range x.Pipelines[0].Stages {
		for _, table := range st.State {
			planned[st.Address] += table.Bytes
		}
	}
	if len(planned) != 4 || len(held) != 4 {
		t.Fatal(planned, s.State)
	}
	for owner, want := range planned {
		near(t, owner, held[owner], want)
	}
	near(t, "in all", all, x.Memory.State)
	if i := slices.IndexFunc(s.State, func(x run.StateStatus) bool { return x.Table == "groups" }); i < 0 || s.State[i].Entries != stormDevices {
		t.Error(s.State)
	}
}

// near fails the test when what is held is not within a fifth of what was planned.
func near(t *testing.T, what string, held, planned int64) {
	t.Helper()
	t.Logf("%s: planned %d, held %d: %+.0f %%", what, planned, held, float64(held-planned)/float64(planned)*100)
	if d := held - planned; d < -planned/5 || d > planned/5 {
		t.Errorf("%s: the plan says %d bytes of state, and the engine %d", what, planned, held)
	}
}
