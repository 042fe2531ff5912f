package pipetest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/run"
	"github.com/tidemill/tidemill/engine/stages"
)

// Options say how tests run.
type Options struct {
	Env *env.Env // where the configuration is
	// Together calls functions, at the same time where that helps, and returns when all
	// have. The long ones stand first. nil: one after the other.
	Together func([]func())
}

// world is the simulated machine that a test runs on.
type world struct {
	o        Options
	test     *Test
	dir      string
	machine  *env.Sim
	tick     time.Duration
	feeds    map[string]*feed // by channel
	edges    map[string]edge  // by what an expectation names
	captures map[string]*capture
	notes    []string // of the engine
	status   run.Status
	counters map[string]int64 // "address name", of lives before
	crashed  int
	probes   []probe
}

// span is how long a test lasts, from its start to the last arrival or `until`.
func (t *Test) span() time.Duration {
	longest := t.until
	for _, f := range t.fleets {
		longest = max(longest, f.For.Length())
	}
	for _, g := range t.signals {
		longest = max(longest, g.From.Length()+g.For.Length())
	}
	for _, r := range t.rows {
		if r.table == nil {
			continue
		}
		for k, name := range r.table.columns {
			for _, row := range r.table.rows {
				if d, ok := offset(row[k]); ok && name == "at" {
					longest = max(longest, d)
				}
			}
		}
	}
	return longest
}

// ticksMost is about how many ticks a test has whose tick is not said.
const ticksMost = 1440

// Run runs a test. Diagnostics are mistakes of the author, also those of the
// pipelines; an error is a failure of the machinery.
func (t *Test) Run(dir string, o Options) (*Outcome, hcl.Diagnostics, error) {
	w := &world{o: o, test: t, dir: dir, machine: env.NewSim(1), tick: t.tick, feeds: map[string]*feed{}, edges: map[string]edge{},
		captures: map[string]*capture{}, counters: map[string]int64{}}
	defer func() {
		for _, c := range w.captures {
			c.release()
		}
	}()
	if w.tick == 0 {
		w.tick = max(time.Second, (t.span() / ticksMost).Round(time.Second))
	}
	w.machine.Jump(t.Start.Sub(w.machine.Env().Clock.Now()))
	diags := w.makeFeeds()
	c, more := config.Load(o.Env, dir, config.Options{Vars: t.Vars})
	if diags = append(diags, more...); diags.HasErrors() {
		return &Outcome{Test: t, files: c.Files}, config.Sort(diags), nil
	}
	own, more := w.rewrite(c)
	if diags = append(diags, more...); diags.HasErrors() {
		return &Outcome{Test: t, files: c.Files}, config.Sort(diags), nil
	}
	if _, more := plan.Build(own, append(stages.Builtin(), specs()...), nil); more.HasErrors() {
		return &Outcome{Test: t, files: c.Files}, config.Sort(more), nil
	}
	if err := w.copyFiles(); err != nil {
		return nil, nil, err
	}
	if err := w.live(own); err != nil {
		return nil, nil, err
	}
	out, diags := w.judge()
	out.files = c.Files
	return out, diags, nil
}

// makeFeeds gathers the supplies of each channel.
func (w *world) makeFeeds() (diags hcl.Diagnostics) {
	supplies := map[string][]supply{}
	for _, r := range w.test.rows {
		s, more := r.supply(w.test.Start)
		diags = append(diags, more...)
		supplies[r.channel] = append(supplies[r.channel], s)
	}
	for _, f := range w.test.fleets {
		s, err := f.supply(w.test.Start)
		if err != nil {
			diags = append(diags, config.Errorf(f.Range, "Not a fleet", "%v.", err)...)
			continue
		}
		supplies[f.channel] = append(supplies[f.channel], s)
	}
	for _, g := range w.test.signals {
		supplies[g.channel] = append(supplies[g.channel], g.supply(w.test.Start))
	}
	for name, list := range supplies {
		w.feeds[name] = newFeed(list, w.test.Start.Add(w.test.until))
	}
	return diags
}

// segmentBytes is the size of a file of the simulated disk: with what is written past it, it
// fits the memory that a file of that disk grows to.
const segmentBytes = 3 << 20

// live runs the engine until the test is over, through its crashes.
func (w *world) live(c *config.Config) error {
	for {
		p, diags := plan.Build(c, append(stages.Builtin(), specs()...), nil)
		if diags.HasErrors() {
			return errors.Join(diags.Errs()...)
		}
		w.replace(p)
		e, err := run.Open(p, run.Options{Env: w.machine.Env(), Data: "/data", Specs: append(stages.Builtin(), specs()...), StopAtEnd: w.test.end, SegmentBytes: segmentBytes,
			Report: func(line string) { w.notes = append(w.notes, line) }})
		if err != nil {
			return err
		}
		over, err := w.steps(e)
		w.note(e.Status())
		if !over {
			if err == nil || !errors.Is(err, env.ErrCrashed) {
				return errors.Join(err, e.Close())
			}
			w.die()
			if err := w.refeed(); err != nil {
				return err
			}
			continue
		}
		return e.Close()
	}
}

// die ends the process, or the machine with it.
func (w *world) die() {
	b := w.test.crashes[w.crashed]
	w.crashed++
	if b.Power {
		w.machine.Crash(uint64(w.crashed))
	} else {
		w.machine.Kill()
	}
}

// refeed starts the supplies anew: the next life passes over what is in the journal.
func (w *world) refeed() error {
	if diags := w.makeFeeds(); diags.HasErrors() {
		return errors.Join(diags.Errs()...)
	}
	return nil
}

// stuckAfter is how long, in the test's time, nothing may come to an end.
const stuckAfter = 48 * time.Hour

// steps drives the engine; over is false when it has to start again.
func (w *world) steps(e *run.Engine) (over bool, err error) {
	clock := w.machine.Env().Clock
	c := castOf(e.Actors())
	linger, settled := e.Config().Engine.Linger, false
	var quiet time.Time
	for !e.Done() {
		now := clock.Now()
		if w.crashDue(now) {
			return false, env.ErrCrashed
		}
		moved, err := w.round(c)
		if err != nil {
			return false, err
		}
		if moved {
			continue
		}
		next, fed := w.next(now)
		if !fed {
			if !w.test.end {
				return true, nil
			}
			if quiet.IsZero() {
				quiet = now
			}
			if now.Sub(quiet) > stuckAfter {
				return false, fmt.Errorf("the engine does not come to its end; it says: %s", strings.Join(w.notes, "; "))
			}
		}
		// What has just come is written after the linger, and only then the clock ticks on.
		pause := max(next.Sub(now), time.Microsecond)
		if settled = !settled; settled {
			pause = min(pause, 2*linger)
		}
		w.machine.Advance(pause)
	}
	return true, nil
}

// mostSteps is how often an actor moves before the next one has its turn.
const mostSteps = 64

// turn lets an actor move.
type turn struct {
	actor run.Actor
	steps int
	moved bool
	err   error
}

func (t *turn) take() {
	for range t.steps {
		m, err := t.actor.Step()
		t.moved, t.err = t.moved || m, err
		if !m || err != nil {
			return
		}
	}
}

// cast is the actors of a life, by what they do in a round.
type cast struct {
	intake, tasks, sinks []*turn // intake: sources and flushers
	coordinator          *turn
	all                  []*turn
	much                 bool // records are on their way that are worth it to have several at work
}

func castOf(actors []run.Actor) *cast {
	c := &cast{}
	for _, a := range actors {
		t := &turn{actor: a, steps: mostSteps}
		c.all = append(c.all, t)
		switch kind, _, _ := strings.Cut(a.Name(), " "); kind {
		case "task":
			c.tasks = append(c.tasks, t)
		case "sink", "deliver":
			c.sinks = append(c.sinks, t)
		case "coordinator":
			c.coordinator = t
		case "flush":
			c.intake = append(c.intake, t)
		default:
			t.steps = 1
			c.intake = append(c.intake, t)
		}
	}
	return c
}

// round lets everything move that can. Sources append what has arrived and flushers make it durable,
// while what was there before goes through the tasks: none of these knows of
// another, so they may move at the same time. Then sinks get rows, and when nothing has
// moved the coordinator has its turn: ticks and barriers stand behind what came
// before them, however quick anything was.
func (w *world) round(c *cast) (moved bool, err error) {
	for _, t := range c.all {
		t.moved = false
	}
	w.work(c)
	w.beside(c, func() {
		for _, t := range c.sinks {
			if !w.hangs(t.actor.Name()) {
				t.take()
			}
		}
	})
	for _, t := range c.all {
		moved, err = moved || t.moved, errors.Join(err, t.err)
	}
	if !moved && err == nil {
		w.beside(c, c.coordinator.take)
		c.much = false
		moved, err = c.coordinator.moved, c.coordinator.err
	}
	return moved, err
}

// worthwhile is for how many records it pays to have several at work.
const worthwhile = 256

// work lets records come in and tasks move.
func (w *world) work(c *cast) {
	now := w.machine.Env().Clock.Now()
	for _, f := range w.feeds {
		f.turn(now)
		c.much = c.much || len(f.due.Records) >= worthwhile
	}
	intake := func() {
		for _, t := range c.intake {
			t.take()
		}
	}
	if !c.much || w.o.Together == nil {
		intake()
		w.prepare()
		for _, t := range c.tasks {
			t.take()
		}
		return
	}
	list := make([]func(), 0, len(c.tasks)+2)
	for _, t := range c.tasks {
		list = append(list, t.take)
	}
	w.o.Together(append(list, intake, w.prepare))
}

// beside lets what must be alone among the actors have its turn, while records that are not due yet are made.
func (w *world) beside(c *cast, turn func()) {
	wanted := false
	if c.much && w.o.Together != nil {
		next := w.ticks(w.machine.Env().Clock.Now())
		for _, f := range w.feeds {
			wanted = wanted || f.wants(next)
		}
	}
	if !wanted {
		turn()
		return
	}
	w.o.Together([]func(){turn, w.prepare})
}

// prepare makes records that are not due yet. It may run beside any of the actors.
func (w *world) prepare() {
	now := w.machine.Env().Clock.Now()
	next := w.ticks(now)
	for _, f := range w.feeds {
		f.prepare(now, next)
	}
}

// next is when the clock ticks next; fed tells whether there is more to come in.
// What arrives within a tick comes in at its end, with the times at which it arrived.
func (w *world) next(now time.Time) (at time.Time, fed bool) {
	for _, f := range w.feeds {
		fed = fed || f.more()
	}
	return w.ticks(now), fed
}

// ticks is when the clock ticks next, or the machine crashes.
func (w *world) ticks(now time.Time) time.Time {
	at := now.Add(w.tick)
	if w.crashed < len(w.test.crashes) {
		if t := w.test.Start.Add(w.test.crashes[w.crashed].At.Length()); t.Before(at) {
			at = t
		}
	}
	return at
}

func (w *world) crashDue(now time.Time) bool {
	return w.crashed < len(w.test.crashes) && !now.Before(w.test.Start.Add(w.test.crashes[w.crashed].At.Length()))
}

// failing tells whether the test makes a sink fail, or hang, now.
func (w *world) failing(address string, hang bool) bool {
	since := w.machine.Env().Clock.Now().Sub(w.test.Start)
	for _, f := range w.test.fails {
		named := address == f.sink || strings.HasSuffix(address, "."+f.sink)
		if named && f.Hang == hang && since >= f.At.Length() && since < f.At.Length()+f.For.Length() {
			return true
		}
	}
	return false
}

// hangs tells whether an actor stands still: the sink, or what delivers to it.
func (w *world) hangs(actor string) bool {
	kind, address, _ := strings.Cut(actor, " ")
	return (kind == "sink" || kind == "deliver") && len(w.test.fails) > 0 && w.failing(address, true)
}

// note adds up what a life has counted.
func (w *world) note(s run.Status) {
	w.status = s
	for _, x := range s.Stages {
		w.counters[x.Address+" rows"] += x.Rows
		for name, n := range x.Counters {
			w.counters[x.Address+" "+name] += n
		}
	}
	for _, x := range s.Sinks {
		for name, n := range x.Counters {
			w.counters[x.Address+" "+name] += n
		}
		w.counters[x.Address+" failures"] += x.Failures
	}
	for _, ch := range s.Channels {
		for _, p := range ch.Partitions {
			add := func(name string, n int64) { w.counters["channel."+ch.Name+" "+name] += n }
			add("records", p.Records)
			add("rows", p.Rows)
			add("rejects", p.Rejects)
			add("resent", p.Resent)
			add("repeated", p.Repeated)
			add("ignored", p.Ignored)
		}
	}
}
