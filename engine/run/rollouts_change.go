package run

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/tidemill/tidemill/engine/config"
	registry "github.com/tidemill/tidemill/engine/device"
	"github.com/tidemill/tidemill/engine/journal"
	"github.com/tidemill/tidemill/engine/modules"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/rollout"
)

// RolloutCommand is what a person wants.
type RolloutCommand struct {
	Action string `json:"action"` // start, promote, rollback, remove, release
	Name   string `json:"name"`   // of the rollout; the digest for release
	Plugin string `json:"plugin,omitempty"`
	Fleet  string `json:"fleet,omitempty"` // a fleet block; "": all devices
	Digest string `json:"digest,omitempty"`
	Shadow bool   `json:"shadow,omitempty"`
	// Share of the fleet's devices, basis points; in shadow, 0 is all of them.
	Share int           `json:"share,omitempty"`
	Guard rollout.Guard `json:"guard"`
	By    string        `json:"by"`
	Why   string        `json:"why,omitempty"`
}

// RolloutView is a rollout as it stands.
type RolloutView struct {
	rollout.Rollout
	Base    string           `json:"base"` // the plugin block's digest
	Plan    RolloutPlan      `json:"plan"`
	Reading *rollout.Reading `json:"reading,omitempty"` // of the trial, since the process started
	// Last is what was decided last of a rollout without a trial, and Ended what its last trial read, until the process ends.
	Last  *RolloutEvent    `json:"last,omitempty"`
	Ended *rollout.Reading `json:"ended,omitempty"`
	// Notes are what a person should know of the fleet: attributes that no device has.
	Notes []string `json:"notes,omitempty"`
}

// Rollout does what a command says. When it returns without an error the decision is durable in the journals of all
// channels concerned. It may be called from any goroutine.
func (e *Engine) Rollout(c RolloutCommand) error {
	r := e.rollouts
	r.mu.Lock()
	defer r.mu.Unlock()
	g := e.view.Load()
	if err := r.command(g, c); err != nil {
		return err
	}
	return r.tell(g)
}

func (r *rollouts) command(g *graph, c RolloutCommand) error {
	if c.By == "" {
		c.By = "command"
	}
	x := r.file.Book.Rollout(c.Name)
	if x == nil && (c.Action == "promote" || c.Action == "rollback" || c.Action == "remove") {
		return fmt.Errorf("there is no rollout %q", c.Name)
	}
	switch c.Action {
	case "start":
		return r.start(g, c)
	case "promote":
		return r.promote(c.Name, c.By, c.Why)
	case "rollback":
		return r.rollback(c.Name, c.By, c.Why)
	case "remove":
		return r.remove(c.Name, c.By)
	case "release":
		b := r.file.Book.Clone()
		b.Quarantined = slices.DeleteFunc(b.Quarantined, func(q rollout.Quarantine) bool { return q.Digest == c.Name })
		if len(b.Quarantined) == len(r.file.Book.Quarantined) {
			return fmt.Errorf("%s is not quarantined", c.Name)
		}
		return r.keep(b, []RolloutEvent{{Action: "release", Stable: c.Name, By: c.By, Why: c.Why}})
	}
	return fmt.Errorf("there is no action %q; there is start, promote, rollback, remove and release", c.Action)
}

func (r *rollouts) start(g *graph, c RolloutCommand) error {
	x := rollout.Rollout{Name: c.Name, Plugin: c.Plugin, Fleet: c.Fleet}
	if was := r.file.Book.Rollout(c.Name); was != nil {
		if c.Plugin != "" && was.Plugin != c.Plugin {
			return fmt.Errorf("rollout %s is one of plugin %s; remove it, or take another name", c.Name, was.Plugin)
		}
		x = *was
		if c.Fleet != "" {
			x.Fleet = c.Fleet
		}
	}
	if x.Name == "" || x.Plugin == "" {
		return fmt.Errorf("there is no rollout %q yet; a new one says which plugin it is of", x.Name)
	}
	if x.Fleet != "" {
		at := slices.IndexFunc(g.plan.Config.Fleets, func(f *config.Fleet) bool { return f.Name == x.Fleet })
		if at < 0 {
			return fmt.Errorf("there is no fleet %q; write a fleet block and apply it", x.Fleet)
		}
		x.Where = g.plan.Config.Fleets[at].Where
	}
	if c.Shadow && c.Share == 0 {
		c.Share = rollout.Whole
	}
	if c.Share <= 0 || c.Share > rollout.Whole {
		return errors.New("a canary has a share of the devices, over 0 % and at most 100 %")
	}
	if err := c.Guard.Check(c.Shadow); err != nil {
		return err
	}
	p := &RolloutPlan{Guard: c.Guard}
	if old := r.file.Plans[c.Name]; old != nil {
		p.Previous = old.Previous
	}
	return r.trial(g, x, p, c.Digest, c.Shadow, c.Share, c.By, c.Why)
}

// trial puts a module on trial, or changes the phase or the share of one that is.
func (r *rollouts) trial(g *graph, x rollout.Rollout, p *RolloutPlan, digest string, shadow bool, share int, by, why string) error {
	if err := r.try(g.plan, x, digest); err != nil {
		return err
	}
	b := r.file.Book.Clone()
	next := x
	t := &rollout.Trial{Canary: digest, Shadow: shadow, Share: share}
	was := x.Trial
	switch {
	case was != nil && was.Canary == digest && was.Shadow == shadow:
		t.N, t.Place = was.N, was.Place // more devices: those that have it go on with their state
	case was != nil:
		r.file.Trials++
		t.N, t.Place = r.file.Trials, was.Place
	default:
		r.file.Trials++
		if t.N, t.Place = r.file.Trials, b.Place(x.Plugin); t.Place < 0 {
			return fmt.Errorf("%d trials of plugin %s run already; end one first", rollout.Places, x.Plugin)
		}
	}
	next.Trial = t
	b.Put(next)
	own := *p
	own.Since = r.e.env.Clock.Now().UTC()
	plans := maps.Clone(r.file.Plans)
	plans[x.Name] = &own
	r.file.Plans = plans
	action := "canary"
	if shadow {
		action = "shadow"
	}
	return r.keep(b, []RolloutEvent{r.event(&next, action, by, why)})
}

// try sees that every stage concerned can run a module, compiled, before anything says that it should.
func (r *rollouts) try(p *plan.Plan, x rollout.Rollout, digest string) error {
	nodes := nodesOf(p, x.Plugin)
	if len(nodes) == 0 {
		return fmt.Errorf("no stage runs plugin %q", x.Plugin)
	}
	module, err := r.store.Get(digest)
	if err != nil {
		return err
	}
	if trust := p.Config.Trust; trust != nil {
		text, err := r.store.Signatures(digest)
		if err != nil {
			return err
		}
		if !config.Trusted(trust, digest, text) {
			return fmt.Errorf("%s has no signature of a key in the trust block; tidemill plugin push --sign KEY makes one", digest)
		}
	}
	if cause := r.file.Book.Cause(digest); cause != "" {
		return fmt.Errorf("%s is quarantined: %s; tidemill plugin release lets it run again", digest, cause)
	}
	for _, n := range nodes {
		if n.Home.Fed {
			return fmt.Errorf("%s reads a channel that stages feed, where the journal's control records do not come by: put it before them", n.Address)
		}
		if err := n.Bound.Try(r.opening(), module, x.Where); err != nil {
			return fmt.Errorf("%s cannot run %s: %w", n.Address, digest, err)
		}
	}
	stable := x.Stable
	for _, c := range p.Config.Plugins {
		if c.Name == x.Plugin && stable == "" {
			stable = c.Digest
		}
	}
	if err := r.store.GoesOn(digest, stable); err != nil && !errors.Is(err, modules.ErrUnknown) {
		return err
	}
	return nil
}

func (r *rollouts) event(x *rollout.Rollout, action, by, why string) RolloutEvent {
	ev := RolloutEvent{Rollout: x.Name, Plugin: x.Plugin, Fleet: x.Fleet, Action: action, Stable: x.Stable, By: by, Why: why}
	if ev.Stable == "" {
		ev.Stable = r.file.Book.Base(x.Plugin)
	}
	if x.Trial != nil {
		ev.Canary, ev.Share = x.Trial.Canary, x.Trial.Share
	}
	return ev
}

func (r *rollouts) promote(name, by, why string) error {
	b := r.file.Book.Clone()
	x := b.Rollout(name)
	if x.Trial == nil {
		return fmt.Errorf("rollout %s has no module on trial", name)
	}
	ev := r.event(x, "promote", by, why)
	if p := r.file.Plans[name]; p != nil {
		p.Previous = ev.Stable
	}
	x.Stable, x.Promoted, x.Trial = x.Trial.Canary, x.Trial.N, nil
	ev.Stable, ev.Canary, ev.Share = x.Stable, "", 0
	return r.keepAndSay(b, ev)
}

// rollback ends a trial, or takes the last promotion back.
func (r *rollouts) rollback(name, by, why string) error {
	b := r.file.Book.Clone()
	x := b.Rollout(name)
	p := r.file.Plans[name]
	switch {
	case x.Trial != nil:
		x.Trial = nil
	case p != nil && p.Previous != "" && p.Previous != x.Stable:
		if err := r.store.GoesOn(p.Previous, x.Stable); err != nil {
			return fmt.Errorf("rollout %s cannot go back: %w", name, err)
		}
		x.Stable, p.Previous = p.Previous, ""
	default:
		return fmt.Errorf("rollout %s has no module on trial, and none to go back to", name)
	}
	return r.keepAndSay(b, r.event(x, "rollback", by, why))
}

func (r *rollouts) remove(name, by string) error {
	b := r.file.Book.Clone()
	x := *b.Rollout(name)
	b.Rollouts = slices.DeleteFunc(b.Rollouts, func(y rollout.Rollout) bool { return y.Name == name })
	plans := maps.Clone(r.file.Plans)
	delete(plans, name)
	r.file.Plans = plans
	x.Trial, x.Stable = nil, ""
	return r.keepAndSay(b, r.event(&x, "remove", by, ""))
}

func (r *rollouts) keepAndSay(b *rollout.Book, ev RolloutEvent) error {
	if err := r.keep(b, []RolloutEvent{ev}); err != nil {
		return err
	}
	line := fmt.Sprintf("rollout.%s: %s by %s; %s runs", ev.Rollout, ev.Action, ev.By, ev.Stable)
	if ev.Why != "" {
		line += ": " + ev.Why
	}
	r.e.report(line)
	return nil
}

// fromBlocks starts what rollout blocks say that is new, and removes what they say no more.
func (r *rollouts) fromBlocks(next *plan.Plan, b *rollout.Book) (events []RolloutEvent, err error) {
	plans := maps.Clone(r.file.Plans)
	named := map[string]bool{}
	for _, c := range next.Config.Rollouts {
		named[c.Name] = true
		text := blockText(c)
		if p := plans[c.Name]; p != nil && p.Block == text {
			continue // it has had its chance; what became of it counts
		}
		x := rollout.Rollout{Name: c.Name, Plugin: c.Plugin, Fleet: c.Fleet, Where: c.Where, Stable: c.Stable}
		place := b.Place(c.Plugin)
		was := b.Rollout(c.Name)
		if was != nil && was.Trial != nil {
			place = was.Trial.Place
		}
		if place < 0 {
			return nil, fmt.Errorf("rollout.%s: %d trials of plugin %s run already", c.Name, rollout.Places, c.Plugin)
		}
		for _, digest := range []string{c.Stable, c.Canary} {
			if digest == "" {
				continue
			}
			if err := r.try(next, x, digest); err != nil {
				return nil, fmt.Errorf("rollout.%s: %w", c.Name, err)
			}
		}
		r.file.Trials++
		share := int(c.Percent*100 + 0.5)
		p := &RolloutPlan{Guard: guardOf(&c.Guard), Since: r.e.env.Clock.Now().UTC(), Block: text, Share: share}
		x.Trial = &rollout.Trial{N: r.file.Trials, Place: place, Canary: c.Canary, Shadow: c.Shadow, Share: share}
		action := "canary"
		if c.Shadow {
			x.Trial.Share, action = rollout.Whole, "shadow"
		}
		plans[c.Name] = p
		b.Put(x)
		ev := r.event(&x, action, "rollout block", "")
		if ev.Stable = x.Stable; ev.Stable == "" {
			ev.Stable = b.Base(x.Plugin) // the book of before may not know the plugin
		}
		events = append(events, ev)
	}
	for _, name := range slices.Sorted(maps.Keys(plans)) {
		if x := b.Rollout(name); plans[name].Block != "" && !named[name] && x != nil {
			ev := r.event(&rollout.Rollout{Name: name, Plugin: x.Plugin, Fleet: x.Fleet}, "remove", "rollout block", "")
			b.Rollouts = slices.DeleteFunc(b.Rollouts, func(y rollout.Rollout) bool { return y.Name == name })
			delete(plans, name)
			events = append(events, ev)
		}
	}
	r.file.Plans = plans
	return events, nil
}

func blockText(c *config.Rollout) string {
	g := guardOf(&c.Guard)
	return fmt.Sprintf("%s %q %s %s %v %v %v", c.Plugin, c.Where, c.Stable, c.Canary, c.Percent, c.Shadow, g)
}

// guardOf is a guard as meters take it: an explicit 0 allows nothing.
func guardOf(c *config.Guard) rollout.Guard {
	share := func(p *float64) float64 {
		switch {
		case p == nil:
			return 0
		case *p == 0:
			return -1
		}
		return *p
	}
	return rollout.Guard{ErrorRate: share(c.ErrorRate), Differ: share(c.Differ), P99: c.P99, Fuel: c.Fuel, MinRows: c.MinRows, Bake: c.Bake, ByEvent: c.ByEvent}
}

// Modules is the store of modules.
func (e *Engine) Modules() *modules.Store { return e.rollouts.store }

// Rollouts shows the rollouts there are; with samples, also what differed. Any goroutine may ask.
func (e *Engine) Rollouts(samples bool) []RolloutView {
	r := e.rollouts
	r.mu.Lock()
	defer r.mu.Unlock()
	out := []RolloutView{}
	for _, x := range r.file.Book.Clone().Rollouts {
		v := RolloutView{Rollout: x, Base: r.file.Book.Base(x.Plugin), Notes: r.unheard(x.Where)}
		if p := r.file.Plans[x.Name]; p != nil {
			v.Plan = *p
		}
		if x.Trial != nil {
			reading := r.meters.Of(x.Trial.N).Read(samples)
			v.Reading = &reading
		} else if n := r.ended[x.Name]; n != 0 {
			reading := r.meters.Of(n).Read(samples)
			v.Ended = &reading
		}
		for i := len(r.file.History) - 1; i >= 0 && v.Last == nil && x.Trial == nil; i-- {
			if h := r.file.History[i]; h.Rollout == x.Name {
				h.Offsets, v.Last = nil, &h
			}
		}
		out = append(out, v)
	}
	return out
}

// RolloutHistory lists what was decided, the oldest first. Any goroutine may ask.
func (e *Engine) RolloutHistory() []RolloutEvent {
	r := e.rollouts
	r.mu.Lock()
	defer r.mu.Unlock()
	out := slices.Clone(r.file.History)
	for i := range out {
		out[i].Offsets = maps.Clone(out[i].Offsets)
		for name, list := range out[i].Offsets {
			out[i].Offsets[name] = slices.Clone(list)
		}
	}
	return out
}

// SetDevices changes the registry, and tells the partitions of all channels that run plugins. It is durable when
// it returns. Any goroutine may ask.
func (e *Engine) SetDevices(devices []registry.Device) error {
	r := e.rollouts
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.devices == nil {
		d, err := registry.Open(e.env, e.o.Data)
		if err != nil {
			return err
		}
		r.devices = d
	}
	before, any := r.devices.Version()
	now, version, err := r.devices.Set(e.env, devices)
	if err != nil {
		return err
	}
	g := e.view.Load()
	for _, name := range touched(g) {
		log := g.logs[name]
		if met := r.known[name]; any && met != before {
			if _, have := r.met(name, log.Partitions()); have != before {
				continue // it lacks more than this: tell sends all there is
			}
		}
		at := e.env.Clock.Now().UnixMicro()
		for _, body := range registry.Changes(now, version, false) {
			if err := log.Appender().Control(journal.Note, at, body); err != nil {
				return err
			}
		}
		r.known[name] = version
	}
	return r.tell(g)
}

// RegisteredDevices lists the registry, in order of id. Any goroutine may ask.
func (e *Engine) RegisteredDevices() []registry.Device {
	r := e.rollouts
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.devices == nil {
		return []registry.Device{}
	}
	all, _ := r.devices.All()
	return all
}
