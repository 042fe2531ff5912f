package config

import (
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"github.com/tidemill/tidemill/engine/env"
)

// Config is a folder of HCL files. It is immutable once loaded.
type Config struct {
	Dir       string
	Files     map[string]*hcl.File // by name, for printing source lines in diagnostics
	Digest    string               // SHA-256 over the files' names and bytes, hex
	Engine    Engine
	Variables []*Variable // in order of name
	Channels  []*Channel  // in order of name, likewise all below
	Plugins   []*Plugin
	Fleets    []*Fleet
	Rollouts  []*Rollout
	Ingests   []*Block
	Pipelines []*Pipeline
	// Eval evaluates constant arguments: var.NAME and env("NAME").
	Eval *hcl.EvalContext
	// Vars are the values of the variables, for expressions.
	Vars map[string]cty.Value
	// Trust lists the public keys (Ed25519, base64) one of which must have signed a module; nil: modules
	// need no signature.
	Trust []string
}

// Engine is the optional engine block: settings of the process.
type Engine struct {
	Checkpoint time.Duration // between checkpoints; default 1s; at least 10ms
	Tick       time.Duration // between clock ticks; default 1s
	Tasks      int           // goroutines that run partitions; 0: one a processor
	QueueRows  int           // rows in a queue between tasks; default 16,384
	Linger     time.Duration // how long an append waits for company; default 2ms
	// Admin is where to show what the engine does, by HTTP; "" nowhere.
	Admin string
	// AdminInsecure lets Admin be an address that other machines can reach.
	AdminInsecure bool
	Range         hcl.Range
}

// Variable is a variable block with the value it has in this run.
type Variable struct {
	Name      string
	Help      string
	Value     cty.Value
	Sensitive bool // never printed
	Range     hcl.Range
}

// Field is a member of a channel's declared schema.
type Field struct {
	Name string // dotted for a member of an object
	// Type is float64 (number), int64 (integer), bool, utf8 (string),
	// flow.Timestamp, or a list of one of them.
	Type arrow.DataType
	Unit string // of a timestamp given as a number: "s", "ms", "us", "ns"; "" by magnitude
	// Explode says that Name is a member of the objects in the list Channel.Explode.
	Range hcl.Range
}

// Channel is a channel block.
type Channel struct {
	Name string
	// Key is the dotted column whose values stay in order, in one partition; ""
	// when there is none, and then the channel has one partition.
	Key      string
	KeyRange hcl.Range
	// Time computes the event time from a decoded row; nil: the receive time.
	Time        hcl.Expression
	Partitions  int           // default 4; 1 without a key; at most 1,024
	Retention   time.Duration // 0: for ever
	RetainBytes int64
	// Schema lists declared fields in the order written; Learn says that there is
	// no schema argument and fields are learned as they come. With Decode and without a schema argument the
	// plugin says which there are.
	Schema  []Field
	Learn   bool
	Explode string // "" or the dotted path of a list
	// Decode names the plugin that makes rows of payloads; nil: they are JSON.
	Decode hcl.Expression
	// Ahead is how far a device's clock may be ahead of receive time before
	// it is flagged; default 10m.
	Ahead   time.Duration
	Clock   Clock   // what is done about clocks that are wrong
	MaxKeys int     // keys of a partition; default 1<<20
	Dedupe  *Dedupe // nil: rows are not compared
	Range   hcl.Range
}

// Block is an ingest or a stage: the header is read, the body is the stage's own.
type Block struct {
	Kind string // "ingest", "rule", "window", "alarm", "sink", "transform", "enrich", "anomaly", "join"
	Type string // second label, such as "tumbling"; "" for rule and alarm
	Name string
	From []Ref // with defaults filled in: the pipeline's channel
	To   Ref   // of an ingest, or of a sink that feeds a channel
	// Enabled is false when the block says enabled = false: it is checked and left out.
	Enabled bool
	Body    hcl.Body  // what is left for the stage to decode
	Range   hcl.Range // of the header
}

// Address names the block within its pipeline, such as "window.five_min"; the
// second label is not part of it.
func (b *Block) Address() string { return b.Kind + "." + b.Name }

// Ref is a reference such as rule.plausible or channel.telemetry.
type Ref struct {
	Kind, Name string
	Range      hcl.Range
}

func (r Ref) String() string { return r.Kind + "." + r.Name }

// Pipeline is a pipeline block.
type Pipeline struct {
	Name    string
	From    Ref      // a channel
	Stages  []*Block // in the order written, sinks included; without those whose mistakes were told
	Apart   []*Block // of these, those whose arguments can be read, though what the stage reads or feeds is not known
	Rejects *Ref     // a sink of this pipeline; nil: the engine's own file
	Range   hcl.Range
}

// Options are what a command line gives.
type Options struct {
	Vars map[string]string // --var name=value
	// Modules finds a plugin's module by its digest; nil: there is no store of modules.
	Modules func(digest string) ([]byte, error)
	// Signatures finds what signs a module of that store; nil: nothing does.
	Signatures func(digest string) ([]byte, error)
}

// Load reads all *.hcl files of a folder (not of its subfolders; names ending
// in .test.hcl are left out). When there are errors the Config holds what
// could be read, so that later phases can add their own diagnostics; Files is always
// set. Diagnostics are sorted by file and position.
func Load(e *env.Env, dir string, o Options) (*Config, hcl.Diagnostics) { return load(e, dir, o) }
