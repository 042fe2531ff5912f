package run

import (
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/tidemill/tidemill/engine/config"
)

// unheard says which attributes a selector asks for that no device of the registry has: it may be misspelt, or the devices come
// later, so that it is told and not refused.
func (r *rollouts) unheard(where string) (out []string) {
	x, diags := hclsyntax.ParseExpression([]byte(where), "selector", hcl.InitialPos)
	if where == "" || diags.HasErrors() {
		return nil
	}
	asked := map[string]bool{}
	for _, v := range x.Variables() {
		if a, ok := v[min(1, len(v)-1)].(hcl.TraverseAttr); ok && v.RootName() == "registry" {
			asked[a.Name] = true
		}
	}
	if len(asked) == 0 {
		return nil
	}
	known := map[string]bool{}
	if r.devices != nil {
		all, _ := r.devices.All()
		for _, d := range all {
			for name := range d.Attributes {
				known[name] = true
			}
		}
	}
	names := slices.Sorted(maps.Keys(known))
	for _, name := range slices.Sorted(maps.Keys(asked)) {
		if known[name] {
			continue
		}
		line := fmt.Sprintf("no device in the registry has the attribute %s", name)
		if near := config.Nearest(name, names); near != "" {
			line += "; did you mean " + near + "?"
		}
		out = append(out, line)
	}
	return out
}
