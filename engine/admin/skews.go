package admin

import "github.com/tidemill/tidemill/engine/run"

// skewsOf is what clocks are off by, as Prometheus reads it: devices counted, since a sample for each of them would be too many.
// /v1/devices has them one by one.
func skewsOf(all []run.Skew) []byte {
	const name = "tidemill_skewed_devices"
	x := &exposition{}
	x.family(name, "gauge", "Devices whose clock is off by more than so long, or whose records are that late, by the median of receive time less event time.")
	for _, s := range all {
		x.sample(name, float64(s.Behind), "channel", s.Channel, "clock", "behind", "over", s.Over)
		x.sample(name, float64(s.Ahead), "channel", s.Channel, "clock", "ahead", "over", s.Over)
	}
	return x.b
}
