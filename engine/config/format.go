package config

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclwrite"
)

// Format lays a file out as `tidemill fmt` does: indentation, and equals signs
// and comments below each other. Formatting twice is formatting once. A file that breaks a
// limit or does not parse is not touched: src comes back with the diagnostics.
func Format(src []byte, name string) ([]byte, hcl.Diagnostics) {
	if diags := CheckLimits(name, src); diags.HasErrors() {
		return src, diags
	}
	if _, diags, _ := parseAll(src, name); diags.HasErrors() {
		return src, Sort(diags)
	}
	formatted := hclwrite.Format(src)
	// hclwrite needs a second look at some comments before it settles.
	for range 3 {
		again := hclwrite.Format(formatted)
		if string(again) == string(formatted) {
			break
		}
		formatted = again
	}
	return formatted, nil
}
