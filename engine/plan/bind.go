package plan

import (
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/decode"
	"github.com/tidemill/tidemill/engine/expr"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
)

// findSpec returns the spec of a block, or says which kinds there are.
func (p *Plan) findSpec(b *config.Block) (stage.Spec, hcl.Diagnostics) {
	var types []string
	for _, s := range p.specs {
		if s.Kind == b.Kind {
			if s.Type == b.Type {
				return s, nil
			}
			types = append(types, s.Type)
		}
	}
	if len(types) == 0 {
		return stage.Spec{}, config.Errorf(b.Range, "Unsupported stage", "This version has no %s stages.", b.Kind)
	}
	return stage.Spec{}, config.Errorf(b.Range, fmt.Sprintf("Unknown kind of %s", b.Kind),
		"There is no %s %q.%s This version has: %s.", b.Kind, b.Type, config.DidYouMean(b.Type, types), config.List(types))
}

func (p *Plan) bindIngest(b *config.Block) (*Node, hcl.Diagnostics) {
	spec, diags := p.findSpec(b)
	if diags.HasErrors() {
		return nil, diags
	}
	ch := p.Channel(b.To.Name)
	if ch == nil {
		return nil, nil // config has told
	}
	n := &Node{Block: b, Address: "ingest." + b.Name, Spec: spec}
	p.setDigests(n)
	args := spec.Args()
	if diags := config.DecodeBody(b.Body, args, p.Config.Eval); diags.HasErrors() {
		return nil, append(diags, besideMistakes(args, nil, p.at(n, ch))...)
	}
	n.Bound, diags = args.Bind(nil, p.at(n, ch))
	return n, diags
}

func (p *Plan) at(n *Node, ch *Channel) stage.At {
	at := stage.At{Address: n.Address, Range: n.Block.Range, Dir: p.Config.Dir, Eval: p.Config.Eval, Channel: ch.Config, Plugins: p.Config.Plugins}
	for _, b := range p.Config.Ingests {
		if b.Enabled {
			at.Ingests = append(at.Ingests, b)
		}
	}
	return at
}

// bindPipeline binds a pipeline's blocks in dependency order.
func (p *Plan) bindPipeline(c *config.Pipeline, inferred *inference) (*Pipeline, hcl.Diagnostics) {
	ch, diags := p.reading(c.From.Name, inferred)
	for _, b := range c.Apart {
		diags = append(diags, p.decodeAlone(b)...)
	}
	if ch == nil {
		for _, b := range c.Stages {
			diags = append(diags, p.decodeAlone(b)...)
		}
		p.spoil(c)
		return nil, diags // config has told of the channel
	}
	pl := &Pipeline{Config: c, Channel: ch, Homes: []*Channel{ch}}
	done := map[string]*Node{}
	for _, b := range order(c) {
		n, more := p.bindNode(pl, b, done, inferred)
		diags = append(diags, more...)
		if n == nil || more.HasErrors() {
			p.spoilFed(b)
		}
		if n == nil {
			continue
		}
		pl.join(n)
		done[b.Address()] = n
		pl.Nodes = append(pl.Nodes, n)
	}
	diags = append(diags, p.bindRejects(pl, done)...)
	for _, n := range pl.Nodes {
		for i, in := range n.In {
			if in.Node != nil {
				in.Node.Consumers = append(in.Node.Consumers, Consumer{n, i})
			}
		}
	}
	return pl, diags
}

// join notes where a bound node runs, and what it feeds.
func (pl *Pipeline) join(n *Node) {
	homes := homesOf(n.In)
	if !n.IsSink() {
		n.Home = homes[0]
	}
	for _, h := range homes {
		if !slices.Contains(pl.Homes, h) {
			pl.Homes = append(pl.Homes, h)
		}
	}
	if n.Feeds != nil && !slices.Contains(n.Feeds.Feeders, n) {
		n.Feeds.Feeders = append(n.Feeds.Feeders, n)
	}
}

// spoil keeps pipelines quiet that read what a pipeline with mistakes would feed.
func (p *Plan) spoil(c *config.Pipeline) {
	for _, b := range c.Stages {
		p.spoilFed(b)
	}
}

func (p *Plan) spoilFed(b *config.Block) {
	if ch := p.Channel(b.To.Name); ch != nil && b.Kind == "sink" && b.Enabled {
		ch.broken = true
	}
}

// order returns a pipeline's enabled blocks so that each stands after those it
// reads; otherwise in the order of the file. Cycles were refused by config.
func order(c *config.Pipeline) []*config.Block {
	byAddress := map[string]*config.Block{}
	for _, b := range c.Stages {
		byAddress[b.Address()] = b
	}
	var out []*config.Block
	seen := map[*config.Block]bool{}
	var visit func(b *config.Block)
	visit = func(b *config.Block) {
		if seen[b] {
			return
		}
		seen[b] = true
		for _, r := range b.From {
			if d := byAddress[r.String()]; d != nil {
				visit(d)
			}
		}
		if b.Enabled {
			out = append(out, b)
		}
	}
	for _, b := range c.Stages {
		visit(b)
	}
	return out
}

func (p *Plan) bindNode(pl *Pipeline, b *config.Block, done map[string]*Node, inferred *inference) (*Node, hcl.Diagnostics) {
	spec, diags := p.findSpec(b)
	if diags.HasErrors() {
		return nil, diags
	}
	n := &Node{Block: b, Spec: spec, Address: fmt.Sprintf("pipeline.%s.%s", pl.Config.Name, b.Address())}
	p.setDigests(n)
	if n.IsSink() && b.To.Name != "" {
		n.Feeds = p.Channel(b.To.Name)
	}
	n.open = len(b.From) > 0
	for _, r := range b.From {
		in := Input{Name: r.String()}
		if r.Kind == "channel" {
			if in.Channel, diags = p.reading(r.Name, inferred); in.Channel == nil {
				return nil, append(diags, p.decodeAlone(b)...)
			}
		} else if in.Node = done[r.String()]; in.Node == nil {
			return nil, append(refuseDisabled(pl.Config, b, r), p.decodeAlone(b)...) // otherwise its own diagnostics have told
		}
		schema, open, _ := in.schema()
		if schema == nil {
			return nil, p.decodeAlone(b)
		}
		n.In = append(n.In, in)
		n.open = n.open && open
	}
	diags = p.bindArgs(pl, n, inferred)
	n.open = n.open && n.Bound.PassesAll
	if more := refuseRevised(n); len(more) > 0 {
		diags = append(diags, more...)
	}
	if n.Bound.Out == nil && !n.IsSink() {
		return nil, diags
	}
	return n, diags
}

// decodeAlone says what is wrong with a stage's arguments where its input is not known, so that nothing can be bound.
func (p *Plan) decodeAlone(b *config.Block) hcl.Diagnostics {
	if !b.Enabled {
		return nil
	}
	spec, diags := p.findSpec(b)
	if diags.HasErrors() {
		return diags
	}
	return config.DecodeBody(b.Body, spec.Args(), p.Config.Eval)
}

// bindArgs binds a node's arguments over its inputs. Where its rows have to stand otherwise than
// they do, a channel comes in between and they are bound again.
func (p *Plan) bindArgs(pl *Pipeline, n *Node, inferred *inference) hcl.Diagnostics {
	const attempts = 2
	var before hcl.Diagnostics
	for attempt := 1; ; attempt++ {
		var by []string
		asked := false
		ask := func(columns []string) { by, asked = columns, true }
		if attempt == attempts || n.IsSink() || len(n.In) != 1 {
			ask = nil
		}
		args := n.Spec.Args()
		mistakes := config.DecodeBody(n.Block.Body, args, p.Config.Eval)
		at, schemas := p.inputs(pl, n, inferred)
		at.Regroup = ask
		if mistakes.HasErrors() {
			return append(mistakes, inferred.once(at.Channel.Name, besideMistakes(args, schemas, at))...)
		}
		var diags hcl.Diagnostics
		n.Bound, diags = args.Bind(schemas, at)
		diags = append(before, inferred.once(at.Channel.Name, diags)...)
		switch {
		case diags.HasErrors() || attempt == attempts:
			return diags
		case asked && n.Bound.First != nil:
			if more := p.split(pl, n, by); more.HasErrors() {
				return append(diags, more...)
			}
		case asked:
			n.whole = n.Bound.Whole
			p.regroup(pl, n, by)
		case n.Bound.Meet != nil && !met(n, n.Bound.Meet):
			if more := p.meet(pl, n, n.Bound.Meet); more.HasErrors() {
				return append(diags, more...)
			}
		default:
			return append(diags, refuseApart(n)...)
		}
		before = diags // what comes again in the next attempt is shown once
	}
}

// besideMistakes binds arguments of which some could not be decoded, for what there is to say of the expressions
// among the others. What is said of anything else may follow from the arguments that are missing.
func besideMistakes(args stage.Args, in []*arrow.Schema, at stage.At) hcl.Diagnostics {
	written := config.Expressions(args)
	_, diags := args.Bind(in, at)
	return slices.DeleteFunc(diags, func(d *hcl.Diagnostic) bool {
		return d.Subject == nil || !slices.ContainsFunc(written, func(r hcl.Range) bool {
			return r.Filename == d.Subject.Filename && r.Start.Byte <= d.Subject.Start.Byte && d.Subject.End.Byte <= r.End.Byte
		})
	})
}

// inputs is what a block sees of its inputs.
func (p *Plan) inputs(pl *Pipeline, n *Node, inferred *inference) (stage.At, []*arrow.Schema) {
	home := pl.Channel
	if len(n.In) > 0 {
		home = n.In[0].home()
	}
	at := p.at(n, home)
	over := n.over()
	var schemas []*arrow.Schema
	for i, in := range over {
		s, _, _ := in.schema()
		schemas = append(schemas, s)
		at.Keys = append(at.Keys, n.In[i].key())
		at.Inputs = append(at.Inputs, in.Name)
		at.By = append(at.By, in.Node.by())
		at.Revised = append(at.Revised, in.revised())
	}
	at.Together, at.Parts = n.together(), n.First != nil
	at.Scope = p.scopes(over, schemas, inferred)
	return at, schemas
}

// refuseApart refuses a stage whose inputs come from tasks of several channels.
func refuseApart(n *Node) hcl.Diagnostics {
	homes := homesOf(n.In)
	if n.IsSink() || len(homes) < 2 {
		return nil
	}
	return config.Errorf(n.Block.Range, "Inputs that run apart", "%s and %s come from different channels or partitions, and only a sink or a join takes both.", n.In[0].Name, n.In[len(n.In)-1].Name)
}

// by lists the columns by which this node, or one before it, has grouped rows.
func (n *Node) by() []string {
	switch {
	case n == nil: // the channel
		return nil
	case n.Bound.By != nil:
		return n.Bound.By
	}
	var out []string
	for _, in := range n.In {
		out = append(out, in.Node.by()...)
	}
	return out
}

func refuseDisabled(c *config.Pipeline, b *config.Block, r config.Ref) hcl.Diagnostics {
	for _, other := range c.Stages {
		if other.Address() == r.String() && !other.Enabled && b.Enabled {
			return config.Errorf(r.Range, "Reference to a block that is switched off",
				"%s has enabled = false, so nothing can read from it. Switch %s off too, or read from another stage.", r, b.Address())
		}
	}
	return nil
}

// refuseShared finds transactional sinks that would write over each other.
func (p *Plan) refuseShared() hcl.Diagnostics {
	var diags hcl.Diagnostics
	first := map[string]*Node{}
	for _, n := range p.nodes() {
		id := n.Bound.Identity
		switch was := first[id]; {
		case id == "" || !n.IsSink():
		case was == nil:
			first[id] = n
		default:
			diags = append(diags, config.Errorf(n.Block.Range, "Two sinks, one place",
				"%s and %s write to the same place, and each would write over the other. One sink can take several inputs: from = [...].", was.Address, n.Address)...)
		}
	}
	return diags
}

func refuseRevised(n *Node) hcl.Diagnostics {
	if n.Bound.Revisions != stage.Refuses {
		return nil
	}
	for i, in := range n.In {
		if in.Revised() {
			return config.Errorf(n.Block.From[i].Range, "Revised rows are not taken here",
				"%s may emit a window again when late rows come (late = \"revise\"), and %s cannot take a row back. Write late = \"drop\" or \"side\" there.", in.Name, n.Block.Address())
		}
	}
	return nil
}

func (p *Plan) scopes(in []Input, schemas []*arrow.Schema, inferred *inference) func(int) *expr.Scope {
	return func(i int) *expr.Scope {
		s := &expr.Scope{Schema: schemas[i], Vars: p.Config.Vars, What: in[i].Name}
		if _, open, root := in[i].schema(); open {
			s.Infer = inferred.into(root)
		}
		return s
	}
}

// bindTime checks the channel's time expression and key against its schema.
func (p *Plan) bindTime(ch *Channel, inferred *inference) hcl.Diagnostics {
	c := ch.Config
	var diags hcl.Diagnostics
	if c.Key != "" && len(ch.Schema.FieldIndices(c.Key)) == 0 {
		diags = append(diags, config.Errorf(c.KeyRange, "Unknown key",
			"The schema of channel.%s has no field %q.%s", c.Name, c.Key, config.DidYouMean(c.Key, fieldNames(ch.Fields)))...)
	}
	if c.Time != nil {
		_, more := ch.CompileTime(p, inferred)
		diags = append(diags, inferred.once(c.Name, more)...)
	}
	return diags
}

// CompileTime compiles the channel's time expression for one partition.
// inferred is nil once the plan is built.
func (ch *Channel) CompileTime(p *Plan, inferred *inference) (*expr.Program, hcl.Diagnostics) {
	s := &expr.Scope{Schema: ch.Schema, Vars: p.Config.Vars, What: "channel." + ch.Config.Name}
	if ch.Open && inferred != nil {
		s.Infer = inferred.into(ch.rootName())
	}
	return expr.CompileAs(ch.Config.Time, s, flow.Timestamp, "time")
}

func fieldNames(fields []decode.Field) []string {
	var names []string
	for _, f := range fields {
		names = append(names, f.Name)
	}
	return names
}
