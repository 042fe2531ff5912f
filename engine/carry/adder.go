package carry

import (
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/expr"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
)

// Missing is what is done with a row whose other row is not there.
type Missing uint8

const (
	// Nulls stand in the columns that would have come from there.
	Nulls Missing = iota
	// Defaults stand there: what the argument default says.
	Defaults
	// Dropped rows are counted and go nowhere.
	Dropped
	// Rejected rows go to rejects.
	Rejected
)

// Adder adds columns to rows.
type Adder struct {
	Out      *arrow.Schema
	Missing  Missing
	own      []string // columns that rows have
	defaults []*expr.Program

	schema *arrow.Schema // of the batch before
	at     []int         // where its batches have the own columns; -1: nowhere
}

// MaxAdded is how many columns can be added.
const MaxAdded = 200

// Bind makes the adder of fields to the rows of input 0. missing and defaults are arguments
// of the block; where stands for both in messages.
func Bind(in *arrow.Schema, fields []arrow.Field, missing string, defaults hcl.Expression, where hcl.Range, at stage.At) (*Adder, hcl.Diagnostics) {
	a := &Adder{defaults: make([]*expr.Program, len(fields))}
	words := []string{"null", "default", "drop", "reject"}
	var diags hcl.Diagnostics
	if missing == "" {
		missing = "null"
		if !config.Absent(defaults) {
			missing = "default"
		}
	}
	i := slices.Index(words, missing)
	if i < 0 {
		diags = append(diags, config.Errorf(where, "Unknown way with missing rows", "missing is %q.%s", missing, stage.Suggest(missing, words))...)
		i = 0
	}
	a.Missing = Missing(i)
	if given := !config.Absent(defaults); given != (a.Missing == Defaults) && len(diags) == 0 {
		diags = append(diags, config.Errorf(where, "missing and default do not fit", "missing = \"default\" and default = { column = value, ... } belong together.")...)
	}
	own := flow.UserFields(in)
	for _, f := range own {
		a.own = append(a.own, f.Name)
	}
	a.Out = flow.NewSchema(append(slices.Clone(own), fields...))
	members, more := stage.Members(defaults, "default")
	diags = append(diags, more...)
	for _, m := range members {
		diags = append(diags, a.bindDefault(m, fields, at)...)
	}
	return a, diags
}

func (a *Adder) bindDefault(m config.Member, fields []arrow.Field, at stage.At) hcl.Diagnostics {
	var names []string
	for i, f := range fields {
		if f.Name == m.Name {
			p, diags := expr.CompileAs(m.Value, at.Scope(0), f.Type, "default")
			a.defaults[i] = p
			return diags
		}
		names = append(names, f.Name)
	}
	return config.Errorf(m.At, "Unknown name", "default names %q, which is no column that is added.%s", m.Name, stage.Suggest(m.Name, names))
}

// CheckNew checks the names of columns that are added to rows of a schema.
func CheckNew(in *arrow.Schema, name string, at hcl.Range) hcl.Diagnostics {
	diags := stage.CheckName(name, at)
	if len(diags) == 0 && stage.Has(in, name) {
		diags = config.Errorf(at, "Name is taken", "The rows have a column %q already. Choose another name, or remove that one in a rule before.", name)
	}
	return diags
}

// Reads are the columns that defaults look at.
func (a *Adder) Reads() []string {
	var out []string
	for _, p := range a.defaults {
		if p != nil {
			out = append(out, p.Columns()...)
		}
	}
	return out
}

// Emit sends rows on with the columns that were gathered for them, one value a row, nulls where
// found is false. It takes the columns' values. reason is that of rejects.
func (a *Adder) Emit(rows arrow.RecordBatch, added []*Column, found []bool, reason func(row int) string, o *stage.Opening, out flow.Emitter) {
	var sel []int32
	lost := 0
	for i, ok := range found {
		if ok {
			sel = append(sel, int32(i))
			continue
		}
		lost++
		if a.Missing == Rejected {
			o.Reject(stage.Reject{Rows: rows, Row: i, Reason: reason(i)})
		}
	}
	if lost > 0 {
		o.Count("missing", int64(lost))
	}
	cols := Finish(added)
	if lost > 0 && a.Missing == Defaults {
		cols = a.fillDefaults(rows, cols, found, o)
	}
	defer Release(cols)
	all := a.assemble(rows, cols, o)
	if lost == 0 || a.Missing < Dropped {
		out.Emit(all)
		return
	}
	out.Emit(flow.Take(all, sel, o.Alloc))
	all.Release()
}

func (a *Adder) fillDefaults(rows arrow.RecordBatch, cols []arrow.Array, found []bool, o *stage.Opening) []arrow.Array {
	for i, p := range a.defaults {
		if p == nil {
			continue
		}
		values := p.Eval(rows, o.Alloc)
		c := NewColumn(cols[i].DataType())
		for row, ok := range found {
			if ok {
				c.From(cols[i], row)
			} else {
				c.From(values, row)
			}
		}
		values.Release()
		cols[i].Release()
		cols[i] = c.Finish()
	}
	return cols
}

// assemble puts the rows' own columns and the added ones side by side.
func (a *Adder) assemble(rows arrow.RecordBatch, added []arrow.Array, o *stage.Opening) arrow.RecordBatch {
	if a.schema != rows.Schema() {
		a.schema, a.at = rows.Schema(), Places(rows.Schema(), a.own)
	}
	cols := append(make([]arrow.Array, 0, a.Out.NumFields()), rows.Columns()[:flow.MetaColumns]...)
	for i, at := range a.at {
		want := a.Out.Field(flow.MetaColumns + i).Type
		if at >= 0 && arrow.TypeEqual(rows.Column(at).DataType(), want) {
			cols = append(cols, rows.Column(at))
			continue
		}
		null := array.MakeArrayOfNull(o.Alloc, want, int(rows.NumRows()))
		defer null.Release()
		cols = append(cols, null)
	}
	return array.NewRecordBatch(a.Out, append(cols, added...), rows.NumRows())
}

// Places says where a schema has columns of these names; -1: nowhere.
func Places(s *arrow.Schema, names []string) []int {
	out := make([]int, len(names))
	for i, name := range names {
		out[i] = -1
		if found := s.FieldIndices(name); len(found) > 0 {
			out[i] = found[0]
		}
	}
	return out
}

// KeyText tells a person the values of a key.
func KeyText(keys []stage.Column, cols []arrow.Array, row int) string {
	text := ""
	for i, k := range keys {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprintf("%s = %s", k.Name, cols[i].ValueStr(row))
	}
	return text
}
