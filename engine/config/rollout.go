package config

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"io"
	"io/fs"
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

// Fleet is a fleet block: devices, by what is known of them.
type Fleet struct {
	Name string
	// Where is the selector as written: an expression over columns of the rows and registry.NAME; Selector is the
	// same as read, nil where there is none.
	Where    string
	Selector hclsyntax.Expression
	Range    hcl.Range
}

// Rollout is a rollout block: a version of a plugin on trial on a fleet.
type Rollout struct {
	Name, Plugin   string
	Fleet          string // "": all devices
	Where          string // the fleet's selector
	Stable, Canary string // digests; Stable "": the plugin's own
	Percent        float64
	Shadow         bool
	Guard          Guard
	Range          hcl.Range
}

// Guard are the guardrails of a rollout. Nil pointers and zeros do not count.
type Guard struct {
	ErrorRate, Differ *float64
	P99               time.Duration
	Fuel, MinRows     int64
	Bake              time.Duration
	ByEvent           bool
}

// maxWhere is how many bytes a selector may have.
const maxWhere = 4 << 10

func (l *loader) fleets(blocks []*hclsyntax.Block) {
	first := names{}
	for _, b := range blocks {
		if at, twice := first.add("fleet", b.Labels[0], b.DefRange()); twice {
			l.duplicate("fleet."+b.Labels[0], b.LabelRanges[0], at)
			continue
		}
		args := struct {
			Where hcl.Expression `hcl:"where"`
		}{}
		l.add(decodeOwn(b.Body, &args, l.cfg.Eval))
		f := &Fleet{Name: b.Labels[0], Range: b.DefRange()}
		if a := b.Body.Attributes["where"]; a != nil {
			at := a.Expr.Range()
			f.Selector = a.Expr
			if f.Where = string(at.SliceBytes(l.cfg.Files[at.Filename].Bytes)); len(f.Where) > maxWhere {
				l.fail(at, "Selector too long", "A selector may have %d bytes.", maxWhere)
			}
		}
		l.cfg.Fleets = append(l.cfg.Fleets, f)
	}
	sort.Slice(l.cfg.Fleets, func(i, j int) bool { return l.cfg.Fleets[i].Name < l.cfg.Fleets[j].Name })
}

func (l *loader) rollouts(blocks []*hclsyntax.Block) {
	first := names{}
	for _, b := range blocks {
		if at, twice := first.add("rollout", b.Labels[0], b.DefRange()); twice {
			l.duplicate("rollout."+b.Labels[0], b.LabelRanges[0], at)
			continue
		}
		if r := l.rollout(b); r != nil {
			l.cfg.Rollouts = append(l.cfg.Rollouts, r)
		}
	}
	sort.Slice(l.cfg.Rollouts, func(i, j int) bool { return l.cfg.Rollouts[i].Name < l.cfg.Rollouts[j].Name })
}

type rolloutArgs struct {
	Plugin  hcl.Expression `hcl:"plugin"`
	Fleet   hcl.Expression `hcl:"fleet,optional"`
	Stable  hcl.Expression `hcl:"stable,optional"`
	Canary  hcl.Expression `hcl:"canary"`
	Percent *float64       `hcl:"percent,optional"`
	Shadow  bool           `hcl:"shadow,optional"`

	ErrorRate *float64 `hcl:"error_rate,optional"`
	Differ    *float64 `hcl:"differ,optional"`
	P99       Duration `hcl:"p99,optional"`
	Fuel      int64    `hcl:"fuel,optional"`
	MinRows   int64    `hcl:"min_rows,optional"`
	Bake      Duration `hcl:"bake,optional"`
	BakeBy    string   `hcl:"bake_by,optional"`
}

func (l *loader) rollout(b *hclsyntax.Block) *Rollout {
	args := rolloutArgs{MinRows: 100}
	diags := decodeOwn(b.Body, &args, l.cfg.Eval)
	l.add(diags)
	if b.Body.Attributes["plugin"] == nil || b.Body.Attributes["canary"] == nil {
		return nil // which has been told
	}
	r := &Rollout{Name: b.Labels[0], Stable: l.digest(args.Stable, "stable"), Canary: l.digest(args.Canary, "canary"), Shadow: args.Shadow, Range: b.DefRange(),
		Guard: Guard{ErrorRate: args.ErrorRate, Differ: args.Differ, P99: args.P99.Length(), Fuel: args.Fuel, MinRows: args.MinRows, Bake: args.Bake.Length(), ByEvent: args.BakeBy == "event"}}
	if args.Percent != nil {
		r.Percent = *args.Percent
	}
	at := func(name string) hcl.Range { return b.Body.Attributes[name].Expr.Range() }
	if p := FindPlugin(l.cfg.Plugins, args.Plugin); p != nil {
		r.Plugin = p.Name
	} else {
		l.fail(at("plugin"), "Unknown plugin", "plugin takes the name of a plugin block: plugin.NAME.")
	}
	l.rolloutFleet(r, args.Fleet)
	for name, share := range map[string]*float64{"percent": args.Percent, "error_rate": args.ErrorRate, "differ": args.Differ} {
		most := 1.0
		if name == "percent" {
			most = 100
		}
		if share != nil && (*share < 0 || *share > most) {
			l.fail(at(name), "Out of range", "%s goes from 0 to %v; this is %v.", name, most, *share)
		}
	}
	if !args.Shadow && (args.Percent == nil || *args.Percent == 0) {
		l.fail(b.DefRange(), "Missing argument", "A rollout says on how many devices it begins: percent = 10, or shadow = true to run beside and compare.")
	}
	if b.Body.Attributes["bake_by"] != nil && args.BakeBy != "event" && args.BakeBy != "clock" {
		l.fail(at("bake_by"), "Unknown value", "bake_by takes \"clock\" or \"event\".")
	}
	if args.Differ != nil && !args.Shadow {
		l.add(Warnf(at("differ"), "Nothing to compare", "Rows are compared in shadow only: without shadow = true, differ is never looked at."))
	}
	l.checkInt(b.Body, "fuel", args.Fuel, 1, 1<<50)
	l.checkInt(b.Body, "min_rows", args.MinRows, 1, 1<<40)
	l.checkDuration(b.Body, "p99", args.P99, time.Nanosecond, time.Hour)
	l.checkDuration(b.Body, "bake", args.Bake, time.Second, 365*24*time.Hour)
	return r
}

// digest reads which module a rollout means: by its digest, or as that of a plugin block.
func (l *loader) digest(x hcl.Expression, name string) string {
	if Absent(x) {
		return ""
	}
	if t, ok := x.(*hclsyntax.ScopeTraversalExpr); ok && t.Traversal.RootName() == "plugin" {
		if p := FindPlugin(l.cfg.Plugins, x); p != nil {
			return p.Digest // "" where its module cannot be read, which has been told
		}
		var known []string
		for _, p := range l.cfg.Plugins {
			known = append(known, "plugin."+p.Name)
		}
		text := TraversalText(t.Traversal)
		l.fail(x.Range(), "Unknown plugin", "There is no block %s.%s", text, didYouMean(text, known, ""))
		return ""
	}
	v, diags := Value(x, l.cfg.Eval)
	l.add(diags)
	if diags.HasErrors() || bad(v) {
		return ""
	}
	if v, _ = v.Unmark(); v.IsNull() || v.Type() != cty.String || !digestText(v.AsString()) {
		l.fail(x.Range(), "Not a digest", "%s takes sha256: and 64 hex digits, as tidemill plugin ls shows them, or a plugin block that names the module: plugin.NAME.", name)
		return ""
	}
	return v.AsString()
}

// rolloutFleet finds the fleet of a rollout.
func (l *loader) rolloutFleet(r *Rollout, x hcl.Expression) {
	if Absent(x) {
		return
	}
	var known []string
	text := ""
	if t, ok := x.(*hclsyntax.ScopeTraversalExpr); ok {
		text = TraversalText(t.Traversal)
	}
	for _, f := range l.cfg.Fleets {
		known = append(known, "fleet."+f.Name)
		if "fleet."+f.Name == text {
			r.Fleet, r.Where = f.Name, f.Where
			return
		}
	}
	l.fail(x.Range(), "Unknown fleet", "fleet takes the name of a fleet block: fleet.NAME.%s", didYouMean(text, known, ""))
}

// trust reads the trust block.
func (l *loader) trust(blocks []*hclsyntax.Block) {
	for i, b := range blocks {
		if i > 0 {
			l.duplicate("trust", b.DefRange(), blocks[0].DefRange())
			continue
		}
		args := struct {
			Keys []string `hcl:"keys"`
		}{}
		l.add(decodeOwn(b.Body, &args, l.cfg.Eval))
		l.cfg.Trust = []string{}
		for _, key := range args.Keys {
			if raw, err := base64.StdEncoding.DecodeString(key); err != nil || len(raw) != ed25519.PublicKeySize {
				l.fail(b.Body.Attributes["keys"].Expr.Range(), "Not a key", "keys takes public keys of Ed25519: 32 bytes, base64, as tidemill plugin push --sign prints them.")
				continue
			}
			l.cfg.Trust = append(l.cfg.Trust, key)
		}
	}
}

// checkTrust refuses a module that nobody has signed whom the trust block names.
func (l *loader) checkTrust(p *Plugin, source string) {
	if l.cfg.Trust == nil || p.Module == nil {
		return
	}
	var text []byte
	var err error
	if source != "" {
		if !path.IsAbs(source) {
			source = path.Join(l.dir, source)
		}
		text, err = readSmall(l.env.FS, source+".sig")
	} else if l.signatures != nil {
		text, err = l.signatures(p.Digest)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.fail(p.Range, "Signature cannot be read", "%v", err)
		return
	}
	if !Trusted(l.cfg.Trust, p.Digest, text) {
		l.fail(p.Range, "Module without a signature", "The trust block takes modules that one of its keys has signed; %s has no such signature. tidemill plugin push --sign KEY makes one.", p.Digest)
	}
}

// Trusted tells whether one of the keys has signed a digest. Each line of text is "ed25519", a public key and a
// signature of the digest's text (RFC 8032), base64.
func Trusted(keys []string, digest string, text []byte) bool {
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) != 3 || words[0] != "ed25519" || !slices.Contains(keys, words[1]) {
			continue
		}
		key, err := base64.StdEncoding.DecodeString(words[1])
		sig, bad := base64.StdEncoding.DecodeString(words[2])
		if err == nil && bad == nil && len(key) == ed25519.PublicKeySize && ed25519.Verify(key, []byte(digest), sig) {
			return true
		}
	}
	return false
}

// readSmall reads a file of signatures.
func readSmall(files env.FS, name string) ([]byte, error) {
	f, err := files.Open(name, env.ReadOnly)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.NewSectionReader(f, 0, 64<<10))
	return b, errors.Join(err, f.Close())
}
