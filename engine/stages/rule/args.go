package rule

import (
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/expr"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
)

// Spec is the stage rule.
func Spec() stage.Spec {
	return stage.Spec{
		Kind: "rule",
		Help: "Keeps the rows that fit a condition, and computes, names and leaves out columns.",
		Args: func() stage.Args { return &args{} },
	}
}

type args struct {
	Where  hcl.Expression `hcl:"where,optional" help:"Condition that a row must fulfil to go on; a row for which it is null is dropped."`
	Set    hcl.Expression `hcl:"set,optional" help:"Columns to compute: { name = expression, ... }, in order; later ones may use earlier ones."`
	Rename hcl.Expression `hcl:"rename,optional" help:"New names for columns: { new = old, ... }."`
	Select hcl.Expression `hcl:"select,optional" help:"The only columns to keep, in this order: [name, ...]."`
	Remove hcl.Expression `hcl:"remove,optional" help:"Columns to leave out: [name, ...]."`
}

// computed is one member of set.
type computed struct {
	name string
	prog *expr.Program
}

// program is what a rule does.
type program struct {
	where *expr.Program
	set   []computed
	// from says, for each user column that goes out, what it is called after set.
	from []string
	out  *arrow.Schema
}

// binder gathers what Bind finds.
type binder struct {
	program
	in    *arrow.Schema
	diags hcl.Diagnostics
	reads map[string]bool
	key   string   // what the channel's key is called now; "" when it is gone
	names []string // of the columns after rename, beside program.from
	types []arrow.DataType
}

func (b *binder) fail(d hcl.Diagnostics) { b.diags = append(b.diags, d...) }

// Bind checks the arguments; see stage.Args.
func (a *args) Bind(in []*arrow.Schema, at stage.At) (stage.Bound, hcl.Diagnostics) {
	if len(in) != 1 || in[0] == nil {
		return stage.Bound{}, config.Errorf(at.Range, "A rule has one input", "This rule reads from %d stages; it can read from one.", len(in))
	}
	b := &binder{in: in[0], reads: map[string]bool{}, key: at.Keys[0]}
	scope := at.Scope(0)
	b.bindWhere(a.Where, scope)
	b.assume(a, scope)
	schema := b.bindSet(a.Set, scope)
	for _, f := range flow.UserFields(schema) {
		b.from, b.names, b.types = append(b.from, f.Name), append(b.names, f.Name), append(b.types, f.Type)
	}
	b.bindRename(a.Rename)
	b.bindSelect(a.Select, a.Remove)
	out := b.bound(!config.Absent(a.Select))
	out.Revised = b.revised(at.RevisedAt(0), at.Address)
	return out, b.diags
}

// revised says how revisions of rows belong together behind the rule: as before, unless one of them may be kept out
// or a column be lost that tells.
func (b *binder) revised(in *stage.Revised, address string) *stage.Revised {
	if in == nil || in.By == nil {
		return in
	}
	name := address[strings.LastIndex(address, ".rule.")+1:]
	fixed := map[string]bool{}
	for _, c := range in.Fixed {
		fixed[c] = true
	}
	depends := func(p *expr.Program) bool {
		return slices.ContainsFunc(p.Columns(), func(c string) bool { return !fixed[c] })
	}
	if b.where != nil && depends(b.where) {
		return &stage.Revised{Why: name + " may let one revision of a row through and keep another out, since its where looks at what revisions change"}
	}
	was := map[string]bool{} // what the columns hold that had the name before set
	for _, c := range in.By {
		was[c] = true
	}
	for _, c := range b.set {
		fixed[c.name] = !depends(c.prog)
		delete(was, c.name)
	}
	out := &stage.Revised{Every: in.Every, Keep: in.Keep}
	for _, c := range in.By {
		i := slices.Index(b.from, c)
		if i < 0 || !was[c] {
			return &stage.Revised{Why: name + " takes " + c + " away, by which revisions of a row are told"}
		}
		out.By = append(out.By, b.names[i])
	}
	for i, c := range b.from {
		if fixed[c] {
			out.Fixed = append(out.Fixed, b.names[i])
		}
	}
	return out
}

func (b *binder) bindWhere(x hcl.Expression, scope *expr.Scope) {
	if config.Absent(x) {
		return
	}
	prog, diags := expr.CompileAs(x, scope, arrow.FixedWidthTypes.Boolean, "where")
	b.fail(diags)
	b.where = prog
	b.read(prog)
}

func (b *binder) read(p *expr.Program) {
	if p != nil {
		for _, name := range p.Columns() {
			b.reads[name] = true
		}
	}
}

// bindSet compiles the members of set and returns the schema after them.
func (b *binder) bindSet(x hcl.Expression, scope *expr.Scope) *arrow.Schema {
	members, diags := stage.Members(x, "set")
	b.fail(diags)
	schema := b.in
	for _, m := range members {
		now := *scope
		now.Schema = schema
		b.fail(stage.CheckName(m.Name, m.At))
		prog, diags := expr.Compile(m.Value, &now)
		b.fail(diags)
		if prog == nil || len(m.Name) == 0 || m.Name[0] == '_' {
			continue
		}
		b.read(prog)
		if m.Name == b.key {
			b.key = ""
		}
		schema, _ = withField(schema, m.Name, prog.Type())
		b.set = append(b.set, computed{m.Name, prog})
	}
	return schema
}

// assume adds the names in rename and select that an open scope does not know
// yet, unless set makes them.
func (b *binder) assume(a *args, scope *expr.Scope) {
	if scope.Infer == nil {
		return
	}
	skip := map[string]bool{}
	made, _ := stage.Members(a.Set, "set")
	for _, m := range made {
		skip[m.Name] = true
	}
	names, _ := stage.ColumnNames(a.Select, "select")
	renames, _ := stage.Members(a.Rename, "rename")
	for _, m := range renames {
		skip[m.Name] = true
		if old, ok := stage.ColumnName(m.Value); ok {
			names = append(names, stage.Column{Name: old, At: m.Value.Range()})
		}
	}
	for _, c := range names {
		if !skip[c.Name] {
			now := *scope
			now.Schema = b.in
			b.in = stage.Assume(c, &now)
		}
	}
}

// withField puts a field where one of that name stands, or at the end; at is where.
func withField(s *arrow.Schema, name string, t arrow.DataType) (out *arrow.Schema, at int) {
	fields := slices.Clone(s.Fields())
	field := arrow.Field{Name: name, Type: t, Nullable: true}
	if at = slices.IndexFunc(fields, func(f arrow.Field) bool { return f.Name == name }); at < 0 {
		return arrow.NewSchema(append(fields, field), nil), len(fields)
	}
	fields[at] = field
	return arrow.NewSchema(fields, nil), at
}

func (b *binder) unknown(c stage.Column, what string) {
	b.fail(config.Errorf(c.At, "Unknown name", "There is no column %q for %s.%s", c.Name, what, stage.Suggest(c.Name, b.names)))
}

// look finds a column by the name that it has after rename; -1: there is none.
func (b *binder) look(name string) int { return slices.Index(b.names, name) }

func (b *binder) bindRename(x hcl.Expression) {
	members, diags := stage.Members(x, "rename")
	b.fail(diags)
	for _, m := range members {
		b.fail(stage.CheckName(m.Name, m.At))
		old, ok := stage.ColumnName(m.Value)
		if !ok {
			b.fail(config.Errorf(m.Value.Range(), "Not a name", "rename takes new = old with the names of columns. To compute a column, use set."))
			continue
		}
		b.reads[old] = true
		i := slices.Index(b.from, old)
		switch {
		case i < 0:
			b.unknown(stage.Column{Name: old, At: m.Value.Range()}, "rename")
		case b.look(m.Name) >= 0:
			b.fail(config.Errorf(m.At, "Name is taken", "There is a column %q already. Remove it in a rule before this one, or choose another name.", m.Name))
		default:
			if b.names[i] == b.key {
				b.key = m.Name
			}
			b.names[i] = m.Name
		}
	}
}

func (b *binder) bindSelect(selected, removed hcl.Expression) {
	keep, diags := stage.ColumnNames(selected, "select")
	b.fail(diags)
	drop, diags := stage.ColumnNames(removed, "remove")
	b.fail(diags)
	if !config.Absent(selected) && !config.Absent(removed) {
		b.fail(config.Errorf(removed.Range(), "select and remove together", "select says already which columns stay. Write one of the two."))
		return
	}
	if !config.Absent(selected) {
		var from, names []string
		var types []arrow.DataType
		for _, c := range keep {
			i := b.look(c.Name)
			if i < 0 {
				b.unknown(c, "select")
				continue
			}
			b.reads[b.from[i]] = true
			from, names, types = append(from, b.from[i]), append(names, b.names[i]), append(types, b.types[i])
		}
		b.from, b.names, b.types = from, names, types
	}
	for _, c := range drop {
		i := b.look(c.Name)
		if i < 0 {
			b.unknown(c, "remove")
			continue
		}
		b.reads[b.from[i]] = true
		b.from, b.names, b.types = slices.Delete(b.from, i, i+1), slices.Delete(b.names, i, i+1), slices.Delete(b.types, i, i+1)
	}
}

func (b *binder) bound(selects bool) stage.Bound {
	fields := make([]arrow.Field, len(b.names))
	for i, n := range b.names {
		fields[i] = arrow.Field{Name: n, Type: b.types[i], Nullable: true}
	}
	b.out = flow.NewSchema(fields)
	if b.look(b.key) < 0 {
		b.key = ""
	}
	reads := []string{}
	for name := range b.reads {
		if b.in.HasField(name) {
			reads = append(reads, name)
		}
	}
	slices.Sort(reads)
	revises := b.in.HasField("revision") && b.look("revision") >= 0
	prog := b.program
	return stage.Bound{
		Out: b.out, Key: b.key, Filters: b.where != nil, Reads: reads, PassesAll: !selects,
		Revisions: stage.TakesAll, Revises: revises,
		OpenStage: func(o stage.Opening) (stage.Stage, error) { return newRule(prog, o), nil },
	}
}
