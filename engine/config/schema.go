package config

import (
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/tidemill/tidemill/engine/flow"
)

// maxFields limits a declared schema.
const maxFields = 10_000

// schemaReader reads a schema argument:
//
//	schema = {
//	  ts       = timestamp             # text, or a number whose unit its magnitude tells
//	  t2       = timestamp("ms")       # a number of milliseconds
//	  temp     = number
//	  tags     = list(string)
//	  gps      = { lat = number, lon = number }  # columns gps.lat and gps.lon
//	  readings = list({ v = number })  # with explode = readings: column readings.v
//	}
type schemaReader struct {
	explode  string // dotted path of the list that becomes rows
	exploded bool   // it was found, and is a list
	lists    []string
	fields   []Field
	diags    hcl.Diagnostics
}

func (s *schemaReader) fail(at hcl.Range, summary, detail string, args ...any) {
	s.diags = append(s.diags, Errorf(at, summary, detail, args...)...)
}

func (s *schemaReader) read(x hcl.Expression) []Field {
	switch x := x.(type) {
	case *hclsyntax.ObjectConsExpr:
		if len(x.Items) == 0 {
			s.fail(x.Range(), "Empty schema", "A schema names at least one field. Leave schema away to learn the fields from the data.")
		}
		s.object(x, "")
	case *hclsyntax.ExprSyntaxError:
		s.diags = append(s.diags, x.ParseDiags...)
	default:
		s.fail(x.Range(), "Not a schema", "A schema is an object of names and types: schema = { ts = timestamp, temp = number }")
	}
	return s.fields
}

func (s *schemaReader) object(x *hclsyntax.ObjectConsExpr, prefix string) {
	members, diags := ObjectMembers(x)
	s.diags = append(s.diags, diags...)
	for _, m := range members {
		switch {
		case m.Name == "" || strings.Contains(m.Name, "."):
			s.fail(m.At, "Not a name", "The name of a field has no dots and is not empty. Write members of an object as %s.", nested("a.b"))
		case prefix == "" && reserved(m.Name):
			s.fail(m.At, "Reserved name", "%s is a column that every row has; the payload cannot bring it.", m.Name)
		case len(s.fields) >= maxFields:
			s.fail(m.At, "Too many fields", "A schema may have %d fields.", maxFields)
			return
		default:
			s.field(prefix+m.Name, m.Value, m.At)
		}
	}
}

func (s *schemaReader) field(name string, x hclsyntax.Expression, at hcl.Range) {
	switch x := x.(type) {
	case *hclsyntax.ObjectConsExpr:
		if len(x.Items) == 0 {
			s.fail(x.Range(), "Empty object", "An object in a schema names at least one member.")
		}
		s.object(x, name+".")
	case *hclsyntax.FunctionCallExpr:
		if x.Name == "list" {
			s.list(name, x, at)
			return
		}
		if t, unit, ok := s.scalar(x); ok {
			s.fields = append(s.fields, Field{Name: name, Type: t, Unit: unit, Range: at})
		}
	default:
		if t, unit, ok := s.scalar(x); ok {
			s.fields = append(s.fields, Field{Name: name, Type: t, Unit: unit, Range: at})
		}
	}
}

// list reads list(type). The exploded list's members, or its items, become the fields.
func (s *schemaReader) list(name string, call *hclsyntax.FunctionCallExpr, at hcl.Range) {
	if len(call.Args) != 1 || call.ExpandFinal {
		s.fail(call.Range(), "Wrong list", "list takes one type: list(number)")
		return
	}
	s.lists = append(s.lists, name)
	explode := name == s.explode
	s.exploded = s.exploded || explode
	item := call.Args[0]
	if object, ok := item.(*hclsyntax.ObjectConsExpr); ok {
		if !explode {
			s.fail(item.Range(), "List of objects", "A list of objects has no columns unless its items become rows: add explode = %s to the channel, or leave the field away.", name)
			return
		}
		s.object(object, name+".")
		return
	}
	if inner, ok := item.(*hclsyntax.FunctionCallExpr); ok && inner.Name == "list" {
		s.fail(item.Range(), "List of lists", "A list holds numbers, integers, strings, bools or timestamps.")
		return
	}
	t, unit, ok := s.scalar(item)
	if !ok {
		return
	}
	if !explode {
		t = arrow.ListOf(t)
	}
	s.fields = append(s.fields, Field{Name: name, Type: t, Unit: unit, Range: at})
}

// typeWords are the types that can stand in a schema, and what others call them.
var typeWords = [...]struct {
	name    string
	typ     arrow.DataType
	aliases string
}{
	{"number", arrow.PrimitiveTypes.Float64, " float float64 double real decimal numeric float32 "},
	{"integer", arrow.PrimitiveTypes.Int64, " int int64 long bigint int32 uint short "},
	{"string", arrow.BinaryTypes.String, " text str varchar char utf8 uuid "},
	{"bool", arrow.FixedWidthTypes.Boolean, " boolean bit flag "},
	{"timestamp", flow.Timestamp, " time datetime date timestamptz instant "},
}

func typeNames() []string {
	var names []string
	for _, t := range typeWords {
		names = append(names, t.name)
	}
	return append(names, "list")
}

// scalar reads a type that is no list and no object. Where a wrong word stands, the type that it is nearest to is taken: the
// mistake has been told, and not each use of the field as well.
func (s *schemaReader) scalar(x hclsyntax.Expression) (t arrow.DataType, unit string, ok bool) {
	if call, isCall := x.(*hclsyntax.FunctionCallExpr); isCall {
		if call.Name == "timestamp" {
			unit, ok = s.unit(call)
			return flow.Timestamp, unit, ok
		}
		if !s.unknownType(call.Name, call.NameRange) {
			s.fail(call.Range(), "Not a type", "%s takes nothing in parentheses.", call.Name)
		}
		return nil, "", false
	}
	if _, broken := x.(*hclsyntax.ExprSyntaxError); broken {
		return nil, "", false
	}
	if text, quoted := literal(x); quoted {
		s.fail(x.Range(), "Quotes around a type", "A type stands without quotes, such as %s.", bestType(text))
		t, ok = typeNamed(bestType(text))
		return t, "", ok
	}
	word := hcl.ExprAsKeyword(x)
	if word == "list" {
		s.fail(x.Range(), "Wrong list", "A list says what it holds: list(number)")
		return nil, "", false
	}
	if t, ok := typeNamed(word); ok {
		return t, "", true
	}
	if word == "" {
		s.fail(x.Range(), "Not a type", "A field has a type: number, integer, string, bool, timestamp, list(...) or { ... }.")
	} else {
		s.unknownType(word, x.Range())
		t, ok = typeNamed(bestType(word))
	}
	return t, "", ok
}

// typeNamed finds the type that a word names.
func typeNamed(word string) (arrow.DataType, bool) {
	for _, w := range typeWords {
		if w.name == word {
			return w.typ, true
		}
	}
	return nil, false
}

// unknownType reports a word that is no type; false when it is one.
func (s *schemaReader) unknownType(word string, at hcl.Range) bool {
	for _, w := range typeWords {
		if w.name == word {
			return false
		}
	}
	s.fail(at, "Unknown type", "There is no type %q. Did you mean %s?", word, bestType(word))
	return true
}

// bestType is the type that a word means or is nearest to.
func bestType(word string) string {
	for _, w := range typeWords {
		if w.name == word || strings.Contains(w.aliases, " "+strings.ToLower(word)+" ") {
			return w.name
		}
	}
	if word == "array" || word == "vector" {
		return "list(number)"
	}
	if near := Nearest(word, typeNames()); near != "" {
		return near
	}
	return "number, integer, string, bool, timestamp, list(...) or { ... }"
}

func (s *schemaReader) unit(call *hclsyntax.FunctionCallExpr) (string, bool) {
	if len(call.Args) == 1 {
		if text, ok := literal(call.Args[0]); ok {
			switch text {
			case "s", "ms", "us", "ns":
				return text, true
			}
		}
	}
	s.fail(call.Range(), "Unknown unit of time", `A timestamp given as a number counts in "s", "ms", "us" or "ns": timestamp("ms")`)
	return "", false
}
