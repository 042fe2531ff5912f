package sinkinfluxdb

import (
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/expr"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/lineproto"
	"github.com/tidemill/tidemill/engine/stage"
)

// value is a tag or a field: a program, or a column as it stands.
type value struct {
	name   string
	prog   *expr.Program // nil: the column
	column int
}

// input makes points of the rows of one input.
type input struct {
	name        string // such as rule.plausible
	measurement string // "": measure says it of each row
	measure     *expr.Program
	time        *expr.Program // nil: by convention
	tags        []value       // of what was written; nil: by convention
	fields      []value
	ownTags     bool // tags were written
	ownFields   bool
	keys        []string // columns that are tags by convention
	timeName    string   // the channel's time, no field by convention
	precision   lineproto.Precision

	// Of the schema that came last.
	schema   *arrow.Schema
	enc      *lineproto.Encoder
	nowTags  []value
	nowField []value
	timeCol  int
	rows     lineproto.Rows
}

// maxValues is how many tags and fields a point may have.
const maxValues = 1000

func (a *args) bindInput(schema *arrow.Schema, at stage.At, i int) (*input, hcl.Diagnostics) {
	_, base, _ := strings.Cut(at.Inputs[i], ".")
	in := &input{name: at.Inputs[i], measurement: base, ownTags: !config.Absent(a.Tags), ownFields: !config.Absent(a.Fields)}
	for _, p := range precisions {
		if p.name == a.Precision {
			in.precision = p.unit
		}
	}
	if at.Channel != nil {
		if name, ok := stage.ColumnName(at.Channel.Time); ok {
			in.timeName = name
		}
	}
	if at.Keys != nil && at.Keys[i] != "" {
		in.keys = append(in.keys, at.Keys[i])
	}
	if at.By != nil {
		in.keys = append(in.keys, at.By[i]...)
	}
	scope := at.Scope(i)
	var diags, more hcl.Diagnostics
	if !config.Absent(a.Measurement) {
		in.measurement = ""
		if t, ok := a.Measurement.(*hclsyntax.TemplateExpr); ok && t.IsStringLiteral() {
			v, _ := t.Value(nil)
			in.measurement = v.AsString()
		}
		if in.measurement == "" {
			in.measure, more = expr.CompileAs(a.Measurement, scope, arrow.BinaryTypes.String, "measurement")
			diags = append(diags, more...)
		}
	}
	if !config.Absent(a.Time) {
		in.time, more = expr.CompileAs(a.Time, scope, flow.Timestamp, "time")
		diags = append(diags, more...)
	}
	in.tags, more = bindValues(a.Tags, "tags", scope)
	diags = append(diags, more...)
	in.fields, more = bindValues(a.Fields, "fields", scope)
	diags = append(diags, more...)
	if diags.HasErrors() {
		return in, diags
	}
	return in, append(diags, a.checkLayout(in, schema, at)...)
}

// bindValues reads [names] or { name = expression }.
func bindValues(x hcl.Expression, what string, scope *expr.Scope) ([]value, hcl.Diagnostics) {
	if config.Absent(x) {
		return nil, nil
	}
	if _, ok := x.(*hclsyntax.TupleConsExpr); ok {
		cols, diags := stage.Columns(x, what, scope)
		var out []value
		for _, c := range cols {
			out = append(out, value{name: c.Name, prog: c.Prog})
		}
		return out, diags
	}
	members, diags := stage.Members(x, what)
	var out []value
	for _, m := range members {
		p, more := expr.Compile(m.Value, scope)
		diags = append(diags, more...)
		if p != nil {
			out = append(out, value{name: m.Name, prog: p})
		}
	}
	return out, diags
}

// checkLayout finds what the encoder would not take, and series that will run together.
func (a *args) checkLayout(in *input, schema *arrow.Schema, at stage.At) hcl.Diagnostics {
	where := at.Range
	for _, x := range []hcl.Expression{a.Measurement, a.Fields, a.Tags} {
		if !config.Absent(x) {
			where = x.Range()
		}
	}
	if err := in.layOut(schema); err != nil {
		return config.Errorf(where, "Not a point", "Of the rows of %s: %s.", in.name, err)
	}
	if len(in.nowTags)+len(in.nowField) > maxValues {
		return config.Errorf(where, "Too many columns", "A point of %s would have %d tags and fields; at most %d are allowed.", in.name, len(in.nowTags)+len(in.nowField), maxValues)
	}
	var diags hcl.Diagnostics
	if len(in.nowField) == 0 {
		diags = append(diags, config.Errorf(where, "No field", "A point needs a field, and %s leaves none. Name some in fields.", in.name)...)
	}
	if at.Channel != nil && at.Channel.Key != "" && len(in.nowTags) == 0 {
		diags = append(diags, config.Warnf(where, "One series for all",
			"Points of %s have no tag, so that rows of one time take each other's place whatever their %s. Write tags = [...].", in.name, at.Channel.Key)...)
	}
	for _, v := range in.nowTags {
		if v.prog == nil {
			continue
		}
		if t := v.prog.Type(); t.ID() == arrow.FLOAT64 || t.ID() == arrow.TIMESTAMP {
			diags = append(diags, config.Warnf(a.Tags.Range(), "A series for each value",
				"The tag %s is a %s. InfluxDB keeps every value of a tag in memory as a series of its own; a field is what changes from row to row.", v.name, expr.TypeName(t))...)
		}
	}
	return diags
}

// reads lists the columns that are looked at; nil means all.
func reads(inputs []*input) []string {
	names := []string{}
	for _, in := range inputs {
		if !in.ownTags || !in.ownFields || in.time == nil {
			return nil
		}
		programs := []*expr.Program{in.time, in.measure}
		for _, v := range slices.Concat(in.tags, in.fields) {
			programs = append(programs, v.prog)
		}
		for _, p := range programs {
			if p != nil {
				names = append(names, p.Columns()...)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// layOut finds what each column of a schema is, where nobody has said.
func (in *input) layOut(schema *arrow.Schema) error {
	in.schema, in.nowTags, in.nowField, in.timeCol = schema, in.tags, in.fields, flow.ColTime
	written := map[string]bool{}
	for _, v := range slices.Concat(in.tags, in.fields) {
		written[v.name] = true
	}
	for i, f := range flow.UserFields(schema) {
		at := i + flow.MetaColumns
		isTime := f.Type.ID() == arrow.TIMESTAMP
		switch {
		case isTime && f.Name == "window_start" && in.time == nil:
			in.timeCol = at
		case written[f.Name] || f.Type.ID() == arrow.LIST:
		case slices.Contains(in.keys, f.Name):
			if !in.ownTags {
				in.nowTags = append(in.nowTags, value{name: f.Name, column: at})
			} else if !in.ownFields && !in.reads(in.tags, f.Name) {
				in.nowField = append(in.nowField, value{name: f.Name, column: at})
			}
		case isTime && f.Name == in.timeName || in.ownFields || in.reads(in.tags, f.Name):
		default:
			in.nowField = append(in.nowField, value{name: f.Name, column: at})
		}
	}
	l := lineproto.Layout{Measurement: in.measurement, Precision: in.precision}
	for _, v := range in.nowTags {
		l.Tags = append(l.Tags, v.name)
	}
	for _, v := range in.nowField {
		l.Fields = append(l.Fields, v.name)
	}
	var err error
	in.enc, err = lineproto.NewEncoder(l)
	return err
}

// reads tells whether a written value is that column as it stands, under whatever name.
func (in *input) reads(values []value, name string) bool {
	for _, v := range values {
		if c := v.prog.Columns(); len(c) == 1 && c[0] == name {
			return true
		}
	}
	return false
}

// encode appends the lines of a batch.
func (in *input) encode(out *lineproto.Lines, rows arrow.RecordBatch, alloc memory.Allocator) ([]lineproto.Problem, error) {
	if s := rows.Schema(); in.schema != s && !in.schema.Equal(s) {
		if err := in.layOut(s); err != nil {
			return nil, err
		}
	}
	r := &in.rows
	r.Tags, r.Fields = in.eval(r.Tags[:0], in.nowTags, rows, alloc), in.eval(r.Fields[:0], in.nowField, rows, alloc)
	r.Times, _ = rows.Column(in.timeCol).(*array.Timestamp)
	if in.time != nil {
		r.Times = in.time.Eval(rows, alloc).(*array.Timestamp)
	} else {
		r.Times.Retain()
	}
	defer r.Times.Release()
	if in.measure != nil {
		r.Measurement = in.measure.Eval(rows, alloc).(*array.String)
		defer r.Measurement.Release()
	}
	problems := in.enc.Append(out, r, int(rows.NumRows()))
	return problems, nil
}

// release gives back what encode has evaluated.
func (in *input) release() {
	for _, c := range slices.Concat(in.rows.Tags, in.rows.Fields) {
		c.Release()
	}
}

func (in *input) eval(out []arrow.Array, values []value, rows arrow.RecordBatch, alloc memory.Allocator) []arrow.Array {
	for _, v := range values {
		if v.prog != nil {
			out = append(out, v.prog.Eval(rows, alloc))
			continue
		}
		c := rows.Column(v.column)
		c.Retain()
		out = append(out, c)
	}
	return out
}
