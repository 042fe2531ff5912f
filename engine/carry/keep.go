package carry

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/expr"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
)

// Kept are the columns of rows that a stage keeps in a table until later.
type Kept struct {
	Fields []arrow.Field
	names  []string
	types  []arrow.DataType
	schema *arrow.Schema // of the batch before
	places []int
}

// BindKept reads the argument keep, columns of input 0; all of them when it is left out. Where
// columns are learned as they come, it must be there: what is in a table has to be what it was.
func BindKept(keep hcl.Expression, in *arrow.Schema, what string, at stage.At) (*Kept, hcl.Diagnostics) {
	k := &Kept{}
	var diags hcl.Diagnostics
	add := func(name string, t arrow.DataType, where hcl.Range) {
		if !Carries(t) {
			diags = append(diags, config.Errorf(where, "Not to be carried", "%s is a %s, which %s cannot keep. Leave it out: keep = [...].", name, expr.TypeName(t), what)...)
			return
		}
		k.names, k.types = append(k.names, name), append(k.types, t)
		k.Fields = append(k.Fields, arrow.Field{Name: name, Type: t, Nullable: true})
	}
	if !config.Absent(keep) {
		cols, more := stage.Columns(keep, "keep", at.Scope(0))
		diags = append(diags, more...)
		for _, c := range cols {
			add(c.Name, c.Type, c.At)
		}
		return k, diags
	}
	if at.Scope(0).Infer != nil {
		diags = append(diags, config.Errorf(at.Range, "Columns that are not known yet",
			"The columns of %s are learned as they come, and %s keeps rows for later. Say which columns to keep: keep = [device, ...].", at.Inputs[0], what)...)
	}
	for _, f := range flow.UserFields(in) {
		add(f.Name, f.Type, at.Range)
	}
	return k, diags
}

// Names are the columns' names; not nil.
func (k *Kept) Names() []string { return append([]string{}, k.names...) }

// Types are the columns' types.
func (k *Kept) Types() []arrow.DataType { return k.types }

// Of appends the columns of a batch to dst, nulls where it lacks one. The caller releases them.
func (k *Kept) Of(rows arrow.RecordBatch, o *stage.Opening, dst []arrow.Array) []arrow.Array {
	if k.schema != rows.Schema() {
		k.schema, k.places = rows.Schema(), Places(rows.Schema(), k.names)
	}
	for i, at := range k.places {
		var c arrow.Array
		if at >= 0 && arrow.TypeEqual(rows.Column(at).DataType(), k.types[i]) {
			c = rows.Column(at)
			c.Retain()
		} else {
			c = array.MakeArrayOfNull(o.Alloc, k.types[i], int(rows.NumRows()))
		}
		dst = append(dst, c)
	}
	return dst
}
