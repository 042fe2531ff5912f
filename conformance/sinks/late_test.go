package sinks

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const lateWork = `
engine {
  checkpoint = "20ms"
  tick       = "100ms"
}
channel "telemetry" {
  key        = device
  time       = ts
  ahead      = "30000d"
  partitions = 4
  schema     = { device = string, ts = timestamp, temp = number }
}
ingest "file" "in" {
  to   = channel.telemetry
  path = "input.ndjson"
}
pipeline "p" {
  from = channel.telemetry
  window "tumbling" "ten" {
    by    = [device]
    every = "10m"
    keep  = "25h"
    emit  = { temp_avg = avg(temp), temp_max = max(temp), n = count() }
  }
  sink "parquet" "windows" {
    from         = window.ten
    path         = "lake"
    partition_by = [day(window_start)]
    roll_rows    = 5000
    roll_age     = "100ms"
    compact      = 4
    grace        = "0s"
  }
}
`

// lateInput writes the records of devices that send every two minutes for a day, in order
// of arrival: of every twentieth what it sends in the middle of the day comes hours later.
func lateInput(name string, devices int) error {
	rng := rand.New(rand.NewPCG(9, 9))
	start := time.Date(2026, 1, 1, 21, 0, 0, 0, time.UTC)
	const steps = 120
	slots := make([][]string, 3*steps)
	for d := range devices {
		from, late := 0, 0
		if d%20 == 0 {
			from, late = rng.IntN(steps-40), 40+rng.IntN(steps)
		}
		for i := range steps {
			at := i
			if d%20 == 0 && i >= from && i < from+40 {
				at = i + late
			}
			slots[at] = append(slots[at], fmt.Sprintf(`{"device":"d%05d","ts":%q,"temp":%.2f}`+"\n", d, start.Add(time.Duration(i)*2*time.Minute).Format(time.RFC3339), rng.Float64()*40-20))
		}
	}
	var out strings.Builder
	for _, s := range slots {
		out.WriteString(strings.Join(s, ""))
	}
	return os.WriteFile(name, []byte(out.String()), 0o644)
}

// TestLate: late rows revise windows; the view of the latest is what a batch over all records gives.
func TestLate(t *testing.T) {
	devices := 400
	if soak() {
		devices = 10_000
	}
	dir := t.TempDir()
	must(t, lateInput(filepath.Join(dir, "input.ndjson"), devices))
	must(t, os.WriteFile(filepath.Join(dir, "late.hcl"), []byte(lateWork), 0o644))
	if said, err := exec.Command(binary, "run", dir, "--once").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	const columns = `device, epoch_us(window_start) AS start, temp_avg, temp_max, n`
	got := duck(t, filepath.Join(dir, "lake"), "windows", `SELECT `+columns+` FROM windows_latest ORDER BY ALL`)
	want := duck(t, dir, "", `SELECT device, epoch_us(time_bucket(INTERVAL 10 MINUTE, ts::TIMESTAMP)) AS start, avg(temp) AS temp_avg, max(temp) AS temp_max, count(*) AS n
		FROM read_json('input.ndjson', columns = {device: 'VARCHAR', ts: 'TIMESTAMP', temp: 'DOUBLE'}) GROUP BY ALL ORDER BY ALL`)
	if len(got) != len(want) || len(want) < devices*20 {
		t.Fatalf("%d windows, the batch has %d", len(got), len(want))
	}
	for i := range want {
		if !alike(got[i], want[i]) {
			t.Fatalf("window %d is %v, in the batch %v", i, got[i], want[i])
		}
	}
	all := duck(t, filepath.Join(dir, "lake"), "windows", `SELECT count(*) AS n, count(*) FILTER (revision > 0) AS revised, count(DISTINCT day) AS days FROM windows`)[0]
	if all["revised"].(float64) < float64(devices/20*4) || all["days"].(float64) != 2 {
		t.Errorf("the test proves little: %v", all)
	}
	t.Logf("%d windows, and with revisions %v", len(got), all)
}

// alike compares rows; floats to 1e-9.
func alike(got, want map[string]any) bool {
	for name, w := range want {
		g := got[name]
		x, num := w.(float64)
		y, also := g.(float64)
		if num && also && math.Abs(x-y) <= 1e-9*math.Max(1, math.Max(math.Abs(x), math.Abs(y))) {
			continue
		}
		if g != w {
			return false
		}
	}
	return len(got) == len(want)
}

// duck asks DuckDB in a folder, over the views of a table if one is named. It is told nothing but SQL.
func duck(t *testing.T, dir, table, sql string) []map[string]any {
	t.Helper()
	rows, err := tryDuck(t, dir, table, sql)
	if err != nil {
		t.Fatalf("%v\n%s", err, sql)
	}
	return rows
}

// tryDuck is duck where DuckDB may refuse to answer.
func tryDuck(t *testing.T, dir, table, sql string) ([]map[string]any, error) {
	t.Helper()
	script, err := filepath.Abs("../oracle/lake.mjs")
	must(t, err)
	cmd := exec.Command("node", script, dir, table, sql)
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return nil, fmt.Errorf("%w\n%s", err, exit.Stderr)
	}
	must(t, err)
	var rows []map[string]any
	for line := range strings.Lines(string(out)) {
		var row map[string]any
		must(t, json.Unmarshal([]byte(line), &row))
		rows = append(rows, row)
	}
	return rows, nil
}
