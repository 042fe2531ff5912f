package backtest

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"

	"github.com/tidemill/tidemill/engine/detect"
)

// Price is what a threshold finds on the history, and at how many false alerts.
type Price struct {
	Threshold    float64 // of four digits
	Found, False int     // labels with an alert; alerts outside of all labels
}

// mostTried is how many thresholds are tried: each is a pass over all scores.
const mostTried = 24

// prices are the thresholds that are worth considering, the highest first: each finds more labels than the one before it,
// and none that finds as many has fewer false alerts. A label is found from the highest of its scores downwards, unless an
// alert before it keeps it quiet, so these scores are what is tried.
func (r *Report) prices(all []*Series, c detect.Config) ([]Price, error) {
	var tops []float64
	for n, s := range all {
		best := make([]float64, len(s.Labels))
		for i, at := range s.Times {
			if l := s.label(at); l >= 0 && r.raw[n][i] > best[l] { // never of NaN
				best[l] = r.raw[n][i]
			}
		}
		for _, top := range best {
			if top > 0 {
				tops = append(tops, -fourDigits(-top))
			}
		}
	}
	slices.Sort(tops)
	tops = few(slices.Compact(tops), mostTried)
	var out []Price
	for _, threshold := range tops {
		p, err := r.price(all, c, threshold)
		if err != nil {
			return nil, err
		}
		// From low to high: what finds less must be cheaper, what finds as much takes the place if it is.
		for len(out) > 0 && p.Found >= out[len(out)-1].Found && p.False <= out[len(out)-1].False {
			out = out[:len(out)-1]
		}
		if p.Found > 0 && (len(out) == 0 || p.Found < out[len(out)-1].Found && p.False < out[len(out)-1].False) {
			out = append(out, p)
		}
	}
	slices.Reverse(out)
	return out, nil
}

// few leaves so many of a list, the first and the last among them.
func few[T any](x []T, most int) []T {
	if len(x) <= most {
		return x
	}
	out := make([]T, most)
	for i := range out {
		out[i] = x[i*(len(x)-1)/(most-1)]
	}
	return out
}

// price counts what a threshold finds.
func (r *Report) price(all []*Series, c detect.Config, threshold float64) (Price, error) {
	p := Price{Threshold: threshold}
	c.Threshold, c.PerWeek = threshold, 0
	d, err := detect.New(c)
	if err != nil {
		return p, err
	}
	for n, s := range all {
		found := map[int]bool{}
		for _, row := range d.Alerts(r.raw[n]) {
			if l := s.label(s.Times[row]); l >= 0 {
				found[l] = true
			} else {
				p.False++
			}
		}
		p.Found += len(found)
	}
	return p, nil
}

// mostLines is how many thresholds a person is shown.
const mostLines = 6

// priced is a table of what finding more costs, where there is a choice.
func priced(b *strings.Builder, r *Report) {
	if len(r.Prices) == 0 {
		return
	}
	fmt.Fprintf(b, "What %s would have found here at other thresholds:\n", r.Config.Kind)
	for _, p := range few(r.Prices, mostLines) {
		fmt.Fprintf(b, "  %-6.4g  %d of %d, and %d alerts outside of all labels\n", p.Threshold, p.Found, r.Labels, p.False)
	}
	b.WriteByte('\n')
}

// threshold is the lowest of all scores at which this detector raises no more than so many alerts (but one), and how many it
// raises there.
func (r *Report) threshold(most float64, c detect.Config) (least float64, alerts int, err error) {
	var sorted []float64
	for _, s := range r.raw {
		for _, score := range s {
			if score > 0 {
				sorted = append(sorted, fourDigits(score))
			}
		}
	}
	slices.Sort(sorted)
	sorted = slices.Compact(sorted)
	count := func(threshold float64) (n int) {
		c.Threshold = threshold
		d, failed := detect.New(c)
		if failed != nil {
			err = failed
			return 0
		}
		for _, s := range r.raw {
			n += len(d.Alerts(s))
		}
		return n
	}
	if len(sorted) == 0 {
		return 0, 0, nil
	}
	i := sort.Search(len(sorted)-1, func(i int) bool { return float64(count(sorted[i])) <= math.Max(most, 1) })
	return sorted[i], count(sorted[i]), err
}

// fourDigits rounds up to four digits, as numbers are printed.
func fourDigits(x float64) float64 {
	shift := math.Pow10(3 - int(math.Floor(math.Log10(math.Abs(x)))))
	return math.Ceil(x*shift) / shift
}
