package stages

import (
	"slices"

	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/stages/alarm"
	"github.com/tidemill/tidemill/engine/stages/anomaly"
	"github.com/tidemill/tidemill/engine/stages/dedupe"
	"github.com/tidemill/tidemill/engine/stages/enrich"
	"github.com/tidemill/tidemill/engine/stages/ingestbenthos"
	"github.com/tidemill/tidemill/engine/stages/ingestfile"
	"github.com/tidemill/tidemill/engine/stages/ingesthttp"
	"github.com/tidemill/tidemill/engine/stages/ingestmqtt"
	"github.com/tidemill/tidemill/engine/stages/join"
	"github.com/tidemill/tidemill/engine/stages/order"
	"github.com/tidemill/tidemill/engine/stages/rule"
	"github.com/tidemill/tidemill/engine/stages/sinkbenthos"
	"github.com/tidemill/tidemill/engine/stages/sinkchannel"
	"github.com/tidemill/tidemill/engine/stages/sinkfile"
	"github.com/tidemill/tidemill/engine/stages/sinkhttp"
	"github.com/tidemill/tidemill/engine/stages/sinkinfluxdb"
	"github.com/tidemill/tidemill/engine/stages/sinkmqtt"
	"github.com/tidemill/tidemill/engine/stages/sinkparquet"
	"github.com/tidemill/tidemill/engine/stages/transformwasm"
	"github.com/tidemill/tidemill/engine/stages/window"
)

// Builtin returns the stages that are built in, sorted by kind and type.
func Builtin() []stage.Spec {
	decodeWasm, transformWasm := transformwasm.Specs()
	return slices.Concat([]stage.Spec{alarm.Spec()}, anomaly.Specs(), []stage.Spec{
		decodeWasm,
		dedupe.Spec(),
		enrich.File(),
		enrich.HTTP(),
		ingestbenthos.Spec(),
		ingestfile.Spec(),
		ingestmqtt.Spec(),
		ingesthttp.Spec(),
		join.Interval(),
		join.Latest(),
		order.Spec(),
		rule.Spec(),
		sinkbenthos.Spec(),
		sinkchannel.Spec(),
		sinkfile.File(),
		sinkhttp.Spec(),
		sinkinfluxdb.Spec(),
		sinkparquet.Spec(),
		sinkmqtt.Spec(),
		sinkfile.Stdout(),
		transformWasm,
		window.Count(),
		window.Session(),
		window.Sliding(),
		window.State(),
		window.Tumbling(),
	})
}
