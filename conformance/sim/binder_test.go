package sim

import (
	"errors"
	"regexp"
	"slices"
	"strconv"

	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/stages/alarm"
	"github.com/tidemill/tidemill/engine/stages/anomaly"
	"github.com/tidemill/tidemill/engine/stages/dedupe"
	"github.com/tidemill/tidemill/engine/stages/ingestfile"
	"github.com/tidemill/tidemill/engine/stages/join"
	"github.com/tidemill/tidemill/engine/stages/order"
	"github.com/tidemill/tidemill/engine/stages/rule"
	"github.com/tidemill/tidemill/engine/stages/sinkchannel"
	"github.com/tidemill/tidemill/engine/stages/sinkfile"
	"github.com/tidemill/tidemill/engine/stages/window"
)

// binder binds configurations for worlds that come one after another. Binding cost more than all else that a seed did, so
// a life goes over the plans of those before it, of which there are two of each text: a swap needs another than the one
// that runs. A stage that kept anything beside its tables would have it from another life, and give itself away.
type binder struct {
	far   farSite
	specs []stage.Spec
	bound map[string][]*plan.Plan // by the text of the configuration, but for queueRows
}

// queueRows is the one thing in a scenario's configuration that is drawn and that no plan depends on.
var queueRows = regexp.MustCompile(`queue_rows = (\d+)`)

// alike is a configuration's text as all have it that are bound as it is.
func alike(text string) string { return queueRows.ReplaceAllString(text, "queue_rows = 1") }

func newBinder() *binder {
	b := &binder{bound: map[string][]*plan.Plan{}}
	b.specs = append(builtin(), b.far.spec(), dripSpec())
	return b
}

// builtin are the stages that a simulated machine can have: clients of other systems have nothing there to speak to,
// and take longer to compile, once more for the race detector, than all seeds take there.
func builtin() []stage.Spec {
	return slices.Concat([]stage.Spec{alarm.Spec()}, anomaly.Specs(), []stage.Spec{
		dedupe.Spec(),
		ingestfile.Spec(),
		join.Interval(), join.Latest(),
		order.Spec(),
		rule.Spec(),
		sinkchannel.Spec(), sinkfile.File(), sinkfile.Stdout(),
		window.Count(), window.Session(), window.Sliding(), window.State(), window.Tumbling(),
	})
}

// again says that nothing runs of what was planned.
func (b *binder) again() {
	for _, plans := range b.bound {
		for _, p := range plans {
			p.Again()
		}
	}
}

// plan gives a plan of a configuration that is not the one that runs.
func (b *binder) plan(text string, runs *plan.Plan) (*plan.Plan, error) {
	p, err := b.other(alike(text), runs)
	if m := queueRows.FindStringSubmatch(text); err == nil && m != nil {
		p.Config.Engine.QueueRows, err = strconv.Atoi(m[1])
	}
	return p, err
}

func (b *binder) other(text string, runs *plan.Plan) (*plan.Plan, error) {
	have := b.bound[text]
	for _, p := range have {
		if p != runs {
			return p, nil
		}
	}
	var c *config.Config
	var diags hcl.Diagnostics
	if len(have) > 0 {
		c = have[0].Config
	} else if c, diags = config.Load(holding(text), "/", config.Options{}); diags.HasErrors() {
		return nil, errors.Join(diags.Errs()...)
	}
	p, diags := plan.Build(c, b.specs, nil)
	if diags.HasErrors() {
		return nil, errors.Join(diags.Errs()...)
	}
	p.Again()
	b.bound[text] = append(have, p)
	return p, nil
}

// holding is a machine with a configuration and nothing else.
func holding(text string) *env.Env {
	w := world{machine: env.NewSim(1)}
	w.write("/p.hcl", []byte(text))
	return w.machine.Env()
}
