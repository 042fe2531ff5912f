package admin

import (
	"testing"

	"github.com/tidemill/tidemill/engine/run"
)

func TestSkews(t *testing.T) {
	got, err := readMetrics(string(skewsOf([]run.Skew{{Channel: "c", Over: "1m", Behind: 2, Ahead: 1}})))
	if err != nil {
		t.Fatal(err)
	}
	for sample, want := range map[string]float64{
		`tidemill_skewed_devices{channel="c",clock="behind",over="1m"}`: 2,
		`tidemill_skewed_devices{channel="c",clock="ahead",over="1m"}`:  1,
	} {
		if got[sample] != want {
			t.Errorf("%s is %v, not %v", sample, got[sample], want)
		}
	}
}
