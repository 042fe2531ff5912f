package main

import (
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/run"
)

// When the engine goes on with one processor, and when with all. doc.go says why. Parts are of one processor's time.
const (
	processorsLook = 50 * time.Millisecond
	// processorsMany is the part above which, in the mean of two looks, it goes on with all.
	processorsMany = 0.95
	// processorsFew is the part that it must have taken less of, in the mean of processorsCalm, to go on with one.
	processorsFew  = 1.0
	processorsCalm = 500 * time.Millisecond
	// processorsManyFull and processorsFewFull are the same where groups of the journals are of processorsFull, bytes, or more in the mean.
	processorsManyFull = 0.7
	processorsFewFull  = 0.5
	processorsFull     = 768 << 10
	// processorsLate is how late a look may be with one: a later one was not given a processor.
	processorsLate = 20 * time.Millisecond
	// processorsLost is how much time between looks says that the clock was set, or the process stood still.
	processorsLost = time.Second
	// processorsBulk is how large groups of the journals must be in the mean, bytes; half of it keeps one.
	processorsBulk = 64 << 10
	// processorsKept is how long one processor has to have been enough. Where it was not, the next trial comes after
	// twice the time, of processorsRest at most.
	processorsKept = 2 * time.Second
	processorsRest = 16 * time.Second
)

// using is what a process has used and done so far.
type using struct {
	at            time.Time
	cpu           time.Duration
	groups, bytes int64 // that journals were asked to make durable
}

// part returns the part of one processor's time taken since before.
func (u *using) part(before *using) float64 {
	return float64(u.cpu-before.cpu) / float64(u.at.Sub(before.at))
}

// below says that a good deal was written since before, in groups of less than size bytes in the mean.
func (u *using) below(before *using, size int64) bool {
	return u.bytes-before.bytes < size*(u.groups-before.groups)
}

// full says that groups since before were about as large as they become.
func (u *using) full(before *using) bool {
	return u.groups > before.groups && !u.below(before, processorsFull)
}

// much says that one processor would not do for long what was done since before.
func (u *using) much(before *using) bool {
	most := processorsMany
	if u.full(before) {
		most = processorsManyFull
	}
	return u.part(before) > most
}

// fits says that one processor would do what was done since before, all being in large groups.
func (u *using) fits(before *using) bool {
	most := processorsFew
	if u.full(before) {
		most = processorsFewFull
	}
	bulk := u.groups > before.groups && !u.below(before, processorsBulk)
	return bulk && u.part(before) < most
}

// enough decides whether one processor is enough.
type enough struct {
	last, earlier using // at the latest look, and at the one before
	calm          using // since when nothing spoke for all
	one           bool
	since         time.Time     // of one
	rest          time.Duration // before one is tried, at least; 0: processorsCalm
}

// look takes what is used by now. must: with all in any case.
func (l *enough) look(now using, must bool) (one bool) {
	before, earlier := l.last, l.earlier
	l.last, l.earlier = now, before
	passed := now.at.Sub(before.at)
	lost := passed <= 0 || passed > processorsLost
	if must || lost || now.below(&before, processorsBulk/2) {
		l.calm, l.one, l.rest = now, false, 0
		return false
	}
	if l.one {
		if now.much(&earlier) || passed > processorsLook+processorsLate {
			l.giveUp(now)
		}
		return l.one
	}
	if now.at.Sub(l.calm.at) >= max(l.rest, processorsCalm) {
		l.one, l.since = now.fits(&l.calm), now.at
		l.calm = now
	}
	return l.one
}

// giveUp goes back to all.
func (l *enough) giveUp(now using) {
	if now.at.Sub(l.since) < processorsKept {
		l.rest = min(2*max(l.rest, processorsCalm), processorsRest)
	} else {
		l.rest = 0
	}
	l.calm, l.one = now, false
}

// governor gives the Go scheduler one processor while one is enough.
type governor struct {
	engine *run.Engine
	clock  env.Clock
	mu     sync.Mutex
	enough enough
	one    bool // as the scheduler was told
	cancel func()
	over   bool
}

// govern begins, and returns what ends it, with all processors. Nothing happens where the environment says how many there
// are to be (GOMAXPROCS), or where there is but one.
func (a *app) govern(e *run.Engine) (end func()) {
	_, set := a.env.Var("GOMAXPROCS")
	if _, ok := env.Used(); !ok || set || a.env.Processors() == 1 {
		return func() {}
	}
	g := &governor{engine: e, clock: a.env.Clock}
	g.look()
	return g.end
}

func (g *governor) look() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.over {
		return
	}
	now := using{at: g.clock.Now()}
	var ok bool
	now.cpu, ok = env.Used()
	now.groups, now.bytes = g.engine.Groups()
	// A guest cannot be interrupted: everything else would wait for it.
	must := !ok || len(g.engine.Plan().Config.Plugins) > 0
	g.tell(g.enough.look(now, must))
	g.cancel = g.clock.After(processorsLook, g.look)
}

// tell changes what the scheduler has, where that is something else. g.mu is held.
func (g *governor) tell(one bool) {
	switch {
	case one == g.one:
		return
	case one:
		runtime.GOMAXPROCS(1)
	default:
		runtime.SetDefaultGOMAXPROCS() // what the machine, or a container's limit, gives by now
	}
	g.one = one
}

func (g *governor) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.over = true
	g.cancel()
	g.tell(false)
}

// onProcessors is the environment of a process that a bench lets use n of the machine's processors. Where these are all, nothing is
// set: the engine then decides by itself, as it does for everybody.
func onProcessors(n int) []string {
	vars := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "GOMAXPROCS=") })
	if n != runtime.NumCPU() {
		vars = append(vars, "GOMAXPROCS="+strconv.Itoa(n))
	}
	return vars
}
