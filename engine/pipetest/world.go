package pipetest

import (
	"errors"
	"fmt"
	"slices"
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
	answers  map[string][]answer // by the address of who asks
	notes    []string            // of the engine
	status   run.Status
	counters map[string]int64    // "address name", of lives before
	counts   map[string][]string // names under which a stage may count, by address
	crashed  int
	probes   []probe
	linger   time.Duration
	pulse    pulse
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
	w.counts = countsOf(c)
	own, more := w.rewrite(c)
	diags = append(diags, more...)
	p, more := plan.Build(own, append(stages.Builtin(), specs()...), nil) // also where the test is wrong: all mistakes at once
	if !diags.HasErrors() && !more.HasErrors() {
		more = append(w.answerable(p), w.failable(p)...)
	}
	if diags = append(diags, more...); diags.HasErrors() {
		return &Outcome{Test: t, files: c.Files}, config.Sort(diags), nil
	}
	if err := w.copyFiles(p); err != nil {
		return nil, nil, err
	}
	if err := w.live(own); err != nil {
		if diags := w.unanswered(err); diags != nil {
			return &Outcome{Test: t, files: c.Files}, diags, nil
		}
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
		e, err := run.Open(p, run.Options{Env: w.machine.Env(), Data: "/data", Specs: append(stages.Builtin(), specs()...), StopAtEnd: w.test.end, SegmentBytes: segmentBytes, Ask: w.ask,
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
	w.linger, w.pulse = e.Config().Engine.Linger, pulse{now: clock.Now()}
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
		if !w.more() {
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
		c.much--
		w.pulse = w.after(w.pulse)
		w.machine.Advance(w.pulse.now.Sub(now))
	}
	return true, nil
}

// round lets everything move that can. Sources append what has arrived, flushers make it durable, tasks take it and
// sinks get rows. When nothing has moved the coordinator has its turn: ticks and barriers
// stand behind what came before them, however quick anything was. What the writer is given takes steps of the clock, and it writes beside those
// who have something to do then, if more comes in.
func (w *world) round(c *cast) (moved bool, err error) {
	for _, t := range c.all {
		t.moved = false
	}
	now := w.machine.Env().Clock.Now()
	for _, f := range w.feeds {
		if f.much(now) {
			c.much = muchFor
		}
	}
	turns := slices.Concat(c.intake, c.tasks, w.awake(c.sinks))
	if more := w.more(); now.After(c.asked) || !more {
		if c.ration.until(now); !more {
			c.ration.left = ration // nobody has anything to do meanwhile
		}
		turns = slices.Insert(turns, 0, c.writer) // it has the longest way to go
	}
	crowd := c.much > 0 && w.o.Together != nil
	if crowd {
		w.crowd(c, turns)
	} else {
		for _, t := range turns {
			t.take(t.steps)
		}
	}
	for _, t := range c.all {
		moved, err = moved || t.moved, errors.Join(err, t.err)
	}
	if moved || err != nil {
		return moved, err
	}
	if t := c.coordinator; crowd { // alone among the actors; records that are not due yet are made beside it
		over := make(chan struct{})
		w.o.Together([]func(){func() { t.take(t.steps); close(over) }, func() { w.prepareUntil(over) }})
	} else {
		t.take(t.steps)
	}
	if c.coordinator.moved {
		c.asked = now
	}
	return c.coordinator.moved, c.coordinator.err
}

// awake are those of a list whom the test does not let hang.
func (w *world) awake(list []*turn) []*turn {
	return slices.DeleteFunc(slices.Clone(list), func(t *turn) bool { return w.hangs(t.actor.Name()) })
}

// crowd lets actors move at the same time, until none of them can. Whoever has nothing to do makes records that are not due yet.
func (w *world) crowd(c *cast, turns []*turn) {
	crew := &crew{turns: turns, filler: w.prepare, fed: c.sources}
	crew.run(w.o.Together)
}

// prepare makes a piece of the records that are not due yet; false: there is no more to make. It may run beside any of the actors.
func (w *world) prepare() (more bool) {
	for _, f := range w.feeds {
		more = f.prepare(w.instant) || more
	}
	return more
}

// prepareUntil makes records that are not due yet, for as long as something else lasts.
func (w *world) prepareUntil(over <-chan struct{}) {
	for w.prepare() {
		select {
		case <-over:
			return
		default:
		}
	}
}

// pulse is where the test's clock stands. What has come in by a tick is written after the linger, and only then the
// clock goes on to the next tick.
type pulse struct {
	now     time.Time
	settled bool
}

// after is where the clock stands next.
// What arrives within a tick comes in at its end, with the times at which it arrived.
func (w *world) after(p pulse) pulse {
	pause := max(w.ticks(p.now).Sub(p.now), time.Microsecond)
	if !p.settled {
		pause = min(pause, 2*w.linger)
	}
	return pulse{p.now.Add(pause), !p.settled}
}

// mostInstants is how many steps of the clock records are made ahead for.
const mostInstants = 128

// instant is when what arrives at a time, us since 1970, comes in; false: that is too far ahead, or behind a crash.
func (w *world) instant(at int64) (us int64, ok bool) {
	p := w.pulse
	for range mostInstants {
		if us := p.now.UnixMicro(); us >= at {
			return us, true
		}
		if p = w.after(p); w.crashDue(p.now) {
			break
		}
	}
	return 0, false
}

// more tells whether there is more to come in.
func (w *world) more() (more bool) {
	for _, f := range w.feeds {
		more = more || f.more()
	}
	return more
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
