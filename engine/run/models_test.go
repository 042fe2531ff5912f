package run_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine/run"
)

// watched is a configuration with two detectors, a model a device.
func watched(partitions int, threshold float64, other string) string {
	return fmt.Sprintf(`
channel "c" {
  key        = device
  time       = ts
  partitions = %d
  schema     = { device = string, ts = timestamp, temp = number, duty = number }
}
ingest "file" "in" {
  to   = channel.c
  path = "/in/*.ndjson"
  follow = true
}
pipeline "p" {
  from = channel.c
  anomaly "ensemble" "all" {
    on        = [temp, duty]
    trees     = 6
    samples   = 64
    warm_up   = 50
    threshold = %g
  }
  anomaly "rcf" "forest" {
    on      = [temp]
    trees   = 10
    samples = 64
    shingle = 4
    warm_up = 50
    threshold = %g
  }
  rule "other" {
    where = %s
  }
  sink "file" "all" {
    from = anomaly.all
    path = "/out/all.ndjson"
  }
  sink "file" "forest" {
    from = anomaly.forest
    path = "/out/forest.ndjson"
  }
  sink "file" "other" {
    from = rule.other
    path = "/out/other.ndjson"
  }
}
`, partitions, threshold, threshold, other)
}

// signals are rows of five devices, as lines.
func signals(from, to int) string {
	var b strings.Builder
	noise := uint64(9)
	for i := range to {
		for d := range 5 {
			noise = noise*6364136223846793005 + 1442695040888963407
			x := math.Sin(float64(i+40*d)/20) + float64(noise>>40)/(1<<24)
			if i%171 == 100+d {
				x += 4
			}
			if i >= from {
				fmt.Fprintf(&b, "{\"device\":\"d%d\",\"ts\":%d,\"temp\":%.4f,\"duty\":%.4f}\n", d, 1_700_000_000_000+int64(i)*60_000, x, 2*x+float64(noise>>50)/(1<<14))
			}
		}
	}
	return b.String()
}

const signalRows = 400

// scoresOf keeps of each row what models say: not the grade, which a threshold decides.
func scoresOf(l *lab) []string {
	var out []string
	for _, name := range []string{"/out/all.ndjson", "/out/forest.ndjson"} {
		for _, line := range l.lines(name) {
			before, rest, _ := strings.Cut(line, `,"grade":`)
			_, after, _ := strings.Cut(rest, ",")
			out = append(out, name+before+","+after)
		}
	}
	slices.Sort(out)
	return out
}

// TestModels: what models say is the same, bit for bit, after a crash, a swap of an unrelated stage and of the
// threshold, over another number of partitions, and with labels, as it is undisturbed.
func TestModels(t *testing.T) {
	half := signalRows / 2
	play := func(partitions int, between func(l *lab, e *run.Engine) *run.Engine) []string {
		l := newLab(t)
		l.write("/in/1.ndjson", signals(0, half))
		text := watched(partitions, 1.5, "temp > 0")
		e := l.open(text, false)
		l.steps(func() bool { return l.totals().Rows >= int64(4*half) })
		if between != nil {
			e = between(l, e)
		}
		l.write("/in/2.ndjson", signals(half, signalRows))
		turn := 0
		l.steps(func() bool {
			turn++ // files are long to read
			return turn%100 == 0 && len(l.lines("/out/all.ndjson")) >= 5*signalRows && len(l.lines("/out/forest.ndjson")) >= 5*signalRows
		})
		_ = e
		l.close()
		return scoresOf(l)
	}
	want := play(4, nil)
	if len(want) != 2*5*signalRows || !strings.Contains(strings.Join(want, "\n"), `"score":2.`) {
		t.Fatalf("%d rows, such as\n%s", len(want), strings.Join(want[:3], "\n"))
	}
	swap := func(text string) func(l *lab, e *run.Engine) *run.Engine {
		return func(l *lab, e *run.Engine) *run.Engine {
			l.must(l.swap(text))
			return e
		}
	}
	for _, c := range []struct {
		name       string
		partitions int
		between    func(l *lab, e *run.Engine) *run.Engine
	}{
		{"crash", 4, func(l *lab, _ *run.Engine) *run.Engine {
			l.settle()
			l.machine.Crash(3)
			return l.open(watched(4, 1.5, "temp > 0"), false)
		}},
		{"another stage", 4, swap(watched(4, 1.5, "temp > 1"))},
		{"threshold", 4, swap(watched(4, 3, "temp > 0"))},
		{"repartitioned", 7, nil},
		{"labels", 4, func(l *lab, e *run.Engine) *run.Engine {
			l.must(e.Feedback(run.Feedback{Stage: "anomaly.all", Key: []string{"d1"}, Label: "fault"}))
			return e
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := play(c.partitions, c.between)
			if !slices.Equal(got, want) {
				t.Errorf("%d rows, %d undisturbed", len(got), len(want))
				for i := range min(len(got), len(want)) {
					if got[i] != want[i] {
						t.Fatalf("got\n%s\nwant\n%s", got[i], want[i])
					}
				}
			}
		})
	}
}
