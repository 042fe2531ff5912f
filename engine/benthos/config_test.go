package benthos

import (
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// TestParse: texts and objects; mistakes, in the line where they stand.
func TestParse(t *testing.T) {
	for _, c := range []struct {
		text, says string
		line       int
	}{
		{"config = { generate = { mapping = \"root = {}\", count = 3 } }\n", "", 0},
		{"config = <<EOT\ngenerate:\n  mapping: root = {}\n  count: 3\nEOT\n", "", 0},
		{"config = <<-EOT\n    generate:\n      mapping: root = {}\n    EOT\n", "", 0},
		{"config = <<EOT\nlabel: mine\ngenerate:\n  mapping: root = {}\nEOT\n", "", 0},
		{"config = <<EOT\ngenerate:\n  mapping: root = {}\n  cuont: 3\nEOT\n", "Field cuont not recognised", 4},
		{"config = <<EOT\n\ngenerat:\n  mapping: root = {}\nEOT\n", "batched, broker", 3},
		{"config = { generat = {} }\n", "This version has: batched", 1},
		{"config = { kafka = {} }\n", "socket_server", 1},
		{"config = <<EOT\ngenerate:\n  mapping: root = nonsense(\nEOT\n", "", 3},
		{"config = <<EOT\ngenerate:\n\tmapping: x\nEOT\n", "found character that cannot start any token", 3},
		{"config = <<EOT\nsocket:\n  network: tcp\n  address: $${HOST}\nEOT\n", "HOST", 2},
		{"config = <<EOT\nsocket:\n  network: tcp\n  address: $${HOST}\nEOT\n", `HCL does: ${env("NAME")}`, 2},
		{"config = <<EOT\ninput:\n  stdin: {}\npipeline: {}\nEOT\n", "config takes one input of Benthos", 2},
		{"config = <<EOT\ngenerat: {}\nEOT\n", "Did you mean generate? This version has: batched", 2},
		{"config = <<EOT\nstdin: {}\nprocessors:\n  - maping: root = this\nEOT\n", "type: maping. Did you mean mapping?", 4},
		{"config = <<EOT\nbroker:\n  inputs:\n    - zzzzzz: {}\nEOT\n", "Of inputs this version has: batched", 4},
		{"config = <<EOT\ngenerate:\n  mapping: root = {}\n  count: 1\n  count: 2\nEOT\n", "Not a configuration: Mapping key \"count\" already defined.", 5},
		{"config = <<EOT\ngenerate\nEOT\n", "Not a configuration: Cannot take `generate` as an object.", 2},
		{"config = 7\n", "as YAML text or as an object", 1},
		{"config = \"\"\n", "", 1},
		{"config = [1]\n", "as YAML text or as an object", 1},
	} {
		f, diags := hclsyntax.ParseConfig([]byte(c.text), "t.hcl", hcl.InitialPos)
		if diags.HasErrors() {
			t.Fatal(c.text, diags)
		}
		attrs, _ := f.Body.JustAttributes()
		text, diags := Parse(attrs["config"].Expr, &hcl.EvalContext{}, Input)
		if c.line == 0 {
			if len(diags) > 0 || !strings.Contains(text, "label: tidemill") {
				t.Errorf("%s: %v, %s", c.text, diags, text)
			}
			continue
		}
		if len(diags) == 0 {
			t.Errorf("%s: no mistake", c.text)
			continue
		}
		all := diags[0].Summary + ": " + diags[0].Detail
		if !strings.Contains(strings.ToLower(all), strings.ToLower(c.says)) || diags[0].Subject.Start.Line != c.line {
			t.Errorf("%s: line %d: %s; want line %d, %q", c.text, diags[0].Subject.Start.Line, all, c.line, c.says)
		}
	}
}

func TestComponents(t *testing.T) {
	for kind, want := range map[Kind][]string{Input: {"file", "http_server", "socket_server"}, Output: {"file", "http_client", "broker"}} {
		got := Components(kind)
		for _, name := range want {
			if !slices.Contains(got, name) {
				t.Errorf("%s: no %s among %q", kind, name, got)
			}
		}
	}
}
