package stage

import (
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/expr"
	"github.com/tidemill/tidemill/engine/flow"
)

// Column is a column that an argument names.
type Column struct {
	Name string
	Type arrow.DataType
	At   hcl.Range
	Prog *expr.Program // gives the column's values, nulls where a batch lacks it
	ref  hcl.Expression
}

// ColumnNames reads a list of names such as [device, data.temp], without looking
// them up: as argument `what` of a stage. An absent list is empty.
func ColumnNames(x hcl.Expression, what string) ([]Column, hcl.Diagnostics) {
	if config.Absent(x) {
		return nil, nil
	}
	list, ok := x.(*hclsyntax.TupleConsExpr)
	if !ok {
		return nil, config.Errorf(x.Range(), "Not a list of names", "%s takes a list of column names in brackets, such as [device, site].", what)
	}
	var cols []Column
	var diags hcl.Diagnostics
	seen := map[string]bool{}
	for _, item := range list.Exprs {
		at := item.Range()
		t, ok := item.(*hclsyntax.ScopeTraversalExpr)
		switch {
		case !ok && isText(item):
			diags = append(diags, config.Errorf(at, "Not a name", "%s takes names of columns. Leave the quotes away.", what)...)
		case !ok:
			diags = append(diags, config.Errorf(at, "Not a name", "%s takes names of columns, such as device, and no expressions. A rule's set makes a column of an expression.", what)...)
		case seen[config.TraversalText(t.Traversal)]:
			diags = append(diags, config.Errorf(at, "Duplicate name", "%s stands in %s already.", config.TraversalText(t.Traversal), what)...)
		default:
			name := config.TraversalText(t.Traversal)
			seen[name] = true
			cols = append(cols, Column{Name: name, At: at, ref: item})
		}
	}
	return cols, diags
}

func isText(x hcl.Expression) bool {
	t, ok := x.(*hclsyntax.TemplateExpr)
	return ok && t.IsStringLiteral()
}

// Columns is ColumnNames with every name looked up in a scope.
func Columns(x hcl.Expression, what string, scope *expr.Scope) ([]Column, hcl.Diagnostics) {
	names, diags := ColumnNames(x, what)
	var cols []Column
	for _, c := range names {
		now := *scope
		now.Schema = Assume(c, scope)
		var more hcl.Diagnostics
		c.Prog, more = expr.Compile(c.ref, &now)
		diags = append(diags, more...)
		if c.Prog != nil {
			c.Type = c.Prog.Type()
			cols = append(cols, c)
		}
	}
	return cols, diags
}

// Assume returns the scope's schema, with a column of that name added when the
// scope is open and does not know it yet. Its type is what its uses so far
// say, else a string.
func Assume(c Column, scope *expr.Scope) *arrow.Schema {
	if scope.Infer == nil || Has(scope.Schema, c.Name) {
		return scope.Schema
	}
	for _, t := range []arrow.DataType{arrow.BinaryTypes.String, arrow.PrimitiveTypes.Float64, arrow.FixedWidthTypes.Boolean, flow.Timestamp, arrow.PrimitiveTypes.Int64} {
		if scope.Infer(c.Name, t, c.At) == "" {
			field := arrow.Field{Name: c.Name, Type: t, Nullable: true}
			return arrow.NewSchema(append(slices.Clone(scope.Schema.Fields()), field), nil)
		}
	}
	return scope.Schema
}

// Suggest ends a message about an unknown name: with the nearest one, or with
// what there is.
func Suggest(name string, known []string) string {
	if near := config.Nearest(name, known); near != "" {
		return " Did you mean " + near + "?"
	}
	const most = 12
	switch {
	case len(known) == 0:
		return ""
	case len(known) > most:
		return fmt.Sprintf(" There are %s and %d more.", strings.Join(known[:most], ", "), len(known)-most)
	}
	return " There is " + strings.Join(known, ", ") + "."
}

// ColumnName is the name that an expression consists of.
func ColumnName(x hcl.Expression) (string, bool) {
	t, ok := x.(*hclsyntax.ScopeTraversalExpr)
	if !ok {
		return "", false
	}
	return config.TraversalText(t.Traversal), true
}

// Names are the names of columns; not nil.
func Names(cols []Column) []string {
	out := make([]string, len(cols))
	for i, c := range cols {
		out[i] = c.Name
	}
	return out
}

// Has says whether a schema has a column.
func Has(s *arrow.Schema, name string) bool { return s != nil && s.HasField(name) }

// Members reads an object { name = expression, ... } as argument `what` of a
// stage, in the order written. An absent object is empty.
func Members(x hcl.Expression, what string) ([]config.Member, hcl.Diagnostics) {
	if config.Absent(x) {
		return nil, nil
	}
	o, ok := x.(*hclsyntax.ObjectConsExpr)
	if !ok {
		return nil, config.Errorf(x.Range(), "Not an object", "%s takes names and their values in braces: %s = { name = ... }.", what, what)
	}
	return config.ObjectMembers(o)
}

// CheckName says what is wrong with the name of a new column.
func CheckName(name string, at hcl.Range) hcl.Diagnostics {
	switch {
	case name == "":
		return config.Errorf(at, "Empty name", "A column needs a name.")
	case len(name) > 255:
		return config.Errorf(at, "Name too long", "This name has %d bytes; at most 255 are allowed.", len(name))
	case name[0] == '_':
		return config.Errorf(at, "Reserved name", "Names that begin with _ belong to the engine. Call the column %q.", trimUnderscores(name))
	}
	return nil
}

func trimUnderscores(name string) string {
	for len(name) > 0 && name[0] == '_' {
		name = name[1:]
	}
	if name == "" {
		return "value"
	}
	return name
}
