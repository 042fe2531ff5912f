package run_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/state"
)

// keyedSinks are those of stages by keys that write a file each.
const keyedSinks = `  sink "file" "alarms" {
    from = alarm.hot
    path = "/out/alarms.ndjson"
  }
  sink "file" "scores" {
    from = anomaly.odd
    path = "/out/scores.ndjson"
  }
  sink "file" "views" {
    from = join.view
    path = "/out/views.ndjson"
  }
`

// crowded has stages that hold a key for every label. Only the view's limit can be written as low as the test wants it.
const crowded = `channel "c" {
  partitions = 1
  key    = device
  time   = ts
  schema = { device = string, label = string, ts = timestamp, temp = number, hot = bool }
}
ingest "file" "a" {
  to   = channel.c
  path = "/in/*.ndjson"
}
pipeline "p" {
  from = channel.c
  rule "all" { where = temp > 0 }
  alarm "hot" {
    from = channel.c
    by   = [label]
    when = temp > 5
  }
  anomaly "ewma" "odd" {
    from = channel.c
    by   = [label]
    on   = [temp]
  }
  window "tumbling" "hours" {
    from  = channel.c
    by    = [label]
    every = "1h"
    emit  = { n = count() }
  }
  window "state" "runs" {
    from  = channel.c
    by    = [label]
    while = hot
    emit  = { n = count() }
  }
  window "session" "sessions" {
    from = channel.c
    by   = [label]
    gap  = "5m"
    emit = { n = count() }
  }
  join "latest" "view" {
    from     = [rule.all, channel.c]
    by       = [label]
    take     = { was = temp }
    max_keys = 3
  }
  sink "file" "windows" {
    from = [window.hours, window.runs, window.sessions]
    path = "/out/windows.ndjson"
  }
` + keyedSinks + `}
`

// TestManyKeys: of eight labels each stage has room for three, which are the first ones, and the rows of the others are rejects: in one run, and in
// one that crashes after every round, and in which those that have found no room come again to tables that were full when they were kept.
func TestManyKeys(t *testing.T) {
	outputs := []string{"/out/alarms.ndjson", "/out/scores.ndjson", "/out/windows.ndjson", "/out/views.ndjson", "/data/rejects/p.ndjson"}
	play := func(crashes bool) map[string][]string {
		l := newLab(t)
		l.room = 3
		for round := range crowdedRounds {
			l.write(fmt.Sprintf("/in/%d.ndjson", round), crowdedRows(round))
			if crashes {
				l.open(crowded, false)
				l.settle()
				l.machine.Crash(uint64(round))
			}
		}
		e := l.open(crowded, true)
		l.steps(e.Done)
		l.close()
		got := map[string][]string{}
		for _, name := range outputs {
			got[name] = l.lines(name)
		}
		return got
	}
	want := play(false)
	checkCrowded(t, want)
	got := play(true)
	for _, name := range outputs[:4] {
		if !slices.Equal(got[name], want[name]) {
			t.Errorf("%s: %d rows with crashes, %d without, or others:\n%s\nwant\n%s", name, len(got[name]), len(want[name]), head(got[name]), head(want[name]))
		}
	}
	if n := len(got[outputs[4]]); n != len(want[outputs[4]]) {
		t.Errorf("%d rejects with crashes, %d without", n, len(want[outputs[4]]))
	}
}

// checkCrowded looks at what came out of a run with room for three labels.
func checkCrowded(t *testing.T, out map[string][]string) {
	t.Helper()
	for _, name := range []string{"alarms", "scores", "windows"} {
		for _, row := range out["/out/"+name+".ndjson"] {
			if !slices.ContainsFunc([]string{"n0", "n1", "n2"}, func(label string) bool { return strings.Contains(row, `"`+label+`"`) }) {
				t.Errorf("%s of a key that has found no room: %s", name, row)
			}
		}
	}
	if n := len(out["/out/alarms.ndjson"]); n != 3*crowdedRounds {
		t.Errorf("%d alarms are raised or cleared, want one for each row", n)
	}
	if n := len(out["/out/scores.ndjson"]); n != 3*crowdedRounds {
		t.Errorf("%d rows are judged", n)
	}
	if n := counted(t, out["/out/windows.ndjson"]); n != 3*(2*crowdedRounds+3) {
		t.Errorf("%d rows are in windows of three kinds", n)
	}
	if n := len(out["/out/views.ndjson"]); n != 8*crowdedRounds {
		t.Errorf("%d rows have met the view, which refuses its own side alone", n)
	}
	stages := map[string]int{}
	for _, r := range out["/data/rejects/p.ndjson"] {
		if !strings.Contains(r, "too many keys: ") {
			t.Errorf("a reject: %s", r)
		}
		for _, name := range []string{"alarm.hot", "anomaly.odd", "window.hours", "window.runs", "window.sessions", "join.view"} {
			if strings.Contains(r, name+`"`) {
				stages[name]++
			}
		}
	}
	for name, n := range stages {
		if n != 5*crowdedRounds {
			t.Errorf("%s has refused %d rows", name, n)
		}
	}
	if len(stages) != 6 {
		t.Errorf("these have refused rows: %v", stages)
	}
}

const crowdedRounds = 5

// crowdedRows is a round: a row of each of eight labels, hot in every other round.
func crowdedRows(round int) string {
	var b strings.Builder
	for i := range 8 {
		temp := 9 - 8*(round%2)
		fmt.Fprintf(&b, `{"device":"d","label":"n%d","ts":"2025-06-01T00:%02d:%02dZ","temp":%d,"hot":%t}`+"\n", i, round, i, temp, temp > 5)
	}
	return b.String()
}

// roomFor makes the tables of the stages built in have room for so many keys where they would have it for as many as usual.
type roomFor struct {
	Body hcl.Body `hcl:",remain"`
	of   stage.Args
	keys int
}

func (r *roomFor) Bind(in []*arrow.Schema, at stage.At) (stage.Bound, hcl.Diagnostics) {
	if diags := config.DecodeBody(r.Body, r.of, at.Eval); diags.HasErrors() {
		return stage.Bound{}, diags
	}
	b, diags := r.of.Bind(in, at)
	for i := range b.State {
		if d := &b.State[i]; d.MaxKeys == state.DefaultMaxKeys {
			d.MaxKeys = r.keys
		}
	}
	return b, diags
}
