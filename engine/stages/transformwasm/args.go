package transformwasm

import (
	"slices"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/expr"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/wasm"
)

// Specs are the stage transform "wasm", and what stands behind a channel's `decode = plugin.NAME`: its input is what
// decode.NewRaw gives, its output the channel's rows. The stages made of them share compiled plugins, and the host
// that compiles one at a time.
func Specs() (decode, transform stage.Spec) {
	shared := &plugins{}
	decode = stage.Spec{
		Kind: "decode", Type: "wasm",
		Help: "Runs a plugin, a WebAssembly module, over the payloads of a channel.",
		Args: func() stage.Args { return &args{plugins: shared, decodes: true} },
	}
	transform = stage.Spec{
		Kind: "transform", Type: "wasm",
		Help:   "Runs a plugin, a WebAssembly module, over the rows.",
		Args:   func() stage.Args { return &args{plugins: shared} },
		Counts: counts(),
	}
	return decode, transform
}

// counts are a plugin's, most of them the host's (wasm).
func counts() []string {
	return []string{"begun_anew", "cost_fuel", "cost_instances", "cost_log_debug", "cost_log_dropped", "cost_log_error", "cost_log_info", "cost_log_warning", "cost_splits", "cost_tried",
		"failed", "quarantined", "refused", "unfounded"}
}

// plugins makes the pool when the first stage opens.
type plugins struct {
	mu    sync.Mutex
	pool  *wasm.Pool
	tried []*version // read and checked, the newest last
}

type args struct {
	Plugin  hcl.Expression `hcl:"plugin" help:"Which plugin runs: plugin.NAME."`
	Columns hcl.Expression `hcl:"columns,optional" help:"Columns that have another name here: { plugin's name = column, ... }."`
	By      hcl.Expression `hcl:"by,optional" help:"Columns whose values make the key of the plugin's state: [name, ...]; the channel's key by default."`
	Out     hcl.Expression `hcl:"out,optional" help:"What the plugin must write: { name = type, ... }; all that its manifest says by default."`
	MaxKeys int            `hcl:"max_keys,optional" help:"How many keys of a partition may have state; 1048576 by default."`
	plugins *plugins
	decodes bool // it makes rows of a channel's payloads
}

// column is a column that the plugin reads.
type column struct {
	name string // in the rows; "" when it is not there
	typ  arrow.DataType
}

// binder gathers what Bind finds.
type binder struct {
	a        *args
	in       *arrow.Schema
	at       stage.At
	scope    *expr.Scope
	diags    hcl.Diagnostics
	block    *config.Plugin
	manifest *wasm.Manifest
	reads    []column
	by       []stage.Column
	settings map[string]wasm.Setting
	out      *arrow.Schema
	passes   []string // columns of the input that go on, in order; "" where a written one stands
	written  []int    // for each column of the output behind the metadata, which written one; -1: it passes
}

func (b *binder) fail(at hcl.Range, summary, detail string, args ...any) {
	b.diags = append(b.diags, config.Errorf(at, summary, detail, args...)...)
}

// Bind checks the arguments; see stage.Args.
func (a *args) Bind(in []*arrow.Schema, at stage.At) (stage.Bound, hcl.Diagnostics) {
	if len(in) != 1 || in[0] == nil {
		return stage.Bound{}, config.Errorf(at.Range, "A transform has one input", "This transform reads from %d stages; it can read from one.", len(in))
	}
	b := &binder{a: a, in: in[0], at: at, scope: at.Scope(0)}
	if !b.bindPlugin() {
		return stage.Bound{}, b.diags
	}
	if a.decodes {
		b.bindDecode()
		return b.bound(), b.diags
	}
	b.bindSettings()
	b.bindColumns()
	b.bindBy()
	b.bindOut()
	if b.a.MaxKeys < 0 || b.a.MaxKeys > 1<<30 {
		b.fail(at.Range, "Out of range", "max_keys goes from 1 to %d; this is %d.", 1<<30, b.a.MaxKeys)
	}
	return b.bound(), b.diags
}

func (b *binder) bindPlugin() bool {
	x := b.a.Plugin
	name := config.PluginName(x)
	b.block = config.FindPlugin(b.at.Plugins, x)
	var names []string
	for _, p := range b.at.Plugins {
		names = append(names, p.Name)
	}
	switch {
	case name == "":
		b.fail(x.Range(), "Not a plugin", "plugin takes the name of a plugin block: plugin.NAME.%s", stage.Suggest("", names))
		return false
	case b.block == nil:
		b.fail(x.Range(), "Unknown plugin", "There is no block plugin %q.%s", name, stage.Suggest(name, names))
		return false
	case b.block.Module == nil:
		return false // config has told
	}
	m, err := wasm.ReadManifest(b.block.Module)
	if err == nil {
		err = wasm.Complete(b.block.Module)
	}
	if err != nil {
		b.fail(x.Range(), "Not a plugin", "The module of plugin.%s cannot be used: %v.", name, err)
		return false
	}
	switch {
	case m.Kind == wasm.Decode && !b.a.decodes:
		b.fail(x.Range(), "A plugin of another kind", "plugin.%s decodes payloads; a transform takes plugins of the kinds enrich, score and transform. Write decode = plugin.%s in the channel whose payloads it decodes.", name, name)
		return false
	case m.Kind != wasm.Decode && b.a.decodes:
		b.fail(x.Range(), "A plugin of another kind", "plugin.%s is of the kind %s and works on rows: write transform \"wasm\" in a pipeline. A channel's decode takes a plugin of the kind decode.", name, m.Kind)
		return false
	}
	for _, g := range m.Grants {
		if !slices.Contains(b.block.Grants, g) {
			b.fail(x.Range(), "Missing grant", "%s cannot do without %s: write grants = [%q] in plugin %q if it may.", m.Name, g, g, name)
		}
	}
	b.manifest = m
	return true
}

// bindColumns finds the columns that the plugin reads.
func (b *binder) bindColumns() {
	members, diags := stage.Members(b.a.Columns, "columns")
	b.diags = append(b.diags, diags...)
	renamed := map[string]config.Member{}
	var known []string
	for _, c := range b.manifest.Reads {
		known = append(known, c.Name)
	}
	for _, m := range members {
		if !slices.Contains(known, m.Name) {
			b.fail(m.At, "Unknown name", "%s reads no column %q.%s", b.manifest.Name, m.Name, stage.Suggest(m.Name, known))
			continue
		}
		renamed[m.Name] = m
	}
	for _, c := range b.manifest.Reads {
		name, at := c.Name, b.a.Plugin.Range()
		if m, ok := renamed[c.Name]; ok {
			at = m.Value.Range()
			if name, ok = stage.ColumnName(m.Value); !ok {
				b.fail(at, "Not a name", "columns takes plugin's name = column. To compute a column, use a rule before.")
				continue
			}
		}
		b.bindColumn(c, name, at, renamed)
	}
}

func (b *binder) bindColumn(c wasm.Column, name string, at hcl.Range, renamed map[string]config.Member) {
	want := c.Arrow()
	if !stage.Has(b.in, name) && b.scope.Infer != nil && name[0] != '_' && (c.Required || renamed[c.Name].Name != "") {
		if problem := b.scope.Infer(name, want, at); problem == "" {
			b.in = arrow.NewSchema(append(slices.Clone(b.in.Fields()), arrow.Field{Name: name, Type: want, Nullable: true}), nil)
		}
	}
	fields, ok := b.in.FieldsByName(name)
	if !ok {
		if c.Required || renamed[c.Name].Name != "" {
			var names []string
			for _, f := range flow.UserFields(b.in) {
				names = append(names, f.Name)
			}
			b.fail(at, "Unknown name", "%s reads %s (%s), and there is no column %q.%s If it is called otherwise here, write columns = { %s = ... }.",
				b.manifest.Name, c.Name, c.Type, name, stage.Suggest(name, names), c.Name)
		}
		b.reads = append(b.reads, column{})
		return
	}
	if have := fields[0].Type; !c.Takes(have) {
		b.fail(at, "Wrong type", "%s reads %s as a %s; %s is a %s.", b.manifest.Name, c.Name, c.Type, name, expr.TypeName(have))
	}
	b.reads = append(b.reads, column{name, fields[0].Type})
}

// bindBy finds the key of the plugin's state.
func (b *binder) bindBy() {
	given := !config.Absent(b.a.By)
	if b.manifest.State == nil {
		if given {
			b.fail(b.a.By.Range(), "No state", "%s keeps no state, so that by decides nothing. Leave it away.", b.manifest.Name)
		}
		return
	}
	x := b.a.By
	if key := b.at.Keys[0]; !given && key != "" {
		named, diags := hclsyntax.ParseExpression([]byte("["+key+"]"), b.at.Range.Filename, b.at.Range.Start)
		if diags.HasErrors() {
			b.fail(b.at.Range, "Missing argument", "%s keeps state by key. Write by = [name, ...].", b.manifest.Name)
			return
		}
		x = named
	}
	cols, diags := stage.Columns(x, "by", b.scope)
	b.by, b.diags = cols, append(b.diags, diags...)
	if diags.HasErrors() {
		return
	}
	_, diags = stage.CheckBy(b.by, b.a.By, b.at, "transform with state")
	b.diags = append(b.diags, diags...)
}

func (b *binder) bound() stage.Bound {
	key := b.at.Keys[0]
	if !slices.Contains(b.passes, key) {
		key = ""
	}
	made := *b
	return stage.Bound{
		Out: b.out, Key: key, Filters: true, PassesAll: b.manifest.Passes, State: b.tables(),
		Revisions: stage.TakesAll, Revises: b.in.HasField("revision") && slices.Contains(b.passes, "revision"),
		OpenStage: func(o stage.Opening) (stage.Stage, error) { return open(&made, o) },
		Plugin:    b.block.Name,
		Try:       func(o stage.Opening, module []byte, where string) error { return try(&made, o, module, where) },
		Fits:      func(module []byte) error { _, err := made.version(module); return err },
		Selects:   func(x hclsyntax.Expression) hcl.Diagnostics { _, diags := made.compile(x); return diags },
	}
}
