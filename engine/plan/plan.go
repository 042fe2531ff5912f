package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/decode"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/state"
)

// Plan is a configuration bound to the stages there are. A Plan is opened at
// most once, but for Again; With gives another of the same configuration.
type Plan struct {
	Config    *config.Config
	Digest    string // of everything that decides an outcome, hex
	Channels  []*Channel
	Ingests   []*Node
	Pipelines []*Pipeline
	Warnings  hcl.Diagnostics

	specs   []stage.Spec
	learned Learned
	only    string              // made by With: the channel for one of whose partitions it is
	own     int                 // how many of Channels the configuration has; the engine's own follow
	order   []*config.Pipeline  // those that feed a channel before those that read it
	keep    map[side]columns    // what is read of channels that pipelines feed; nil before it is known
	reads   map[string]*columns // what is read of each node's rows, by its address
	again   again
}

// Learned holds, by channel, the fields that its partitions have learned.
type Learned map[string][]decode.Field

// Channel is a channel and what of it is decoded.
type Channel struct {
	Config *config.Channel
	// Fields are declared, learned and inferred fields, in that order. Skip is set
	// where no stage, key or time reads the field.
	Fields []decode.Field
	// Topics say how the topics of its records look; their names are the first of Fields.
	Topics []decode.TopicTemplate
	// Partly are those of their names that not all records have in their topics: payloads then give them. Without repetition.
	Partly []string
	// Properties are the fields that come from envelopes, sorted.
	Properties []string
	Schema     *arrow.Schema // of the channel's rows
	// Decoder is the stage that makes rows of payloads; nil: they are JSON.
	Decoder *Node
	// Open says that names it does not know may still come.
	Open bool
	fed
	decoding hcl.Diagnostics // what is wrong with Decoder
}

// Pipeline is a pipeline's graph.
type Pipeline struct {
	Config  *config.Pipeline
	Channel *Channel
	// Nodes holds stages and sinks in an order in which every node stands after its inputs.
	Nodes []*Node
	// Rejects is the sink that takes rejects; one of Nodes.
	Rejects *Node
	// Homes are the channels whose tasks run the pipeline: Channel, and those that the engine
	// has put between its stages.
	Homes []*Channel
}

// Node is a block that has found its place.
type Node struct {
	Block   *config.Block
	Address string // such as "pipeline.cold_chain.rule.plausible"
	Spec    stage.Spec
	Bound   stage.Bound
	In      []Input
	// Digest changes with the block's own text, and with the values of variables;
	// ArgsDigest does not look at where the rows come from.
	Digest, ArgsDigest string
	// Rejects says that this sink also takes the pipeline's rejects: they come as input len(In).
	Rejects bool
	// Marks says that the node needs watermarks that filtered rows moved.
	Marks bool
	// Lag is by how much, us, the watermarks that the node is told of lag behind the channel's.
	Lag int64
	// Consumers are the nodes that read this one, with the input's number there.
	Consumers []Consumer
	// First is the first of two phases of which the node is the second; nil: it does all of its work itself.
	First *Node
	// Home is the channel whose tasks run the stage; nil for a sink, which takes rows from any.
	Home *Channel
	// Feeds is the channel that a sink feeds; nil for others.
	Feeds *Channel
	open  bool     // names may still come
	read  *columns // what is read of its rows; nil before it is known
	whole string   // why its rows are regrouped as they are
}

// Input is where a node's rows come from: another node, or a channel.
type Input struct {
	Node    *Node    // nil: Channel
	Channel *Channel // nil: Node
	Side    int      // of Channel
	Name    string   // such as "rule.plausible"
}

// Consumer is a node that reads another.
type Consumer struct {
	Node *Node
	In   int
}

// Revised tells whether rows of the node may revise earlier ones: it emits such rows,
// or, where it takes all rows, passes on those of a stage before it.
func (n *Node) Revised() bool {
	if !n.Bound.Revises {
		return false
	}
	return n.Bound.Revisions != stage.TakesAll || slices.ContainsFunc(n.In, Input.Revised)
}

// IsSink tells whether the node ends the graph.
func (n *Node) IsSink() bool { return n.Block.Kind == "sink" }

// Check loads a folder and binds it: everything that `tidemill validate` tells.
func Check(e *env.Env, dir string, o config.Options, specs []stage.Spec) hcl.Diagnostics {
	c, diags := config.Load(e, dir, o)
	if c == nil || diags.HasErrors() && len(c.Pipelines) == 0 && len(c.Channels) == 0 {
		return diags
	}
	_, more := Build(c, specs, nil)
	return config.Sort(append(diags, more...))
}

// Build binds a configuration. With errors the Plan is nil. Warnings are in the
// diagnostics and in the Plan.
func Build(c *config.Config, specs []stage.Spec, learned Learned) (*Plan, hcl.Diagnostics) {
	p := &Plan{Config: c, specs: specs, learned: learned, own: len(c.Channels)}
	diags := p.findOrder()
	for _, ch := range c.Channels {
		p.Channels = append(p.Channels, p.newChannel(ch))
	}
	diags = append(diags, p.refuseFed()...)
	diags = append(diags, p.bindAll()...)
	diags = append(diags, p.refuseShared()...)
	if !diags.HasErrors() { // else a stage may be missing for another reason
		diags = append(diags, p.refuseFleets()...)
		diags = append(diags, p.refuseRollouts()...)
	}
	diags = config.Sort(diags)
	if diags.HasErrors() {
		return nil, diags
	}
	p.Warnings = diags
	p.prune()
	p.Digest = p.digest()
	return p, diags
}

// With binds the pipelines that a channel's tasks run again, for one of its partitions and
// with what that has learned; there are no ingests in the result, and other channels are as they
// were. It fails where an expression names a field that this partition has not met.
func (p *Plan) With(channel string, learned []decode.Field) (*Plan, hcl.Diagnostics) {
	key := p.keyOf(channel, learned)
	if q := p.again.take(key); q != nil {
		return q, nil
	}
	q := &Plan{Config: p.Config, Digest: p.Digest, specs: p.specs, only: channel, own: p.own, keep: p.keep, reads: p.reads}
	for _, was := range p.Channels {
		ch := *was
		ch.Fields = slices.Clone(ch.Fields)
		if ch.Config.Learn && ch.Config.Name == channel {
			ch = *newChannel(ch.Config, learned, ch.Topics, ch.Partly, ch.Properties)
		}
		if ch.Decoder != nil && ch.Config.Name == channel {
			q.rebindDecoder(&ch)
		}
		q.Channels = append(q.Channels, &ch)
	}
	for _, pl := range p.Pipelines {
		if slices.ContainsFunc(pl.Homes, func(ch *Channel) bool { return ch.Config.Name == channel }) {
			q.order = append(q.order, pl.Config)
		}
	}
	if diags := q.bindAll(); diags.HasErrors() {
		return nil, diags
	}
	q.findMarks()
	q.tellReads()
	p.again.give(key, q)
	return q, nil
}

// bindAll binds ingests and pipelines. Open channels are bound until no use of
// a name tells anything new about its type: then every name is a column.
func (p *Plan) bindAll() hcl.Diagnostics {
	var warnings hcl.Diagnostics
	for {
		inferred := newInference()
		diags := p.bindOnce(inferred)
		for _, d := range diags {
			if d.Severity == hcl.DiagWarning && inferred.found() {
				warnings = append(warnings, d)
			}
		}
		if diags.HasErrors() || !inferred.found() {
			return append(diags, warnings...)
		}
		for _, ch := range p.Channels {
			ch.add(inferred.fields[ch.Config.Name])
		}
	}
}

func (p *Plan) bindOnce(inferred *inference) hcl.Diagnostics {
	var diags hcl.Diagnostics
	p.Ingests, p.Pipelines = nil, nil
	if p.only == "" {
		p.Channels = p.Channels[:p.own]
	}
	for _, ch := range p.Channels {
		if ch.Fed {
			ch.empty(p.only != "")
			continue
		}
		diags = append(diags, ch.decoding...)
		if ch.decoding.HasErrors() && ch.Decoder == nil {
			ch.broken = true
			continue
		}
		diags = append(diags, p.bindTime(ch, inferred)...)
		diags = append(diags, ch.checkDedupe()...)
	}
	for _, b := range p.Config.Ingests {
		if p.only != "" {
			break
		}
		n, more := p.bindIngest(b)
		diags = append(diags, more...)
		if n != nil {
			p.Ingests = append(p.Ingests, n)
		}
		if n != nil && n.Block.Enabled && !more.HasErrors() {
			diags = append(diags, p.Channel(b.To.Name).checkTopics(n)...)
		}
	}
	for _, c := range p.order {
		pl, more := p.bindPipeline(c, inferred)
		diags = append(diags, more...)
		if pl != nil {
			p.Pipelines = append(p.Pipelines, pl)
		}
	}
	for _, ch := range p.Channels { // also those that nobody reads
		_, more := p.complete(ch, inferred)
		diags = append(diags, more...)
	}
	slices.SortStableFunc(p.Pipelines, func(a, b *Pipeline) int { return strings.Compare(a.Config.Name, b.Config.Name) })
	return diags
}

// newChannel gathers how the topics of a channel's records look, and which of their properties
// are columns, from the ingests that feed it. What is wrong with an ingest is told when all are bound.
func (p *Plan) newChannel(c *config.Channel) *Channel {
	var topics []decode.TopicTemplate
	var ways [][]decode.TopicTemplate // by ingest
	var properties []string
	for _, b := range p.Config.Ingests {
		spec, diags := p.findSpec(b)
		if b.To.Name != c.Name || !b.Enabled || diags.HasErrors() {
			continue
		}
		args := spec.Args()
		if config.DecodeBody(b.Body, args, p.Config.Eval).HasErrors() {
			continue
		}
		bound, _ := args.Bind(nil, p.at(&Node{Block: b, Address: "ingest." + b.Name}, &Channel{Config: c}))
		topics, properties = append(topics, bound.Topics...), append(properties, bound.Properties...)
		ways = append(ways, bound.Topics)
	}
	slices.Sort(properties)
	ch := newChannel(c, p.learned[c.Name], topics, partly(topics, ways), slices.Compact(properties))
	if p.isFed(c.Name) {
		ch = newFed(c)
	}
	p.bindDecoder(ch)
	return ch
}

func newChannel(c *config.Channel, learned []decode.Field, topics []decode.TopicTemplate, partly, properties []string) *Channel {
	ch := &Channel{Config: c, Topics: topics, Partly: partly, Properties: properties, Open: c.Learn && len(learned) == 0}
	for _, t := range topics {
		for _, name := range t.Columns() {
			ch.declare(decode.Field{Name: name, Type: arrow.BinaryTypes.String, Topic: true,
				OrPayload: c.Decode == nil && slices.Contains(partly, name)})
		}
	}
	for _, name := range properties {
		ch.declare(decode.Field{Name: name, Type: arrow.BinaryTypes.String, Topic: true, Property: true})
	}
	for _, f := range c.Schema {
		ch.declare(decode.Field{Name: f.Name, Type: f.Type, Unit: f.Unit})
	}
	if c.Learn {
		for _, f := range learned {
			f.Skip = false
			ch.declare(f)
		}
		if c.Key != "" {
			ch.declare(decode.Field{Name: c.Key, Type: arrow.BinaryTypes.String})
		}
	}
	ch.reschema()
	return ch
}

// declare adds a field unless there is one of that name.
func (ch *Channel) declare(f decode.Field) {
	if !slices.Contains(fieldNames(ch.Fields), f.Name) {
		ch.Fields = append(ch.Fields, f)
	}
}

func (ch *Channel) add(fields []decode.Field) {
	ch.Fields = append(ch.Fields, fields...)
	ch.reschema()
}

func (ch *Channel) reschema() {
	var fields []arrow.Field
	for _, f := range ch.Fields {
		if !f.Skip {
			fields = append(fields, arrow.Field{Name: f.Name, Type: f.Type, Nullable: true})
		}
	}
	ch.Schema = flow.NewSchema(fields)
}

// Channel returns the channel of that name, or nil.
func (p *Plan) Channel(name string) *Channel {
	for _, ch := range p.Channels {
		if ch.Config.Name == name {
			return ch
		}
	}
	return nil
}

// KeysDecl is the table of a channel's partition: its keys and their watermarks.
func (ch *Channel) KeysDecl() state.Decl {
	mark := state.Column{Name: "mark", Type: state.I64}
	if n := len(ch.Sides); n > 1 {
		mark.Width = n
	}
	columns, version := []state.Column{mark}, "1:"
	if ch.ByTick {
		columns, version = append(columns, state.Column{Name: "due", Type: mark.Type, Width: mark.Width}), "2:"
	}
	return state.Decl{
		Name:    "channel." + ch.Config.Name + ".keys",
		Digest:  version + ch.Config.Key,
		Columns: columns,
		MaxKeys: ch.Config.MaxKeys,
	}
}

// digest covers what decides outcomes: the nodes' texts and where they stand.
func (p *Plan) digest() string {
	h := sha256.New()
	for _, ch := range p.Channels {
		fmt.Fprintf(h, "channel %s %s\n", ch.Config.Name, p.channelDigest(ch.Config))
		if ch.Decoder != nil {
			fmt.Fprintf(h, "%s %s\n", ch.Decoder.Address, ch.Decoder.Digest)
		}
	}
	for _, pl := range p.Pipelines {
		for _, n := range pl.Nodes {
			fmt.Fprintf(h, "%s %s\n", n.Address, n.Digest)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// setDigests hashes a block's source text, references and the values of the
// variables that it uses.
func (p *Plan) setDigests(n *Node) {
	if p.only != "" {
		return // the whole plan has them
	}
	b, h := n.Block, sha256.New()
	fmt.Fprintf(h, "%s %s %s\n", b.Kind, b.Type, b.Name)
	writeBody(h, b.Body, p.Config.Files)
	p.writeVariables(h, usedVariables(b.Body))
	p.writePlugin(h, b.Body)
	n.ArgsDigest = hex.EncodeToString(h.Sum(nil))[:32]
	if b.To != (config.Ref{}) {
		fmt.Fprintf(h, "to %s\n", b.To)
	}
	for _, r := range b.From {
		fmt.Fprintf(h, "from %s\n", r)
	}
	n.Digest = hex.EncodeToString(h.Sum(nil))[:32]
}

// channelDigest hashes everything that a channel block says.
func (p *Plan) channelDigest(c *config.Channel) string {
	h := sha256.New()
	fmt.Fprintf(h, "key %s partitions %d explode %s keep %d %d learn %t ahead %d keys %d\n", c.Key, c.Partitions, c.Explode, c.Retention, c.RetainBytes, c.Learn, c.Ahead, c.MaxKeys)
	for _, f := range c.Schema {
		fmt.Fprintf(h, "%s %s %s\n", f.Name, f.Type, f.Unit)
	}
	if d := c.Dedupe; d != nil {
		fmt.Fprintf(h, "dedupe %q %d %d\n", d.Keys, d.Within, d.Max)
	}
	if k := c.Clock; k.Any() {
		fmt.Fprintf(h, "clock %t %d %d %s %s\n", k.Correct, k.Tolerance, k.Behind, k.Future, k.Past)
	}
	if c.Time != nil {
		fmt.Fprintf(h, "time %s\n", p.text(c))
		var uses columns
		addVariables(&uses, c.Time)
		p.writeVariables(h, uses)
	}
	return hex.EncodeToString(h.Sum(nil))[:32]
}

func (p *Plan) writeVariables(h io.Writer, uses columns) {
	for _, v := range p.Config.Variables {
		if uses.all || uses.names[v.Name] {
			fmt.Fprintf(h, "%s=%#v\n", v.Name, v.Value)
		}
	}
}

// usedVariables finds the variables that a body's attributes refer to.
func usedVariables(body hcl.Body) columns {
	var uses columns
	attrs, _ := body.JustAttributes()
	for _, attr := range attrs {
		addVariables(&uses, attr.Expr)
	}
	return uses
}

func addVariables(uses *columns, x hcl.Expression) {
	for _, t := range x.Variables() {
		if t.RootName() != "var" {
			continue
		}
		name, ok := hcl.TraverseAttr{}, false
		if len(t) > 1 {
			name, ok = t[1].(hcl.TraverseAttr)
		}
		if !ok {
			uses.all = true // such as var["x"]
			continue
		}
		uses.add([]string{name.Name})
	}
}

// writeBody writes the text of a body's attributes in order of name, so that
// moving a block about in its file changes nothing.
func writeBody(w io.Writer, body hcl.Body, files map[string]*hcl.File) {
	attrs, _ := body.JustAttributes()
	names := make([]string, 0, len(attrs))
	for name := range attrs {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		r := attrs[name].Expr.Range()
		text := []byte(nil)
		if f := files[r.Filename]; f != nil && r.CanSliceBytes(f.Bytes) {
			text = r.SliceBytes(f.Bytes)
		}
		fmt.Fprintf(w, "%s = %s\n", name, text)
	}
}
