package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/journal"
	"github.com/tidemill/tidemill/engine/modules"
	"github.com/tidemill/tidemill/engine/mqtt"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/stage"
)

// Options are what an engine needs beside its plan.
type Options struct {
	Env  *env.Env
	Data string // folder of journal, checkpoints and default rejects
	// Specs lists the stages there are.
	Specs []stage.Spec
	// Report takes one line for a person: damage found, sinks failing, swaps.
	// It may be called from any goroutine. May be nil.
	Report func(line string)
	// Alloc makes the memory of batches; nil: a pool of the engine's own.
	Alloc memory.Allocator
	// BlockBytes overrides the journal's block size, for tests.
	BlockBytes int
	// SegmentBytes overrides the size of a journal's and a spool's files, for tests.
	SegmentBytes int64
	// PieceBytes overrides how much a task copies of its tables at a time, for tests.
	PieceBytes int64
	// Modules is where modules are found by their digests; nil: in Data.
	Modules *modules.Store
	// Own are plugins of which the module of their block runs, whatever was assigned: a replay tries another one.
	Own []string
	// StopAtEnd lets the engine finish when every ingest has ended.
	StopAtEnd bool
	// OpenLog opens the log of a channel that ingests feed, in place of its journal below
	// Data: a replay gives a piece of history. May be nil.
	OpenLog func(channel string, o journal.Options) (journal.Log, error)
	// Watch sees the rows of every edge, borrowed, in the order in which a task emits them; partition is
	// -1 for rejects of sinks. It is called by the goroutines of tasks, and holds them up. Edges are named as
	// Engine.Edges names them. May be nil.
	Watch func(edge string, partition int, rows arrow.RecordBatch)
	// Ask answers stages in place of the servers that they ask; nil: the servers do. See stage.Answer.
	Ask func(address string, at int64) stage.Answer
	// Once asks ingests that would wait for more to end instead.
	Once bool
}

// Engine runs a plan. Open restores it from its newest checkpoint; Run drives
// it with goroutines, or a simulation steps the Actors itself.
type Engine struct {
	o     Options
	env   *env.Env
	alloc memory.Allocator
	store *store
	hub   *mqtt.Hub // of the ingests' MQTT servers; it outlives a swap

	graph  // what moves; a swap exchanges it
	coord  *coordinator
	writer *writer
	// rollouts decides which versions of plugins run where.
	rollouts *rollouts

	request atomic.Pointer[request]
	view    atomic.Pointer[graph] // a copy, for onlookers and for sources with goroutines of their own
	before  *graph                // during a swap: the graph that is replaced
	epoch   uint64                // of the newest durable checkpoint; the coordinator's
	// working is what sinks wait within: it ends when they have been told to stop
	// and take too long, and with Close. Changed only while nothing moves.
	working context.Context
	ctx     context.Context
	cancel  context.CancelFunc

	taskBell, sourceBell, flushBell, sinkBell, writeBell, coordBell *bells

	labels asked // labels whose givers wait for what became of them

	refusing sync.Mutex // no barrier comes between a deliverer's rejects and its being done

	// only names, in an engine that rebuilds state, the stages that it runs; nil: all.
	only map[string]bool

	mu        sync.Mutex
	counters  map[string]*Counter      // "address name"
	did       map[string]*taskCounters // by partition; they outlive a swap
	closed    bool
	began     time.Time
	tapPoints map[string]*tapPoint // by edge; they outlive a swap
	tapped    int                  // taps that are open

	groups, grouped Counter // that journals were asked to write, and their bytes
}

// request asks every task for a barrier.
type request struct {
	epoch uint64
	full  bool // snapshots of everything, not of what changed
	pause bool // tasks stand still afterwards, for a swap

	place, clean uint64 // of tables that are written seldom: where to, and what is to come free (seldom.go)
}

// Open opens everything that the plan needs and restores the newest
// checkpoint. Nothing moves before Run or Step.
func Open(p *plan.Plan, o Options) (*Engine, error) {
	e := &Engine{o: o, env: o.Env, alloc: o.Alloc, hub: mqtt.NewHub(), graph: newGraph(p),
		counters: map[string]*Counter{}, did: map[string]*taskCounters{}, tapPoints: map[string]*tapPoint{}, began: o.Env.Clock.Now(),
		taskBell: &bells{}, sourceBell: &bells{}, flushBell: &bells{}, sinkBell: &bells{}, writeBell: &bells{}, coordBell: &bells{},
	}
	if e.o.Report == nil {
		e.o.Report = func(string) {}
	}
	if e.alloc == nil {
		e.alloc = newPool()
	}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	e.working = e.ctx
	e.writer = &writer{engine: e}
	if err := e.open(); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	e.coord.shown.Store(&CheckpointStatus{Epoch: e.epoch})
	e.publish()
	return e, nil
}

func (e *Engine) open() error {
	var err error
	if e.store, err = openStore(e.env, path.Join(e.o.Data, "checkpoints")); err != nil {
		return err
	}
	if e.rollouts, err = openRollouts(e); err != nil {
		return err
	}
	from, err := e.store.latest(e.report)
	if err != nil {
		return err
	}
	if from == nil {
		from = &found{last: &checkpoint{}}
	}
	last, parts := from.last, from.parts
	e.epoch = last.Epoch
	for _, ch := range e.plan.Channels {
		if err := refuseOther(ch, parts); err != nil {
			return err
		}
		if ch.Fed {
			continue
		}
		if err := e.openLog(ch, parts); err != nil {
			return err
		}
	}
	if err := e.goBack(from); err != nil {
		return err
	}
	e.coord = newCoordinator(e, last)
	if err := e.openSinks(e.plan, last); err != nil {
		return err
	}
	if err := e.rebuildAtOpen(last, parts); err != nil {
		return err
	}
	if err := e.openTasks(func(channel string, part int) (*restored, error) { return parts[partID(channel, part)], nil }); err != nil {
		return err
	}
	e.coord.hold()
	if err := e.rollouts.began(&e.graph); err != nil {
		return err
	}
	e.findStranded()
	return e.openSources()
}

// openLog opens a channel's journal. Offsets that a checkpoint has covered are
// never given out again, even where a damaged tail has lost them.
func (e *Engine) openLog(ch *plan.Channel, parts map[string]*restored) error {
	c := ch.Config
	floor := make([]uint64, c.Partitions)
	for i := range floor {
		if r := parts[partID(c.Name, i)]; r != nil {
			floor[i] = r.state.Next
		}
	}
	open := e.o.OpenLog
	if open == nil {
		open = func(name string, o journal.Options) (journal.Log, error) {
			return journal.Open(e.env, path.Join(e.o.Data, "journal", name), o)
		}
	}
	log, err := open(c.Name, journal.Options{
		Partitions: c.Partitions, BlockBytes: e.o.BlockBytes, SegmentBytes: cmp.Or(e.o.SegmentBytes, segmentFor(c.RetainBytes)),
		RetainFor: c.Retention, RetainBytes: c.RetainBytes, Floor: floor,
		Report: func(d journal.Damage) { e.reportDamage(c.Name, d) },
	})
	if err != nil {
		return fmt.Errorf("channel.%s: %w", c.Name, err)
	}
	e.logs[c.Name] = log
	e.flushers = append(e.flushers, &flusher{engine: e, name: c.Name, appender: log.Appender()})
	return nil
}

// segmentFor is the size of a file of a channel that keeps so many bytes: small
// enough for the limit to mean something, since files are dropped whole. 0: the journal's own.
func segmentFor(retain int64) int64 {
	const least, most = 1 << 20, 128 << 20
	if retain == 0 {
		return 0
	}
	return min(max(retain/8, least), most)
}

func (e *Engine) reportDamage(channel string, d journal.Damage) {
	what := "damaged"
	if d.Tail {
		what = "incomplete at its end (a write that was never acknowledged, unless the disk lost what it had confirmed)"
	}
	e.report(fmt.Sprintf("channel.%s: %s is %s: %d bytes from byte %d: %s", channel, d.File, what, d.Bytes, d.Offset, d.Reason))
}

// openTasks opens the tasks of all channels that are read; from gives the state
// that a partition's task goes on with, nil where there is none.
func (e *Engine) openTasks(from func(channel string, part int) (*restored, error)) error {
	for _, ch := range e.plan.Channels {
		if !e.isRead(ch) {
			continue
		}
		for part := range ch.Config.Partitions {
			r, err := from(ch.Config.Name, part)
			if err != nil {
				return err
			}
			t, err := e.openTask(ch, part, r)
			if err != nil {
				return err
			}
			e.tasks = append(e.tasks, t)
		}
	}
	return nil
}

// isRead tells whether a pipeline reads the channel.
func (e *Engine) isRead(ch *plan.Channel) bool {
	for _, pl := range e.plan.Pipelines {
		for _, h := range pl.Homes {
			if h.Config.Name == ch.Config.Name {
				return true
			}
		}
	}
	return false
}

func (e *Engine) openSources() error {
	for _, n := range e.plan.Ingests {
		if !n.Block.Enabled {
			continue
		}
		s, err := e.openSource(n)
		if err != nil {
			return fmt.Errorf("%s: %w", n.Address, err)
		}
		e.sources = append(e.sources, s)
	}
	return nil
}

// Actors lists everything that moves, in an order that depends on the plan alone.
func (e *Engine) Actors() []Actor {
	var out []Actor
	for _, s := range e.sources {
		out = append(out, s)
	}
	for _, f := range e.flushers {
		out = append(out, f)
	}
	for _, t := range e.tasks {
		out = append(out, t)
	}
	for _, s := range e.sinkOrder {
		out = append(out, s)
	}
	for _, d := range e.delivers {
		out = append(out, d)
	}
	return append(out, e.writer, e.coord)
}

// Groups tells how many groups journals were asked to make durable so far, and of how many bytes. It may be called at any
// time, from any goroutine.
func (e *Engine) Groups() (n, bytes int64) { return e.groups.Value(), e.grouped.Value() }

// Done tells that the engine has finished: with StopAtEnd, everything that
// came is through and committed.
func (e *Engine) Done() bool { return e.coord.finished.Load() }

// Config returns the configuration that runs now.
func (e *Engine) Config() *config.Config { return e.plan.Config }

// Plan returns the plan that runs now. It may be called at any time, from any goroutine.
func (e *Engine) Plan() *plan.Plan { return e.view.Load().plan }

// Close releases everything. It does not take a checkpoint: what was not
// committed is done again by the next run.
func (e *Engine) Close() error {
	if e.closed {
		return nil
	}
	e.closed = true
	e.cancel()
	e.writer.close()
	if e.rollouts == nil {
		return e.graph.closeBut(graph{})
	}
	return errors.Join(e.rollouts.close(), e.graph.closeBut(graph{}))
}

func (e *Engine) report(line string) { e.o.Report(line) }

// counter returns the function that counts for a stage.
func (e *Engine) counter(address string) func(string, int64) {
	return func(name string, n int64) { e.count(address+" "+name, n) }
}

func (e *Engine) count(name string, n int64) { e.counterOf(name).Add(n) }

// counterOf returns the counter "address name", which lives as long as the engine.
func (e *Engine) counterOf(name string) *Counter {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.counters[name]
	if c == nil {
		c = &Counter{}
		e.counters[name] = c
	}
	return c
}

// workers is how many goroutines run tasks.
func (e *Engine) workers() int {
	n := e.plan.Config.Engine.Tasks
	if n == 0 {
		n = e.env.Processors()
	}
	return min(n, max(1, len(e.tasks)))
}

// behind tells whether the tasks of a channel have not met more of its records
// yet than a queue may hold. Any goroutine may ask.
func (e *Engine) behind(channel string) bool {
	v := e.view.Load()
	if v == nil {
		return false // nothing moves yet
	}
	var n int64
	for _, t := range v.tasks {
		if t.name == channel && t.log != nil {
			_, end := t.log.Bounds(t.part)
			n += int64(end - t.next.Load())
		}
	}
	return n > int64(v.plan.Config.Engine.QueueRows)
}

const pollPause = 20 * time.Millisecond
