package detect

import (
	"cmp"
	"math"
	"math/rand/v2"
	"os"
	"slices"
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
			scores[k] = j.shown(math.Sqrt(sum/total), ensembleLoud)
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

// TestTune chooses an ensemble's weights on one made corpus and says what they are worth on another, beside
// those that are shipped: TIDEMILL_TUNE=1 go test ./engine/detect -run TestTune -v -timeout 1h. The
// choice is the mean of the best ten of a hundred random ones: the best one alone fits its corpus.
func TestTune(t *testing.T) {
	if os.Getenv("TIDEMILL_TUNE") == "" {
		t.Skip("TIDEMILL_TUNE=1 chooses the weights of the ensemble anew; that takes minutes")
	}
	tuning, other := listen(synth.Corpus(1)), listen(synth.Corpus(2))
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
		trials[i].score = mean3(judged(tuning, trials[i].weight))
	}
	slices.SortStableFunc(trials, func(a, b trial) int { return cmp.Compare(b.score, a.score) })
	var found [members]float64
	for _, x := range trials[:10] {
		total := 0.0
		for _, w := range x.weight {
			total += w
		}
		for m, w := range x.weight {
			found[m] += w / total * 2
		}
	}
	shipped := weights()
	shipped[byRelation] = 0
	for _, c := range []struct {
		name   string
		weight [members]float64
	}{{"shipped", shipped}, {"found", found}} {
		a, b := judged(tuning, c.weight), judged(other, c.weight)
		t.Logf("%-8s %.1f", c.name, c.weight)
		for p, profile := range nab.Profiles() {
			t.Logf("  %-8s tuning %5.1f at %.2f, held out %5.1f at %.2f, %d of %d found, %d false", profile.Name,
				a[p].Score, a[p].Threshold, b[p].Score, b[p].Threshold, b[p].Found, b[p].Found+b[p].Gone, b[p].False)
		}
	}
}
