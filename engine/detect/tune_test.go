package detect

import (
	"cmp"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tidemill/tidemill/engine/detect/nab"
	"github.com/tidemill/tidemill/engine/detect/synth"
)

// heard is what the members of an ensemble said of a series.
type heard struct {
	series synth.Series
	digits [][members]float32
}

// listen asks all members about all series.
func listen(set []synth.Series) []heard {
	out := make([]heard, len(set))
	var wait sync.WaitGroup
	for i, s := range set {
		wait.Go(func() {
			d, err := New(Config{Kind: "ensemble", Signals: 1})
			if err != nil {
				panic(err)
			}
			mem := make([]byte, d.Size())
			d.Init(mem, 1)
			out[i].series = s
			var v Verdict
			for k, x := range s.Values {
				d.Step(mem, s.Times[k], []float64{x}, &v)
				var g [members]float32
				for m := range g {
					if v.Ready {
						g[m] = float32(d.top[m])
					}
				}
				out[i].digits = append(out[i].digits, g)
			}
		})
	}
	wait.Wait()
	return out
}

// judged are the three profiles' results of members joined by weights.
func judged(all []heard, weight [members]float64) (out [3]nab.Result) {
	series := make([]nab.Series, len(all))
	total := 0.0
	for _, w := range weight {
		total += w
	}
	for i, h := range all {
		j := jury{}
		j.init()
		scores := make([]float64, len(h.digits))
		for k := range h.digits {
			sum := 0.0
			for m, w := range weight {
				d := float64(h.digits[k][m])
				sum += w * d * d
			}
			j.rows++
			j.after = min(j.after+1, math.MaxInt32)
			if scores[k] = j.shown(math.Sqrt(sum/total), ensembleFrom, ensembleLoud); scores[k] < ensembleFrom-0.1 {
				scores[k] = math.NaN() // nobody would choose such a threshold, and sorting takes longest
			}
		}
		series[i] = nab.Series{Name: h.series.Name, Scores: scores}
		for _, w := range h.series.Windows {
			series[i].Windows = append(series[i].Windows, nab.Window(w))
		}
	}
	for p, profile := range nab.Profiles() {
		out[p] = nab.Best(series, profile)
	}
	return out
}

func mean3(r [3]nab.Result) float64 { return (r[0].Score + r[1].Score + r[2].Score) / 3 }

// halves parts series by their kinds of signals: every other kind.
func halves(all []heard) (out [2][]heard) {
	kinds := map[string]int{}
	for _, h := range all {
		kind := strings.TrimRight(h.series.Name, " 0123456789")
		if _, ok := kinds[kind]; !ok {
			kinds[kind] = len(kinds) % 2
		}
		out[kinds[kind]] = append(out[kinds[kind]], h)
	}
	return out
}

// found is the mean of the best ten of a hundred random weights: the best one alone fits what it was chosen by.
func found(by []heard) (mean [members]float64) {
	type trial struct {
		weight [members]float64
		score  float64
	}
	trials := make([]trial, 100)
	r := rand.New(rand.NewPCG(1, 9))
	for i := range trials {
		for m := range members {
			if m != byRelation { // one signal has none
				trials[i].weight[m] = []float64{0, 0.5, 1, 2, 4, 8}[r.IntN(6)]
			}
		}
	}
	var wait sync.WaitGroup
	for i := range trials {
		wait.Go(func() { trials[i].score = mean3(judged(by, trials[i].weight)) })
	}
	wait.Wait()
	slices.SortStableFunc(trials, func(a, b trial) int { return cmp.Compare(b.score, a.score) })
	for _, x := range trials[:10] {
		total := 0.0
		for _, w := range x.weight {
			total += w
		}
		for m, w := range x.weight {
			mean[m] += w / total * 2
		}
	}
	return mean
}

// TestTune says what weights of an ensemble are worth on kinds of signals that had no part in their choice: those that are
// shipped, those chosen by one half of the kinds, one voice for every member, and one for every question. TIDEMILL_TUNE=1
// go test ./engine/detect -run TestTune -v -timeout 1h.
func TestTune(t *testing.T) {
	if os.Getenv("TIDEMILL_TUNE") == "" {
		t.Skip("TIDEMILL_TUNE=1 chooses the weights of the ensemble anew; that takes minutes")
	}
	tuning, other := halves(listen(synth.Corpus(1))), halves(listen(synth.Corpus(2)))
	shipped := weights()
	shipped[byRelation] = 0
	var equal [members]float64
	for m := range members {
		equal[m] = 1
	}
	questions := equal
	questions[byLevel], questions[byHalfSpace], questions[byEWMA], questions[byRate] = 0.5, 0.5, 0.5, 0.5
	for half := range 2 {
		for _, c := range []struct {
			name   string
			weight [members]float64
		}{{"shipped", shipped}, {"found", found(tuning[half])}, {"equal", equal}, {"questions", questions}} {
			c.weight[byRelation] = 0
			a, b := judged(tuning[half], c.weight), judged(other[1-half], c.weight)
			t.Logf("%-9s %.1f", c.name, c.weight)
			for p, profile := range nab.Profiles() {
				t.Logf("  %-8s these kinds %5.1f at %.2f, the others %5.1f at %.2f, %d of %d found, %d false", profile.Name,
					a[p].Score, a[p].Threshold, b[p].Score, b[p].Threshold, b[p].Found, b[p].Found+b[p].Gone, b[p].False)
			}
		}
	}
}
