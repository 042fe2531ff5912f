package plan

import (
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/tidemill/tidemill/engine/stage"
)

func stringLiteral(s string, at hcl.Range) hclsyntax.Expression {
	return &hclsyntax.LiteralValueExpr{Val: cty.StringVal(s), SrcRange: at}
}

// columns is a set of column names; all stands for every one there is.
type columns struct {
	all   bool
	names map[string]bool
}

func (c *columns) add(names []string) {
	if c.names == nil {
		c.names = map[string]bool{}
	}
	for _, n := range names {
		c.names[n] = true
	}
}

// join adds another set.
func (c *columns) join(other *columns) {
	c.all = c.all || other.all
	for name := range other.names {
		c.add([]string{name})
	}
}

// prune marks the fields that nobody reads, so that the decoder need not make
// columns of them, and the nodes that need watermarks of filtered rows.
//
// Channels whose fields are declared are bound again without those columns;
// where fields are learned everything is kept, since what comes is not known.
func (p *Plan) prune() {
	p.findMarks()
	changed := false
	need := p.needed()
	for _, ch := range p.Channels {
		if ch.Fed {
			changed = true
			continue
		}
		want := need[side{ch.Config.Name, 0}]
		if ch.Config.Learn || want.all {
			continue
		}
		for i := range ch.Fields {
			f := &ch.Fields[i]
			if !f.Skip && !want.names[f.Name] {
				f.Skip, changed = true, true
			}
		}
		ch.reschema()
	}
	if changed {
		p.keep = map[side]columns{}
		for at, want := range need {
			p.keep[at] = *want
		}
		p.rebindPruned()
	}
	p.tellReads()
}

// tellReads tells every node which of its columns are read, since binding makes nodes anew.
func (p *Plan) tellReads() {
	for _, pl := range p.Pipelines {
		for _, n := range pl.Nodes {
			if n.read = p.reads[n.Address]; n.shown() {
				n.read = nil
			}
		}
	}
}

// shown tells whether somebody who takes rows of the node may reject them. A reject shows all of a row, which counts as
// being read: it would else show what was never worked out. Rules, alarms and detectors reject no row.
func (n *Node) shown() bool {
	return slices.ContainsFunc(n.Consumers, func(c Consumer) bool {
		switch by := c.Node; by.Spec.Kind {
		case "rule":
			return by.Bound.PassesAll && by.shown()
		case "alarm", "anomaly":
			return false
		default:
			return by.Feeds == nil
		}
	})
}

// Reads says whether a stage, a sink or a key reads a column of the node's rows.
func (n *Node) Reads(column string) bool {
	return n.read == nil || n.read.all || n.read.names[column]
}

// needed gathers the columns of channels that pipelines, keys and times read.
// What reads a channel is looked at before what feeds it.
func (p *Plan) needed() map[side]*columns {
	p.reads = map[string]*columns{}
	out := map[side]*columns{}
	for _, ch := range p.Channels {
		for no := range ch.Schemas() {
			out[side{ch.Config.Name, no}] = &columns{names: map[string]bool{ch.KeyOf(no): true}}
		}
		need := out[side{ch.Config.Name, 0}]
		if d := ch.Config.Dedupe; d != nil {
			need.add(d.Keys)
		}
		if ch.Config.Time != nil {
			if prog, diags := ch.CompileTime(p, nil); !diags.HasErrors() {
				need.add(prog.Columns())
			}
		}
	}
	for i := len(p.order) - 1; i >= 0; i-- {
		for _, pl := range p.Pipelines {
			if pl.Config == p.order[i] {
				p.neededBy(pl, out)
			}
		}
	}
	return out
}

// neededBy adds what a pipeline reads, from its end to its beginning.
func (p *Plan) neededBy(pl *Pipeline, out map[side]*columns) {
	wants := map[*Node]*columns{}
	for _, n := range pl.Nodes {
		wants[n] = &columns{}
		p.reads[n.Address] = wants[n]
	}
	for i := len(pl.Nodes) - 1; i >= 0; i-- {
		n := pl.Nodes[i]
		for no, in := range n.In {
			want := wants[in.Node]
			if in.Node == nil {
				want = out[side{in.Channel.Config.Name, in.Side}]
			}
			if n.Feeds != nil {
				at := side{n.Feeds.Config.Name, 0}
				if n.Feeds.Sides != nil {
					at.no = no
				}
				want.join(out[at])
			} else if n.Bound.Reads == nil {
				want.all = true
			} else {
				want.add(n.Bound.Reads)
				if n.Bound.PassesAll {
					want.join(wants[n])
				}
			}
			if in.Revised() && n.Bound.Revisions == stage.TakesFirst {
				want.add([]string{"revision"})
			}
		}
	}
}

// rebindPruned binds the pipelines again over the smaller schemas.
func (p *Plan) rebindPruned() {
	if diags := p.bindAll(); diags.HasErrors() {
		panic("BUG: a plan that bound with all columns does not bind with those it reads: " + diags.Error())
	}
	p.findMarks()
}

// findMarks marks the nodes behind a stage that filters. Nodes stand after
// their inputs, so one pass is enough.
func (p *Plan) findMarks() {
	for _, pl := range p.Pipelines {
		for _, n := range pl.Nodes {
			n.Marks = n.Marks || n.Gathers()
			for _, in := range n.In {
				if in.Node != nil {
					n.Lag = max(n.Lag, in.Node.Lag+in.Node.Bound.Lag)
				}
				if in.Node != nil && (in.Node.Marks || in.Node.Bound.Filters) || in.Channel != nil && in.Channel.ByTick {
					n.Marks = true
				}
			}
		}
	}
}

// together tells whether the rows of several inputs come from one partition of one channel.
func (n *Node) together() bool {
	if len(n.In) < 2 {
		return false
	}
	homes := homesOf(n.In)
	return len(homes) == 1 && homes[0].Sides == nil
}

// Gathers tells whether a stage is to hear of the end of every block (stage.At.Together).
func (n *Node) Gathers() bool { return !n.IsSink() && n.together() }
