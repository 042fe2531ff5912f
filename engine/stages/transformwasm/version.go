package transformwasm

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"github.com/tidemill/tidemill/engine/expr"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/rollout"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/state"
	"github.com/tidemill/tidemill/engine/wasm"
)

// version is a module that fits where the stage stands: it writes what the plugin
// block's own module writes there.
type version struct {
	digest   string
	module   []byte
	manifest *wasm.Manifest
	reads    []column
	settings map[string]wasm.Setting
	writes   []int // for each column that the block's module writes, which one of its own; -1: it is not wanted
}

func identity(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// version binds another module in the plugin's place.
func (b *binder) version(module []byte) (*version, error) {
	m, err := wasm.ReadManifest(module)
	if err != nil {
		return nil, err
	}
	return b.bindVersion(&version{digest: wasm.Digest(module), module: module, manifest: m})
}

// bindVersion binds a module that was read.
func (b *binder) bindVersion(v *version) (*version, error) {
	m, was := v.manifest, b.manifest
	switch {
	case m.Name != was.Name:
		return nil, fmt.Errorf("it is %s; plugin.%s is %s", m.Name, b.block.Name, was.Name)
	case m.Kind != was.Kind || m.Passes != was.Passes:
		return nil, fmt.Errorf("its kind is %s (passes %v), that of the version in the plugin block is %s (passes %v)", m.Kind, m.Passes, was.Kind, was.Passes)
	case m.MaxRows > max(was.MaxRows, 1):
		return nil, fmt.Errorf("it makes up to %d rows of one; the version in the plugin block makes %d", m.MaxRows, max(was.MaxRows, 1))
	case m.State != nil && was.State == nil:
		return nil, errors.New("it keeps state by key, which the version in the plugin block does not: put it into the plugin block")
	}
	for _, g := range m.Grants {
		if !slices.Contains(b.block.Grants, g) {
			return nil, fmt.Errorf("it cannot do without %s, which the plugin block does not grant", g)
		}
	}
	if err := b.versionColumns(v); err != nil {
		return nil, err
	}
	return v, b.versionSettings(v)
}

// versionColumns finds what a version reads, and what it has to write.
func (b *binder) versionColumns(v *version) error {
	members, _ := stage.Members(b.a.Columns, "columns") // Bind has told what is wrong
	for _, c := range v.manifest.Reads {
		name := b.columnName(c.Name)
		for _, m := range members {
			if other, ok := stage.ColumnName(m.Value); m.Name == c.Name && ok {
				name = other
			}
		}
		fields, ok := b.in.FieldsByName(name)
		switch {
		case !ok && c.Required && !b.at.Channel.Learn:
			return fmt.Errorf("it reads %s (%s), and there is no column %q", c.Name, c.Type, name)
		case !ok:
			v.reads = append(v.reads, column{})
			continue
		case !c.Takes(fields[0].Type):
			return fmt.Errorf("it reads %s as a %s; %s is a %s", c.Name, c.Type, name, expr.TypeName(fields[0].Type))
		}
		v.reads = append(v.reads, column{name, fields[0].Type})
	}
	own := v.manifest.Fields()
	for w, f := range b.manifest.Fields() {
		at := slices.IndexFunc(own, func(g arrow.Field) bool { return g.Name == f.Name && arrow.TypeEqual(g.Type, f.Type) })
		if at < 0 && slices.Contains(b.written, w) {
			return fmt.Errorf("it does not write %s (%s), which goes out of %s", f.Name, expr.TypeName(f.Type), b.at.Address)
		}
		v.writes = append(v.writes, at)
	}
	return nil
}

// versionSettings gives a version those of the plugin block's arguments that it has.
func (b *binder) versionSettings(v *version) error {
	given := map[string]json.RawMessage{}
	for _, a := range b.block.Config {
		if !slices.Contains(v.manifest.OptionNames(), a.Name) {
			continue
		}
		text, err := ctyjson.Marshal(a.Value, a.Value.Type())
		if err != nil {
			return fmt.Errorf("the argument %s cannot be written as JSON", a.Name)
		}
		given[a.Name] = text
	}
	settings, problems := v.manifest.Settings(given)
	for _, name := range slices.Sorted(maps.Keys(problems)) {
		return fmt.Errorf("config.%s: %s", name, problems[name])
	}
	v.settings = settings
	return nil
}

// try tells whether the stage could run a module, and compiles it.
func try(b *binder, o stage.Opening, module []byte, where string) error {
	v, err := b.version(module)
	if err != nil {
		return err
	}
	if _, err := b.selector(where); err != nil {
		return err
	}
	pool, err := b.a.plugins.get(o.Env, o.DataDir)
	if err != nil {
		return err
	}
	plugin, release, err := pool.GetKnown(v.digest, v.module, limits(b.block))
	if err != nil {
		return err
	}
	// Instances now find what fails at once, and wait for the partitions: one each for the trial, and one for
	// when it is promoted.
	if err = plugin.Warm(v.settings, 2*b.at.Channel.Partitions); err == nil {
		b.a.plugins.keep(v)
	}
	return errors.Join(err, release())
}

// maxTried is how many modules are remembered that stages could run.
const maxTried = 8

// keep remembers a module that was read, so that a swap need not read it again.
func (p *plugins) keep(v *version) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tried = append(p.tried, &version{digest: v.digest, module: v.module, manifest: v.manifest})
	p.tried = p.tried[max(0, len(p.tried)-maxTried):]
}

// kept is a module as keep was given it, unbound; nil when it is not there.
func (p *plugins) kept(digest string) *version {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, v := range p.tried {
		if v.digest == digest {
			return &version{digest: v.digest, module: v.module, manifest: v.manifest}
		}
	}
	return nil
}

// mainPlace is the place of the tables that all versions share that are not on trial.
const mainPlace = -1

// tables are the stage's: those of the plugin, and as many again for each trial.
func (b *binder) tables() []state.Decl {
	out := b.manifest.Tables("", b.a.MaxKeys)
	for place := range rollout.Places {
		for _, d := range b.manifest.Tables(fmt.Sprintf("trial%d_", place), b.a.MaxKeys) {
			d.KeysPlanned = 1
			out = append(out, d)
		}
	}
	return out
}

// tablesOf are the tables of a place, as the manifest declares them.
func (t *transform) tablesOf(place int) []*state.Table {
	n := len(t.b.manifest.Tables("", 0))
	return t.o.Tables[(place+1)*n:][:n]
}

type guestKey struct {
	digest string
	place  int
}

// running is a version that runs, with its tables.
type running struct {
	*version
	runner  *wasm.Runner
	release func() error
	table   *state.Table // of state; nil: it keeps none
	from    *state.Table // of a trial: where the state of a key is copied from
}

// guest returns the running version of a place, and starts it if need be.
func (t *transform) guest(v *version, place int) (*running, error) {
	key := guestKey{v.digest, place}
	if g := t.guests[key]; g != nil {
		return g, nil
	}
	pool, err := t.b.a.plugins.get(t.o.Env, t.o.DataDir)
	if err != nil {
		return nil, err
	}
	plugin, free, err := pool.GetKnown(v.digest, v.module, limits(t.b.block))
	if err != nil {
		return nil, fmt.Errorf("plugin %s: %w", t.b.block.Name, err)
	}
	g := &running{version: v, release: free}
	tables := t.tablesOf(place)
	if v.manifest.State == nil {
		tables = tables[:1]
	} else if g.table = tables[1]; place != mainPlace {
		g.from = t.tablesOf(mainPlace)[1]
	}
	g.runner, err = plugin.NewRunner(wasm.RunnerOptions{
		Alloc: t.o.Alloc, Settings: v.settings, Tables: tables, Seed: uint64(t.o.Partition),
		Log: func(level int, line string) { t.log(v.manifest.Name, level, line) }, Quarantine: t.quarantine, Count: t.o.Count,
	})
	if err != nil {
		return nil, errors.Join(err, free())
	}
	t.guests[key] = g
	return g, nil
}

func (g *running) close() error {
	g.runner.Close()
	return g.release()
}

// fork copies the state of keys that a trial meets for the first time.
func (g *running) fork(slots []uint32) {
	if g.from == nil {
		return
	}
	versions := g.table.U32(0)
	for _, slot := range slots {
		if versions[slot] != 0 {
			continue
		}
		if was, ok := g.from.Find(g.table.Key(slot)); ok && g.from.U32(0)[was] != 0 {
			versions[slot] = g.from.U32(0)[was]
			g.table.SetBytes(1, slot, g.from.Bytes(1, was))
		}
	}
}

// promote makes the state of a trial's place that of all others: its keys were on trial alone, or in shadow.
func (t *transform) promote(place int) {
	if tables := t.tablesOf(place); len(tables) > 1 {
		if left := moveState(t.tablesOf(mainPlace)[1], tables[1]); left > 0 {
			t.o.Count("begun_anew", left)
			if t.o.Report != nil {
				t.o.Report(fmt.Sprintf("%s: the state of %d keys from the trial is gone, since max_keys leaves no room for it; they begin anew", t.o.Address, left))
			}
		}
	}
	t.clear(place)
}

// moveState gives keys the state that they have in another table, and returns how many there was no room for. Those that were there already always have it.
func moveState(to, from *state.Table) (left int64) {
	from.Range(func(slot uint32) bool {
		if from.U32(0)[slot] == 0 {
			return true
		}
		at, _, err := to.Slot(from.Key(slot))
		if err != nil {
			left++
			return true
		}
		to.U32(0)[at] = from.U32(0)[slot]
		to.SetBytes(1, at, from.Bytes(1, slot))
		return true
	})
	return left
}

// clear forgets what a trial's place holds.
func (t *transform) clear(place int) {
	for _, table := range t.tablesOf(place) {
		table.Range(func(slot uint32) bool {
			table.Delete(slot)
			return true
		})
	}
}

// input is a batch as a version reads it.
func (t *transform) input(g *running, rows arrow.RecordBatch) (wasm.Input, error) {
	in := wasm.Input{Rows: int(rows.NumRows()), Offsets: flow.Offsets(rows), Indexes: flow.Indexes(rows), Received: flow.Received(rows)}
	if g.table != nil {
		var err error
		if t.slots, err = t.keys.Intern(rows, t.o.Alloc, g.table, t.slots); err != nil {
			return in, err
		}
		g.fork(t.slots)
		in.Keys = t.slots
	}
	for _, c := range g.reads {
		in.Columns = append(in.Columns, columnOf(rows, c.name))
	}
	return in, nil
}
