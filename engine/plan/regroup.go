package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/decode"
	"github.com/tidemill/tidemill/engine/expr"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
)

// regroup puts a channel before a node whose rows are to be grouped by other columns than
// the key of the channel that they come from. Stages that want the same rows by the same column share it.
func (p *Plan) regroup(pl *Pipeline, n *Node, by []string) {
	key, partitions := "", 1
	home := n.In[0].home()
	if len(by) > 0 {
		key, partitions = by[0], home.Config.Partitions
	}
	name := ownName(pl, n.In[0].Name, key)
	ch := p.Channel(name)
	if ch == nil || !ch.fedBy(pl) {
		ch = p.between(ch, name, key, partitions, home)
		p.feedBetween(pl, n, ch, n.In, n.Block.From)
	}
	if !ch.whole {
		s, open, root := n.In[0].schema()
		ch.whole, ch.Open, ch.root, ch.revise, ch.latest = true, open, root, n.In[0].Revised(), n.In[0].revised()
		ch.Fields = p.kept(side{name, 0}, s)
		ch.ByTick = ch.mixes()
		ch.reschema()
	}
	n.In = []Input{{Channel: ch, Name: n.In[0].Name}}
}

// meet puts a channel before a node in which the rows of all its inputs are spread by the same
// values. It says what is wrong with the columns.
func (p *Plan) meet(pl *Pipeline, n *Node, by [][]string) hcl.Diagnostics {
	if len(by) != len(n.In) {
		panic(fmt.Sprintf("BUG: %s has %d inputs and says for %d how they meet", n.Address, len(n.In), len(by)))
	}
	var first arrow.DataType
	partitions, home := 1, n.In[0].home()
	for i, in := range n.In {
		s, _, _ := in.schema()
		if len(by[i]) == 0 {
			continue
		}
		at := s.FieldIndices(by[i][0])
		if len(at) == 0 {
			return config.Errorf(n.Block.Range, "Unknown column", "%s has no column %q by which rows could meet.", in.Name, by[i][0])
		}
		t := s.Field(at[0]).Type
		switch {
		case !flow.KeyType(t):
			return config.Errorf(n.Block.Range, "Not a key", "%s of %s is a %s, and rows meet by columns with one value a row.", by[i][0], in.Name, expr.TypeName(t))
		case first != nil && !arrow.TypeEqual(first, t):
			return config.Errorf(n.Block.Range, "Keys of different types", "%s of %s is a %s, and %s of %s a %s: they never meet.",
				by[0][0], n.In[0].Name, expr.TypeName(first), by[i][0], in.Name, expr.TypeName(t))
		}
		first = t
		if h := in.home(); h.Config.Partitions > partitions {
			partitions, home = h.Config.Partitions, h
		}
	}
	key := ""
	if first != nil {
		key = by[0][0]
	} else {
		partitions = 1
	}
	name := ownName(pl, n.Block.Address(), key)
	ch := p.Channel(name)
	if ch == nil || !ch.fedBy(pl) {
		ch = p.between(ch, name, key, partitions, home)
		p.feedBetween(pl, n, ch, n.In, n.Block.From)
	}
	if !ch.whole {
		ch.whole, ch.Sides = true, nil
		for i, in := range n.In {
			s, open, root := in.schema()
			ch.root = root
			side := Side{Schema: schemaOf(p.kept(side{name, i}, s)), open: open, revise: in.Revised(), latest: in.revised()}
			if first != nil {
				side.Key = by[i][0]
			}
			ch.Sides = append(ch.Sides, side)
		}
		ch.Schema, ch.ByTick = ch.Sides[0].Schema, ch.mixes()
	}
	for i := range n.In {
		n.In[i] = Input{Channel: ch, Side: i, Name: n.In[i].Name}
	}
	return nil
}

// met tells whether the rows of all inputs stand where the stage wants them already.
func met(n *Node, by [][]string) bool {
	homes := homesOf(n.In)
	if len(homes) > 1 {
		return false
	}
	if h := homes[0]; h.Config.Partitions == 1 && h.Sides == nil && h.Config.Key == "" {
		return true
	}
	for i, in := range n.In {
		key := in.key()
		if len(by[i]) == 0 || key == "" || key != by[i][0] {
			return false
		}
	}
	return true
}

// key is the column that holds the key of the input's channel; "" when it is gone.
func (in Input) key() string {
	if in.Node != nil {
		return in.Node.Bound.Key
	}
	return in.Channel.KeyOf(in.Side)
}

// ownName is a name that no channel of a file has.
func ownName(pl *Pipeline, what, key string) string {
	return strings.Join([]string{pl.Config.Name, what, key}, "~")
}

// fedBy tells whether the pipeline's sink that feeds the engine's own channel is bound.
func (ch *Channel) fedBy(pl *Pipeline) bool {
	return slices.ContainsFunc(ch.Feeders, func(n *Node) bool { return slices.Contains(pl.Nodes, n) })
}

// between returns the engine's own channel of that name: have, or a new one like home.
func (p *Plan) between(have *Channel, name, key string, partitions int, home *Channel) *Channel {
	if have != nil {
		return have
	}
	ch := newFed(&config.Channel{Name: name, Key: key, Partitions: partitions, MaxKeys: home.Config.MaxKeys, Ahead: home.Config.Ahead, Range: home.Config.Range})
	ch.Own = true
	p.Channels = append(p.Channels, ch)
	return ch
}

// feedBetween adds the sink that feeds the engine's own channel before node n.
func (p *Plan) feedBetween(pl *Pipeline, n *Node, ch *Channel, in []Input, from []config.Ref) {
	name := strings.TrimPrefix(ch.Config.Name, pl.Config.Name+"~")
	b := &config.Block{Kind: "sink", Type: "channel", Name: name, Enabled: true, From: slices.Clone(from), Range: n.Block.Range,
		To: config.Ref{Kind: "channel", Name: ch.Config.Name}, Body: &hclsyntax.Body{SrcRange: n.Block.Range, EndRange: n.Block.Range}}
	f := &Node{Block: b, Address: fmt.Sprintf("pipeline.%s.%s", pl.Config.Name, b.Address()), In: slices.Clone(in), Feeds: ch,
		Spec: stage.Spec{Kind: b.Kind, Type: b.Type}, Bound: stage.Bound{Delivery: stage.Transactional}}
	sum := sha256.Sum256([]byte(ch.Config.Name))
	f.ArgsDigest = hex.EncodeToString(sum[:])[:32]
	f.Digest = f.ArgsDigest
	pl.join(f)
	pl.Nodes = append(pl.Nodes, f)
}

// kept are the fields of rows that are to stand in a channel that the engine has made.
func (p *Plan) kept(at side, s *arrow.Schema) []decode.Field {
	var out []decode.Field
	keep, known := p.keep[at]
	for _, f := range flow.UserFields(s) {
		out = append(out, decode.Field{Name: f.Name, Type: f.Type, Skip: known && !keep.all && !keep.names[f.Name]})
	}
	return out
}

func schemaOf(fields []decode.Field) *arrow.Schema {
	ch := Channel{Fields: fields}
	ch.reschema()
	return ch.Schema
}
