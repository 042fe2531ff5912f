package expr

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/tidemill/tidemill/engine/flow"
)

// parse reads an expression as config would.
func parse(src string) (hclsyntax.Expression, hcl.Diagnostics) {
	return hclsyntax.ParseExpression([]byte(src), "t.hcl", hcl.InitialPos)
}

func mustCompile(tb testing.TB, src string, schema *arrow.Schema) *Program {
	tb.Helper()
	x, diags := parse(src)
	if diags.HasErrors() {
		tb.Fatal(diags)
	}
	p, diags := Compile(x, &Scope{Schema: schema, What: "channel.test"})
	if diags.HasErrors() {
		tb.Fatal(diags)
	}
	return p
}

// typeOf reads a type as HCL writes it; the narrow ones are metadata's.
func typeOf(s string) arrow.DataType {
	if e, ok := strings.CutPrefix(s, "list("); ok {
		return arrow.ListOf(typeOf(strings.TrimSuffix(e, ")")))
	}
	return map[string]arrow.DataType{
		"number": arrow.PrimitiveTypes.Float64, "integer": arrow.PrimitiveTypes.Int64,
		"bool": arrow.FixedWidthTypes.Boolean, "string": arrow.BinaryTypes.String,
		"timestamp": flow.Timestamp, "int32": arrow.PrimitiveTypes.Int32,
		"uint32": arrow.PrimitiveTypes.Uint32, "bytes": arrow.BinaryTypes.Binary,
	}[s]
}

// appendValue appends a value: nil, or what JSON makes of it, or a typed one.
func appendValue(b array.Builder, v any) {
	if v == nil {
		b.AppendNull()
		return
	}
	switch b := b.(type) {
	case *array.Float64Builder:
		switch v := v.(type) {
		case float64:
			b.Append(v)
		case json.Number:
			f, err := strconv.ParseFloat(string(v), 64)
			must(err)
			b.Append(f)
		}
	case *array.Int64Builder:
		b.Append(toInt(v))
	case *array.Int32Builder:
		b.Append(int32(toInt(v)))
	case *array.Uint32Builder:
		b.Append(uint32(toInt(v)))
	case *array.BooleanBuilder:
		b.Append(v.(bool))
	case *array.StringBuilder:
		b.Append(v.(string))
	case *array.BinaryBuilder:
		b.Append([]byte(v.(string)))
	case *array.TimestampBuilder:
		if s, ok := v.(string); ok {
			t, err := time.Parse(time.RFC3339Nano, s)
			must(err)
			v = t.UnixMicro()
		}
		b.Append(arrow.Timestamp(v.(int64)))
	case *array.ListBuilder:
		b.Append(true)
		for _, e := range v.([]any) {
			appendValue(b.ValueBuilder(), e)
		}
	default:
		panic(fmt.Sprintf("no values for %T", b))
	}
}

func toInt(v any) int64 {
	switch v := v.(type) {
	case int64:
		return v
	case json.Number:
		i, err := v.Int64()
		must(err)
		return i
	}
	panic(fmt.Sprintf("no integer: %v", v))
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// columnOf makes a column of values.
func columnOf(t arrow.DataType, values []any, alloc memory.Allocator) arrow.Array {
	b := array.NewBuilder(alloc, t)
	defer b.Release()
	for _, v := range values {
		appendValue(b, v)
	}
	return b.NewArray()
}

// valuesOf is the opposite of columnOf: nil, float64, int64 (timestamps too),
// bool, string, []any.
func valuesOf(a arrow.Array) []any {
	out := make([]any, a.Len())
	for i := range out {
		if a.IsNull(i) {
			continue
		}
		switch a := a.(type) {
		case *array.Float64:
			out[i] = a.Value(i)
		case *array.Int64:
			out[i] = a.Value(i)
		case *array.Int32:
			out[i] = int64(a.Value(i))
		case *array.Uint32:
			out[i] = int64(a.Value(i))
		case *array.Boolean:
			out[i] = a.Value(i)
		case *array.String:
			out[i] = strings.Clone(a.Value(i))
		case *array.Timestamp:
			out[i] = int64(a.Value(i))
		case *array.List:
			lo, hi := a.ValueOffsets(i)
			part := array.NewSlice(a.ListValues(), lo, hi)
			out[i] = append([]any{}, valuesOf(part)...)
			part.Release()
		default:
			panic(fmt.Sprintf("no values of %T", a))
		}
	}
	return out
}

// show writes values of type t as the table files do.
func show(t arrow.DataType, values []any) string {
	var s []string
	for _, v := range values {
		s = append(s, showOne(t, v))
	}
	return strings.Join(s, " ")
}

func showOne(t arrow.DataType, v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case int64:
		if t.ID() == arrow.TIMESTAMP {
			return time.UnixMicro(v).UTC().Format(`"2006-01-02T15:04:05.999999Z07:00"`)
		}
		return strconv.FormatInt(v, 10)
	case string:
		return strconv.Quote(v)
	case []any:
		var s []string
		for _, e := range v {
			s = append(s, showOne(t.(*arrow.ListType).Elem(), e))
		}
		return "[" + strings.Join(s, ",") + "]"
	}
	return fmt.Sprint(v)
}
