package main

import (
	"runtime"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/env"
)

// stretch is looks in a row that all find the same.
type stretch struct {
	looks  int
	part   float64 // of one processor's time
	groups int64   // in each
	size   int64   // of a group, bytes
	late   time.Duration
	must   bool
	one    bool // what the last of them says
}

func TestOneProcessorWhileItIsEnough(t *testing.T) {
	bulk := stretch{looks: 10, part: 0.45, groups: 10, size: 400 << 10, one: true}
	for name, list := range map[string][]stretch{
		"idle":                        {{looks: 100, part: 0.01}},
		"bulk":                        {bulk},
		"bulk, not calm for long":     {{looks: 9, part: 0.45, groups: 10, size: 400 << 10}},
		"bulk, more than half":        {{looks: 100, part: 0.55, groups: 10, size: 400 << 10}},
		"bulk, a full processor":      {{looks: 100, part: 1, groups: 10, size: 400 << 10}},
		"small groups":                {{looks: 100, part: 0.3, groups: 15, size: 15 << 10}},
		"between small and bulk":      {{looks: 100, part: 0.3, groups: 15, size: 50 << 10}},
		"few to many":                 {bulk, {looks: 1, part: 0.75, groups: 10, size: 400 << 10}},
		"few to many and back":        {bulk, {looks: 1, part: 0.75, groups: 10, size: 400 << 10}, {looks: 9, part: 0.3, groups: 10, size: 400 << 10}, {looks: 1, part: 0.3, groups: 10, size: 400 << 10, one: true}},
		"a little more":               {bulk, {looks: 100, part: 0.65, groups: 10, size: 400 << 10, one: true}},
		"bulk to small groups":        {bulk, {looks: 1, part: 0.3, groups: 15, size: 15 << 10}},
		"bulk to groups not so large": {bulk, {looks: 100, part: 0.3, groups: 15, size: 50 << 10, one: true}},
		"bulk to idle":                {bulk, {looks: 100, part: 0.01, one: true}},
		"a small group among large":   {bulk, {looks: 1, part: 0.3, groups: 9, size: 300 << 10, one: true}},
		"not given a processor":       {bulk, {looks: 1, part: 0.3, groups: 10, size: 400 << 10, late: 21 * time.Millisecond}},
		"the clock set back":          {bulk, {looks: 1, part: 0.3, groups: 10, size: 400 << 10, late: -time.Hour}},
		"the clock set ahead":         {bulk, {looks: 1, part: 0.3, groups: 10, size: 400 << 10, late: time.Hour}},
		"plugins":                     {bulk, {looks: 100, part: 0.1, groups: 10, size: 400 << 10, must: true}},
	} {
		t.Run(name, func(t *testing.T) {
			var l enough
			now := using{at: time.Unix(1e9, 0), cpu: time.Second}
			l.look(now, false)
			for i, s := range list {
				one := false
				for range s.looks {
					now.at = now.at.Add(processorsLook + s.late)
					now.cpu += time.Duration(s.part * float64(processorsLook))
					now.groups += s.groups
					now.bytes += s.groups * s.size
					one = l.look(now, s.must)
				}
				if one != s.one {
					t.Errorf("after stretch %d: one processor %v, not %v", i, one, s.one)
				}
			}
		})
	}
}

func TestTheSchedulerIsTold(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	g := &governor{clock: env.Real().Clock, cancel: func() {}}
	g.tell(true)
	if n := runtime.GOMAXPROCS(0); n != 1 {
		t.Errorf("it has %d processors", n)
	}
	g.end()
	if n := runtime.GOMAXPROCS(0); n < min(2, runtime.NumCPU()) && before > 1 {
		t.Errorf("it has %d processors at the end, and had %d", n, before)
	}
	g.look() // the last one may be on its way
	if g.one {
		t.Error("it goes on after the end")
	}
}
