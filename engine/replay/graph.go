package replay

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/stage"
)

// ownType is the type of the sinks that a replay puts behind stages, and begins the names of all it adds.
const ownType = "replay"

// ownRule is the rule that lets one device's records pass.
const ownRule = ownType + "_device"

// narrowed returns the configuration as a replay runs it: the pipelines that depend on
// the channel, behind a rule that lets one device pass where one is asked for.
func (r *Replay) narrowed(c *config.Config) (*config.Config, hcl.Diagnostics) {
	own := *c
	own.Engine.Tick, own.Engine.Checkpoint, own.Engine.Admin = time.Second, time.Second, ""
	own.Channels, own.Pipelines = nil, nil
	for _, ch := range c.Channels {
		mine := *ch
		mine.Retention, mine.RetainBytes = 0, 0
		own.Channels = append(own.Channels, &mine)
	}
	kept := dependents(c, r.o.Channel)
	for _, p := range c.Pipelines {
		if !kept[p.Name] {
			continue
		}
		mine := *p
		mine.Stages = nil
		for _, s := range p.Stages {
			stage := *s
			stage.From = slices.Clone(s.From)
			mine.Stages = append(mine.Stages, &stage)
		}
		own.Pipelines = append(own.Pipelines, &mine)
	}
	if len(own.Pipelines) == 0 {
		return nil, config.Errorf(hcl.Range{}, "Nothing to replay", "No pipeline of %s reads channel.%s.%s", c.Dir, r.o.Channel, config.DidYouMean(r.o.Channel, channels(c)))
	}
	if r.o.Device != "" {
		if diags := r.onlyDevice(&own); diags.HasErrors() {
			return nil, diags
		}
	}
	return &own, r.addSinks(&own)
}

func channels(c *config.Config) []string {
	var out []string
	for _, ch := range c.Channels {
		out = append(out, ch.Name)
	}
	return out
}

// dependents are the pipelines that rows of a channel reach; all, for "".
func dependents(c *config.Config, channel string) map[string]bool {
	reached, out := map[string]bool{channel: true}, map[string]bool{}
	for range c.Pipelines { // as often as a chain of them can be long
		for _, p := range c.Pipelines {
			reads := channel == ""
			for _, s := range p.Stages {
				reads = reads || s.Enabled && slices.ContainsFunc(s.From, func(f config.Ref) bool { return f.Kind == "channel" && reached[f.Name] })
			}
			if !reads {
				continue
			}
			out[p.Name] = true
			for _, s := range p.Stages {
				if s.Kind == "sink" && s.Enabled && s.To.Kind == "channel" {
					reached[s.To.Name] = true
				}
			}
		}
	}
	return out
}

// onlyDevice puts a rule before everything that reads the channel.
func (r *Replay) onlyDevice(c *config.Config) hcl.Diagnostics {
	at := slices.IndexFunc(c.Channels, func(ch *config.Channel) bool { return ch.Name == r.o.Channel })
	if at < 0 || c.Channels[at].Key == "" {
		return config.Errorf(hcl.Range{}, "No devices", "channel.%s has no key, and so one device cannot be told from another.", r.o.Channel)
	}
	key, diags := hclsyntax.ParseExpression([]byte(c.Channels[at].Key), "", hcl.InitialPos)
	if diags.HasErrors() {
		return diags
	}
	where := &hclsyntax.BinaryOpExpr{LHS: key, Op: hclsyntax.OpEqual, RHS: &hclsyntax.LiteralValueExpr{Val: cty.StringVal(r.o.Device)}}
	for _, p := range c.Pipelines {
		name := config.Ref{Kind: "rule", Name: ownRule}
		used := false
		for _, s := range p.Stages {
			for i, f := range s.From {
				if f.Kind == "channel" && f.Name == r.o.Channel {
					s.From[i], used = name, true
				}
			}
		}
		if used {
			p.Stages = append(p.Stages, &config.Block{Kind: "rule", Name: name.Name, From: []config.Ref{{Kind: "channel", Name: r.o.Channel}}, Enabled: true, Range: p.Range,
				Body: &hclsyntax.Body{Attributes: hclsyntax.Attributes{"where": {Name: "where", Expr: where}}}})
		}
	}
	return nil
}

// addSinks puts a sink behind every stage that is to be seen, so that all of its columns are
// read, and notes which edges these are.
func (r *Replay) addSinks(c *config.Config) (diags hcl.Diagnostics) {
	found := map[string]bool{}
	var names []string
	for _, p := range c.Pipelines {
		prefix := "pipeline." + p.Name + "."
		read := map[string]bool{}
		for _, s := range p.Stages {
			if s.Kind == "sink" && s.Enabled {
				for _, f := range s.From {
					read[f.String()] = true
					if f.Kind == "channel" && r.wants("", f.String(), true, found) {
						r.seen[f.String()] = true // a sink reads its rows already
					}
				}
			}
		}
		for _, s := range slices.Clone(p.Stages) {
			if s.Kind == "sink" || !s.Enabled {
				continue
			}
			names = append(names, s.Address())
			if !r.wants(prefix, s.Address(), read[s.Address()], found) {
				continue
			}
			r.seen[prefix+s.Address()] = true
			p.Stages = append(p.Stages, &config.Block{Kind: "sink", Type: ownType, Name: fmt.Sprintf("%s_%d", ownType, len(r.seen)),
				From: []config.Ref{{Kind: s.Kind, Name: s.Name}}, Enabled: true, Body: &hclsyntax.Body{}, Range: p.Range})
		}
		if r.wants(prefix, "rejects", true, found) {
			r.seen[prefix+"rejects"] = true
		}
	}
	for _, e := range r.o.Edges {
		if !found[e] {
			diags = append(diags, config.Errorf(hcl.Range{}, "Nothing to look at", "There is no %s that rows pass.%s", e, config.DidYouMean(e, names))...)
		}
	}
	return diags
}

// wants tells whether an edge is looked at.
func (r *Replay) wants(prefix, address string, read bool, found map[string]bool) bool {
	if r.o.Every || len(r.o.Edges) == 0 {
		return r.o.Every || read
	}
	for _, e := range r.o.Edges {
		if e == address || e == prefix+address {
			found[e] = true
			return true
		}
	}
	return false
}

// silence lets nothing come in or go out but what was asked for.
func (r *Replay) silence(p *plan.Plan) error {
	for _, n := range p.Ingests {
		n.Bound.OpenSource = func(stage.Opening, stage.SourceEnv) (stage.Source, error) { return ended{}, nil }
	}
	written := map[string]bool{}
	for _, pl := range p.Pipelines {
		for _, n := range pl.Nodes {
			if !n.IsSink() || n.Feeds != nil {
				continue
			}
			if name := r.written(n); name != "" {
				written[name] = true
				real := n.Bound.OpenSink
				n.Bound.OpenSink = func(o stage.Opening) (stage.Sink, error) {
					o.Env, o.DataDir = r.o.Env, r.o.Data+"/replay"
					return real(o)
				}
				continue
			}
			n.Bound.Delivery, n.Bound.OpenSink = stage.Transactional, func(stage.Opening) (stage.Sink, error) { return nowhere{}, nil }
		}
	}
	for _, w := range r.o.Write {
		if !written[w] {
			return fmt.Errorf("there is no %s that is switched on, to be written", w)
		}
	}
	return nil
}

// written is the name by which a sink was asked for; "" when it was not.
func (r *Replay) written(n *plan.Node) string {
	for _, w := range r.o.Write {
		if n.Address == w || strings.HasSuffix(n.Address, "."+w) {
			return w
		}
	}
	return ""
}

// ended is a source that has nothing.
type ended struct{}

func (ended) Step() (stage.Status, error) { return stage.Ended, nil }
func (ended) Close() error                { return nil }

// nowhere is a sink that keeps nothing: what passes is seen on its way.
type nowhere struct{}

func (nowhere) Write(context.Context, int, arrow.RecordBatch) error     { return nil }
func (nowhere) Prepare(context.Context, uint64) (token []byte, e error) { return nil, nil }
func (nowhere) Commit(context.Context, []byte) error                    { return nil }
func (nowhere) Recover(context.Context, []byte) error                   { return nil }
func (nowhere) Close() error                                            { return nil }

var _ stage.Sink = nowhere{}

// nothing are the arguments of the sinks that a replay adds.
type nothing struct{}

// Bind accepts whatever comes.
func (*nothing) Bind([]*arrow.Schema, stage.At) (stage.Bound, hcl.Diagnostics) {
	return stage.Bound{Delivery: stage.Transactional, OpenSink: func(stage.Opening) (stage.Sink, error) { return nowhere{}, nil }}, nil
}

func specs() []stage.Spec {
	return []stage.Spec{{Kind: "sink", Type: ownType, Help: "Keeps nothing.", Args: func() stage.Args { return &nothing{} }}}
}
