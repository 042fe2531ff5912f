package stage

import (
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/expr"
	"github.com/tidemill/tidemill/engine/flow"
)

func parse(t *testing.T, text string) hcl.Expression {
	t.Helper()
	x, diags := hclsyntax.ParseExpression([]byte(text), "x.hcl", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return x
}

// TestColumnsOfAnOpenScope: what is not known yet has the type of its uses so
// far, else it is a string.
func TestColumnsOfAnOpenScope(t *testing.T) {
	types := map[string]arrow.DataType{"temp": arrow.PrimitiveTypes.Float64}
	scope := &expr.Scope{
		Schema: flow.NewSchema([]arrow.Field{{Name: "pos.lat", Type: arrow.PrimitiveTypes.Int64}}),
		Infer: func(name string, typ arrow.DataType, _ hcl.Range) string {
			if old := types[name]; old != nil && !arrow.TypeEqual(old, typ) {
				return "it is another"
			}
			types[name] = typ
			return ""
		},
	}
	cols, diags := Columns(parse(t, "[pos.lat, temp, device]"), "by", scope)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	got := ""
	for _, c := range cols {
		got += c.Name + ":" + expr.TypeName(c.Type) + " "
	}
	if got != "pos.lat:integer temp:number device:string " {
		t.Errorf("got %s", got)
	}
}

func TestCheckBy(t *testing.T) {
	key := func(name string, typ arrow.DataType) Column { return Column{Name: name, Type: typ} }
	device, site := key("device", arrow.BinaryTypes.String), key("site", arrow.BinaryTypes.String)
	for _, c := range []struct {
		by         []Column
		key        string
		partitions int
		hasKey     bool
		want       string
	}{
		{[]Column{device}, "device", 4, true, ""},
		{[]Column{site, device}, "device", 4, true, ""},
		{[]Column{site}, "device", 1, false, ""},
		{nil, "device", 1, false, ""},
		{[]Column{site}, "device", 4, false, "Write by = [device, site]"},
		{nil, "device", 4, false, "Write by = [device],"},
		{[]Column{site}, "", 4, false, "rule.before no longer has that column"},
		{[]Column{key("_slot", arrow.PrimitiveTypes.Uint32)}, "device", 1, false, "belongs to the engine"},
		{[]Column{key("tags", arrow.ListOf(arrow.BinaryTypes.String))}, "device", 1, false, "tags is a list(string)"},
	} {
		at := At{Keys: []string{c.key}, Inputs: []string{"rule.before"}, Channel: &config.Channel{Name: "t", Key: "device", Partitions: c.partitions}}
		hasKey, diags := CheckBy(c.by, nil, at, "window")
		text := ""
		for _, d := range diags {
			text += d.Detail
		}
		if hasKey != c.hasKey || (text == "") != (c.want == "") || !strings.Contains(text, c.want) {
			t.Errorf("by %v, key %q, %d partitions: %v, %q; want %v, %q", c.by, c.key, c.partitions, hasKey, text, c.hasKey, c.want)
		}
	}
}
