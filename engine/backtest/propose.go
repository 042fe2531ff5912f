package backtest

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/tidemill/tidemill/engine/config"
)

// Argument is an argument of a block, its value as it stands in HCL.
type Argument struct{ Name, Value string }

// kept are the arguments of a stage that say what comes to it, what it leaves out and what else it gives, as its author
// wrote them: with others a proposal would give other alerts than the backtest, or could not be pasted.
func kept(c *config.Config, address string) (out []Argument) {
	for _, p := range c.Pipelines {
		for _, b := range p.Stages {
			body, plain := b.Body.(*hclsyntax.Body)
			if !plain || "pipeline."+p.Name+"."+b.Address() != address {
				continue
			}
			for _, name := range []string{"from", "with", "suppress", "seed"} {
				if a := body.Attributes[name]; a != nil {
					at := a.Expr.Range()
					if file := c.Files[at.Filename]; file != nil && at.End.Byte <= len(file.Bytes) {
						out = append(out, Argument{name, string(file.Bytes[at.Start.Byte:at.End.Byte])})
					}
				}
			}
		}
	}
	return out
}

// Propose is a block of HCL for what suits best: with it in place of the stage that was tried, or over what the CSV holds in
// the order of its times, alerts are those of the report, or at the wanted rate as many as the comment says.
func Propose(r *Report, c Columns) string {
	args := append([]Argument{}, c.Kept...)
	add := func(name, format string, given bool, values ...any) {
		if given {
			args = append(args, Argument{name, fmt.Sprintf(format, values...)})
		}
	}
	add("by", "[%s]", c.Key != "", c.Key)
	add("on", "[%s]", true, strings.Join(c.On, ", "))
	f, own := r.Config.Forest, r.Own > 0
	add("threshold", "%.4g # %.2f alerts a week here", own, r.Own, r.OwnPerWeek)
	add("threshold", "%g", !own && r.Config.Threshold > 0, r.Config.Threshold)
	add("alerts_per_week", "%g", !own && r.Config.PerWeek > 0, r.Config.PerWeek)
	add("warm_up", "%d", r.Config.WarmUp > 0, r.Config.WarmUp)
	add("quiet", "%d", r.Config.Quiet > 0, r.Config.Quiet)
	add("max_rate", "%g", r.Config.MaxRate > 0, r.Config.MaxRate)
	add("shingle", "%d", f.Shingle > 0, f.Shingle)
	add("trees", "%d", f.Trees > 0, f.Trees)
	add("samples", "%d", f.Samples > 0, f.Samples)
	add("decay", "%g", f.Decay > 0, f.Decay)
	wide := 0
	for _, a := range args {
		wide = max(wide, len(a.Name))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "anomaly %q \"proposed\" {\n", r.Config.Kind)
	for _, a := range args {
		fmt.Fprintf(&b, "  %-*s = %s\n", wide, a.Name, a.Value)
	}
	b.WriteString("}\n")
	return b.String()
}
