package run

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidemill/tidemill/engine/journal"
	"github.com/tidemill/tidemill/engine/plan"
)

// ErrSwap is what the coordinator's Step returns when every task stands still
// at a barrier and the graph may be exchanged: the driver lets no actor
// move, calls Engine.Swap and goes on with the new Actors.
var ErrSwap = errors.New("the graph is ready to be exchanged")

// idleCheckpoint is how often a checkpoint is taken while only clock ticks pass.
const idleCheckpoint = 30 * time.Second

// idleFed is the same where ticks are on their way to a channel that a pipeline feeds.
const idleFed = 5 * time.Second

// trimEvery is how often retention is looked after, where checkpoints, which let go of what is old, are not taken more often.
const trimEvery = 5 * time.Second

// A full checkpoint follows after so many deltas, or when they outweigh it.
const chainMost = 16

// coordinator puts ticks into the journal, takes checkpoints, ends the run. It waits for nobody: what takes long, the writer does.
type coordinator struct {
	engine     *Engine
	last       *checkpoint
	fullSize   int64 // bytes of the newest full checkpoint
	sizes      int64 // bytes of the deltas since
	seldomSize int64 // bytes in use of tables that are written seldom
	forceful   bool

	nextTick       time.Time
	tick           int64 // us, of the latest
	nextCheckpoint time.Time
	nextTrim       time.Time
	lastAt         time.Time
	activity       int64 // when the last checkpoint began
	finished       atomic.Bool
	stopping       atomic.Bool
	stopBegan      time.Time // when stopping was noticed
	stands         time.Time // since when all tasks stand before a swap; zero: they do not
	told           string    // the latest complaint of cleaning up
	final          bool      // the checkpoint being taken, or taken last, covers everything

	mu      sync.Mutex
	answers *answers
	swap    *swapRequest
	over    bool     // no swap will be made any more
	rebuild *rebuild // for the swap that was asked for; nil: none, or nothing to rebuild

	checkpoints, failures Counter
	duration              atomic.Int64 // of the last checkpoint, ns
	began                 time.Time
	retry                 backoff                          // of writing it
	trouble               atomic.Pointer[string]           // of the latest attempt to; nil: none, for onlookers
	shown                 atomic.Pointer[CheckpointStatus] // the newest, for onlookers
}

// answers gathers what tasks and sinks say to a request.
type answers struct {
	req    *request
	parts  []partState
	tokens map[string][]byte
}

// swapRequest asks for another plan.
type swapRequest struct {
	plan *plan.Plan
	done chan error
	off  atomic.Bool // whoever asked has given up
}

func newCoordinator(e *Engine, last *checkpoint) *coordinator {
	c := &coordinator{engine: e, last: last, forceful: true}
	for i := range last.Parts {
		c.tick = max(c.tick, last.Parts[i].Tick, last.Parts[i].Label)
	}
	return c
}

func (c *coordinator) Name() string { return "coordinator" }

func (c *coordinator) Step() (bool, error) {
	now := c.engine.env.Clock.Now()
	if c.stopping.Load() && c.givenUp(now) {
		return true, nil
	}
	c.engine.rollouts.step(now)
	if moved, err := c.ticks(now); moved || err != nil {
		return moved, err
	}
	if c.underWay() {
		if c.collect(now) {
			return true, nil
		}
		c.trim(now)
		return false, nil
	}
	if c.finished.Load() {
		return false, nil
	}
	if c.swapping() {
		if c.standing() {
			return c.readyToSwap()
		}
		if moved, near := c.rebuilding(now); !near {
			return moved, nil
		}
		c.begin(now, true)
		return true, nil
	}
	if moved, err := c.finish(now); moved || err != nil {
		return moved, err
	}
	if c.due(now) {
		c.begin(now, false)
		return true, nil
	}
	c.trim(now)
	return false, nil
}

// ticks appends a clock tick to every channel once a tick interval.
func (c *coordinator) ticks(now time.Time) (bool, error) {
	every := c.engine.plan.Config.Engine.Tick
	if c.nextTick.IsZero() {
		c.nextTick = now.Add(every)
	}
	if now.Before(c.nextTick) || c.stopping.Load() {
		return false, nil
	}
	c.nextTick = now.Add(every)
	// Ticks rise even where the clock was set back: channels that several feed are put in order by them.
	c.tick = max(now.UnixMicro(), c.tick+1)
	for _, f := range c.engine.flushers {
		err := f.appender.Control(journal.Tick, c.tick, nil)
		var full *journal.ErrFull
		if err != nil && !errors.Is(err, journal.ErrBusy) && !errors.As(err, &full) {
			return false, err
		}
	}
	c.engine.flushBell.ring()
	return true, nil
}

// standing tells that a pausing checkpoint is complete and all sinks have committed.
func (c *coordinator) standing() bool {
	req := c.engine.request.Load()
	return req != nil && req.pause && req.epoch == c.engine.epoch
}

func (c *coordinator) readyToSwap() (bool, error) {
	for _, s := range c.engine.sinkOrder {
		if !s.drained() {
			return false, nil
		}
	}
	if c.deliversFirst(c.engine.env.Clock.Now()) {
		return false, nil
	}
	c.stands = time.Time{}
	return false, ErrSwap
}

func (c *coordinator) swapping() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.swap != nil
}

// due tells whether it is time for a checkpoint, and anything to say in it.
func (c *coordinator) due(now time.Time) bool {
	if c.nextCheckpoint.IsZero() {
		c.nextCheckpoint = now.Add(c.engine.plan.Config.Engine.Checkpoint)
		c.lastAt = now
	}
	if now.Before(c.nextCheckpoint) || len(c.engine.tasks) == 0 {
		return false
	}
	idle := idleCheckpoint
	for _, f := range c.engine.feeds() {
		if f.dirty.Load() {
			idle = idleFed
		}
	}
	return c.forceful || c.engine.activity() != c.activity || now.Sub(c.lastAt) >= idle
}

// activity changes whenever something happened that is worth a checkpoint.
func (e *Engine) activity() int64 {
	var n int64
	for _, t := range e.tasks {
		n += t.counters.records.Value() + t.counters.lost.Value()
		if t.ended.Load() {
			n++
		}
	}
	for _, s := range e.sinkOrder {
		n += s.rowsOut.Value()
	}
	for _, d := range e.delivers {
		n += d.rowsOut.Value() + int64(d.done.Load())
	}
	return n
}

// begin asks all tasks for a barrier.
func (c *coordinator) begin(now time.Time, pause bool) {
	c.activity = c.engine.activity()
	full := c.forceful || len(c.last.Chain)+1 >= chainMost || c.sizes > c.fullSize
	req := &request{epoch: c.engine.epoch + 1, full: full, pause: pause}
	c.places(req)
	c.mu.Lock()
	c.answers = &answers{req: req, tokens: map[string][]byte{}}
	c.mu.Unlock()
	c.began = now
	c.engine.markDelivered(req.epoch)
	c.engine.request.Store(req)
	c.engine.taskBell.ring()
}

func (e *Engine) taskDone(epoch uint64, p partState) {
	e.coord.answer(epoch, func(a *answers) { a.parts = append(a.parts, p) })
}

func (e *Engine) sinkDone(epoch uint64, key string, token []byte) {
	e.coord.answer(epoch, func(a *answers) { a.tokens[key] = token })
}

func (c *coordinator) answer(epoch uint64, f func(*answers)) {
	c.mu.Lock()
	if c.answers == nil || c.answers.req.epoch != epoch {
		c.mu.Unlock()
		panic("BUG: an answer to a checkpoint that nobody asked for")
	}
	f(c.answers)
	c.mu.Unlock()
	c.engine.coordBell.ring()
}

// trim lets retention drop what is old.
func (c *coordinator) trim(now time.Time) {
	if now.Before(c.nextTrim) {
		return
	}
	c.nextTrim = now.Add(min(trimEvery, c.engine.plan.Config.Engine.Checkpoint))
	for _, name := range c.engine.channels() {
		_, err := c.engine.logs[name].Trim(now.UnixMicro())
		c.tell(err)
	}
	for _, f := range c.engine.feeds() {
		_, err := f.log.Trim(now.UnixMicro())
		c.tell(err)
	}
	for _, d := range c.engine.delivers {
		_, err := d.spool.log.Trim(now.UnixMicro())
		c.tell(err)
	}
}

// tell reports what went wrong when old files were to be removed, once: it is
// tried again and again, and nothing but room on the disk depends on it.
func (c *coordinator) tell(err error) {
	if err != nil && err.Error() != c.told {
		c.told = err.Error()
		c.engine.report("old files cannot be removed: " + c.told)
	}
}
