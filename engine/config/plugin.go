package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"path"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/tidemill/tidemill/engine/env"
)

// MaxModuleBytes limits the module of a plugin.
const MaxModuleBytes = 16 << 20

// Plugin is a plugin block: a module and what it may take. Limits that are 0
// have the defaults of the engine.
type Plugin struct {
	Name   string
	Module []byte // read with the configuration
	Digest string // "sha256:" and 64 hex digits

	FuelPerRow int64
	Memory     int64 // bytes
	Deadline   time.Duration
	LogLimit   int64 // bytes
	HostCalls  int
	Grants     []string
	// Config are the plugin's own arguments, in order of name; they may be secret.
	Config []PluginArg
	Range  hcl.Range
}

// PluginArg is an argument of a plugin's own.
type PluginArg struct {
	Name  string
	Value cty.Value
	Range hcl.Range // of the value
}

func (l *loader) plugins(blocks []*hclsyntax.Block) {
	first := names{}
	for _, b := range blocks {
		if at, twice := first.add("plugin", b.Labels[0], b.DefRange()); twice {
			l.duplicate("plugin."+b.Labels[0], b.LabelRanges[0], at)
			continue
		}
		l.cfg.Plugins = append(l.cfg.Plugins, l.plugin(b))
	}
	sort.Slice(l.cfg.Plugins, func(i, j int) bool { return l.cfg.Plugins[i].Name < l.cfg.Plugins[j].Name })
	if len(l.cfg.Plugins) == 0 {
		return
	}
	digest := sha256.New()
	digest.Write([]byte(l.cfg.Digest))
	for _, p := range l.cfg.Plugins {
		digest.Write([]byte(p.Digest))
	}
	l.cfg.Digest = hex.EncodeToString(digest.Sum(nil))
}

func (l *loader) plugin(b *hclsyntax.Block) *Plugin {
	args := struct {
		Source     *hcl.Attribute `hcl:"source,optional"`
		Digest     *hcl.Attribute `hcl:"digest,optional"`
		FuelPerRow int64          `hcl:"fuel_per_row,optional"`
		Memory     Size           `hcl:"memory,optional"`
		Deadline   Duration       `hcl:"deadline,optional"`
		LogLimit   Size           `hcl:"log_limit,optional"`
		HostCalls  int64          `hcl:"host_calls,optional"`
		Grants     []string       `hcl:"grants,optional"`
		Config     hcl.Expression `hcl:"config,optional"`
	}{}
	l.add(decodeOwn(b.Body, &args, l.cfg.Eval))
	p := &Plugin{
		Name: b.Labels[0], Range: b.DefRange(), FuelPerRow: args.FuelPerRow, Memory: args.Memory.Bytes(), Deadline: args.Deadline.Length(),
		LogLimit: args.LogLimit.Bytes(), HostCalls: int(args.HostCalls), Grants: args.Grants,
	}
	l.checkInt(b.Body, "fuel_per_row", args.FuelPerRow, 1, 1<<50)
	l.checkInt(b.Body, "host_calls", args.HostCalls, 1, 1<<40)
	l.checkDuration(b.Body, "deadline", args.Deadline, time.Millisecond, time.Hour)
	l.checkInt(b.Body, "memory", p.Memory, 1<<16, 1<<30)
	l.checkInt(b.Body, "log_limit", p.LogLimit, 1, 1<<30)
	for _, g := range p.Grants {
		if !slices.Contains([]string{"clock", "random"}, g) {
			l.fail(b.Body.Attributes["grants"].Expr.Range(), "Unknown grant", "There is no grant %q.%s", g, didYouMean(g, []string{"clock", "random"}, `"`))
		}
	}
	p.Config = l.pluginArgs(args.Config)
	l.module(p, args.Source, args.Digest)
	return p
}

func (l *loader) pluginArgs(x hcl.Expression) (list []PluginArg) {
	if Absent(x) {
		return nil
	}
	o, ok := x.(*hclsyntax.ObjectConsExpr)
	if !ok {
		l.fail(x.Range(), "Not an object", "config takes the plugin's arguments in braces: config = { name = value }.")
		return nil
	}
	members, diags := ObjectMembers(o)
	l.add(diags)
	for _, m := range members {
		v, diags := Value(m.Value, l.cfg.Eval)
		l.add(diags)
		if !diags.HasErrors() && !bad(v) {
			list = append(list, PluginArg{m.Name, v, m.Value.Range()})
		}
	}
	sort.SliceStable(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	return list
}

// module finds the bytes of a plugin: in a file, or in the store of modules.
func (l *loader) module(p *Plugin, source, digest *hcl.Attribute) {
	read := func(a *hcl.Attribute) (string, bool) {
		if a == nil {
			return "", false
		}
		v, diags := Value(a.Expr, l.cfg.Eval)
		l.add(diags)
		if diags.HasErrors() || bad(v) {
			return "", false
		}
		if v.IsNull() || v.Type() != cty.String {
			l.fail(a.Expr.Range(), "Wrong type", "%s takes a string; this is %s.", a.Name, describe(v))
			return "", false
		}
		return v.AsString(), true
	}
	want, named := read(digest)
	if named && !digestText(want) {
		l.fail(digest.Expr.Range(), "Not a digest", "digest takes sha256: and 64 hex digits, as tidemill plugin ls shows them.")
		return
	}
	file, ok := read(source)
	switch {
	case ok:
		l.moduleFile(p, file, source.Expr.Range())
		if p.Module != nil && named && p.Digest != want {
			l.fail(digest.Expr.Range(), "Another module", "The module in %s is %s.", file, p.Digest)
		}
	case source != nil || digest != nil && !named:
	case digest == nil:
		if !l.isTorn(p.Range) {
			l.fail(p.Range, "Missing argument", "A plugin says where its module is: source = \"x.wasm\", or digest = \"sha256:...\" of one that was pushed.")
		}
	case l.modules == nil:
		l.fail(digest.Expr.Range(), "No store of modules", "Modules are found by their digest where an engine has a data folder. Write source = \"x.wasm\".")
	default:
		module, err := l.modules(want)
		if err != nil {
			l.fail(digest.Expr.Range(), "Unknown module", "%v. tidemill plugin push puts it there.", err)
			return
		}
		p.Module, p.Digest = module, want
	}
	l.checkTrust(p, file)
}

func digestText(s string) bool {
	hexed, ok := strings.CutPrefix(s, "sha256:")
	raw, err := hex.DecodeString(hexed)
	return ok && err == nil && len(raw) == sha256.Size && hexed == strings.ToLower(hexed)
}

func (l *loader) moduleFile(p *Plugin, name string, at hcl.Range) {
	if !path.IsAbs(name) {
		name = path.Join(l.dir, name)
	}
	b, err := readModule(l.env.FS, name)
	switch {
	case err != nil:
		l.fail(at, "Module cannot be read", "%v. tidemill plugin build makes it.", err)
	case len(b) > MaxModuleBytes:
		l.fail(at, "Module too large", "A module may have %d MiB.", MaxModuleBytes>>20)
	default:
		sum := sha256.Sum256(b)
		p.Module, p.Digest = b, "sha256:"+hex.EncodeToString(sum[:])
	}
}

// readModule returns at most one byte more than MaxModuleBytes.
func readModule(files env.FS, name string) ([]byte, error) {
	f, err := files.Open(name, env.ReadOnly)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.NewSectionReader(f, 0, MaxModuleBytes+1))
	return b, errors.Join(err, f.Close())
}

// FindPlugin finds the plugin that an expression names: plugin.NAME or "NAME". nil: it
// names none.
func FindPlugin(plugins []*Plugin, x hcl.Expression) *Plugin {
	name := PluginName(x)
	for _, p := range plugins {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// PluginName is the name of a plugin in an expression; "" when there is none.
func PluginName(x hcl.Expression) string {
	switch x := x.(type) {
	case *hclsyntax.ScopeTraversalExpr:
		if len(x.Traversal) == 2 && x.Traversal.RootName() == "plugin" {
			if a, ok := x.Traversal[1].(hcl.TraverseAttr); ok {
				return a.Name
			}
		}
	case *hclsyntax.TemplateExpr:
		if v, diags := Value(x, nil); !diags.HasErrors() && !bad(v) && !v.IsNull() && v.Type() == cty.String {
			return v.AsString()
		}
	}
	return ""
}
