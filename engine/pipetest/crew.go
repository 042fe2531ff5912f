package pipetest

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tidemill/tidemill/engine/run"
)

// mostSteps is how often an actor moves before the next one has its turn; of a crew, a task moves once: it takes a
// whole block, and the last ones should be at work at the same time.
const mostSteps = 64

// turn lets an actor move.
type turn struct {
	actor run.Actor
	steps int // at a time
	crew  int // likewise, as one of a crew
	moved bool
	err   error

	// These are the crew's, under its lock.
	wakes []*turn // those that may be able to move when this one has
	doing doing
}

// doing is what a turn of a crew does.
type doing int8

const (
	rests doing = iota
	waits       // it may be able to move
	works
	worksOn // works, and waits again when it has
)

func (t *turn) take(steps int) {
	for range steps {
		m, err := t.actor.Step()
		t.moved, t.err = t.moved || m, errors.Join(t.err, err)
		if !m || err != nil {
			return
		}
	}
}

// cast is the actors of a life, by what they do.
type cast struct {
	sources, flushers, tasks, sinks []*turn
	intake                          []*turn // sources and flushers
	writer, coordinator             *turn
	all                             []*turn
	much                            int       // for so many steps of the clock it is worth it to have several at work
	asked                           time.Time // when the coordinator moved last
	ration                          *rationed // the writer, whose turn it is
}

// rationed is an actor that moves so often until the clock goes on.
type rationed struct {
	run.Actor
	left int
	at   time.Time
}

// ration is how many pieces of a checkpoint, of 1 MiB, are written in a step of the clock: a small one is through, and a large one
// keeps nobody waiting.
const ration = 8

// until gives the ration of an instant, once.
func (r *rationed) until(now time.Time) {
	if !r.at.Equal(now) {
		r.at, r.left = now, ration
	}
}

func (r *rationed) Step() (bool, error) {
	if r.left == 0 {
		return false, nil
	}
	r.left--
	return r.Actor.Step()
}

// muchFor is how many steps of the clock many records are at work: that in which they come in, and that in which the
// last of them are written.
const muchFor = 2

func castOf(actors []run.Actor) *cast {
	c := &cast{}
	for _, a := range actors {
		t := &turn{actor: a, steps: mostSteps, crew: mostSteps}
		c.all = append(c.all, t)
		switch kind, _, _ := strings.Cut(a.Name(), " "); kind {
		case "task":
			t.crew = 1
			c.tasks = append(c.tasks, t)
		case "sink", "deliver":
			c.sinks = append(c.sinks, t)
		case "writer":
			c.ration = &rationed{Actor: a}
			t.actor, c.writer = c.ration, t
		case "coordinator":
			c.coordinator = t
		case "flush":
			c.flushers = append(c.flushers, t)
		default:
			t.steps, t.crew = 1, 1
			c.sources = append(c.sources, t)
		}
	}
	c.intake = slices.Concat(c.sources, c.flushers)
	wake := func(from []*turn, to ...[]*turn) {
		for _, t := range from {
			for _, list := range to {
				t.wakes = append(t.wakes, list...)
			}
		}
	}
	wake(c.intake, c.intake, c.tasks)
	wake(c.tasks, c.intake, c.tasks, c.sinks) // a source waits for tasks that are behind
	wake(c.sinks, c.tasks, c.sinks)           // a task waits for room in a lane
	return c
}

// crew is actors that move at the same time, for as long as any of them can. What comes of it does not depend on who
// was quicker: actors know of one another by what stands in the queues between them alone, and the clock stands still meanwhile.
// Those that stand first go first. The filler is done, a piece at a time, by whoever has nothing else to do.
type crew struct {
	turns  []*turn
	filler func() (more bool)
	fed    []*turn // may be able to move after a piece of the filler

	mu      sync.Mutex
	free    *sync.Cond
	idle    int // workers that wait for something to do
	working int
	filling bool
	filled  bool // there is nothing to fill any more
	failed  bool
}

// run returns when no actor can move any more.
func (c *crew) run(together func([]func())) {
	c.free = sync.NewCond(&c.mu)
	workers := make([]func(), len(c.turns))
	for i, t := range c.turns {
		t.doing = waits
		workers[i] = c.work
	}
	together(workers)
}

// work is one worker.
func (c *crew) work() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		t := c.next()
		switch {
		case t != nil:
			c.move(t)
		case c.working == 0 && !c.filling:
			c.free.Broadcast()
			return
		case !c.filling && !c.filled:
			c.fill()
		default:
			c.idle++
			c.free.Wait()
			c.idle--
		}
	}
}

// next is the first actor that may be able to move.
func (c *crew) next() *turn {
	if c.failed {
		return nil
	}
	for _, t := range c.turns {
		if t.doing == waits {
			return t
		}
	}
	return nil
}

// move lets an actor move, without the lock.
func (c *crew) move(t *turn) {
	before := t.moved
	t.doing, t.moved = works, false
	c.working++
	c.mu.Unlock()
	t.take(t.crew)
	c.mu.Lock()
	c.working--
	woken := 0
	if t.moved || t.doing == worksOn {
		t.doing = waits
		woken++
	} else {
		t.doing = rests
	}
	if t.moved {
		woken += wake(t.wakes)
	}
	t.moved = t.moved || before
	c.failed = c.failed || t.err != nil
	c.call(woken)
}

// fill does a piece of the filler, without the lock.
func (c *crew) fill() {
	c.filling = true
	c.mu.Unlock()
	more := c.filler()
	c.mu.Lock()
	c.filling, c.filled = false, !more
	c.call(wake(c.fed))
}

// wake has those look that rest, and those that work look again; it returns how many rested.
func wake(list []*turn) (woken int) {
	for _, t := range list {
		switch t.doing {
		case rests:
			t.doing = waits
			woken++
		case works:
			t.doing = worksOn
		}
	}
	return woken
}

// call calls workers that wait, for as many actors; the caller takes one itself. At the end all are called.
func (c *crew) call(woken int) {
	if woken == 0 && c.working == 0 && !c.filling {
		c.free.Broadcast()
		return
	}
	for range min(woken-1, c.idle) {
		c.free.Signal()
	}
}
