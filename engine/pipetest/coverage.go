package pipetest

import (
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/tidemill/tidemill/engine/config"
)

// Branch is how often a condition was true, and how often it was false or null.
type Branch struct {
	True, False int64
	At          hcl.Range
}

// MarshalJSON writes where the condition stands as a file and a line.
func (b Branch) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]any{"true": b.True, "false": b.False, "file": b.At.Filename, "line": b.At.Start.Line})
}

// probe counts a condition: the rule that has it, or a rule beside another stage,
// which passes the rows for which it is true to nobody.
type probe struct {
	rule   string   // address of the rule; of having, that of the window
	inputs []string // addresses of what it reads
	name   string   // "pipeline.p.rule.r where"
	at     hcl.Range
	having bool // the window counts itself what is held back
}

// heldBack is the counter of windows of which having was false.
const heldBack = "held_back"

// conditions are the arguments that decide about rows, by kind of stage.
func conditions(kind string) []string {
	switch kind {
	case "rule":
		return []string{"where"}
	case "alarm":
		return []string{"when", "clear"}
	case "window":
		return []string{"while"}
	case "anomaly":
		return []string{"suppress"}
	}
	return nil
}

// addProbes puts a probe beside every condition of every stage.
func (w *world) addProbes(c *config.Config) {
	for _, p := range c.Pipelines {
		for _, s := range slices.Clone(p.Stages) {
			body, ok := s.Body.(*hclsyntax.Body)
			if !ok || !s.Enabled {
				continue
			}
			if a := body.Attributes["having"]; a != nil && s.Kind == "window" {
				at := "pipeline." + p.Name + "." + s.Address()
				w.probes = append(w.probes, probe{rule: at, name: at + " having", at: a.Expr.Range(), having: true})
			}
			for _, name := range conditions(s.Kind) {
				if a := body.Attributes[name]; a != nil {
					if s.Kind == "rule" { // what it emits tells how often it was true
						w.measure(p, s, name, a.Expr, s.Address())
					} else {
						w.addProbe(p, s, name, a.Expr)
					}
					w.addChoices(p, s, name, a.Expr)
				}
			}
		}
	}
}

// addChoices probes the conditions of every  a ? b : c  within a condition.
func (w *world) addChoices(p *config.Pipeline, s *config.Block, name string, x hclsyntax.Expression) {
	n := 0
	hclsyntax.VisitAll(x, func(node hclsyntax.Node) hcl.Diagnostics {
		if c, ok := node.(*hclsyntax.ConditionalExpr); ok {
			n++
			w.addProbe(p, s, fmt.Sprintf("%s, choice %d", name, n), c.Condition)
		}
		return nil
	})
}

func (w *world) addProbe(p *config.Pipeline, s *config.Block, name string, x hclsyntax.Expression) {
	own := fmt.Sprintf("%s_probe_%d", ownType, len(w.probes)+1)
	p.Stages = append(p.Stages, &config.Block{Kind: "rule", Name: own, From: s.From, Enabled: true, Range: s.Range,
		Body: &hclsyntax.Body{Attributes: hclsyntax.Attributes{"where": {Name: "where", Expr: x, SrcRange: x.Range(), NameRange: x.Range()}}}})
	w.measure(p, s, name, x, "rule."+own)
}

// measure has what a rule emits counted as the rows for which a condition of s is true.
func (w *world) measure(p *config.Pipeline, s *config.Block, name string, x hclsyntax.Expression, rule string) {
	prefix := "pipeline." + p.Name + "."
	pr := probe{rule: prefix + rule, name: prefix + s.Address() + " " + name, at: x.Range()}
	for _, from := range s.From {
		if from.Kind == "channel" {
			pr.inputs = append(pr.inputs, from.String())
		} else {
			pr.inputs = append(pr.inputs, prefix+from.String())
		}
	}
	w.probes = append(w.probes, pr)
}

// measureBranches tells what the probes have counted.
func (w *world) measureBranches(out *Outcome) {
	for _, p := range w.probes {
		var in int64
		for _, from := range p.inputs {
			in += w.counters[from+" rows"]
		}
		yes := w.counters[p.rule+" rows"]
		if p.having {
			in = yes + w.counters[p.rule+" "+heldBack]
		}
		out.Branches[p.name] = Branch{True: yes, False: max(0, in-yes), At: p.at}
		if strings.Contains(p.rule, ".rule."+ownType) {
			delete(out.Rows, p.rule)
		}
	}
}

// Coverage is what the tests of a folder have reached, all together.
type Coverage struct {
	Stages   map[string]int64  `json:"stages"` // rows emitted, by address
	Branches map[string]Branch `json:"branches"`
}

// Add takes one outcome in.
func (c *Coverage) Add(o *Outcome) {
	if c.Stages == nil {
		c.Stages, c.Branches = map[string]int64{}, map[string]Branch{}
	}
	for address, n := range o.Rows {
		if strings.Contains(address, ".") && !strings.Contains(address, ownType) {
			c.Stages[address] += n
		}
	}
	for name, b := range o.Branches {
		sum := c.Branches[name]
		c.Branches[name] = Branch{sum.True + b.True, sum.False + b.False, b.At}
	}
}

// Report tells how much was reached, and what was not, a line each.
func (c *Coverage) Report() (reached string, missing []string) {
	stages, branches := 0, 0
	for address, n := range c.Stages {
		if n > 0 {
			stages++
		} else {
			missing = append(missing, address+" emitted no row")
		}
	}
	for name, b := range c.Branches {
		where := fmt.Sprintf(" (%s:%d)", b.At.Filename, b.At.Start.Line)
		if b.True > 0 {
			branches++
		} else {
			missing = append(missing, name+" was never true"+where)
		}
		if b.False > 0 {
			branches++
		} else {
			missing = append(missing, name+" was never false"+where)
		}
	}
	sort.Strings(missing)
	return fmt.Sprintf("%d of %d stages and channels, %d of %d branches of conditions", stages, len(c.Stages), branches, 2*len(c.Branches)), missing
}
