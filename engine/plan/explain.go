package plan

import (
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/expr"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/state"
)

// Explanation says what a plan will run, for a person (Text) or a script (JSON).
type Explanation struct {
	Plan      string           `json:"plan"` // digest
	Tasks     int              `json:"tasks"`
	Channels  []ChannelPlan    `json:"channels"`
	Ingests   []IngestPlan     `json:"ingests"`
	Pipelines []PipelinePlan   `json:"pipelines"`
	Memory    Memory           `json:"memory"`
	Promise   Promise          `json:"promise"`
	Changes   []Change         `json:"changes,omitempty"` // against what a data folder holds
	Problems  []config.Problem `json:"problems,omitempty"`
}

// Memory is an estimate, bytes.
type Memory struct {
	State  int64 `json:"state_bytes"`  // all tables, with as many entries as planned
	Queues int64 `json:"queues_bytes"` // rows between tasks and sinks, at most
}

// ChannelPlan is a channel and what is decoded of it.
type ChannelPlan struct {
	Name       string      `json:"name"`
	Partitions int         `json:"partitions"` // each is one task
	Key        string      `json:"key,omitempty"`
	Time       string      `json:"time"` // expression, or "receive time"
	Retention  string      `json:"retention"`
	Learns     bool        `json:"learns"` // fields are learned as they come
	Explode    string      `json:"explode,omitempty"`
	Decode     string      `json:"decode,omitempty"` // the plugin that makes rows of payloads
	Fields     []FieldPlan `json:"fields"`
	FedBy      []string    `json:"fed_by,omitempty"`    // addresses of the sinks that feed it
	Regrouped  bool        `json:"regrouped,omitempty"` // the engine has put it between two stages
	Revises    bool        `json:"revises,omitempty"`
	Keys       TablePlan   `json:"keys"`
	Figures    *TablePlan  `json:"figures,omitempty"` // what /v1/devices tells of each key
	Dedupe     *DedupePlan `json:"dedupe,omitempty"`
	Clock      *ClockPlan  `json:"clock,omitempty"`
}

// DedupePlan is how rows are compared with those before.
type DedupePlan struct {
	Key    []string  `json:"key"`
	Within string    `json:"within"`
	Seen   TablePlan `json:"seen"`
}

// FieldPlan is a field of a channel.
type FieldPlan struct {
	Name    string `json:"name"`
	Type    string `json:"type"`
	Decoded bool   `json:"decoded"` // false: nobody reads it
}

// IngestPlan is an ingest.
type IngestPlan struct {
	Address string `json:"address"`
	Type    string `json:"type"`
	To      string `json:"to"`
	Enabled bool   `json:"enabled"`
}

// PipelinePlan is a pipeline's graph.
type PipelinePlan struct {
	Name    string      `json:"name"`
	From    string      `json:"from"`
	Stages  []StagePlan `json:"stages"`
	Rejects string      `json:"rejects"` // address of the sink that takes them
}

// StagePlan is a stage or sink.
type StagePlan struct {
	Address string      `json:"address"`
	Kind    string      `json:"kind"` // such as `window "tumbling"`
	From    []string    `json:"from"`
	To      []string    `json:"to"`
	Columns []FieldPlan `json:"columns,omitempty"` // of the rows it emits
	State   []TablePlan `json:"state,omitempty"`
	Promise string      `json:"promise,omitempty"` // of a sink
	Why     string      `json:"why,omitempty"`
	Spooled bool        `json:"spooled,omitempty"`
	Revises bool        `json:"revises,omitempty"`
	Counts  string      `json:"counts,omitempty"` // which revision of rows that come again: first or latest; "" where that is no question
	Phases  string      `json:"phases,omitempty"` // in how many phases rows of several partitions come together, and why
}

// TablePlan is a table with its estimate.
type TablePlan struct {
	Name    string `json:"name"`
	Entries int    `json:"entries"` // that the estimate counts with, over all partitions
	Bytes   int64  `json:"bytes"`
	Most    int    `json:"most"` // entries of one partition; more are refused
}

// Explain says what the plan will run.
func (p *Plan) Explain() *Explanation {
	x := &Explanation{Plan: p.Digest, Promise: p.promise(), Problems: config.Problems(p.Warnings)}
	for _, ch := range p.Channels {
		c := p.explainChannel(ch)
		x.Tasks += c.Partitions
		x.Memory.State += c.Keys.Bytes
		if c.Figures != nil {
			x.Memory.State += c.Figures.Bytes
		}
		if c.Dedupe != nil {
			x.Memory.State += c.Dedupe.Seen.Bytes
		}
		if c.Clock != nil && c.Clock.Estimates != nil {
			x.Memory.State += c.Clock.Estimates.Bytes
		}
		x.Channels = append(x.Channels, c)
	}
	for _, n := range p.Ingests {
		x.Ingests = append(x.Ingests, IngestPlan{n.Address, n.Block.Type, "channel." + n.Block.To.Name, n.Block.Enabled})
	}
	for _, pl := range p.Pipelines {
		pp := PipelinePlan{Name: pl.Config.Name, From: pl.Config.From.String()}
		if pl.Rejects != nil {
			pp.Rejects = pl.Rejects.Name()
		}
		for _, n := range pl.Nodes {
			s := explainNode(n)
			s.Phases = pl.phases(n)
			for _, t := range s.State {
				x.Memory.State += t.Bytes
			}
			if n.IsSink() {
				x.Memory.Queues += p.queueBytes(n)
			}
			pp.Stages = append(pp.Stages, s)
		}
		x.Pipelines = append(x.Pipelines, pp)
	}
	return x
}

// Name is the node's name within its pipeline, such as "rule.plausible".
func (n *Node) Name() string { return n.Block.Address() }

func (p *Plan) explainChannel(ch *Channel) ChannelPlan {
	c := ch.Config
	out := ChannelPlan{Name: c.Name, Partitions: c.Partitions, Key: c.Key, Time: "receive time", Retention: "for ever",
		Learns: c.Learn, Explode: c.Explode, Keys: explainTable(ch.KeysDecl(), ch.Config.Partitions)}
	if c.Key == "" {
		out.Keys.Entries, out.Keys.Bytes, out.Keys.Most = 1, 0, 1
	}
	if c.Time != nil {
		out.Time = p.text(c)
	}
	switch {
	case c.Retention > 0 && c.RetainBytes > 0:
		out.Retention = config.FormatDuration(c.Retention) + ", at most " + Bytes(c.RetainBytes)
	case c.Retention > 0:
		out.Retention = config.FormatDuration(c.Retention)
	case c.RetainBytes > 0:
		out.Retention = "at most " + Bytes(c.RetainBytes)
	}
	if d := c.Dedupe; d != nil {
		out.Dedupe = &DedupePlan{d.Keys, config.FormatDuration(d.Within), explainTable(ch.SeenDecl(), c.Partitions)}
	}
	out.Clock, out.Figures = ch.explainClock(), ch.explainFigures()
	if ch.Decoder != nil {
		out.Decode = "plugin." + ch.Decoder.Bound.Plugin
	}
	for _, f := range ch.Fields {
		out.Fields = append(out.Fields, FieldPlan{f.Name, expr.TypeName(f.Type), !f.Skip})
	}
	if ch.Fed {
		ch.explainFed(&out)
	}
	return out
}

// text is the source of a channel's time expression, on one line.
func (p *Plan) text(c *config.Channel) string {
	r := c.Time.Range()
	f := p.Config.Files[r.Filename]
	if f == nil || !r.CanSliceBytes(f.Bytes) {
		return "an expression"
	}
	return strings.Join(strings.Fields(string(r.SliceBytes(f.Bytes))), " ")
}

func explainNode(n *Node) StagePlan {
	b := n.Block
	s := StagePlan{Address: n.Address, Kind: b.Kind, Revises: n.Revised()}
	if slices.ContainsFunc(n.In, Input.Revised) {
		s.Counts = map[stage.Revisions]string{stage.TakesFirst: "first", stage.TakesLatest: "latest"}[n.Bound.Revisions]
	}
	if b.Type != "" {
		s.Kind += ` "` + b.Type + `"`
	}
	for _, in := range n.In {
		s.From = append(s.From, in.Name)
	}
	if n.Rejects {
		s.From = append(s.From, "rejects")
	}
	for _, c := range n.Consumers {
		s.To = append(s.To, c.Node.Name())
	}
	if n.Bound.Out != nil {
		s.Columns = explainColumns(n.Bound.Out)
	}
	for _, d := range n.Bound.State {
		s.State = append(s.State, explainTable(d, n.Home.Config.Partitions))
	}
	if n.IsSink() {
		s.Promise, s.Why = sinkPromise(n.Bound.Delivery)
		s.Spooled = n.Bound.Delivery != stage.Transactional
	}
	return s
}

func explainColumns(s *arrow.Schema) []FieldPlan {
	var out []FieldPlan
	for _, f := range flow.UserFields(s) {
		out = append(out, FieldPlan{f.Name, expr.TypeName(f.Type), true})
	}
	return out
}

// Entries that an estimate counts with where a declaration does not say.
const plannedEntries = 10_000

func explainTable(d state.Decl, parts int) TablePlan {
	t := TablePlan{Name: d.Name, Entries: d.KeysPlanned, Bytes: d.PlannedBytes(max(1, parts)), Most: d.MaxKeys}
	if t.Entries == 0 {
		t.Entries = plannedEntries
	}
	return t
}

// queueBytes estimates what the queue to a sink holds when it is full.
func (p *Plan) queueBytes(n *Node) int64 {
	widest := int64(0)
	for _, in := range n.In {
		s, _, _ := in.schema()
		widest = max(widest, rowBytes(s))
	}
	return widest * int64(p.Config.Engine.QueueRows)
}

// rowBytes estimates a row's memory: texts and lists are counted with 24 bytes.
func rowBytes(s *arrow.Schema) int64 {
	var n int64
	for _, f := range s.Fields() {
		switch t := f.Type.(type) {
		case arrow.FixedWidthDataType:
			n += int64(max(1, t.BitWidth()/8))
		default:
			n += 24
		}
	}
	return n
}
