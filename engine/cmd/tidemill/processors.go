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

// When the engine goes on with one processor, and when with all. doc.go says why.
const (
	processorsLook = 50 * time.Millisecond
	// processorsMany is the part of one processor's time above which it goes on with all, at the next look.
	processorsMany = 0.7
	// processorsFew is the part that it must have taken less of, in the mean of processorsCalm, to go on with one.
	processorsFew  = 0.5
	processorsCalm = 500 * time.Millisecond
	// processorsLate is how late a look may be: a later one was not given a processor, or the machine has none to give.
	processorsLate = 20 * time.Millisecond
	// processorsBulk is how large groups of the journals must be in the mean, bytes; half of it keeps one.
	processorsBulk = 64 << 10
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

// few says that a good deal was written since before, in groups of less than size bytes in the mean.
func (u *using) few(before *using, size int64) bool {
	return u.bytes-before.bytes < size*(u.groups-before.groups)
}

// enough decides whether one processor is enough.
type enough struct {
	last, calm using // at the latest look; since when nothing spoke for all
	one        bool
}

// look takes what is used by now. must: with all in any case.
func (l *enough) look(now using, must bool) (one bool) {
	passed := now.at.Sub(l.last.at)
	all := must || passed <= 0 || passed > processorsLook+processorsLate || now.part(&l.last) > processorsMany || now.few(&l.last, processorsBulk/2)
	l.last = now
	if all {
		l.calm, l.one = now, false
		return false
	}
	if now.at.Sub(l.calm.at) >= processorsCalm {
		bulk := now.groups > l.calm.groups && !now.few(&l.calm, processorsBulk)
		l.one = l.one || bulk && now.part(&l.calm) < processorsFew
		l.calm = now
	}
	return l.one
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
