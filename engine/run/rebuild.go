package run

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	registry "github.com/tidemill/tidemill/engine/device"
	"github.com/tidemill/tidemill/engine/journal"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/rollout"
	"github.com/tidemill/tidemill/engine/state"
)

// A stage whose state means something else under a new plan gets it from the journal:
//
//	            from                    checkpoint        here
//	journal ────┼───────────────────────────┼──────────────┼────▶
//	live task                                              ▲ goes on, with what it has
//	shadow task └─ reads again, beside it, and emits ──────┘ tables of the changed stages
//	               to nobody                                 are exchanged, at the barrier of the swap
//
// from is as far back as the stage looks (plan.Node.Reach). The shadow starts with the keys that the
// newest checkpoint has, without their watermarks: a key has the same slot for both, since
// new keys come to both in the same order. Clocks are corrected by what is known of them now.

// rebuild makes tables for the tasks of a plan that takes over.
type rebuild struct {
	quiet   *Engine // runs the shadows; nobody hears what it says and counts
	shadows map[string]*shadow
	goal    uint64 // offsets of the live tasks, summed, when a round began
	rounds  int
	records uint64 // to be read when it began
}

// shadow is a task that reads a partition again.
type shadow struct {
	*task
	anew []string // stages whose tables are wanted
}

// nearRounds is how often a rebuild runs after tasks that run away from it before the swap stops them.
const nearRounds = 8

// newRebuild opens what makes tables anew that p declares, and parts, a checkpoint of its
// own, has not; nil when there are none.
func (e *Engine) newRebuild(p *plan.Plan, logs map[string]journal.Log, parts map[string]*restored) (*rebuild, error) {
	quiet := &Engine{o: e.o, env: e.env, alloc: e.alloc, store: e.store, graph: newGraph(p), only: map[string]bool{},
		counters: map[string]*Counter{}, did: map[string]*taskCounters{}, tapPoints: map[string]*tapPoint{},
		taskBell: &bells{}, sourceBell: &bells{}, flushBell: &bells{}, sinkBell: &bells{}, writeBell: &bells{}, coordBell: &bells{},
	}
	quiet.o.Report, quiet.o.Watch = func(string) {}, nil
	quiet.ctx, quiet.cancel = context.WithCancel(context.Background())
	quiet.working, quiet.logs = quiet.ctx, logs
	quiet.rollouts = &rollouts{e: quiet, store: e.rollouts.store, meters: rollout.NewMeters()}
	b := &rebuild{quiet: quiet, shadows: map[string]*shadow{}}
	type wanted struct {
		ch   *plan.Channel
		part int
		anew []*plan.Node
	}
	var todo []wanted
	for _, ch := range p.Channels {
		for part := range ch.Config.Partitions {
			if r := parts[partID(ch.Config.Name, part)]; r != nil && logs[ch.Config.Name] != nil {
				anew, err := quiet.anew(ch, r)
				if err != nil {
					return nil, errors.Join(err, b.close())
				}
				if len(anew) > 0 {
					todo = append(todo, wanted{ch, part, anew})
				}
				quiet.need(anew)
			}
		}
	}
	for _, w := range todo {
		id := partID(w.ch.Config.Name, w.part)
		s, err := quiet.openShadow(w.ch, w.part, w.anew, parts[id])
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s: its state cannot be made again: %w", w.anew[0].Address, err), b.close())
		}
		b.shadows[id] = s
		b.records += parts[id].state.Next - min(s.next.Load(), parts[id].state.Next)
	}
	if len(b.shadows) == 0 {
		return nil, b.close()
	}
	return b, nil
}

// anew lists the stages of a partition that declare a table that is not there, though they had some.
func (e *Engine) anew(ch *plan.Channel, r *restored) ([]*plan.Node, error) {
	if r.tables[tableKey("", ch.KeysDecl())] == nil {
		return nil, nil // other keys: slots mean something else
	}
	had := map[string]bool{}
	for key := range r.tables {
		had[addressOfKey(key)] = true
	}
	p := e.plan // where nothing is learned, tables are the same for all partitions
	if ch.Config.Learn {
		var err error
		if p, err = e.planFor(ch, fieldsOf(r.state.Fields)); err != nil {
			return nil, err
		}
	}
	var out []*plan.Node
	for _, pl := range p.Pipelines {
		for _, n := range pl.Nodes {
			lacks := func(d state.Decl) bool {
				t := r.tables[tableKey(n.Address, d)]
				return t == nil || !t.Decl().Same(d) // another version of the program may have had other columns
			}
			if n.Rebuilds() && n.Home.Config.Name == ch.Config.Name && had[n.Address] && slices.ContainsFunc(n.Bound.State, lacks) {
				out = append(out, n)
			}
		}
	}
	return out, nil
}

// need notes that stages are run, and those before them.
func (e *Engine) need(nodes []*plan.Node) {
	for _, n := range nodes {
		e.only[n.Address] = true
		for _, in := range n.In {
			if in.Node != nil {
				e.need([]*plan.Node{in.Node})
			}
		}
	}
}

// openShadow opens a task that reads a partition again, as far back as stages look. It takes tables of r.
func (e *Engine) openShadow(ch *plan.Channel, part int, anew []*plan.Node, r *restored) (*shadow, error) {
	log, name := e.logs[ch.Config.Name], ch.Config.Name
	earliest, _ := log.Bounds(part)
	keys := r.tables[tableKey("", ch.KeysDecl())]
	marks := keys.I64(0)
	oldest, reach, all := int64(0), int64(0), false
	for _, n := range anew {
		own, known := n.Reach()
		reach, all = max(reach, own), all || !known
	}
	keys.Range(func(slot uint32) bool {
		if m := marks[slot]; m != 0 && (oldest == 0 || m < oldest) {
			oldest = m
		}
		marks[slot] = 0
		return true
	})
	from := earliest
	switch {
	case all:
	case oldest == 0:
		from = max(earliest, r.state.Next) // no key has a watermark: nothing has come
	default:
		from = max(earliest, min(log.Seek(part, ch.From(oldest, reach)), r.state.Next))
	}
	have := map[string]*state.Table{tableKey("", ch.KeysDecl()): keys}
	if from > 0 { // what control records said before is not read again
		for key, t := range r.tables {
			if d := t.Decl(); addressOfKey(key) == "" && (d.Same(bookDecl()) || d.Same(registry.Decl()) || d.Same(ch.ClockDecl())) {
				have[key] = t
			}
		}
	}
	t, err := e.openTask(ch, part, &restored{state: partState{Channel: name, Partition: part, Next: from, Fields: r.state.Fields}, tables: have})
	if err != nil {
		return nil, err
	}
	t.verdicts = verdictsOf(ch, r.state.Next, r.tables)
	s := &shadow{task: t}
	for _, n := range anew {
		s.anew = append(s.anew, n.Address)
	}
	return s, nil
}

// step takes one block, or none where there is none; gone tells that the journal has dropped what was to be read.
func (s *shadow) step() (moved bool, err error) {
	b, err := s.reader.Next()
	var out *journal.ErrOutOfRange
	switch {
	case errors.As(err, &out) && out.Want < out.Earliest, errors.Is(err, fs.ErrNotExist):
		earliest, _ := s.log.Bounds(s.part)
		if earliest <= s.next.Load() {
			return false, err
		}
		_ = s.reader.Close() // only reads
		s.next.Store(earliest)
		s.reader, err = s.log.Read(s.part, earliest)
		return true, err
	case b == nil || err != nil:
		return false, err
	}
	s.take(b)
	b.Release()
	if s.progress.on {
		panic("BUG: a task without lanes waits for room")
	}
	return true, s.err
}

// into brings a partition's shadow to where r is, and gives its tables to r. b may be nil.
func (b *rebuild) into(id string, r *restored) error {
	if b == nil || b.shadows[id] == nil {
		return nil
	}
	s := b.shadows[id]
	for s.next.Load() < r.state.Next {
		if moved, err := s.step(); err != nil || !moved {
			return fmt.Errorf("%s: its state cannot be made again: %w", s.anew[0], cmpErr(err, errShort))
		}
	}
	live := r.tables[tableKey("", s.channel.KeysDecl())]
	if live == nil || !sameKeys(live, s.keys) {
		return fmt.Errorf("%s: its state cannot be made again: %w", s.anew[0], errKeys)
	}
	for _, p := range s.pipes {
		for _, n := range p.nodes {
			if !slices.Contains(s.anew, n.plan.Address) {
				continue
			}
			for _, t := range n.tables {
				own, err := state.Restore(t.Decl(), t.Snapshot(true)) // of its own: the shadow's stage has the other still
				if err != nil {
					panic("BUG: a table's snapshot is none: " + err.Error())
				}
				if t.Decl().Seldom {
					own.TouchAll()
				}
				r.tables[tableKey(n.plan.Address, t.Decl())] = own
			}
		}
	}
	return nil
}

var (
	errShort = errors.New("the journal ends before the checkpoint")
	errKeys  = errors.New("the channel's keys come in another order now")
)

func cmpErr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// sameKeys tells whether each key of b has the same slot in a.
func sameKeys(a, b *state.Table) bool {
	same := true
	b.Range(func(slot uint32) bool {
		at, ok := a.Find(b.Key(slot))
		same = ok && at == slot
		return same
	})
	return same
}

// close closes what reads. b may be nil.
func (b *rebuild) close() error {
	if b == nil {
		return nil
	}
	for _, s := range b.shadows {
		s.close()
	}
	b.quiet.cancel()
	return nil
}

// rebuildAtOpen makes the tables that the files now declare otherwise than those of the checkpoint, before anything moves.
func (e *Engine) rebuildAtOpen(last *checkpoint, parts map[string]*restored) error {
	if last.Epoch == 0 || len(parts) == 0 {
		return nil
	}
	e.tellLost(last, parts)
	if !e.lacking(parts) {
		return nil
	}
	_, own, err := e.store.restore(last.Epoch)
	if err != nil {
		return err
	}
	b, err := e.newRebuild(e.plan, e.logs, own)
	if b == nil || err != nil {
		return err
	}
	e.tellRebuild(b)
	for _, id := range b.ids() {
		if err = b.into(id, parts[id]); err != nil {
			break
		}
	}
	return errors.Join(err, b.close())
}

// lacking tells whether some stage that has a table lacks another.
func (e *Engine) lacking(parts map[string]*restored) bool {
	for _, ch := range e.plan.Channels {
		for part := range ch.Config.Partitions {
			r := parts[partID(ch.Config.Name, part)]
			if r == nil || ch.Fed {
				continue
			}
			if anew, err := e.anew(ch, r); err != nil || len(anew) > 0 {
				return true
			}
		}
	}
	return false
}

func (b *rebuild) ids() []string {
	var out []string
	for id := range b.shadows {
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}

// tellLost says which stages start empty, since their state means something else now and cannot be made again. Whoever applies
// a change reads that beforehand; a start with other files, or by another version of the program, asks nobody.
func (e *Engine) tellLost(last *checkpoint, parts map[string]*restored) {
	here := e.plan.HeldNodes()
	for _, c := range e.plan.Diff(last.held(parts)) {
		if _, is := here[c.Address]; is && c.Fate == plan.Lost && c.Entries > 0 {
			e.report(c.Address + ": " + c.Why)
		}
	}
}

func (e *Engine) tellRebuild(b *rebuild) {
	var names []string
	for _, s := range b.shadows {
		names = append(names, s.anew...)
	}
	slices.Sort(names)
	for _, n := range slices.Compact(names) {
		e.report(fmt.Sprintf("%s: its state is made again from at most %d records of the journal", n, b.records))
	}
}

// rebuilding reads journals again for the swap that was asked for, while the old graph goes on. near tells that
// what is left can be done while that stands still.
func (c *coordinator) rebuilding(now time.Time) (moved, near bool) {
	c.mu.Lock()
	req := c.swap
	c.mu.Unlock()
	switch {
	case req.off.Load():
		return true, c.giveUp(req, errors.New("whoever asked for the change has gone; the old configuration goes on"))
	case len(req.plan.Anew(c.engine.plan)) == 0:
		return false, true
	case c.stopping.Load():
		return true, c.giveUp(req, errors.New("the engine stops"))
	case c.last.Epoch == 0 || c.last.Plan != c.engine.plan.Digest || c.rebuild != nil && c.due(now):
		c.begin(now, false)
		return true, false
	case c.rebuild == nil:
		return true, c.startRebuild(req)
	}
	moved, behind, err := c.rebuild.step(&c.engine.graph)
	if err != nil {
		return true, c.giveUp(req, err)
	}
	return moved, behind <= uint64(c.engine.plan.Config.Engine.QueueRows) || c.rebuild.rounds >= nearRounds
}

// startRebuild opens the shadows. near is true when there are none.
func (c *coordinator) startRebuild(req *swapRequest) (near bool) {
	_, own, err := c.engine.store.restore(c.last.Epoch)
	if err == nil {
		c.rebuild, err = c.engine.newRebuild(req.plan, c.engine.logs, own)
	}
	if err != nil {
		return c.giveUp(req, err)
	}
	if c.rebuild == nil {
		return true
	}
	c.engine.tellRebuild(c.rebuild)
	return false
}

// giveUp answers whoever asked for a swap that there will be none.
func (c *coordinator) giveUp(req *swapRequest, err error) (near bool) {
	_ = c.rebuild.close() // only reads
	c.rebuild = nil
	c.mu.Lock()
	c.swap = nil
	c.mu.Unlock()
	req.done <- err
	return false
}

// step takes a block of the partition that is furthest behind. behind is by how many offsets all are.
func (b *rebuild) step(live *graph) (moved bool, behind uint64, err error) {
	var at, all, most uint64
	var last *shadow
	for _, t := range live.tasks {
		s := b.shadows[partID(t.name, t.part)]
		if s == nil {
			continue
		}
		own, there := s.next.Load(), t.next.Load()
		at, all = at+own, all+there
		if there > own {
			behind += there - own
			if there-own > most {
				most, last = there-own, s
			}
		}
	}
	if b.goal == 0 || at >= b.goal {
		b.goal = all
		b.rounds++
	}
	if last == nil {
		return false, behind, nil
	}
	moved, err = last.step()
	return moved, behind, err
}
