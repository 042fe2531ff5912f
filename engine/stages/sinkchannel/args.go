package sinkchannel

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/expr"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
)

// Spec is the sink "channel".
func Spec() stage.Spec {
	return stage.Spec{
		Kind: "sink", Type: "channel",
		Help: "Feeds a channel: its rows can be read by other pipelines, each exactly once.",
		Args: func() stage.Args { return &args{Revisions: "all"} },
	}
}

type args struct {
	Revisions string `hcl:"revisions,optional" help:"all (default), or first: rows that revise an earlier one are left out."`

	RevisionsRange hcl.Range `hcl:"revisions,attr_value_range"`
}

// Bind checks the arguments; see stage.Args. The engine itself does the rest, so that nothing is opened.
func (a *args) Bind(in []*arrow.Schema, at stage.At) (stage.Bound, hcl.Diagnostics) {
	b := stage.Bound{Delivery: stage.Transactional}
	var diags hcl.Diagnostics
	switch a.Revisions {
	case "all":
	case "first":
		b.Revisions = stage.TakesFirst
	default:
		diags = config.Errorf(a.RevisionsRange, "Unknown way with revised rows", "revisions is %q.%s", a.Revisions, stage.Suggest(a.Revisions, []string{"all", "first"}))
	}
	if len(in) == 0 {
		diags = append(diags, config.Errorf(at.Range, "Nothing to feed", "A sink \"channel\" reads at least one stage: from = ...; rejects cannot feed a channel.")...)
	}
	for i, s := range in {
		for _, f := range flow.UserFields(s) {
			if t := f.Type; !flow.KeyType(t) && t.ID() != arrow.LIST || t.ID() == arrow.NULL {
				diags = append(diags, config.Errorf(at.Range, "A column without a type", "%s of %s is a %s, which no channel can hold.", f.Name, at.Inputs[i], expr.TypeName(t))...)
			}
		}
	}
	return b, diags
}
