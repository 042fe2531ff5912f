package influx

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

//go:embed offline.hcl
var offlineWork string

const (
	offlineDevices = 10_000
	offlineSteps   = 64 // records of a device, half an hour apart
	offlineMost    = 48 // steps that a record may come late: a day
)

// TestOffline: of 10,000 devices one in twenty was without a connection for up to a day. The view of the
// latest in the lake, and influxd, have what a batch over all records gives.
func TestOffline(t *testing.T) {
	s, name := database(t)
	dir := t.TempDir()
	input := filepath.Join(dir, "input.ndjson")
	must(t, os.WriteFile(input, offlineInput(), 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "offline.hcl"), []byte(strings.NewReplacer("URL", s.URL(), "DATABASE", name, "TOKEN", Token).Replace(offlineWork)), 0o644))
	command(t, ".", binary, "run", dir, "--once", "--quiet")
	points := filepath.Join(dir, "points.ndjson")
	allPoints(t, s, name, "two_hours", points)
	const (
		columns = `device, epoch_us(window_start) AS ts, low, high, round(mean, 6) AS mean, n`
		wanted  = `SELECT device, epoch_us(time_bucket(INTERVAL 2 HOUR, ts)) AS ts, min(temp) AS low, max(temp) AS high, round(avg(temp), 6) AS mean, count(*) AS n
			FROM read_json('INPUT', columns = {device: 'VARCHAR', ts: 'TIMESTAMP', temp: 'DOUBLE'}) GROUP BY ALL`
	)
	want := strings.ReplaceAll(wanted, "INPUT", input)
	for what, c := range map[string]struct{ folder, table, got string }{
		"Parquet": {filepath.Join(dir, "lake"), "lake", "SELECT " + columns + " FROM lake_latest"},
		"influxd": {dir, "", "SELECT device, epoch_us(ts) AS ts, low, high, round(mean, 6) AS mean, n FROM read_json('" + points +
			"', format = 'newline_delimited', columns = {device: 'VARCHAR', ts: 'TIMESTAMP', low: 'DOUBLE', high: 'DOUBLE', mean: 'DOUBLE', n: 'BIGINT'})"},
	} {
		var r struct{ Wanted, Got, Missing, Extra int }
		must(t, json.Unmarshal(command(t, "../oracle", "node", "lake.mjs", c.folder, c.table, differ(want, c.got)), &r))
		if r.Missing != 0 || r.Extra != 0 || r.Wanted != r.Got || r.Wanted < offlineDevices*offlineSteps/4 {
			t.Errorf("%s: %+v", what, r)
		}
	}
	var r struct{ Revised int }
	must(t, json.Unmarshal(command(t, "../oracle", "node", "lake.mjs", filepath.Join(dir, "lake"), "lake", "SELECT count(*) FILTER (revision > 0) AS revised FROM lake"), &r))
	if r.Revised < offlineDevices/40 {
		t.Errorf("%d windows were revised: the test proves little", r.Revised)
	}
}

// offlineInput is what comes in, in order of arrival. Of every fortieth device six hours come up to a day late, behind
// newer records; every fortieth is silent for up to a day and then sends all at once.
func offlineInput() []byte {
	rng := rand.New(rand.NewPCG(24, 5))
	start := time.Date(2025, 11, 1, 0, 0, 0, 0, time.UTC)
	steps := make([]bytes.Buffer, 2*offlineSteps)
	for d := range offlineDevices {
		from, span, late := offlineSteps, 0, 0
		switch d % 40 {
		case 0:
			span, late = 12, 12+rng.IntN(offlineMost-11)
			from = rng.IntN(offlineSteps - span)
		case 20:
			span = 1 + rng.IntN(offlineMost)
			from = rng.IntN(offlineSteps - span)
		}
		for i := range offlineSteps {
			at := i
			switch {
			case i < from || i >= from+span:
			case late > 0:
				at += late
			default:
				at = from + span
			}
			fmt.Fprintf(&steps[at], `{"device":"d%05d","ts":%q,"temp":%.2f}`+"\n", d, start.Add(time.Duration(i)*30*time.Minute).Format(time.RFC3339), rng.Float64()*40-20)
		}
	}
	var out bytes.Buffer
	for i := range steps {
		out.Write(steps[i].Bytes())
	}
	return out.Bytes()
}
