package run

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"sync"
	"time"

	registry "github.com/tidemill/tidemill/engine/device"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/journal"
	"github.com/tidemill/tidemill/engine/modules"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/rollout"
	"github.com/tidemill/tidemill/engine/stage"
)

// rollouts writes the book of assignments, and decides when a trial ends. What it has decided stands in its file
// first and then in the journals: after a crash in between, the next start writes the record again, and
// partitions that have it pass it over.
type rollouts struct {
	e      *Engine
	store  *modules.Store
	meters *rollout.Meters

	mu      sync.Mutex
	file    rolloutFile
	devices *registry.Store   // nil: there is no registry
	told    map[string]uint64 // by channel: the newest book that this process has appended
	known   map[string]uint64 // likewise the registry's version
	ended   map[string]uint64 // by rollout: the trial that this process has ended last; its meter is kept
	next    time.Time
	trouble string // the latest complaint
	dirty   bool   // the history knows more offsets than the file
}

// rolloutFile is DATA/plugins/rollouts.json.
type rolloutFile struct {
	Book    *rollout.Book           `json:"book"`
	Trials  uint64                  `json:"trials"` // how many there were
	Plans   map[string]*RolloutPlan `json:"plans"`  // by rollout
	History []RolloutEvent          `json:"history"`
}

// RolloutPlan is what is intended with a rollout.
type RolloutPlan struct {
	Guard rollout.Guard `json:"guard"`
	Since time.Time     `json:"since"` // of the trial, or of its phase
	// Share is that of the canary, basis points, which follows on a shadow; 0: a person decides.
	Share int `json:"share,omitempty"`
	// Block is what its block in the configuration said; "" when it came by command.
	Block    string `json:"block,omitempty"`
	Previous string `json:"previous,omitempty"` // the stable digest before the last promotion
}

// RolloutEvent is an entry of the history.
type RolloutEvent struct {
	Seq     uint64    `json:"seq"`
	At      time.Time `json:"at"`
	Rollout string    `json:"rollout"`
	Plugin  string    `json:"plugin"`
	Fleet   string    `json:"fleet,omitempty"`
	Action  string    `json:"action"` // shadow, canary, promote, rollback, remove, base, quarantine, release
	Stable  string    `json:"stable,omitempty"`
	Canary  string    `json:"canary,omitempty"` // "" when there is no trial any more
	Share   int       `json:"share,omitempty"`  // basis points
	By      string    `json:"by"`
	Why     string    `json:"why,omitempty"`
	// Offsets say where it counts from: by channel, of each partition; null where that is not known.
	Offsets map[string][]*uint64 `json:"offsets"`
}

// maxHistory is how many events the history keeps.
const maxHistory = 1_000

// watchRollouts is how often trials are looked at.
const watchRollouts = 100 * time.Millisecond

func openRollouts(e *Engine) (*rollouts, error) {
	r := &rollouts{e: e, store: modules.Open(e.env, e.o.Data), meters: rollout.NewMeters(), told: map[string]uint64{}, known: map[string]uint64{}}
	if e.o.Modules != nil {
		r.store = e.o.Modules
	}
	r.file = rolloutFile{Book: &rollout.Book{}, Plans: map[string]*RolloutPlan{}}
	text, err := env.ReadWhole(e.env.FS, r.name(), 64<<20)
	if err == nil { // a killed process may have renamed it, and no more
		err = e.env.FS.SyncDir(path.Dir(r.name()))
	}
	if err == nil {
		err = json.Unmarshal(text, &r.file)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", r.name(), err)
	}
	if _, err := e.env.FS.ReadDir(path.Join(e.o.Data, "devices")); err == nil {
		if r.devices, err = registry.Open(e.env, e.o.Data); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *rollouts) name() string { return path.Join(r.e.o.Data, "plugins", "rollouts.json") }

func (r *rollouts) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.devices == nil {
		return nil
	}
	d := r.devices
	r.devices = nil
	return d.Close()
}

// nodesOf lists the stages that run a plugin, what decodes channels among them; "" for any.
func nodesOf(p *plan.Plan, plugin string) (out []*plan.Node) {
	for _, ch := range p.Channels {
		if n := ch.Decoder; n != nil && n.Bound.Try != nil && (plugin == "" || n.Bound.Plugin == plugin) {
			out = append(out, n)
		}
	}
	for _, pl := range p.Pipelines {
		for _, n := range pl.Nodes {
			if n.Bound.Try != nil && (plugin == "" || n.Bound.Plugin == plugin) {
				out = append(out, n)
			}
		}
	}
	return out
}

// touched lists the channels whose tasks run plugins, and that have a journal.
func touched(g *graph) (names []string) {
	for _, n := range nodesOf(g.plan, "") {
		if name := n.Home.Config.Name; !n.Home.Fed && g.logs[name] != nil && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// began takes the configuration in and sees that all partitions hear of what is assigned. It is called
// while nothing moves: by Open and by Swap.
func (r *rollouts) began(g *graph) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(nodesOf(g.plan, "")) == 0 && r.file.Book.Seq == 0 {
		return nil
	}
	b := r.file.Book.Clone()
	var events []RolloutEvent
	b.Bases = nil
	if err := r.put(g.plan); err != nil {
		return err
	}
	for _, p := range g.plan.Config.Plugins {
		b.Bases = append(b.Bases, rollout.Base{Plugin: p.Name, Digest: p.Digest})
		if was := r.file.Book.Base(p.Name); was != p.Digest {
			events = append(events, RolloutEvent{Plugin: p.Name, Action: "base", Stable: p.Digest, By: "configuration"})
		}
	}
	more, err := r.fromBlocks(g.plan, b)
	if err != nil {
		return err
	}
	if events = append(events, more...); len(events) > 0 || !slices.Equal(b.Bases, r.file.Book.Bases) {
		if err := r.keep(b, events); err != nil {
			return err
		}
	}
	return r.tell(g)
}

// put keeps the modules of plugin blocks in the store, so that rollouts and a replay find them.
func (r *rollouts) put(p *plan.Plan) error {
	for _, c := range p.Config.Plugins {
		if _, _, err := modules.Open(r.e.env, r.e.o.Data).Put(c.Module); err != nil {
			return fmt.Errorf("plugin.%s: %w", c.Name, err)
		}
	}
	return nil
}

// could tells why the rollouts of a plan could not begin; nothing begins by that. It is asked before the engine goes over to the
// plan, so that who wrote the blocks hears of it.
func (r *rollouts) could(p *plan.Plan) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.put(p); err != nil {
		return err
	}
	trials, plans := r.file.Trials, r.file.Plans
	_, err := r.fromBlocks(p, r.file.Book.Clone())
	r.file.Trials, r.file.Plans = trials, plans
	return err
}

// keep makes a book the next one, durable in the file. Afterwards tell puts it into the journals.
func (r *rollouts) keep(b *rollout.Book, events []RolloutEvent) error {
	b.Seq = r.file.Book.Seq + 1
	next := r.file
	next.Book = b
	next.History = slices.Clone(next.History)
	for _, x := range events {
		x.Seq, x.At = b.Seq, r.e.env.Clock.Now().UTC()
		next.History = append(next.History, x)
	}
	if extra := len(next.History) - maxHistory; extra > 0 {
		next.History = next.History[extra:]
	}
	if len(b.Encode()) > journal.MaxNote {
		return errors.New("the rollouts together are too large for a record of the journal; remove some")
	}
	if err := r.write(&next); err != nil {
		return err
	}
	was := r.file.Book
	r.file = next
	r.keepMeters(was, b)
	r.e.env.Point("rollout.kept")
	return nil
}

// keepMeters forgets the meters of all trials but those that run, and the last one of each rollout that has none now: who looks
// wants to know what it was that differed.
func (r *rollouts) keepMeters(was, now *rollout.Book) {
	ended, trials := map[string]uint64{}, map[uint64]bool{}
	for i := range now.Rollouts {
		x := &now.Rollouts[i]
		if x.Trial != nil {
			trials[x.Trial.N] = true
			continue
		}
		n := r.ended[x.Name]
		if before := was.Rollout(x.Name); before != nil && before.Trial != nil {
			n = before.Trial.N
		}
		ended[x.Name], trials[n] = n, true
	}
	r.ended = ended
	r.meters.Keep(trials)
}

func (r *rollouts) write(f *rolloutFile) error {
	text, err := json.MarshalIndent(f, "", " ")
	if err != nil {
		panic("BUG: the file of rollouts is no JSON: " + err.Error())
	}
	if err := r.e.env.FS.MkdirAll(path.Dir(r.name())); err != nil {
		return err
	}
	return env.WriteWhole(r.e.env.FS, r.name(), text)
}

// tell appends the book, and the registry, to journals whose partitions may not have them.
func (r *rollouts) tell(g *graph) error {
	for _, name := range touched(g) {
		log := g.logs[name]
		seq, devices := r.met(name, log.Partitions())
		now := r.e.env.Clock.Now().UnixMicro()
		if r.devices != nil {
			if version, any := r.devices.Version(); any && version > max(devices, r.known[name]) {
				all, version := r.devices.All()
				for _, body := range registry.Changes(all, version, true) {
					if err := log.Appender().Control(journal.Note, now, body); err != nil {
						return err
					}
				}
				r.known[name] = version
			}
		}
		if b := r.file.Book; b.Seq > max(seq, r.told[name]) {
			if err := log.Appender().Control(journal.Note, now, b.Encode()); err != nil {
				return err
			}
			r.told[name] = b.Seq
		}
		if err := log.Appender().Flush(); err != nil {
			return err
		}
	}
	r.e.env.Point("rollout.told")
	r.e.taskBell.ring()
	return nil
}

// met is what all partitions of a channel have met.
func (r *rollouts) met(channel string, partitions int) (seq, devices uint64) {
	for p := range partitions {
		m := r.meters.Met(rollout.Place{Channel: channel, Partition: p})
		if p == 0 {
			seq, devices = m.Seq, m.Devices
		}
		seq, devices = min(seq, m.Seq), min(devices, m.Devices)
	}
	return seq, devices
}

// step looks at the trials from time to time; the coordinator calls it.
func (r *rollouts) step(now time.Time) {
	if now.Before(r.next) || r.e.view.Load() == nil {
		return
	}
	r.next = now.Add(watchRollouts)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file.Book.Seq == 0 {
		return
	}
	g := r.e.view.Load()
	r.noteOffsets(g)
	err := r.watch(g, now)
	if err == nil {
		err = r.tell(g) // where the disk was full before
	}
	if err != nil && err.Error() != r.trouble {
		r.e.report("rollouts: " + err.Error())
		r.trouble = err.Error()
	}
}

// noteOffsets completes the history with where partitions have met its books. The file follows when all have met
// the newest.
func (r *rollouts) noteOffsets(g *graph) {
	for _, x := range r.meters.TakeNews() {
		log := g.logs[x.Channel]
		for i := len(r.file.History) - 1; i >= 0 && log != nil && r.file.History[i].Seq >= x.Seq && x.Seq > 0; i-- {
			h := &r.file.History[i]
			if h.Seq != x.Seq {
				continue
			}
			if h.Offsets == nil {
				h.Offsets = map[string][]*uint64{}
			}
			for len(h.Offsets[x.Channel]) < log.Partitions() {
				h.Offsets[x.Channel] = append(h.Offsets[x.Channel], nil)
			}
			if list := h.Offsets[x.Channel]; list[x.Partition] == nil {
				at := x.Offset
				list[x.Partition], r.dirty = &at, true
			}
		}
	}
	if !r.dirty {
		return
	}
	for _, name := range touched(g) {
		if seq, _ := r.met(name, g.logs[name].Partitions()); seq != r.file.Book.Seq {
			return
		}
	}
	if err := r.write(&r.file); err == nil { // else later
		r.dirty = false
	}
}

// watch ends trials that broke a guardrail or have run long enough, and quarantines what overran its deadline.
func (r *rollouts) watch(g *graph, now time.Time) error {
	for _, q := range r.meters.TakeOverdue() {
		if err := r.overran(q); err != nil {
			return err
		}
	}
	for _, x := range slices.Clone(r.file.Book.Rollouts) {
		if x.Trial == nil {
			continue
		}
		p := r.file.Plans[x.Name]
		reading := r.meters.Of(x.Trial.N).Read(false)
		var err error
		if why := p.Guard.Broken(&reading); why != "" {
			err = r.rollback(x.Name, "guardrail", why)
		} else if p.Guard.Baked(&reading, now.Sub(p.Since)) {
			why := fmt.Sprintf("%d rows without a broken guardrail", reading.Canary.Rows)
			switch {
			case !x.Trial.Shadow:
				err = r.promote(x.Name, "bake", why)
			case p.Share > 0:
				err = r.trial(g, x, p, x.Trial.Canary, false, p.Share, "bake", why)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// overran rolls trials of a module back, or quarantines it where it is stable.
func (r *rollouts) overran(q rollout.Quarantine) error {
	tried := false
	for _, x := range slices.Clone(r.file.Book.Rollouts) {
		if x.Trial != nil && x.Trial.Canary == q.Digest {
			tried = true
			if err := r.rollback(x.Name, "deadline", q.Cause); err != nil {
				return err
			}
		}
	}
	if tried || r.file.Book.Cause(q.Digest) != "" {
		return nil
	}
	if q.Cause == "" {
		q.Cause = "its deadline has passed"
	}
	b := r.file.Book.Clone()
	b.Quarantined = append(b.Quarantined, q)
	return r.keep(b, []RolloutEvent{{Action: "quarantine", Stable: q.Digest, By: "deadline", Why: q.Cause}})
}

// opening is what a stage's Try gets.
func (r *rollouts) opening() stage.Opening {
	return stage.Opening{Env: r.e.env, DataDir: r.e.o.Data, Alloc: r.e.alloc, Modules: r.store.Get, Trials: r.meters}
}
