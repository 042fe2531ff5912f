package run

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/engine/decode"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/state"
)

// tableKey names a table across swaps and restarts: where it belongs, and what
// it means. A table whose declaration has changed is another table.
func tableKey(address string, d state.Decl) string {
	return address + "\x00" + d.Name + "\x00" + d.Digest
}

// addressOfKey is the address in a table's key.
func addressOfKey(key string) string {
	address, _, _ := strings.Cut(key, "\x00")
	return address
}

// openTask makes the task of one partition; tables and fields come from part,
// the partition's state in a checkpoint, or are new when part is nil.
func (e *Engine) openTask(ch *plan.Channel, part int, from *restored) (*task, error) {
	t := &task{engine: e, name: ch.Config.Name, part: part, alloc: e.alloc, log: e.logs[ch.Config.Name], counters: e.didOf(ch.Config.Name, part),
		tap: e.tapOf("channel." + ch.Config.Name)}
	tables := map[string]*state.Table{}
	var fields []decode.Field
	if from != nil {
		tables = from.tables
		fields = fieldsOf(from.state.Fields)
		t.next.Store(from.state.Next)
		t.ended.Store(from.state.Ended)
		t.tick, t.label = from.state.Tick, from.state.Label
		t.asked = e.epoch
	}
	if ch.Fed {
		return t, t.openFed(ch, from, tables)
	}
	earliest, _ := t.log.Bounds(part)
	if from == nil {
		t.next.Store(earliest)
	}
	if at := t.next.Load(); from != nil && from.state.Idle && at < earliest {
		e.report(fmt.Sprintf("channel.%s, partition %d: retention has dropped records %d to %d, which came while no pipeline read the channel",
			ch.Config.Name, part, at, earliest-1))
		t.next.Store(earliest)
	}
	p, err := e.planFor(ch, fields)
	if err != nil {
		return nil, err
	}
	if err := t.openPipes(p, tables); err != nil {
		t.close()
		return nil, err
	}
	t.reader, err = t.log.Read(part, t.next.Load())
	if err != nil {
		t.close()
		return nil, fmt.Errorf("channel.%s, partition %d: %w", ch.Config.Name, part, err)
	}
	return t, nil
}

// openFed opens a task of a channel that pipelines feed.
func (t *task) openFed(ch *plan.Channel, from *restored, tables map[string]*state.Table) error {
	p, err := t.engine.planFor(ch, nil)
	if err != nil {
		return err
	}
	var was partState
	if from != nil {
		was = from.state
	}
	feeds, err := t.engine.feedsOf(ch, was.Lanes)
	if err == nil {
		err = t.openPipes(p, tables)
	}
	if err == nil {
		err = t.openMerger(feeds, &was)
	}
	if err != nil {
		t.close()
		return fmt.Errorf("channel.%s, partition %d: %w", t.name, t.part, err)
	}
	return nil
}

// didOf returns the counters of a partition's task. Only Open and Swap call it.
func (e *Engine) didOf(channel string, part int) *taskCounters {
	id := partID(channel, part)
	if e.did[id] == nil {
		e.did[id] = &taskCounters{}
	}
	return e.did[id]
}

// planFor binds the plan with what one partition has learned. Where an
// expression names a field that only other partitions have met, theirs are added.
func (e *Engine) planFor(ch *plan.Channel, fields []decode.Field) (*plan.Plan, error) {
	name := ch.Config.Name
	p, diags := e.plan.With(name, fields)
	if !diags.HasErrors() {
		return p, nil
	}
	p, diags = e.plan.With(name, mergeFields(fields, ch.Fields))
	if diags.HasErrors() {
		return nil, diags
	}
	return p, nil
}

func mergeFields(own, all []decode.Field) []decode.Field {
	have := map[string]bool{}
	for _, f := range own {
		have[f.Name] = true
	}
	for _, f := range all {
		if !have[f.Name] {
			own = append(own, f)
		}
	}
	return own
}

// openPipes opens the task's part of a plan, with the tables that it has
// already where the plan still declares them. After an error only closeStages may follow.
func (t *task) openPipes(p *plan.Plan, have map[string]*state.Table) error {
	ch := p.Channel(t.name)
	t.channel = ch
	keys := ch.KeysDecl()
	if was := have[tableKey("", keys)]; was != nil && t.engine.only != nil {
		keys.MaxKeys = was.Decl().MaxKeys // keys that were too many then are so when the journal is read again
	}
	t.keys = table(have, "", keys)
	t.openDuplicates(have)
	t.openClock(have)
	if err := t.openControl(have); err != nil {
		return err
	}
	if t.figures = nil; ch.Config.Key != "" && t.engine.only == nil {
		t.figures = table(have, "", ch.FiguresDecl())
	}
	t.counters.devices.bind(t.keys, t.figures, t.clocks, ch)
	if ch.Fed {
		t.schemas = ch.Schemas()
	} else if t.decoder == nil {
		d, err := newDecoder(ch, t.alloc)
		if err != nil {
			return err
		}
		t.decoder = d
	}
	if err := t.openPlugin(have); err != nil {
		return err
	}
	t.pipes = nil
	for _, pl := range p.Pipelines {
		if !slices.Contains(pl.Homes, ch) {
			continue
		}
		pp, err := t.openPipe(pl, have)
		t.pipes = append(t.pipes, pp) // also a half: what is open is to be closed
		if err != nil {
			return err
		}
	}
	t.bindKeeper(p)
	return nil
}

func (t *task) bindKeeper(p *plan.Plan) {
	marks := false
	for _, pp := range t.pipes {
		marks = marks || pp.marks
	}
	o := t.opening(&plan.Node{Address: "channel." + t.channel.Config.Name}, nil, nil)
	o.Reject = t.rejectEverywhere
	t.keepers = nil
	for side := range t.channel.Schemas() {
		t.keepers = append(t.keepers, newTimekeeper(p, t.channel, side, t.keys, o, marks))
		t.keepers[side].clocks, t.keepers[side].devices = t.clocks, &t.counters.devices
	}
}

// table returns the table that there is for a declaration, or a new one.
func table(have map[string]*state.Table, address string, d state.Decl) *state.Table {
	if t := have[tableKey(address, d)]; t != nil && t.Decl().Same(d) {
		t.Relimit(d)
		return t
	}
	return state.New(d)
}

func (t *task) openPipe(pl *plan.Pipeline, have map[string]*state.Table) (*pipe, error) {
	p := &pipe{plan: pl, tap: t.engine.tapOf(rejectsEdge(pl.Config.Name)), source: make([][]consumer, len(t.channel.Schemas()))}
	nodes := map[*plan.Node]*node{}
	for _, pn := range pl.Nodes {
		if pn.IsSink() {
			l := t.engine.sinks[pn.Address].laneOf(t)
			if l == nil {
				continue // other tasks feed it
			}
			p.lanes = append(p.lanes, l)
			if pn.Feeds != nil {
				p.feeds = append(p.feeds, l)
			}
			if pn.Rejects {
				p.outlet = consumer{lane: l, in: len(pn.In)}
			}
			continue
		}
		if pn.Home != t.channel || t.engine.only != nil && !t.engine.only[pn.Address] {
			continue
		}
		n := &node{task: t, plan: pn, rows: t.engine.counterOf(pn.Address + " " + rowsCounter), tap: t.engine.tapOf(pn.Address)}
		for _, d := range pn.Bound.State {
			n.tables = append(n.tables, table(have, pn.Address, d))
		}
		st, err := pn.Bound.OpenStage(t.opening(pn, p, n.tables))
		if err != nil {
			return p, fmt.Errorf("%s: %w", pn.Address, err)
		}
		n.stage = st
		nodes[pn] = n
		p.nodes = append(p.nodes, n)
		if err := t.decide(pn, st); err != nil {
			return p, err
		}
		p.marks = p.marks || pn.Marks
		p.gathers = p.gathers || pn.Gathers()
	}
	t.connect(pl, p, nodes)
	return p, nil
}

// connect tells every node, and the channel, who reads it.
func (t *task) connect(pl *plan.Pipeline, p *pipe, nodes map[*plan.Node]*node) {
	for _, pn := range pl.Nodes {
		for i, in := range pn.In {
			c := consumer{node: nodes[pn], in: i, first: pn.Bound.Revisions == takesFirst && in.Revised()}
			switch {
			case in.Node == nil && in.Channel != t.channel, in.Node != nil && in.Node.Home != t.channel:
				continue
			case pn.IsSink():
				c.lane = t.engine.sinks[pn.Address].laneOf(t)
			}
			if c.node == nil && c.lane == nil {
				continue // a rebuild has no use for it
			}
			if in.Node == nil {
				p.source[in.Side] = append(p.source[in.Side], c)
				continue
			}
			from := nodes[in.Node]
			from.consumers = append(from.consumers, c)
		}
	}
}

// have gathers the task's tables by key, for a swap or a rebind.
func (t *task) have() map[string]*state.Table {
	have := map[string]*state.Table{}
	t.eachTable(func(address string, table *state.Table) { have[tableKey(address, table.Decl())] = table })
	return have
}

// eachTable calls f with each of the task's tables and the address of its stage, "" for the task's own, in the order of checkpoints.
func (t *task) eachTable(f func(address string, table *state.Table)) {
	for _, table := range t.ownTables() {
		f("", table)
	}
	if t.plugin != nil {
		for _, table := range t.plugin.tables {
			f(t.plugin.plan.Address, table)
		}
	}
	for _, p := range t.pipes {
		for _, n := range p.nodes {
			for _, table := range n.tables {
				f(n.plan.Address, table)
			}
		}
	}
}
