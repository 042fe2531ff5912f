package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/config"
)

// assigned are the digests of the blocks that say which devices get which module, and which modules may run, by address.
func (p *Plan) assigned() map[string]HeldNode {
	out := map[string]HeldNode{}
	put := func(address string, block any) {
		text, err := json.Marshal(block)
		if err != nil {
			panic("BUG: a block is no JSON: " + err.Error())
		}
		sum := sha256.Sum256(text)
		out[address] = HeldNode{Digest: hex.EncodeToString(sum[:16])}
	}
	for _, f := range p.Config.Fleets {
		put("fleet."+f.Name, f.Where)
	}
	for _, r := range p.Config.Rollouts {
		says := *r
		says.Range = hcl.Range{}
		put("rollout."+r.Name, says)
	}
	if p.Config.Trust != nil {
		put("trust", p.Config.Trust)
	}
	return out
}

// refuseFleets tells what is wrong with selectors: for the stages of the rollouts that name the fleet, or else, since a command may
// name it later, where no stage at all could choose its devices.
func (p *Plan) refuseFleets() hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, f := range p.Config.Fleets {
		var first hcl.Diagnostics
		taken, named := false, false
		for _, n := range p.nodes() {
			if n.Bound.Selects == nil || f.Selector == nil {
				continue
			}
			wrong := n.Bound.Selects(f.Selector)
			if taken = taken || !wrong.HasErrors(); !wrong.HasErrors() {
				continue
			}
			used := slices.ContainsFunc(p.Config.Rollouts, func(r *config.Rollout) bool { return r.Fleet == f.Name && r.Plugin == n.Bound.Plugin })
			if first == nil || used && !named {
				first, named = wrong, used
			}
		}
		if named || !taken {
			diags = append(diags, first...)
		}
	}
	return diags
}

// refuseModules refuses rollouts of modules that cannot stand in a stage's place. Those of which only the digest is known are tried
// when the rollout begins.
func (p *Plan) refuseModules(r *config.Rollout, n *Node) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, c := range p.Config.Plugins {
		if c.Module == nil || c.Digest != r.Canary && c.Digest != r.Stable || c.Name == r.Plugin {
			continue
		}
		if err := n.Bound.Fits(c.Module); err != nil {
			diags = append(diags, config.Errorf(r.Range, "A module that does not fit", "%s cannot run plugin.%s: %v.", n.Address, c.Name, err)...)
		}
	}
	return diags
}

// refuseRollouts refuses rollouts of plugins that no stage runs, or that run where no control record comes by.
func (p *Plan) refuseRollouts() hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, r := range p.Config.Rollouts {
		runs := false
		for _, n := range p.nodes() {
			if n.Bound.Try == nil || n.Bound.Plugin != r.Plugin {
				continue
			}
			diags = append(diags, p.refuseModules(r, n)...)
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
