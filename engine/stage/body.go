package stage

import (
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/expr"
	"github.com/tidemill/tidemill/engine/flow"
)

// Bodies make of every row the bytes that a sink sends: the row as JSON, or what an
// argument says, an object of expressions or a text. They belong to one goroutine.
type Bodies struct {
	meta   bool
	byIn   []body // nil: rows as they are
	json   []*flow.JSONEncoder
	schema []*arrow.Schema
}

// body is what is sent of the rows of one input.
type body struct {
	text    *expr.Program // a text a row
	schema  *arrow.Schema // of members, behind the metadata columns
	members []*expr.Program
}

// maxMembers is how many members a body may have.
const maxMembers = 1000

// BindBodies compiles the argument called what, which may be absent, for every input. meta
// also sends the metadata columns of rows that go as they are. reads is nil for these.
func BindBodies(x hcl.Expression, what string, in []*arrow.Schema, at At, meta bool) (b *Bodies, reads []string, diags hcl.Diagnostics) {
	b = &Bodies{meta: meta}
	if config.Absent(x) {
		return b, nil, nil
	}
	reads = []string{}
	for i := range in {
		one, more := bindBody(x, what, at.Scope(i))
		diags = append(diags, more...)
		for _, p := range append(slices.Clone(one.members), one.text) {
			if p != nil {
				reads = append(reads, p.Columns()...)
			}
		}
		b.byIn = append(b.byIn, one)
	}
	slices.Sort(reads)
	return b, slices.Compact(reads), config.Sort(diags)
}

// JSON tells whether rows become JSON, and no texts of the author's.
func (b *Bodies) JSON() bool { return b.byIn == nil || b.byIn[0].text == nil }

func bindBody(x hcl.Expression, what string, scope *expr.Scope) (body, hcl.Diagnostics) {
	object, ok := x.(*hclsyntax.ObjectConsExpr)
	if !ok {
		p, diags := expr.CompileAs(x, scope, arrow.BinaryTypes.String, what)
		return body{text: p}, diags
	}
	b := &bodyBinder{scope: scope}
	b.object(object, "")
	if len(b.fields) == 0 && !b.diags.HasErrors() {
		b.diags = config.Errorf(x.Range(), "Empty "+what, "%s names at least one member. Leave it out to send the row as it is.", what)
	}
	return body{schema: flow.NewSchema(b.fields), members: b.members}, b.diags
}

// bodyBinder gathers the members of an object; those of objects within get dotted names.
type bodyBinder struct {
	scope   *expr.Scope
	fields  []arrow.Field
	members []*expr.Program
	diags   hcl.Diagnostics
}

func (b *bodyBinder) object(x *hclsyntax.ObjectConsExpr, prefix string) {
	members, diags := config.ObjectMembers(x)
	b.diags = append(b.diags, diags...)
	for _, m := range members {
		if inner, ok := m.Value.(*hclsyntax.ObjectConsExpr); ok && len(inner.Items) > 0 {
			b.object(inner, prefix+m.Name+".")
			continue
		}
		if m.Name == "" || len(b.fields) == maxMembers {
			b.diags = append(b.diags, config.Errorf(m.At, "Not a member", "A member has a name, and there may be %d of them.", maxMembers)...)
			return
		}
		p, diags := expr.Compile(m.Value, b.scope)
		b.diags = append(b.diags, diags...)
		if p != nil {
			b.fields = append(b.fields, arrow.Field{Name: prefix + m.Name, Type: p.Type(), Nullable: true})
			b.members = append(b.members, p)
		}
	}
}

// Rows returns the bytes of each row of input in; nil where a text is null.
func (b *Bodies) Rows(in int, rows arrow.RecordBatch, alloc memory.Allocator) [][]byte {
	out := make([][]byte, rows.NumRows())
	if b.byIn != nil {
		one := &b.byIn[in]
		if one.text != nil {
			texts := one.text.Eval(rows, alloc)
			defer texts.Release()
			for i := range out {
				if !texts.IsNull(i) {
					out[i] = append([]byte{}, texts.(*array.String).Value(i)...)
				}
			}
			return out
		}
		rows = one.eval(rows, alloc)
		defer rows.Release()
	}
	for in >= len(b.json) {
		b.json, b.schema = append(b.json, nil), append(b.schema, nil)
	}
	if s := rows.Schema(); b.schema[in] == nil || !b.schema[in].Equal(s) {
		b.json[in], b.schema[in] = flow.NewJSONEncoder(s, b.meta), s
	}
	for i := range out {
		out[i] = b.json[in].AppendRow(nil, rows, i)
	}
	return out
}

// eval computes the members; the caller releases the batch.
func (b *body) eval(rows arrow.RecordBatch, alloc memory.Allocator) arrow.RecordBatch {
	cols := make([]arrow.Array, 0, flow.MetaColumns+len(b.members))
	for i := range flow.MetaColumns {
		col := rows.Column(i)
		col.Retain()
		cols = append(cols, col)
	}
	for _, p := range b.members {
		cols = append(cols, p.Eval(rows, alloc))
	}
	defer func() {
		for _, c := range cols {
			c.Release()
		}
	}()
	return array.NewRecordBatch(b.schema, cols, rows.NumRows())
}
