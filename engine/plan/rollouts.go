package plan

import (
	"slices"

	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/config"
)

// refuseRollouts refuses rollouts of plugins that no stage runs, or that run where no control record comes by.
func (p *Plan) refuseRollouts() hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, r := range p.Config.Rollouts {
		runs := false
		for _, n := range p.nodes() {
			if n.Bound.Try == nil || n.Bound.Plugin != r.Plugin {
				continue
			}
			if runs = true; n.Home != nil && n.Home.Fed {
				diags = append(diags, config.Errorf(r.Range, "A rollout behind stages",
					"%s reads rows that stages feed (channel.%s), and which version runs there is decided in the journals of channels that ingests feed. Run plugin.%s before what feeds or regroups its rows.",
					n.Address, n.Home.Config.Name, r.Plugin)...)
			}
		}
		if !runs && r.Plugin != "" && !p.unread(r.Plugin) {
			diags = append(diags, config.Errorf(r.Range, "A rollout of nothing", "No stage runs plugin.%s.", r.Plugin)...)
		}
	}
	return diags
}

// unread tells whether the module of a plugin could not be read, which has been told: what its stages do is not known.
func (p *Plan) unread(plugin string) bool {
	return slices.ContainsFunc(p.Config.Plugins, func(c *config.Plugin) bool { return c.Name == plugin && c.Module == nil })
}
