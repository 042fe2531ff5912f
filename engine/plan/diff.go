package plan

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/state"
)

// Held is what an engine, or a checkpoint, has at hand when a plan takes over.
type Held struct {
	Epoch    uint64 // of the checkpoint; 0: there is none, and all else is empty
	Channels []HeldChannel
	Tables   []HeldTable
	// Nodes are the digests of what ran, by address.
	Nodes map[string]HeldNode
	// Spools are those of which not all is delivered.
	Spools []HeldSpool
	// Past tells what a channel's journal still holds; nil: nobody knows.
	Past func(channel string) (Past, error)
}

// HeldChannel is what a channel's tasks have processed.
type HeldChannel struct {
	Name       string
	Partitions int
	Offset     uint64 // of the next record, summed over all partitions
	Idle       bool   // no pipeline read it
}

// HeldTable is a table over all partitions.
type HeldTable struct {
	Address string // of its stage; "" for a channel's keys
	Decl    state.Decl
	Entries int64
}

// HeldNode is what tells whether a block is the same still.
type HeldNode struct {
	Digest string `json:"digest"`         // Node.Digest
	Args   string `json:"args"`           // Node.ArgsDigest
	Sink   string `json:"sink,omitempty"` // Bound.Identity
}

// Fate is what becomes of something when a plan takes over.
type Fate string

// The fates there are.
const (
	Kept    Fate = "kept"    // goes on as it is, state included
	Changed Fate = "changed" // another text takes over; there is no state, or it stays
	Rebuilt Fate = "rebuilt" // its state means something else now, and is made again
	Lost    Fate = "lost"    // it is gone, or its state is
	New     Fate = "new"
	Refused Fate = "refused" // this cannot be done
)

// Change is the fate of one channel, ingest, stage or sink.
type Change struct {
	Address string `json:"address"`
	Fate    Fate   `json:"fate"`
	Entries int64  `json:"keys,omitempty"` // of the state that is kept or lost
	Why     string `json:"why,omitempty"`
}

// HeldNodes are the digests of the plan's blocks, by address.
func (p *Plan) HeldNodes() map[string]HeldNode {
	out := map[string]HeldNode{}
	for _, n := range p.nodes() {
		out[n.Address] = HeldNode{n.Digest, n.ArgsDigest, n.Bound.Identity}
	}
	for _, ch := range p.Channels {
		out["channel."+ch.Config.Name] = HeldNode{Digest: p.channelDigest(ch.Config)}
	}
	e := p.Config.Engine
	e.Range = hcl.Range{}
	out[engineAddress] = HeldNode{Digest: fmt.Sprintf("%+v", e)}
	maps.Copy(out, p.assigned())
	return out
}

// engineAddress stands for the engine block among the blocks that are held.
const engineAddress = "engine"

// nodes lists ingests that are switched on, what decodes, stages and sinks in order.
func (p *Plan) nodes() []*Node {
	var out []*Node
	for _, n := range p.Ingests {
		if n.Block.Enabled {
			out = append(out, n)
		}
	}
	for _, ch := range p.Channels {
		if ch.Decoder != nil {
			out = append(out, ch.Decoder)
		}
	}
	for _, pl := range p.Pipelines {
		out = append(out, pl.Nodes...)
	}
	return out
}

// Differs tells whether a list of changes holds anything but Kept.
func Differs(changes []Change) bool {
	for _, c := range changes {
		if c.Fate != Kept {
			return true
		}
	}
	return false
}

// RefusedWhy says why a list of changes cannot be made; "" when it can.
func RefusedWhy(changes []Change) string {
	var why []string
	for _, c := range changes {
		if c.Fate == Refused {
			why = append(why, c.Address+": "+c.Why)
		}
	}
	return strings.Join(why, "; ")
}

// Diff tells what becomes of everything when p takes over from what is held:
// channels and ingests first, then pipelines in order, then what is gone.
func (p *Plan) Diff(h *Held) []Change {
	var out []Change
	is := p.HeldNodes()
	if was, known := h.Nodes[engineAddress]; known && was != is[engineAddress] {
		out = append(out, Change{Address: engineAddress, Fate: Changed, Why: "its settings have changed"})
	}
	for _, ch := range p.Channels {
		address := "channel." + ch.Config.Name
		c := ch.diff(h)
		if was, known := h.Nodes[address]; known && was != is[address] && c.Fate == Kept {
			c.Fate, c.Why = Changed, "it says something else now; "+c.Why
		}
		out = append(out, c)
	}
	here := map[string]bool{engineAddress: true}
	for _, n := range p.nodes() {
		here[n.Address] = true
		c := n.diff(h)
		c.Why += p.strands(h, n.Address)
		out = append(out, c)
	}
	assigned := p.assigned()
	for _, address := range slices.Sorted(maps.Keys(assigned)) {
		here[address] = true
		c := Change{Address: address, Fate: Kept}
		if was, known := h.Nodes[address]; !known {
			c.Fate = New
		} else if was != assigned[address] {
			c.Fate, c.Why = Changed, "it says something else now"
		}
		out = append(out, c)
	}
	return append(out, p.gone(h, here)...)
}

func (ch *Channel) diff(h *Held) Change {
	c := Change{Address: "channel." + ch.Config.Name, Fate: New}
	for _, was := range h.Channels {
		if was.Name != ch.Config.Name {
			continue
		}
		c.Fate, c.Why = Kept, fmt.Sprintf("it goes on at offset %s, counted over its partitions", thousands(int64(was.Offset)))
		if was.Partitions != ch.Config.Partitions {
			c.Fate, c.Why = Refused, fmt.Sprintf("it has %s and cannot change to %d: make another channel", plural(was.Partitions, "partition", "partitions"), ch.Config.Partitions)
			return c
		}
	}
	decl := ch.KeysDecl()
	for _, t := range h.Tables {
		if t.Address != "" || t.Decl.Name != decl.Name {
			continue
		}
		c.Entries = t.Entries
		if !t.Decl.Same(decl) {
			c.Fate, c.Why = Lost, fmt.Sprintf("it has another key now: the watermarks of %d keys are forgotten, and records of before keep their partitions", t.Entries)
		}
	}
	return c
}

func (n *Node) diff(h *Held) Change {
	was, known := h.Nodes[n.Address]
	c := Change{Address: n.Address, Fate: New}
	switch {
	case !known:
	case was.Digest == n.Digest:
		c.Fate = Kept
	default:
		c.Fate, c.Why = Changed, "it says something else now"
		if was.Args == n.ArgsDigest {
			c.Why = "it reads from somewhere else now"
			if n.Block.Kind == "ingest" {
				c.Why = "it feeds another channel now"
			}
		}
	}
	if n.IsSink() && c.Fate == Changed && was.Args != n.ArgsDigest {
		if was.Sink != "" && was.Sink == n.Bound.Identity {
			c.Why = "its arguments have changed; it goes on where it stands"
			return c
		}
		if n.Bound.Moves {
			c.Why = "it leads elsewhere now, and so do the rows that it has not written yet"
			return c
		}
		c.Fate, c.Why = Rebuilt, "its arguments have changed: it is opened anew, as if it were another sink"
		return c
	}
	return n.diffTables(c, h)
}

// diffTables finds out whether the stage finds its state again.
func (n *Node) diffTables(c Change, h *Held) Change {
	var kept, other int64
	held, found := map[string]bool{}, 0
	for _, t := range h.Tables {
		if t.Address != n.Address {
			continue
		}
		if n.declares(t.Decl) && !held[t.Decl.Name] {
			kept += t.Entries
			found++
		} else {
			other += t.Entries
		}
		held[t.Decl.Name] = true
	}
	switch {
	case len(held) > 0 && found < len(n.Bound.State):
		return n.fateOfState(c, h, kept+other)
	case kept > 0:
		c.Entries = kept
		state := fmt.Sprintf("its state of %s stays", entries(kept))
		if c.Why == "" {
			c.Why = state
		} else {
			c.Why += "; " + state
		}
	}
	return c
}

func (n *Node) declares(d state.Decl) bool {
	for _, own := range n.Bound.State {
		if own.Same(d) {
			return true
		}
	}
	return false
}

// gone lists what is held and has no place in the plan.
func (p *Plan) gone(h *Held, here map[string]bool) []Change {
	lost := map[string]int64{}
	for address := range h.Nodes {
		if !here[address] && !strings.HasPrefix(address, "channel.") {
			lost[address] = 0
		}
	}
	for _, t := range h.Tables {
		if t.Address != "" && !here[t.Address] {
			lost[t.Address] += t.Entries
		}
	}
	for _, ch := range h.Channels {
		if p.Channel(ch.Name) == nil && !ch.Idle {
			lost["channel."+ch.Name] = 0
		}
	}
	out := make([]Change, 0, len(lost))
	for address, n := range lost {
		c := Change{Address: address, Fate: Lost, Entries: n, Why: "it is not in the files any more"}
		if p.switchedOff(address) {
			c.Why = "it is switched off"
		}
		if n > 0 {
			c.Why += fmt.Sprintf("; its state of %s goes with it", entries(n))
		}
		if strings.HasPrefix(address, "channel.") {
			c.Why += "; its journal stays on disk"
		}
		c.Why += p.strands(h, address)
		out = append(out, c)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Address < out[j].Address })
	return out
}

// switchedOff tells whether the files hold the block with enabled = false.
func (p *Plan) switchedOff(address string) bool {
	for _, b := range p.Config.Ingests {
		if !b.Enabled && "ingest."+b.Name == address {
			return true
		}
	}
	for _, pl := range p.Config.Pipelines {
		for _, b := range pl.Stages {
			if !b.Enabled && "pipeline."+pl.Name+"."+b.Address() == address {
				return true
			}
		}
	}
	return false
}

func entries(n int64) string {
	if n == 1 {
		return "1 entry"
	}
	return thousands(n) + " entries"
}
