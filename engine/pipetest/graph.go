package pipetest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/stage"
)

// edge is what an expectation looks at: an input of a captured sink.
type edge struct {
	sink string // address
	in   int    // -1: all
}

// rewrite returns the configuration as the test runs it: with a source for
// every channel that the test feeds, a sink behind every stage that it looks at, and
// the test's ticks.
func (w *world) rewrite(c *config.Config) (*config.Config, hcl.Diagnostics) {
	own := *c
	own.Engine.Tick, own.Engine.Checkpoint, own.Engine.Admin = w.tick, max(c.Engine.Checkpoint, 10*w.tick, w.test.span()/16), ""
	own.Channels, own.Ingests, own.Pipelines = nil, slices.Clone(c.Ingests), nil
	for _, ch := range c.Channels {
		mine := *ch
		if mine.Retention, mine.RetainBytes = 0, 0; !isFed(c, ch.Name) {
			mine.Retention = w.tick // what a checkpoint has behind it goes: the disk is memory
		}
		own.Channels = append(own.Channels, &mine)
	}
	var diags hcl.Diagnostics
	for name, at := range w.fed() {
		if !slices.ContainsFunc(c.Channels, func(ch *config.Channel) bool { return "channel."+ch.Name == name }) {
			diags = append(diags, config.Errorf(at, "Not a channel", "There is no %s.%s", name, config.DidYouMean(name, channelNames(c)))...)
			continue
		}
		if !slices.ContainsFunc(own.Ingests, func(b *config.Block) bool { return b.Enabled && b.To.String() == name }) {
			ref := config.Ref{Kind: "channel", Name: strings.TrimPrefix(name, "channel.")}
			own.Ingests = append(own.Ingests, &config.Block{Kind: "ingest", Type: ownType, Name: ownType + "_" + ref.Name, To: ref,
				Enabled: true, Body: &hclsyntax.Body{}, Range: at})
		}
	}
	slices.SortFunc(own.Ingests, func(a, b *config.Block) int { return strings.Compare(a.Name, b.Name) })
	for _, p := range c.Pipelines {
		mine := *p
		mine.Stages = slices.Clone(p.Stages)
		own.Pipelines = append(own.Pipelines, &mine)
	}
	w.addProbes(&own)
	for _, x := range w.test.expects {
		if x.from != "" && x.Metric == "" {
			diags = append(diags, w.look(&own, x)...)
		}
	}
	return &own, diags
}

// isFed tells whether a pipeline feeds the channel: what is read of it is let go of anyway.
func isFed(c *config.Config, channel string) bool {
	for _, p := range c.Pipelines {
		for _, s := range p.Stages {
			if s.Kind == "sink" && s.To.Kind == "channel" && s.To.Name == channel {
				return true
			}
		}
	}
	return false
}

func channelNames(c *config.Config) []string {
	var out []string
	for _, ch := range c.Channels {
		out = append(out, "channel."+ch.Name)
	}
	return out
}

// fed lists the channels that the test has records for, and where it says so.
func (w *world) fed() map[string]hcl.Range {
	out := map[string]hcl.Range{}
	for _, r := range w.test.rows {
		out[r.channel] = r.Range
	}
	for _, f := range w.test.fleets {
		out[f.channel] = f.Range
	}
	for _, g := range w.test.signals {
		out[g.channel] = g.Range
	}
	return out
}

// look finds what an expectation is about, and puts a sink behind it.
func (w *world) look(c *config.Config, x *expectBlock) hcl.Diagnostics {
	if _, known := w.edges[x.from]; known {
		return nil
	}
	var found []edge
	var names []string
	for _, p := range c.Pipelines {
		prefix := "pipeline." + p.Name + "."
		is := func(name string) bool {
			names = append(names, name)
			return x.from == name || x.from == prefix+name
		}
		if is("rejects") {
			w.edges[x.from] = edge{prefix + "rejects", -1}
			found = append(found, w.edges[x.from])
		}
		if p.From.String() == x.from && len(found) == 0 {
			found = append(found, w.addSink(p, p.From))
		}
		for _, s := range slices.Clone(p.Stages) {
			switch {
			case !is(s.Address()):
			case s.Kind == "sink":
				found = append(found, edge{prefix + s.Address(), -1})
			default:
				found = append(found, w.addSink(p, config.Ref{Kind: s.Kind, Name: s.Name}))
			}
		}
	}
	at := x.From.Range()
	switch len(found) {
	case 0:
		return config.Errorf(at, "Nothing to look at", "There is no %s that rows pass.%s", x.from, config.DidYouMean(x.from, append(names, channelNames(c)...)))
	case 1:
		w.edges[x.from] = found[0]
		return nil
	}
	return config.Errorf(at, "More than one", "%s stands in several pipelines. Write pipeline.NAME.%s.", x.from, x.from)
}

// addSink puts a sink behind a stage or a channel.
func (w *world) addSink(p *config.Pipeline, from config.Ref) edge {
	name := fmt.Sprintf("%s_%d", ownType, len(w.edges)+1)
	p.Stages = append(p.Stages, &config.Block{Kind: "sink", Type: ownType, Name: name, From: []config.Ref{from}, Enabled: true, Body: &hclsyntax.Body{}, Range: p.Range})
	return edge{"pipeline." + p.Name + ".sink." + name, -1}
}

// replace exchanges, in a plan, what reaches outside.
func (w *world) replace(p *plan.Plan) {
	fed := map[string]bool{}
	for _, n := range p.Ingests {
		f := w.feeds[n.Block.To.String()]
		if f == nil || fed[n.Block.To.Name] || !n.Block.Enabled {
			n.Bound.OpenSource = func(stage.Opening, stage.SourceEnv) (stage.Source, error) { return ended{}, nil }
			continue
		}
		fed[n.Block.To.Name] = true
		ch := p.Channel(n.Block.To.Name)
		f.topics = newTopics(ch.Topics, ch.Config.Key, ch.Config.Partitions)
		n.Bound.OpenSource, n.Bound.Push = f.open, false
	}
	for _, pl := range p.Pipelines {
		if x, ok := w.edges["rejects"]; ok && len(p.Pipelines) == 1 || x.sink == "pipeline."+pl.Config.Name+".rejects" {
			w.edges["rejects"] = edge{pl.Rejects.Address, len(pl.Rejects.In)}
		}
		if _, ok := w.edges["pipeline."+pl.Config.Name+".rejects"]; ok {
			w.edges["pipeline."+pl.Config.Name+".rejects"] = edge{pl.Rejects.Address, len(pl.Rejects.In)}
		}
		for _, n := range pl.Nodes {
			if n.IsSink() && n.Feeds == nil {
				w.captureSink(n)
			}
		}
	}
}

// captureSink lets a sink's rows be kept in place of written.
func (w *world) captureSink(n *plan.Node) {
	c := w.captures[n.Address]
	if c == nil {
		c = &capture{address: n.Address, commits: n.Bound.Delivery == stage.Transactional, at: map[uint64]int{}}
		c.fails = func() bool { return w.failing(n.Address, false) }
		w.captures[n.Address] = c
	}
	for _, x := range w.test.expects {
		if x.table != nil && w.edges[x.from].sink == n.Address {
			c.keep = true
		}
	}
	n.Bound.OpenSink = func(stage.Opening) (stage.Sink, error) { return &writer{capture: c}, nil }
}
