package backtest

import (
	"slices"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine/detect"
)

// TestPrices: each line finds more at the price of more false alerts, an alert in the quiet time of another is none, and
// what is found later for nothing more takes the place of what is found dearer.
func TestPrices(t *testing.T) {
	type peaks map[int]float64
	labels := []Label{{From: 200, To: 240}, {From: 500, To: 540}, {From: 800, To: 840}}
	for name, c := range map[string]struct {
		peaks peaks
		late  int64 // when the last row was, whose score is 4; 0: in its time
		want  []Price
	}{
		"dearer and dearer":                             {peaks{100: 5, 220: 4, 380: 3, 520: 2, 700: 1.5, 820: 1}, 0, []Price{{4, 1, 1}, {2, 2, 2}, {1, 3, 3}}},
		"two for the price":                             {peaks{220: 4, 520: 3, 700: 2.5, 820: 2}, 0, []Price{{3, 2, 0}, {2, 3, 1}}},
		"quiet after a false one":                       {peaks{190: 3, 220: 3.2, 520: 2}, 0, []Price{{3.2, 1, 0}, {2, 1, 1}}[:1]},
		"four digits, rounded so that the row is above": {peaks{220: 2.71828}, 0, []Price{{2.718, 1, 0}}},
		"never found":                                   {peaks{100: 5}, 0, nil},
		"a row that came late":                          {peaks{}, 220, []Price{{4, 1, 0}}},
		"before labels":                                 {peaks{}, 0, nil},
	} {
		s := &Series{Labels: labels}
		raw := make([]float64, 1000)
		for i := range raw {
			s.Times, raw[i] = append(s.Times, int64(i)), c.peaks[i]
		}
		if c.late > 0 {
			s.Times, raw = append(s.Times, c.late), append(raw, 4)
		}
		r := &Report{raw: [][]float64{raw}, Labels: len(labels)}
		got, err := r.prices([]*Series{s}, detect.Config{Kind: "ensemble", Signals: 1, Quiet: 100})
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v (%v), want %v", name, got, err, c.want)
		}
	}
}

// TestPricesHold: at a threshold of the table the detector finds what the table says, and as many false alerts.
func TestPricesHold(t *testing.T) {
	csv, labels := made()
	all, err := ReadCSV(strings.NewReader(csv), Columns{Time: "ts", Key: "device", On: []string{"temp"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ReadLabels(strings.NewReader(labels), "history.csv", all); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"ewma", "robust_zscore", "stuck"} {
		first, err := Run(all, Options{Detectors: []detect.Config{{Kind: kind}}})
		if err != nil || len(first[0].Prices) == 0 {
			t.Fatalf("%s: %v, %v", kind, first, err)
		}
		for _, p := range first[0].Prices {
			second, err := Run(all, Options{Detectors: []detect.Config{{Kind: kind, Threshold: p.Threshold}}})
			if err != nil {
				t.Fatal(err)
			}
			wrong := 0
			for _, a := range second[0].Alerts {
				if a.Label < 0 {
					wrong++
				}
			}
			if second[0].Found != p.Found || wrong != p.False {
				t.Errorf("%s at %g: %d found, %d false; the table says %d and %d", kind, p.Threshold, second[0].Found, wrong, p.Found, p.False)
			}
		}
	}
}
