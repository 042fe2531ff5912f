package run

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/plan"
)

// Run drives the engine with goroutines until it has finished, fails, or ctx
// ends, in which case it takes a last checkpoint and returns nil.
func (e *Engine) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		e.coord.stopping.Store(true)
		e.coordBell.ring()
	})
	defer stop()
	defer e.coord.refuseSwaps()
	for {
		err := e.generation()
		if !errors.Is(err, ErrSwap) {
			return err
		}
		if err := e.Swap(); err != nil {
			e.report("the new configuration was not taken: " + err.Error())
		}
	}
}

// Apply asks the running engine to go over to another plan, and waits until it
// has. The error says why the old plan goes on.
func (e *Engine) Apply(ctx context.Context, p *plan.Plan) error {
	if err := e.rollouts.could(p); err != nil {
		return err
	}
	req := e.ask(p)
	e.coordBell.ring()
	select {
	case err := <-req.done:
		return err
	case <-ctx.Done():
		req.off.Store(true)
		return ctx.Err()
	}
}

// Request asks for a swap without waiting; the channel gets its outcome.
func (e *Engine) Request(p *plan.Plan) <-chan error { return e.ask(p).done }

func (e *Engine) ask(p *plan.Plan) *swapRequest {
	req := &swapRequest{plan: p, done: make(chan error, 1)}
	c := e.coord
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.over:
		req.done <- errors.New("the engine has stopped")
	case c.swap != nil:
		req.done <- errors.New("another change is being applied; try again when it is through")
	default:
		c.swap = req
	}
	return req
}

// refuseSwaps answers whoever waits for a swap when the run is over.
func (c *coordinator) refuseSwaps() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	if c.swap != nil {
		c.swap.done <- errors.New("the engine has stopped")
		c.swap = nil
	}
}

// generation runs all actors until one fails, the coordinator asks for a swap,
// or the run is finished. When it returns, no actor moves any more.
func (e *Engine) generation() error {
	g := &generation{clock: e.env.Clock, stop: make(chan struct{})}
	e.working, g.hurry = context.WithCancel(e.ctx)
	defer func() {
		g.hurry()
		e.working = e.ctx
	}()
	var wg sync.WaitGroup
	start := func(b *bells, pause time.Duration, actors ...Actor) {
		if len(actors) == 0 {
			return
		}
		own := b.join()
		wg.Add(1)
		go func() {
			defer wg.Done()
			g.loop(own, pause, actors)
		}()
	}
	e.eachBell((*bells).leaveAll)
	n := e.workers()
	for w := range n {
		var mine []Actor
		for i := w; i < len(e.tasks); i += n {
			mine = append(mine, e.tasks[i])
		}
		start(e.taskBell, 100*time.Millisecond, mine...)
	}
	for _, s := range e.sources {
		bell := e.sourceBell
		if s.node.Bound.Push {
			bell = &bells{} // it waits neither for groups nor for tasks, each of which would wake it
		}
		start(bell, pollPause, s)
	}
	for _, f := range e.flushers {
		start(e.flushBell, pollPause, f)
	}
	for _, s := range e.sinkOrder {
		start(e.sinkBell, 100*time.Millisecond, s)
	}
	for _, d := range e.delivers {
		start(e.sinkBell, 100*time.Millisecond, d)
	}
	start(e.writeBell, 100*time.Millisecond, e.writer)
	start(e.coordBell, pollPause, &finisher{e.coord, g})
	done := make(chan struct{})
	go func() {
		wg.Wait()
		close(done)
	}()
	<-g.stop
	cancel := e.env.Clock.After(sinkGrace, g.hurry)
	defer cancel()
	<-done
	return g.err
}

// sinkGrace is how long a sink that waits on the world may take to return once
// everything else has stopped.
const sinkGrace = 3 * time.Second

func (e *Engine) eachBell(f func(*bells)) {
	for _, b := range []*bells{e.taskBell, e.sourceBell, e.flushBell, e.sinkBell, e.writeBell, e.coordBell} {
		f(b)
	}
}

// generation is one set of goroutines over one graph.
type generation struct {
	clock env.Clock
	stop  chan struct{}
	hurry context.CancelFunc // calls back sinks that wait on the world
	once  sync.Once
	err   error
}

func (g *generation) end(err error) {
	g.once.Do(func() {
		g.err = err
		close(g.stop)
	})
}

func (g *generation) stopped() bool {
	select {
	case <-g.stop:
		return true
	default:
		return false
	}
}

func (g *generation) loop(own bell, pause time.Duration, actors []Actor) {
	sleep := sleeper{bell: own, clock: g.clock}
	defer sleep.leave()
	for !g.stopped() {
		moved := false
		for _, a := range actors {
			m, err := a.Step()
			if err != nil {
				g.end(err)
				return
			}
			moved = moved || m
		}
		if !moved {
			sleep.wait(g.stop, patience(actors, g.clock.Now(), pause))
		}
	}
}

// patience is how long actors wait when nobody rings: a flusher whose linger
// is running waits for the rest of it, and not at all where it ran out since the flusher looked.
func patience(actors []Actor, now time.Time, pause time.Duration) time.Duration {
	f, ok := actors[0].(*flusher)
	if !ok || f.since.IsZero() {
		return pause
	}
	return max(0, f.since.Add(f.engine.plan.Config.Engine.Linger).Sub(now))
}

// finisher is the coordinator under goroutines: it ends the generation when the run is over.
type finisher struct {
	*coordinator
	g *generation
}

func (f *finisher) Step() (bool, error) {
	moved, err := f.coordinator.Step()
	if err == nil && f.finished.Load() {
		f.g.end(nil)
	}
	return moved, err
}
