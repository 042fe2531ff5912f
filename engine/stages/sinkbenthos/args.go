package sinkbenthos

import (
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/benthos"
	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/stage"
)

// Spec is the sink "benthos".
func Spec() stage.Spec {
	return stage.Spec{
		Kind: "sink", Type: "benthos",
		Help: "Hands rows to any output of Benthos, until it has taken them.",
		Args: func() stage.Args { return &args{Timeout: "10s"} },
	}
}

type args struct {
	Config  hcl.Expression  `hcl:"config" help:"The output, as YAML text or as an object of the same structure."`
	Body    hcl.Expression  `hcl:"body,optional" help:"An object of expressions, or a text, a row; the row as JSON when left out."`
	Timeout config.Duration `hcl:"timeout,optional" help:"After how long it is told that the output has not confirmed a batch, 10s when left out."`
	Meta    bool            `hcl:"meta,optional" help:"Also send the metadata columns _offset, _index, _received, _time, _slot and _mark."`

	TimeoutRange hcl.Range `hcl:"timeout,attr_value_range"`
	MetaRange    hcl.Range `hcl:"meta,attr_value_range"`
}

func (a *args) Bind(in []*arrow.Schema, at stage.At) (stage.Bound, hcl.Diagnostics) {
	text, diags := benthos.Parse(a.Config, at.Eval, benthos.Output)
	timeout := a.Timeout.Length()
	if timeout < 100*time.Millisecond || timeout > time.Hour {
		diags = append(diags, config.Errorf(a.TimeoutRange, "Out of range", "timeout goes from 100ms to 1h.")...)
	}
	if a.Meta && !config.Absent(a.Body) {
		diags = append(diags, config.Errorf(a.MetaRange, "meta beside body", "body says what is sent. Name the columns there, as in { offset = _offset }, and leave meta out.")...)
	}
	bodies, reads, more := stage.BindBodies(a.Body, "body", in, at, a.Meta)
	return stage.Bound{
		Delivery: stage.AtLeastOnce, Reads: reads,
		OpenSink: func(op stage.Opening) (stage.Sink, error) { return open(op, text, bodies, timeout) },
	}, config.Sort(append(diags, more...))
}

var _ stage.Args = (*args)(nil)
