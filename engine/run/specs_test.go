package run_test

import (
	"slices"

	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/stages/alarm"
	"github.com/tidemill/tidemill/engine/stages/anomaly"
	"github.com/tidemill/tidemill/engine/stages/ingestfile"
	"github.com/tidemill/tidemill/engine/stages/ingesthttp"
	"github.com/tidemill/tidemill/engine/stages/join"
	"github.com/tidemill/tidemill/engine/stages/rule"
	"github.com/tidemill/tidemill/engine/stages/sinkchannel"
	"github.com/tidemill/tidemill/engine/stages/sinkfile"
	"github.com/tidemill/tidemill/engine/stages/sinkhttp"
	"github.com/tidemill/tidemill/engine/stages/window"
)

// builtin are the stages that these tests use. All that are built in would bring what other systems' clients
// are made of, which takes longer to compile, once more for the race detector, than the tests take.
func builtin() []stage.Spec {
	return slices.Concat([]stage.Spec{alarm.Spec()}, anomaly.Specs(), []stage.Spec{
		ingestfile.Spec(), ingesthttp.Spec(),
		join.Interval(), join.Latest(),
		rule.Spec(),
		sinkchannel.Spec(), sinkfile.File(), sinkfile.Stdout(), sinkhttp.Spec(),
		window.Count(), window.Session(), window.Sliding(), window.State(), window.Tumbling(),
	})
}
