package sinkhttp

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
	"github.com/tidemill/tidemill/engine/stage"
)

// body makes what is sent of the rows of one input.
type body struct {
	text    *expr.Program // a text a row
	schema  *arrow.Schema // of members, behind the metadata columns
	members []*expr.Program
}

// maxMembers is how many members a body may have.
const maxMembers = 1000

// bindBody compiles the body for every input. reads is nil where rows go as they are.
func (a *args) bindBody(o *options, in []*arrow.Schema, at stage.At) (reads []string, diags hcl.Diagnostics) {
	if config.Absent(a.Body) {
		return nil, nil
	}
	if a.Meta {
		diags = config.Errorf(a.MetaRange, "meta beside body", "body says what is sent. Name the columns there, as in { offset = _offset }, and leave meta out.")
	}
	names := map[string]bool{}
	for i := range in {
		b, more := bindOne(a.Body, at.Scope(i))
		diags = append(diags, more...)
		for _, p := range append(b.members, b.text) {
			if p != nil {
				for _, name := range p.Columns() {
					names[name] = true
				}
			}
		}
		o.bodies = append(o.bodies, b)
	}
	reads = []string{}
	for name := range names {
		reads = append(reads, name)
	}
	slices.Sort(reads)
	return reads, config.Sort(diags)
}

func bindOne(x hcl.Expression, scope *expr.Scope) (body, hcl.Diagnostics) {
	object, ok := x.(*hclsyntax.ObjectConsExpr)
	if !ok {
		p, diags := expr.CompileAs(x, scope, arrow.BinaryTypes.String, "body")
		return body{text: p}, diags
	}
	b := &binder{scope: scope}
	b.object(object, "")
	if len(b.fields) == 0 && !b.diags.HasErrors() {
		b.diags = config.Errorf(x.Range(), "Empty body", "body names at least one member. Leave it out to send the row as it is.")
	}
	return body{schema: flow.NewSchema(b.fields), members: b.members}, b.diags
}

// binder gathers the members of an object; those of objects within get dotted names.
type binder struct {
	scope   *expr.Scope
	fields  []arrow.Field
	members []*expr.Program
	diags   hcl.Diagnostics
}

func (b *binder) object(x *hclsyntax.ObjectConsExpr, prefix string) {
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

// encoder turns batches into the bytes of rows.
type encoder struct {
	opts   *options
	alloc  memory.Allocator
	byIn   []*flow.JSONEncoder
	schema []*arrow.Schema
}

// rows returns what is to be sent of each row; nil where the body is null.
func (e *encoder) rows(in int, rows arrow.RecordBatch) [][]byte {
	n := int(rows.NumRows())
	out := make([][]byte, n)
	if e.opts.bodies != nil {
		b := &e.opts.bodies[in]
		if b.text != nil {
			texts := b.text.Eval(rows, e.alloc)
			defer texts.Release()
			for i := range out {
				if !texts.IsNull(i) {
					out[i] = append([]byte{}, texts.(*array.String).Value(i)...)
				}
			}
			return out
		}
		rows = b.eval(rows, e.alloc)
		defer rows.Release()
	}
	for in >= len(e.byIn) {
		e.byIn, e.schema = append(e.byIn, nil), append(e.schema, nil)
	}
	if s := rows.Schema(); e.schema[in] == nil || !e.schema[in].Equal(s) {
		e.byIn[in], e.schema[in] = flow.NewJSONEncoder(s, e.opts.meta), s
	}
	for i := range out {
		out[i] = e.byIn[in].AppendRow(nil, rows, i)
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
