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
	full := stretch{looks: 10, part: 0.45, groups: 10, size: 1 << 20, one: true}
	over := stretch{looks: 2, part: 1, groups: 10, size: 400 << 10}
	busy := func(looks int, one bool) stretch {
		return stretch{looks: looks, part: 0.85, groups: 8, size: 150 << 10, one: one}
	}
	for name, list := range map[string][]stretch{
		"idle":                        {{looks: 100, part: 0.01}},
		"bulk":                        {bulk},
		"bulk, not calm for long":     {{looks: 9, part: 0.45, groups: 10, size: 400 << 10}},
		"bulk, nearly a processor":    {{looks: 10, part: 0.97, groups: 10, size: 400 << 10, one: true}},
		"bulk, more than a processor": {{looks: 100, part: 1.03, groups: 10, size: 400 << 10}},
		"bulk, with a peak":           {{looks: 3, part: 0.9, groups: 10, size: 400 << 10}, {looks: 1, part: 1.3, groups: 10, size: 400 << 10}, {looks: 6, part: 0.9, groups: 10, size: 400 << 10, one: true}},
		"bulk, late with all":         {{looks: 2, part: 0.9, groups: 10, size: 400 << 10, late: 200 * time.Millisecond, one: true}},
		"full groups":                 {full},
		"full groups, more than half": {{looks: 100, part: 0.55, groups: 10, size: 1 << 20}},
		"groups not quite full":       {{looks: 10, part: 0.55, groups: 10, size: 700 << 10, one: true}},
		"full groups, few to many":    {full, {looks: 1, part: 0.75, groups: 10, size: 1 << 20, one: true}, {looks: 1, part: 0.75, groups: 10, size: 1 << 20}},
		"full groups, a little more":  {full, {looks: 100, part: 0.65, groups: 10, size: 1 << 20, one: true}},
		"small groups":                {{looks: 100, part: 0.3, groups: 15, size: 15 << 10}},
		"between small and bulk":      {{looks: 100, part: 0.3, groups: 15, size: 50 << 10}},
		"few to many":                 {bulk, over},
		"a long group":                {bulk, {looks: 1, part: 0.9, one: true}, {looks: 2, part: 1}},
		"no group at all":             {bulk, {looks: 3, part: 0.85, one: true}},
		"more, and then less":         {{looks: 10, part: 1.5, groups: 10, size: 400 << 10}, {looks: 10, part: 0.9, groups: 10, size: 400 << 10, one: true}},
		"a peak":                      {bulk, {looks: 1, part: 1, groups: 10, size: 400 << 10, one: true}, bulk},
		"nearly many":                 {bulk, busy(100, true)},
		"bulk to small groups":        {bulk, {looks: 1, part: 0.3, groups: 15, size: 15 << 10}},
		"bulk to groups not so large": {bulk, {looks: 100, part: 0.3, groups: 15, size: 50 << 10, one: true}},
		"bulk to idle":                {bulk, {looks: 100, part: 0.01, one: true}},
		"a small group among large":   {bulk, {looks: 1, part: 0.3, groups: 9, size: 300 << 10, one: true}},
		"not given a processor":       {bulk, {looks: 1, part: 0.3, groups: 10, size: 400 << 10, late: 21 * time.Millisecond}},
		"given one in time":           {bulk, {looks: 1, part: 0.3, groups: 10, size: 400 << 10, late: 19 * time.Millisecond, one: true}},
		"the clock set back":          {bulk, {looks: 1, part: 0.3, groups: 10, size: 400 << 10, late: -time.Hour}},
		"the clock set ahead":         {bulk, {looks: 1, part: 0.3, groups: 10, size: 400 << 10, late: time.Hour}},
		"the clock, with all":         {busy(9, false), {looks: 1, part: 0.3, groups: 10, size: 400 << 10, late: time.Hour}, busy(9, false), busy(1, true)},
		"plugins":                     {bulk, {looks: 100, part: 0.1, groups: 10, size: 400 << 10, must: true}},
		"a trial that failed at once": {bulk, over, busy(19, false), busy(1, true)},
		"trials that failed": {bulk, over, busy(20, true), over, busy(39, false), busy(1, true), over, busy(80, true), over, busy(160, true), over, busy(319, false), busy(1, true), over,
			busy(319, false), busy(1, true)},
		"a trial that was kept": {bulk, over, busy(20, true), busy(39, true), over, busy(9, false), busy(1, true)},
		"small groups between":  {bulk, over, {looks: 1, part: 0.1, groups: 9, size: 9 << 10}, busy(9, false), busy(1, true)},
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
