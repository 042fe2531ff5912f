package plugindev

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/wasm"
)

// FileName is the file that makes a folder a plugin's project.
const FileName = "plugin.hcl"

// Project is a plugin as plugin.hcl describes it.
type Project struct {
	Dir      string
	Language string   // of Languages
	Source   string   // the file that is compiled, in Dir; a package for Go
	Flags    []string // more flags for the compiler
	Manifest wasm.Manifest
	Limits   wasm.Limits // for tests
	Files    map[string]*hcl.File
}

// Languages are what plugins can be written in.
func Languages() []string { return []string{"go", "rust", "c", "assemblyscript"} }

// reader reads plugin.hcl and gathers what is wrong with it.
type reader struct {
	p     *Project
	diags hcl.Diagnostics
}

func (r *reader) fail(at hcl.Range, summary, detail string, args ...any) {
	r.diags = append(r.diags, config.Errorf(at, summary, detail, args...)...)
}

// ReadProject reads a folder's plugin.hcl. All mistakes are told at once.
func ReadProject(e *env.Env, dir string) (*Project, hcl.Diagnostics) {
	name := path.Join(dir, FileName)
	file, diags := config.ParseFile(e, name)
	if file == nil || diags.HasErrors() {
		p := &Project{Files: map[string]*hcl.File{}}
		if file != nil {
			p.Files[name] = file
		}
		return p, diags
	}
	p := &Project{Dir: dir, Files: map[string]*hcl.File{name: file}}
	p.Manifest.ABI = wasm.ABI
	r := &reader{p: p}
	body := file.Body.(*hclsyntax.Body)
	for _, a := range sortedAttributes(body) {
		r.attribute(a)
	}
	for _, b := range body.Blocks {
		if b.Type != "state" || len(b.Labels) > 0 {
			r.fail(b.DefRange(), "Unknown block", "plugin.hcl has a block state { ... }, without a name, and no other.")
			continue
		}
		r.p.Manifest.State = r.state(b, false)
	}
	if !r.diags.HasErrors() {
		r.complete(body)
	}
	return p, config.Sort(r.diags)
}

// complete checks what concerns more than one argument.
func (r *reader) complete(body *hclsyntax.Body) {
	p := r.p
	if p.Manifest.Kind == wasm.Decode && p.Manifest.Reads == nil {
		p.Manifest.Reads = []wasm.Column{{Name: "payload", Type: "bytes"}, {Name: "topic", Type: "string"}}
	}
	if p.Source == "" {
		p.Source = p.Manifest.Name + map[string]string{"go": "", "rust": ".rs", "c": ".c", "assemblyscript": ".ts"}[p.Language]
		if p.Language == "go" {
			p.Source = "."
		}
	}
	at := body.MissingItemRange()
	if p.Language == "" {
		r.fail(at, "Missing argument", "language says what the plugin is written in: %s.", config.List(Languages()))
	}
	text, err := json.Marshal(&p.Manifest)
	if err == nil {
		_, err = wasm.ParseManifest(text)
	}
	if err != nil {
		for _, line := range strings.Split(strings.TrimPrefix(err.Error(), wasm.ErrManifest.Error()+": "), "\n") {
			r.fail(at, "Not a manifest", "%s.", line)
		}
	}
}

func sortedAttributes(body *hclsyntax.Body) []*hclsyntax.Attribute {
	var list []*hclsyntax.Attribute
	for _, a := range body.Attributes {
		list = append(list, a)
	}
	slices.SortFunc(list, func(a, b *hclsyntax.Attribute) int { return a.NameRange.Start.Byte - b.NameRange.Start.Byte })
	return list
}

func (r *reader) attribute(a *hclsyntax.Attribute) {
	m := &r.p.Manifest
	switch a.Name {
	case "name":
		m.Name = r.text(a.Expr)
	case "version":
		m.Version = r.text(a.Expr)
	case "kind":
		m.Kind = r.word(a.Expr, "kind", []string{wasm.Enrich, wasm.Score, wasm.Transform, wasm.Decode})
	case "help":
		m.Help = r.text(a.Expr)
	case "language":
		r.p.Language = r.word(a.Expr, "language", Languages())
	case "source":
		r.p.Source = r.text(a.Expr)
		if strings.Contains(r.p.Source, "..") || strings.HasPrefix(r.p.Source, "/") || strings.HasPrefix(r.p.Source, "-") {
			r.fail(a.Expr.Range(), "Not in the folder", "source is a file of the plugin's own folder.")
		}
	case "flags":
		r.p.Flags = r.texts(a.Expr)
	case "reads":
		m.Reads = r.columns(a.Expr, "required", "help")
	case "writes":
		m.Writes = r.columns(a.Expr, "nullable", "help")
	case "config":
		m.Config = r.options(a.Expr)
	case "grants":
		m.Grants = r.texts(a.Expr)
		r.p.Limits.Grants = m.Grants
	case "passes":
		m.Passes = r.truth(a.Expr)
	case "max_rows":
		m.MaxRows = r.whole(a.Expr)
	default:
		known := []string{"name", "version", "kind", "help", "language", "source", "flags", "reads", "writes", "config", "grants", "passes", "max_rows", "state"}
		r.fail(a.NameRange, "Unknown argument", "plugin.hcl has no argument %q.%s", a.Name, config.DidYouMean(a.Name, known))
	}
}

func (r *reader) value(x hcl.Expression, t cty.Type, want string) (cty.Value, bool) {
	v, diags := config.Value(x, nil)
	r.diags = append(r.diags, diags...)
	if diags.HasErrors() {
		return v, false
	}
	if v.IsNull() || !v.Type().Equals(t) {
		r.fail(x.Range(), "Wrong type", "This takes %s.", want)
		return v, false
	}
	return v, true
}

func (r *reader) text(x hcl.Expression) string {
	v, ok := r.value(x, cty.String, "a text in quotes")
	if !ok {
		return ""
	}
	return v.AsString()
}

func (r *reader) truth(x hcl.Expression) bool {
	v, ok := r.value(x, cty.Bool, "true or false")
	return ok && v.True()
}

func (r *reader) whole(x hcl.Expression) int {
	v, ok := r.value(x, cty.Number, "a whole number")
	if !ok {
		return 0
	}
	n, acc := v.AsBigFloat().Int64()
	if acc != 0 || n < 0 || n > 1<<30 {
		r.fail(x.Range(), "Wrong type", "This takes a whole number.")
		return 0
	}
	return int(n)
}

func (r *reader) texts(x hcl.Expression) (list []string) {
	items, diags := hcl.ExprList(x)
	r.diags = append(r.diags, diags...)
	for _, i := range items {
		list = append(list, r.text(i))
	}
	return list
}

// word reads one of a few words, with quotes or without.
func (r *reader) word(x hcl.Expression, what string, known []string) string {
	w := hcl.ExprAsKeyword(x)
	if w == "" {
		w = r.text(x)
	}
	if w != "" && !slices.Contains(known, w) {
		r.fail(x.Range(), "Unknown "+what, "There is no %s %q; there is %s.%s", what, w, config.List(known), config.DidYouMean(w, known))
		return ""
	}
	return w
}

// members lists the members of an object in the order written.
func (r *reader) members(x hcl.Expression) []config.Member {
	o, ok := x.(*hclsyntax.ObjectConsExpr)
	if !ok {
		r.fail(x.Range(), "Not an object", "This takes braces: { name = ... }.")
		return nil
	}
	list, diags := config.ObjectMembers(o)
	r.diags = append(r.diags, diags...)
	return list
}

// columns reads { temp = number, note = { type = string, help = "..." } }.
func (r *reader) columns(x hcl.Expression, more ...string) (list []wasm.Column) {
	types := []string{"number", "integer", "bool", "timestamp", "string", "bytes"}
	for _, m := range r.members(x) {
		c := wasm.Column{Name: m.Name}
		if _, long := m.Value.(*hclsyntax.ObjectConsExpr); !long {
			c.Type = r.word(m.Value, "type", types)
			list = append(list, c)
			continue
		}
		for _, p := range r.members(m.Value) {
			switch {
			case p.Name == "type":
				c.Type = r.word(p.Value, "type", types)
			case !slices.Contains(more, p.Name):
				r.fail(p.At, "Unknown argument", "A column here has type, %s.%s", strings.Join(more, ", "), config.DidYouMean(p.Name, more))
			case p.Name == "required":
				c.Required = r.truth(p.Value)
			case p.Name == "nullable":
				c.Nullable = r.truth(p.Value)
			case p.Name == "max":
				c.Max = r.whole(p.Value)
			case p.Name == "help":
				c.Help = r.text(p.Value)
			}
		}
		list = append(list, c)
	}
	return list
}

// state reads a block: version, columns, and a block from for each older version.
func (r *reader) state(b *hclsyntax.Block, old bool) *wasm.State {
	s := &wasm.State{}
	for _, a := range sortedAttributes(b.Body) {
		switch a.Name {
		case "version":
			s.Version = r.whole(a.Expr)
		case "columns":
			s.Columns = r.columns(a.Expr, "max", "help")
		default:
			r.fail(a.NameRange, "Unknown argument", "state has version, columns and blocks from.")
		}
	}
	for _, sub := range b.Body.Blocks {
		if sub.Type != "from" || old {
			r.fail(sub.DefRange(), "Unknown block", "state has blocks from { version, columns } for older versions, and no other.")
			continue
		}
		s.From = append(s.From, *r.state(sub, true))
	}
	return s
}

// options reads { limit = { type = number, default = 3 }, areas = json }.
func (r *reader) options(x hcl.Expression) (list []wasm.Option) {
	types := []string{"string", "number", "integer", "bool", "json"}
	for _, m := range r.members(x) {
		o := wasm.Option{Name: m.Name}
		if _, long := m.Value.(*hclsyntax.ObjectConsExpr); !long {
			o.Type = r.word(m.Value, "type", types)
			list = append(list, o)
			continue
		}
		for _, p := range r.members(m.Value) {
			switch p.Name {
			case "type":
				o.Type = r.word(p.Value, "type", types)
			case "required":
				o.Required = r.truth(p.Value)
			case "default":
				o.Default = r.json(p.Value)
			case "help":
				o.Help = r.text(p.Value)
			default:
				known := []string{"type", "required", "default", "help"}
				r.fail(p.At, "Unknown argument", "An argument has type, required, default and help.%s", config.DidYouMean(p.Name, known))
			}
		}
		list = append(list, o)
	}
	return list
}

// json evaluates a value and writes it as JSON.
func (r *reader) json(x hcl.Expression) json.RawMessage {
	v, diags := config.Value(x, nil)
	r.diags = append(r.diags, diags...)
	if diags.HasErrors() {
		return nil
	}
	b, err := ctyjson.Marshal(v, v.Type())
	if err != nil {
		r.fail(x.Range(), "Not a value", "This cannot be written as JSON: %v.", err)
		return nil
	}
	return b
}

// Module is the name of the module that Build makes.
func (p *Project) Module() string { return fmt.Sprintf("%s.wasm", p.Manifest.Name) }
