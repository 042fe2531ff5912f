package plan

import (
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/decode"
	"github.com/tidemill/tidemill/engine/expr"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
)

// fed is what a channel has more when pipelines feed it.
type fed struct {
	Fed bool
	// Own says that the engine has put the channel between two stages: no file names it.
	Own bool
	// Feeders are the sinks that feed it, in the order in which they were bound.
	Feeders []*Node
	// Sides are the schemas of inputs that meet in the channel; nil where all rows look alike.
	Sides []Side

	// ByTick says that rows of a key come from several tasks: their watermarks move at ticks, behind all
	// rows of the interval, since those come task by task.
	ByTick bool

	root   string // the channel whose records teach the names that are not known yet
	whole  bool   // all that feed it have been bound
	broken bool   // one of them could not be
	revise bool   // rows may revise earlier ones
	latest *stage.Revised
}

// Side is what rows of one input look like where several meet.
type Side struct {
	Schema *arrow.Schema
	Key    string // the column that holds the channel's key
	open   bool
	revise bool
	latest *stage.Revised
}

// side names a side of a channel.
type side struct {
	channel string
	no      int
}

// Schemas are the schemas of the channel's rows: one, or one for each side.
func (ch *Channel) Schemas() []*arrow.Schema {
	if ch.Sides == nil {
		return []*arrow.Schema{ch.Schema}
	}
	var out []*arrow.Schema
	for _, s := range ch.Sides {
		out = append(out, s.Schema)
	}
	return out
}

// KeyOf is the column of a side that holds the channel's key; "" without one.
func (ch *Channel) KeyOf(no int) string {
	if ch.Sides == nil {
		return ch.Config.Key
	}
	return ch.Sides[no].Key
}

// Revised tells whether rows of the input may revise earlier ones. A channel that ingests
// feed has none such, whatever its columns are called.
func (in Input) Revised() bool {
	switch {
	case in.Node != nil:
		return in.Node.Revised()
	case in.Channel.Sides != nil:
		return in.Channel.Sides[in.Side].revise
	}
	return in.Channel.revise
}

// revised says how revisions of the input's rows belong together; nil: none are revised.
func (in Input) revised() *stage.Revised {
	switch {
	case !in.Revised():
		return nil
	case in.Node == nil && in.Channel.Sides != nil:
		return in.Channel.Sides[in.Side].latest
	case in.Node == nil:
		return in.Channel.latest
	case in.Node.Bound.Revised != nil:
		return in.Node.Bound.Revised
	}
	return &stage.Revised{Why: in.Name + " does not tell which rows of its revise which"}
}

// findRevised finds out how revisions of the channel's rows belong together, when all that feeds it is bound.
func (ch *Channel) findRevised() *stage.Revised {
	var in []Input
	for _, n := range ch.Feeders {
		in = append(in, n.In...)
	}
	name := "channel." + ch.Config.Name
	switch {
	case !ch.revise:
		return nil
	case len(in) > 1:
		return &stage.Revised{Why: "more than one stage feeds " + name + ", and a row of one could be taken for a revision of another's"}
	case ch.Config.Time != nil:
		return &stage.Revised{Why: name + " has a time of its own, which a revision could change"}
	}
	return ch.passRevised(in[0].revised())
}

// passRevised says how revisions of rows belong together that come by a channel: as before, unless it leaves out what tells them,
// or they come by different partitions and so in no order.
func (ch *Channel) passRevised(in *stage.Revised) *stage.Revised {
	if in == nil || in.By == nil {
		return in
	}
	name, key := "channel."+ch.Config.Name, ch.Config.Key
	if key != "" && !slices.Contains(in.Fixed, key) {
		return &stage.Revised{Why: "the key of " + name + " is " + key + ", which a revision may change, and in different partitions rows have no order"}
	}
	for _, c := range in.By {
		if !ch.Schema.HasField(c) {
			return &stage.Revised{Why: name + " has no column " + c + ", by which revisions of a row are told"}
		}
	}
	return in
}

// home is the channel whose tasks the input's rows come from.
func (in Input) home() *Channel {
	if in.Node != nil {
		return in.Node.Home
	}
	return in.Channel
}

// Homes lists the channels whose tasks give a sink rows, in the order of its inputs; of one that takes rejects,
// those of its pipeline.
func (n *Node) Homes(pl *Pipeline) []*Channel {
	if n.Rejects {
		return pl.Homes
	}
	return homesOf(n.In)
}

func homesOf(in []Input) []*Channel {
	var out []*Channel
	for _, x := range in {
		if h := x.home(); !slices.Contains(out, h) {
			out = append(out, h)
		}
	}
	return out
}

// newFed makes a channel that pipelines feed. It learns nothing from its records: what its
// columns are is known when the pipelines are bound.
func newFed(c *config.Channel) *Channel {
	now := *c
	now.Learn = false
	return &Channel{Config: &now, fed: fed{Fed: true}}
}

// empty forgets what feeds the channel, before all is bound again; kept says that its columns stay as they are.
func (ch *Channel) empty(kept bool) {
	ch.Feeders = nil
	if !kept {
		ch.whole, ch.broken, ch.revise, ch.Open, ch.root = false, false, false, false, ""
		ch.latest = nil
	}
}

func (p *Plan) isFed(channel string) bool {
	for _, c := range p.Config.Pipelines {
		for _, b := range c.Stages {
			if b.Kind == "sink" && b.Enabled && b.To.Name == channel {
				return true
			}
		}
	}
	return false
}

// findOrder puts pipelines that feed a channel before those that read it, and refuses cycles.
func (p *Plan) findOrder() hcl.Diagnostics {
	const open, done = 1, 2
	var diags hcl.Diagnostics
	state := map[*config.Pipeline]int{}
	var visit func(c *config.Pipeline)
	visit = func(c *config.Pipeline) {
		state[c] = open
		for _, other := range p.Config.Pipelines {
			for _, b := range other.Stages {
				if b.Kind != "sink" || !b.Enabled || b.To.Name == "" || !reads(c, b.To.Name) {
					continue
				}
				switch state[other] {
				case open:
					diags = append(diags, config.Errorf(b.To.Range, "Cycle",
						"pipeline.%s feeds channel.%s, which it reads, directly or through other pipelines. Rows would go round for ever.", other.Name, b.To.Name)...)
				case 0:
					visit(other)
				}
			}
		}
		state[c] = done
		p.order = append(p.order, c)
	}
	for _, c := range p.Config.Pipelines {
		if state[c] == 0 {
			visit(c)
		}
	}
	return diags
}

// reads tells whether a pipeline reads a channel.
func reads(c *config.Pipeline, channel string) bool {
	if c.From.Name == channel {
		return true
	}
	return slices.ContainsFunc(c.Stages, func(b *config.Block) bool {
		return slices.ContainsFunc(b.From, func(r config.Ref) bool { return r.Kind == "channel" && r.Name == channel })
	})
}

// refuseFed refuses what a channel that pipelines feed cannot have.
func (p *Plan) refuseFed() hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, ch := range p.Channels {
		c := ch.Config
		if !ch.Fed {
			continue
		}
		for _, b := range p.Config.Ingests {
			if b.To.Name == c.Name && b.Enabled {
				diags = append(diags, config.Errorf(b.To.Range, "A channel with two kinds of records",
					"Pipelines feed channel.%s, and an ingest feeds it too. Give one of them another channel; a pipeline can bring both together.", c.Name)...)
			}
		}
		for _, has := range []struct {
			is   bool
			what string
		}{
			{c.Explode != "", "explode: a rule's explode, or the channel before it, takes lists apart"},
			{c.Decode != nil, "decode: that is for payloads of ingests, and pipelines feed it rows"},
			{c.Dedupe != nil, "dedupe: its rows come from pipelines, each once"},
			{c.Clock.Any(), "clock: the channels before it judge their devices' clocks"},
			{c.RetainBytes != 0, "retain_bytes: rows stay until they are read, and ingestion waits if that takes long"},
		} {
			if has.is {
				diags = append(diags, config.Errorf(c.Range, "Not for a channel that a pipeline feeds", "channel.%s cannot have %s.", c.Name, has.what)...)
			}
		}
	}
	return diags
}

// reading returns the channel of that name with its columns; nil where something is wrong with it that was told.
func (p *Plan) reading(name string, inferred *inference) (*Channel, hcl.Diagnostics) {
	ch := p.Channel(name)
	if ch == nil {
		return nil, nil // config has told
	}
	return p.complete(ch, inferred)
}

// complete gives a channel the columns that those which feed it make; they have been bound.
func (p *Plan) complete(ch *Channel, inferred *inference) (*Channel, hcl.Diagnostics) {
	if !ch.Fed || ch.whole {
		if ch.broken {
			return nil, nil
		}
		return ch, nil
	}
	ch.whole, ch.Fields = true, nil
	var diags hcl.Diagnostics
	for _, f := range ch.Config.Schema {
		ch.declare(decode.Field{Name: f.Name, Type: f.Type})
	}
	for _, n := range ch.Feeders {
		for i, in := range n.In {
			diags = append(diags, ch.take(n, i, in)...)
		}
	}
	if keep, known := p.keep[side{ch.Config.Name, 0}]; known && !keep.all {
		for i := range ch.Fields {
			ch.Fields[i].Skip = !keep.names[ch.Fields[i].Name]
		}
	}
	ch.reschema()
	ch.ByTick, ch.latest = ch.mixes(), ch.findRevised()
	ch.broken = ch.broken || diags.HasErrors() || len(ch.Feeders) == 0
	if ch.broken {
		return nil, diags
	}
	diags = append(diags, p.bindTime(ch, inferred)...)
	if ch.broken = diags.HasErrors(); ch.broken {
		return nil, diags
	}
	return ch, diags
}

// mixes tells whether rows of a key come from several tasks.
func (ch *Channel) mixes() bool {
	from := map[int]*Channel{} // by side
	for _, n := range ch.Feeders {
		for i, in := range n.In {
			no := 0
			if ch.Sides != nil {
				no = i
			}
			if in.home().Config.Partitions == 1 && (from[no] == nil || from[no] == in.home()) {
				from[no] = in.home()
				continue
			}
			if key := ch.KeyOf(no); key == "" || in.key() != key || from[no] != nil && from[no] != in.home() {
				return true
			}
			from[no] = in.home()
		}
	}
	return false
}

// take adds the columns of a feeding sink's input.
func (ch *Channel) take(n *Node, no int, in Input) hcl.Diagnostics {
	schema, open, root := in.schema()
	ch.Open, ch.revise = ch.Open || open && ch.Config.Schema == nil, ch.revise || in.Revised() && n.Bound.Revisions != stage.TakesFirst
	if ch.root == "" {
		ch.root = root
	}
	var diags hcl.Diagnostics
	for _, f := range flow.UserFields(schema) {
		at := slices.IndexFunc(ch.Fields, func(have decode.Field) bool { return have.Name == f.Name })
		switch {
		case at < 0 && len(ch.Config.Schema) == 0:
			ch.Fields = append(ch.Fields, decode.Field{Name: f.Name, Type: f.Type})
		case at >= 0 && !arrow.TypeEqual(ch.Fields[at].Type, f.Type):
			diags = append(diags, config.Errorf(n.Block.From[no].Range, "Another type of column",
				"%s of %s is a %s, and in channel.%s it is a %s.", f.Name, in.Name, expr.TypeName(f.Type), ch.Config.Name, expr.TypeName(ch.Fields[at].Type))...)
		}
	}
	return diags
}

// schema is what the input's rows look like, whether names may still come, and from
// which channel's records.
func (in Input) schema() (s *arrow.Schema, open bool, root string) {
	if in.Node != nil {
		return in.Node.Bound.Out, in.Node.open, in.Node.Home.rootName()
	}
	if in.Channel.Sides != nil {
		side := in.Channel.Sides[in.Side]
		return side.Schema, side.open, in.Channel.rootName()
	}
	return in.Channel.Schema, in.Channel.Open, in.Channel.rootName()
}

// rootName names the channel whose records teach names of this one.
func (ch *Channel) rootName() string {
	if ch.root != "" {
		return ch.root
	}
	return ch.Config.Name
}

// explainFed tells what is different in a channel that pipelines feed.
func (ch *Channel) explainFed(out *ChannelPlan) {
	if out.Regrouped = ch.Own; ch.Config.Time == nil {
		out.Time = "as in the rows"
	}
	if ch.Config.Retention == 0 {
		out.Retention = "until it is read"
	}
	out.Revises = ch.revise
	for _, n := range ch.Feeders {
		out.FedBy = append(out.FedBy, n.Address)
	}
	for _, s := range ch.Sides {
		out.Fields = append(out.Fields, explainColumns(s.Schema)...)
	}
}

// grouping says by what the engine's own channel spreads its rows.
func (ch *Channel) grouping() string {
	if ch.Config.Key == "" {
		return "all together"
	}
	return "by " + ch.Config.Key
}
