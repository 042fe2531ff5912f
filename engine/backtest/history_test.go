package backtest

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/detect"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/run"
	"github.com/tidemill/tidemill/engine/stages"
)

const fleet = `
channel "fleet" {
  key    = device
  time   = ts
  schema = { device = string, ts = timestamp, temp = number }
}
ingest "file" "fleet" {
  to   = channel.fleet
  path = "fleet.csv"
}
pipeline "fleet" {
  from = channel.fleet
  window "tumbling" "ten" {
    by    = [device]
    every = "10m"
    emit  = { avg = avg(temp), n = count() }
  }
  anomaly "ewma" "odd" {
    from      = window.ten
    by        = [device]
    on        = [avg]
    threshold = 4
  }
  sink "file" "odd" {
    from = anomaly.odd
    path = "${var.out}/odd.ndjson"
  }
}
variable "out" { default = "unused" }
`

// TestHistory: what a backtest gets of a folder, from its files as from its journal, are the
// rows that the stage judged, with the scores that it gave; and a backtest gives the same.
func TestHistory(t *testing.T) {
	dir, e := t.TempDir(), env.Real()
	csv, _ := made()
	for name, text := range map[string]string{"fleet.hcl": fleet, "fleet.csv": csv} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(dir, "out")
	c, diags := config.Load(e, dir, config.Options{Vars: map[string]string{"out": out}})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	data := filepath.Join(dir, "data")
	history := func() *Watched {
		t.Helper()
		all, diags, err := History(context.Background(), c, Past{Env: e, Data: data, Scratch: t.TempDir()})
		if err != nil || diags.HasErrors() || len(all) != 1 {
			t.Fatal(all, diags, err)
		}
		return all[0]
	}
	files := history()
	p, diags := plan.Build(c, stages.Builtin(), nil)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	engine, err := run.Open(p, run.Options{Env: e, Data: data, Specs: stages.Builtin(), StopAtEnd: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := engine.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := engine.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(out, "odd.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "fleet.csv")); err != nil {
		t.Fatal(err)
	}
	journal := history()
	if !reflect.DeepEqual(files, journal) {
		t.Error("the journal's history is not the files'")
	}
	rows := 0
	for _, s := range journal.Series {
		rows += len(s.Times)
	}
	if want := strings.Count(string(text), "\n"); rows != want || len(journal.Series) != 2 || journal.Series[0].Key != "a" {
		t.Errorf("%d rows of %d keys; the stage judged %d of 2", rows, len(journal.Series), want)
	}
	reports, err := Run(journal.Series, Options{Detectors: []detect.Config{journal.Config}})
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range journal.Series {
		if !reflect.DeepEqual(reports[0].Scores[i], s.Live) {
			t.Errorf("%s: a backtest scores otherwise than the stage did", s.Key)
		}
	}
	if len(reports[0].Alerts) == 0 {
		t.Error("nothing was found, so that nothing was compared")
	}
}
