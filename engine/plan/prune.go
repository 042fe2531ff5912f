package plan

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
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

// prune marks the fields that nobody reads, so that the decoder need not make
// columns of them, and the nodes that need watermarks of filtered rows.
//
// Channels whose fields are declared are bound again without those columns;
// where fields are learned everything is kept, since what comes is not known.
func (p *Plan) prune() {
	p.findMarks()
	changed := false
	for _, ch := range p.Channels {
		if ch.Config.Learn {
			continue
		}
		need := p.needed(ch)
		if need.all {
			continue
		}
		for i := range ch.Fields {
			f := &ch.Fields[i]
			if !f.Skip && !need.names[f.Name] {
				f.Skip, changed = true, true
			}
		}
		ch.reschema()
	}
	if changed {
		p.rebindPruned()
	}
}

// needed gathers the columns of a channel that its pipelines, key and time read.
func (p *Plan) needed(ch *Channel) columns {
	var need columns
	need.add([]string{ch.Config.Key})
	if d := ch.Config.Dedupe; d != nil {
		need.add(d.Keys)
	}
	if ch.Config.Time != nil {
		if prog, diags := ch.CompileTime(p, nil); !diags.HasErrors() {
			need.add(prog.Columns())
		}
	}
	for _, pl := range p.Pipelines {
		if pl.Channel != ch {
			continue
		}
		wants := map[*Node]*columns{nil: &need}
		for _, n := range pl.Nodes {
			wants[n] = &columns{}
		}
		for i := len(pl.Nodes) - 1; i >= 0; i-- {
			n := pl.Nodes[i]
			for _, in := range n.In {
				want := wants[in.Node]
				if n.Bound.Reads == nil {
					want.all = true
					continue
				}
				want.add(n.Bound.Reads)
				if n.Bound.PassesAll {
					want.all = want.all || wants[n].all
					for name := range wants[n].names {
						want.names[name] = true
					}
				}
			}
		}
	}
	return need
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
			for _, in := range n.In {
				if in.Node != nil && (in.Node.Marks || in.Node.Bound.Filters) {
					n.Marks = true
				}
			}
		}
	}
}
