package plan

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/config"
)

// partsSuffix ends the name of a stage that is the first phase of another.
const partsSuffix = "~parts"

// split makes a node's work in two phases (stage.Bound.First): one runs where the rows are, and what it makes
// goes through a channel to the node, which is the second.
func (p *Plan) split(pl *Pipeline, n *Node, by []string) hcl.Diagnostics {
	b := *n.Block
	b.Name += partsSuffix
	first := &Node{Block: &b, Address: n.Address + partsSuffix, Spec: n.Spec, Bound: *n.Bound.First, In: n.In, Digest: n.Digest, ArgsDigest: n.ArgsDigest}
	if diags := refuseRevised(first); diags.HasErrors() {
		return diags
	}
	pl.join(first)
	pl.Nodes = append(pl.Nodes, first)
	key, partitions, home := "", 1, first.Home
	if len(by) > 0 {
		key, partitions = by[0], home.Config.Partitions
	}
	name := ownName(pl, first.Name(), key)
	ch := p.between(p.Channel(name), name, key, partitions, home)
	out := Input{Node: first, Name: first.Name()}
	p.feedBetween(pl, n, ch, []Input{out}, []config.Ref{{Kind: b.Kind, Name: b.Name, Range: b.Range}})
	if !ch.whole {
		s, _, root := out.schema()
		ch.whole, ch.root = true, root
		ch.Fields = p.kept(side{name, 0}, s)
		ch.ByTick = ch.mixes()
		ch.reschema()
	}
	n.First, n.In = first, []Input{{Channel: ch, Name: n.In[0].Name}}
	return nil
}

// over is what a node is bound over: its inputs, or, when it is the second of two phases, those of the first.
func (n *Node) over() []Input {
	if n.First != nil {
		return n.First.In
	}
	return n.In
}

// phases says in how many phases a node does its work; "" where that is no question.
func (p *Pipeline) phases(n *Node) string {
	for _, other := range p.Nodes {
		if other.First == n {
			return "first of two: it makes a part of each result where the rows are"
		}
	}
	switch {
	case n.First != nil:
		return fmt.Sprintf("second of two: it merges what %s makes in %s", n.First.Name(), plural(n.First.Home.Config.Partitions, "partition", "partitions"))
	case n.whole != "":
		return "one: the rows themselves are brought together, since " + n.whole
	}
	return ""
}
