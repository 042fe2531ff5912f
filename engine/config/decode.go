package config

import (
	"reflect"
	"sort"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/gocty"
)

// DecodeBody fills the struct that args points to from a block's body, by
// gohcl's tags: `hcl:"name"`, `hcl:"name,optional"`, `hcl:"name,block"`,
// `hcl:",label"`, `hcl:",remain"`, and the *_range tags. It reports all mistakes,
// sorted, in words for the author of the file: unknown arguments and blocks with the
// nearest name, missing ones, wrong types, and durations and sizes that are none.
//
// A field that is not given keeps its value, which makes the values in args the defaults. A field
// without "optional" that is no pointer is required, hcl.Expression too. An
// hcl.Expression that is not given becomes an expression that Absent knows.
// Fields of type Duration and Size are checked here.
func DecodeBody(body hcl.Body, args any, ctx *hcl.EvalContext) hcl.Diagnostics {
	target := reflect.ValueOf(args)
	if target.Kind() != reflect.Pointer || target.Elem().Kind() != reflect.Struct {
		panic("BUG: arguments are decoded into a pointer to a struct")
	}
	return decodeWith(body, args, ctx, []string{"from", "enabled"})
}

// decodeWith also knows arguments that were taken from the body before.
func decodeWith(body hcl.Body, args any, ctx *hcl.EvalContext, taken []string) hcl.Diagnostics {
	d := &decoder{ctx: ctx, taken: taken}
	d.body(body, reflect.ValueOf(args).Elem())
	return Sort(d.diags)
}

// Expressions says where those expressions stand that DecodeBody has put into args; those of nested blocks it leaves out.
func Expressions(args any) []hcl.Range {
	var written []hcl.Range
	for _, f := range fieldsOf(reflect.ValueOf(args).Elem()) {
		if x, ok := f.value.Interface().(hcl.Expression); ok && !Absent(x) {
			written = append(written, x.Range())
		}
	}
	return written
}

// Absent says that an optional expression was not given.
func Absent(x hcl.Expression) bool {
	if x == nil {
		return true
	}
	if _, written := x.(hclsyntax.Node); written {
		return false
	}
	v, diags := x.Value(nil)
	return !diags.HasErrors() && v.IsNull()
}

type decoder struct {
	ctx   *hcl.EvalContext
	taken []string // further names for "did you mean"
	diags hcl.Diagnostics
}

func (d *decoder) fail(at hcl.Range, summary, detail string, args ...any) {
	d.diags = append(d.diags, Errorf(at, summary, detail, args...)...)
}

// field is a struct field with its tag taken apart.
type field struct {
	name, kind string
	value      reflect.Value
}

func fieldsOf(v reflect.Value) []field {
	t := v.Type()
	fields := make([]field, 0, t.NumField())
	for i := range t.NumField() {
		tag, ok := t.Field(i).Tag.Lookup("hcl")
		if !ok {
			continue
		}
		name, kind, _ := strings.Cut(tag, ",")
		if kind == "" {
			kind = "attr"
		}
		fields = append(fields, field{name, kind, v.Field(i)})
	}
	return fields
}

// schemaOf is what a body may hold. Nothing in it is required: what is missing is said in our words. open
// says that the struct takes whatever remains.
func schemaOf(fields []field) (schema *hcl.BodySchema, open bool) {
	schema = &hcl.BodySchema{}
	for _, f := range fields {
		switch f.kind {
		case "attr", "optional":
			schema.Attributes = append(schema.Attributes, hcl.AttributeSchema{Name: f.name})
		case "remain":
			open = true
		case "block":
			t := f.value.Type()
			if t.Kind() == reflect.Slice {
				t = t.Elem()
			}
			if t.Kind() == reflect.Pointer {
				t = t.Elem()
			}
			b := hcl.BlockHeaderSchema{Type: f.name}
			for _, inner := range fieldsOf(reflect.New(t).Elem()) {
				if inner.kind == "label" {
					b.LabelNames = append(b.LabelNames, inner.name)
				}
			}
			schema.Blocks = append(schema.Blocks, b)
		}
	}
	return schema, open
}

func (d *decoder) body(body hcl.Body, target reflect.Value) {
	fields := fieldsOf(target)
	schema, open := schemaOf(fields)
	content, rest, diags := body.PartialContent(schema)
	for _, x := range diags {
		if x.Severity == hcl.DiagError {
			d.diags = append(d.diags, x)
		}
	}
	if content == nil {
		return
	}
	blocks := content.Blocks.ByType()
	for _, f := range fields {
		switch f.kind {
		case "attr", "optional":
			d.attribute(content.Attributes[f.name], f, body.MissingItemRange())
		case "block":
			d.blocks(blocks[f.name], f, body.MissingItemRange())
		case "remain":
			f.value.Set(reflect.ValueOf(rest))
		case "attr_range", "attr_name_range", "attr_value_range":
			if a := content.Attributes[f.name]; a != nil {
				ranges := map[string]hcl.Range{"attr_range": a.Range, "attr_name_range": a.NameRange, "attr_value_range": a.Expr.Range()}
				f.value.Set(reflect.ValueOf(ranges[f.kind]))
			}
		}
	}
	if !open {
		d.leftovers(rest, schema)
	}
}

// leftovers reports what nobody asked for.
func (d *decoder) leftovers(rest hcl.Body, schema *hcl.BodySchema) {
	known := append([]string(nil), d.taken...)
	for _, a := range schema.Attributes {
		known = append(known, a.Name)
	}
	isBlock := map[string]bool{}
	for _, b := range schema.Blocks {
		isBlock[b.Type] = true
		known = append(known, b.Type)
	}
	attrs, _ := rest.JustAttributes()
	for name, a := range attrs {
		if isBlock[name] {
			d.fail(a.NameRange, "Unsupported argument", "%s is a block: write %s { ... } without the equals sign.", name, name)
			continue
		}
		d.fail(a.NameRange, "Unsupported argument", "An argument named %q is not expected here.%s", name, didYouMean(name, known, `"`))
	}
	syntax, ok := rest.(*hclsyntax.Body)
	if !ok {
		return
	}
	isAttr := map[string]bool{}
	for _, a := range schema.Attributes {
		isAttr[a.Name] = true
	}
	for _, b := range syntax.Blocks {
		switch {
		case isBlock[b.Type]:
		case isAttr[b.Type]:
			d.fail(b.TypeRange, "Unsupported block", "%s is an argument: write %s = ... with an equals sign.", b.Type, b.Type)
		default:
			d.fail(b.TypeRange, "Unsupported block", "A block named %q is not expected here.%s", b.Type, didYouMean(b.Type, known, `"`))
		}
	}
}

var (
	expressionType = reflect.TypeFor[hcl.Expression]()
	attributeType  = reflect.TypeFor[*hcl.Attribute]()
	durationType   = reflect.TypeFor[Duration]()
	sizeType       = reflect.TypeFor[Size]()
)

func (d *decoder) attribute(a *hcl.Attribute, f field, missing hcl.Range) {
	if a == nil {
		if f.kind == "attr" && f.value.Kind() != reflect.Pointer {
			d.fail(missing, "Missing argument", "The argument %q is required: write %s = ...", f.name, f.name)
		}
		if f.value.Type() == expressionType && f.value.IsNil() {
			f.value.Set(reflect.ValueOf(hcl.StaticExpr(cty.NullVal(cty.DynamicPseudoType), missing)))
		}
		return
	}
	switch f.value.Type() {
	case expressionType:
		f.value.Set(reflect.ValueOf(a.Expr))
		return
	case attributeType:
		f.value.Set(reflect.ValueOf(a))
		return
	}
	d.diags = append(d.diags, decodeValue(a, d.ctx, f.value)...)
}

// decodeValue evaluates a constant and puts it into a Go value.
func decodeValue(a *hcl.Attribute, ctx *hcl.EvalContext, target reflect.Value) hcl.Diagnostics {
	v, diags := Value(a.Expr, ctx)
	if diags.HasErrors() || bad(v) {
		return diags
	}
	at := a.Expr.Range()
	if target.Type() == durationType || target.Type() == sizeType {
		return decodeUnit(a, v, target)
	}
	want, err := gocty.ImpliedType(target.Addr().Interface())
	if err != nil {
		panic("BUG: an argument cannot be decoded into " + target.Type().String() + ": " + err.Error())
	}
	if v.IsNull() {
		if target.Kind() == reflect.Pointer {
			return nil
		}
		return Errorf(at, "Wrong type", "%s takes %s; this is null.", a.Name, Article(TypeText(want)))
	}
	if !fits(v.Type(), want) {
		return Errorf(at, "Wrong type", "%s takes %s; this is %s.%s", a.Name, Article(TypeText(want)), describe(v), typeHint(v, want))
	}
	if v, err = convert.Convert(v, want); err == nil {
		err = gocty.FromCtyValue(v, target.Addr().Interface())
	}
	if err != nil {
		return Errorf(at, "Wrong value", "%s takes %s; this one does not fit.", a.Name, numberRange(target.Type()))
	}
	return nil
}

// fits says whether a constant of one type may stand where another is wanted:
// nothing is converted but lists and objects, member by member.
func fits(have, want cty.Type) bool {
	switch {
	case want == cty.DynamicPseudoType || have == want:
		return true
	case have.IsTupleType() && (want.IsListType() || want.IsSetType()):
		for _, t := range have.TupleElementTypes() {
			if !fits(t, want.ElementType()) {
				return false
			}
		}
		return true
	case have.IsObjectType() && want.IsMapType():
		for _, t := range have.AttributeTypes() {
			if !fits(t, want.ElementType()) {
				return false
			}
		}
		return true
	case have.IsListType() && want.IsListType():
		return fits(have.ElementType(), want.ElementType())
	}
	return false
}

func typeHint(v cty.Value, want cty.Type) string {
	switch {
	case v.Type() == cty.String && (want == cty.Number || want == cty.Bool):
		return " Leave the quotes away."
	case want == cty.String:
		return " Put it in double quotes."
	case want.IsListType() && fits(v.Type(), want.ElementType()):
		return " Put it in brackets: [...]"
	}
	return ""
}

func numberRange(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Int, reflect.Int64, reflect.Int32, reflect.Int16, reflect.Int8:
		return "a whole number"
	case reflect.Uint, reflect.Uint64, reflect.Uint32, reflect.Uint16, reflect.Uint8:
		return "a whole number that is not negative"
	}
	return "another value"
}

func decodeUnit(a *hcl.Attribute, v cty.Value, target reflect.Value) hcl.Diagnostics {
	at := a.Expr.Range()
	kind, example := "duration", `"5m"`
	if target.Type() == sizeType {
		kind, example = "size", `"64MiB"`
	}
	if v.IsNull() || v.Type() != cty.String {
		hint := ""
		if v.Type() == cty.Number && !v.IsNull() {
			hint = " with its unit"
		}
		return Errorf(at, "Not a "+kind, "%s takes a %s in double quotes%s, such as %s; this is %s.", a.Name, kind, hint, example, describe(v))
	}
	if err := parseUnit(kind, v.AsString()); err != nil {
		if _, shown := literal(a.Expr); !shown { // the value may be a secret
			return Errorf(at, "Not a "+kind, "%s takes a %s, such as %s; the value of this expression is none.", a.Name, kind, example)
		}
		return Errorf(at, "Not a "+kind, "%s: %s.", a.Name, err)
	}
	target.SetString(v.AsString())
	return nil
}

func parseUnit(kind, text string) error {
	if kind == "size" {
		_, err := ParseSize(text)
		return err
	}
	_, err := ParseDuration(text)
	return err
}

// blocks decodes nested blocks into a struct, a pointer to one, or a slice of either.
func (d *decoder) blocks(blocks hcl.Blocks, f field, missing hcl.Range) {
	t := f.value.Type()
	if t.Kind() == reflect.Slice {
		for _, b := range blocks {
			f.value.Set(reflect.Append(f.value, d.block(b, t.Elem())))
		}
		return
	}
	if len(blocks) == 0 {
		if t.Kind() != reflect.Pointer {
			d.fail(missing, "Missing block", "A block %s { ... } is required.", f.name)
		}
		return
	}
	if len(blocks) > 1 {
		d.fail(blocks[1].DefRange, "Duplicate block", "There may be one %s block; the first is on line %d.", f.name, blocks[0].DefRange.Start.Line)
	}
	f.value.Set(d.block(blocks[0], t))
}

// block decodes one block into a new value of type t, a struct or a pointer to one.
func (d *decoder) block(b *hcl.Block, t reflect.Type) reflect.Value {
	elem := t
	if t.Kind() == reflect.Pointer {
		elem = t.Elem()
	}
	v := reflect.New(elem)
	inner := &decoder{ctx: d.ctx}
	inner.body(b.Body, v.Elem())
	d.diags = append(d.diags, inner.diags...)
	label := 0
	for _, f := range fieldsOf(v.Elem()) {
		switch {
		case f.kind == "label" && label < len(b.Labels):
			f.value.SetString(b.Labels[label])
			label++
		case f.kind == "def_range":
			f.value.Set(reflect.ValueOf(b.DefRange))
		}
	}
	if t.Kind() == reflect.Pointer {
		return v
	}
	return v.Elem()
}

// attributes lists a body's attributes in the order written.
func attributes(b *hclsyntax.Body) []*hclsyntax.Attribute {
	list := make([]*hclsyntax.Attribute, 0, len(b.Attributes))
	for _, a := range b.Attributes {
		list = append(list, a)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].SrcRange.Start.Byte < list[j].SrcRange.Start.Byte })
	return list
}
