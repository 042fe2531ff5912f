package backtest

import (
	"math"
	"slices"
	"sort"
	"time"

	"github.com/tidemill/tidemill/engine/detect"
	"github.com/tidemill/tidemill/engine/detect/nab"
)

// Options of a run.
type Options struct {
	Detectors []detect.Config // Signals is filled in
	CPU       func() time.Duration
	Progress  func(detector string, done, all int) // rows; may be nil
	PerWeek   float64                              // wanted alerts a week and key, for the proposal
}

// Alert is a row that a detector would have woken somebody for.
type Alert struct {
	Series, Row int
	Score       float64 // before it is cut in the quiet time after another (detect.Verdict.Raw): what was held against the threshold
	Label       int     // index in the series' labels; -1: none
}

// Report is what one detector did.
type Report struct {
	Config     detect.Config
	Scores     [][]float64 // a series each
	Expected   [][]float64 // of the first signal
	Lower      [][]float64
	Upper      [][]float64
	Alerts     []Alert       // at the detector's own threshold
	Found      int           // labels with an alert
	Labels     int           // labels there are
	Early      time.Duration // median time from a label's first alert to its end
	PerWeek    float64       // alerts a week and key
	Bench      [3]nab.Result // at the best threshold of each profile
	Shipped    nab.Result    // of the alerts as they came, standard profile
	Prices     []Price       // of other thresholds, the highest first; none without labels
	Threshold  float64       // the detector's own; 0 where it moves
	Own        float64       // threshold that gives the wanted rate, of four digits
	OwnAlerts  int           // alerts at that threshold
	OwnPerWeek float64       // the same a week and key
	ModelBytes int
	PerRow     time.Duration // CPU; 0 when not measured
	Rows       int

	raw [][]float64 // a series each: detect.Verdict.Raw; NaN where a row was not judged
}

// Run replays all series through each detector. Deterministic.
func Run(all []*Series, o Options) ([]*Report, error) {
	var out []*Report
	for _, c := range o.Detectors {
		c.Signals = len(all[0].Values[0])
		r, err := try(all, c, o)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

func try(all []*Series, c detect.Config, o Options) (*Report, error) {
	d, err := detect.New(c)
	if err != nil {
		return nil, err
	}
	r := &Report{Config: c, Threshold: d.Threshold(), ModelBytes: d.Size()}
	total, weeks := 0, weeks(all)
	for _, s := range all {
		total += len(s.Times)
		r.Labels += len(s.Labels)
	}
	var began time.Duration
	if o.CPU != nil {
		began = o.CPU()
	}
	for n, s := range all {
		r.replay(d, n, s, func() {
			if r.Rows++; o.Progress != nil && r.Rows%1000 == 0 {
				o.Progress(c.Kind, r.Rows, total)
			}
		})
	}
	if o.CPU != nil && r.Rows > 0 {
		r.PerRow = (o.CPU() - began) / time.Duration(r.Rows)
	}
	if weeks > 0 {
		r.PerWeek = float64(len(r.Alerts)) / weeks
	}
	r.judge(all)
	if r.Labels > 0 {
		if r.Prices, err = r.prices(all, c); err != nil {
			return nil, err
		}
	}
	if o.PerWeek > 0 {
		c.PerWeek = 0
		if r.Own, r.OwnAlerts, err = r.threshold(o.PerWeek*weeks, c); err != nil {
			return nil, err
		}
		r.OwnPerWeek = float64(r.OwnAlerts) / weeks
	}
	return r, nil
}

const week = 7 * 24 * 3600e6

func (r *Report) replay(d *detect.Detector, n int, s *Series, tick func()) {
	mem := make([]byte, d.Size())
	d.Init(mem, s.Seed)
	rows := len(s.Times)
	score, expected, lower, upper := make([]float64, rows), make([]float64, rows), make([]float64, rows), make([]float64, rows)
	raw := make([]float64, rows)
	var v detect.Verdict
	for i, at := range s.Times {
		d.Step(mem, at, s.Values[i], &v)
		if raw[i] = v.Raw; !v.Ready {
			raw[i] = math.NaN()
		}
		score[i], expected[i], lower[i], upper[i] = v.Score, v.Expected[0], v.Lower[0], v.Upper[0]
		if v.Grade > 0 {
			r.Alerts = append(r.Alerts, Alert{Series: n, Row: i, Score: v.Raw, Label: s.label(at)})
		}
		tick()
	}
	r.Scores, r.raw = append(r.Scores, score), append(r.raw, raw)
	r.Expected, r.Lower, r.Upper = append(r.Expected, expected), append(r.Lower, lower), append(r.Upper, upper)
}

// label is the index of the label that a time is in; -1: none.
func (s *Series) label(at int64) int {
	for i, l := range s.Labels {
		if at >= l.From && at <= l.To {
			return i
		}
	}
	return -1
}

// judge compares alerts and scores with the labels.
func (r *Report) judge(all []*Series) {
	type place struct{ series, label int }
	first := map[place]time.Duration{}
	for _, a := range r.Alerts {
		p := place{a.Series, a.Label}
		if _, had := first[p]; !had && a.Label >= 0 {
			s := all[a.Series]
			first[p] = time.Duration(s.Labels[a.Label].To-s.Times[a.Row]) * time.Microsecond
		}
	}
	r.Found = len(first)
	var early []time.Duration
	for _, e := range first {
		early = append(early, e)
	}
	if len(early) > 0 {
		slices.Sort(early)
		r.Early = early[len(early)/2]
	}
	if r.Labels == 0 {
		return
	}
	var series []nab.Series
	for i, s := range all {
		series = append(series, nab.Series{Name: s.Key, Scores: r.Scores[i], Windows: s.windows()})
	}
	for i, p := range nab.Profiles() {
		r.Bench[i] = nab.Best(series, p)
	}
	for i := range series {
		series[i].Scores = make([]float64, len(r.Scores[i]))
	}
	for _, a := range r.Alerts {
		series[a.Series].Scores[a.Row] = 1
	}
	r.Shipped = nab.At(series, nab.Profiles()[0], 1)
}

// windows are the labels as rows.
func (s *Series) windows() []nab.Window {
	var out []nab.Window
	for _, l := range s.Labels {
		first := sort.Search(len(s.Times), func(i int) bool { return s.Times[i] >= l.From })
		last := sort.Search(len(s.Times), func(i int) bool { return s.Times[i] > l.To }) - 1
		if n := len(out); n > 0 && first <= out[n-1].Last {
			first = out[n-1].Last + 1
		}
		if first <= last {
			out = append(out, nab.Window{First: first, Last: last})
		}
	}
	return out
}

// Precision is the part of the alerts that are in labels; NaN without alerts.
func (r *Report) Precision() float64 {
	right := 0
	for _, a := range r.Alerts {
		if a.Label >= 0 {
			right++
		}
	}
	return float64(right) / float64(len(r.Alerts))
}

// Recall is the part of the labels that were found; NaN without labels.
func (r *Report) Recall() float64 { return float64(r.Found) / float64(r.Labels) }
