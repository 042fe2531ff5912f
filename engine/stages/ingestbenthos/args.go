package ingestbenthos

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/benthos"
	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/stage"
)

// Spec is the ingest "benthos".
func Spec() stage.Spec {
	return stage.Spec{
		Kind: "ingest", Type: "benthos",
		Help: "Takes messages from any input of Benthos, and acknowledges them when they are on disk.",
		Args: func() stage.Args { return &args{Inflight: 1024} },
	}
}

type args struct {
	Config   hcl.Expression `hcl:"config" help:"The input, as YAML text or as an object of the same structure."`
	Inflight int            `hcl:"in_flight,optional" help:"Batches of the input that are not on disk yet at most; 1024 when left out."`

	InflightRange hcl.Range `hcl:"in_flight,attr_value_range"`
}

func (a *args) Bind(_ []*arrow.Schema, at stage.At) (stage.Bound, hcl.Diagnostics) {
	text, diags := benthos.Parse(a.Config, at.Eval, benthos.Input)
	if a.Inflight < 1 || a.Inflight > 1<<20 {
		diags = append(diags, config.Errorf(a.InflightRange, "Out of range", "in_flight goes from 1 to 1048576; this is %d.", a.Inflight)...)
	}
	return stage.Bound{Repeats: true, OpenSource: func(op stage.Opening, to stage.SourceEnv) (stage.Source, error) {
		return open(op, to, text, a.Inflight)
	}}, diags
}

var _ stage.Args = (*args)(nil)
