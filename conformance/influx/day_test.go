package influx

import (
	"bufio"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/simulate"
)

//go:embed day.hcl
var dayWork string

// What DuckDB is asked; times are us since 1970.
const (
	dayColumns = `device, epoch_us(ts) AS ts, site, lat, lon, speed, temp, setpoint, ambient, door_open, fuel, battery, seq`
	dayTypes   = `{device: 'VARCHAR', ts: 'TIMESTAMP', site: 'VARCHAR', lat: 'DOUBLE', lon: 'DOUBLE', speed: 'DOUBLE', temp: 'DOUBLE', setpoint: 'DOUBLE',
		ambient: 'DOUBLE', door_open: 'BOOLEAN', fuel: 'DOUBLE', battery: 'DOUBLE', seq: 'BIGINT'}`
	// dayWanted is what the rule lets through, computed from the input; a line that breaks off is no record.
	dayWanted = `lines AS (SELECT line FROM read_csv('INPUT', header = false, columns = {'line': 'VARCHAR'}, delim = '\x01', quote = '', escape = '', strict_mode = false)
			WHERE json_valid(line)),
		records AS (SELECT unnest(from_json(line, '{"device": "VARCHAR", "ts": "TIMESTAMP", "site": "VARCHAR", "lat": "DOUBLE", "lon": "DOUBLE", "speed": "DOUBLE",
			"temp": "DOUBLE", "setpoint": "DOUBLE", "ambient": "DOUBLE", "door_open": "BOOLEAN", "fuel": "DOUBLE", "battery": "DOUBLE", "seq": "BIGINT"}')) FROM lines),
		wanted AS (SELECT ` + dayColumns + ` FROM records WHERE device IS NOT NULL AND temp > -60 AND temp < 80)`
	// dayPoint is the row that InfluxDB has of those of one device and one time: the last one.
	dayPoint = `SELECT * FROM wanted QUALIFY row_number() OVER (PARTITION BY device, site, ts ORDER BY seq DESC) = 1`
)

// differ counts rows of one relation that the other lacks, both ways, value for value.
func differ(wanted, got string) string {
	return fmt.Sprintf(`SELECT (SELECT count(*) FROM (%[1]s)) AS wanted, (SELECT count(*) FROM (%[2]s)) AS got,
		(SELECT count(*) FROM ((%[1]s) EXCEPT ALL (%[2]s))) AS missing, (SELECT count(*) FROM ((%[2]s) EXCEPT ALL (%[1]s))) AS extra`, wanted, got)
}

// TestDay: a day of 2,000 trailers, whose records come late, twice and broken, ends in Parquet and in influxd; DuckDB
// over the input has the same rows, to the last bit of each number. In soak each sends once a minute.
func TestDay(t *testing.T) {
	every, least := 30*time.Minute, 90_000
	if soak() {
		every, least = time.Minute, 2_700_000
	}
	s, name := database(t)
	dir := t.TempDir()
	o := simulate.Demo()
	o.Devices, o.Duration, o.Every, o.OfflineFor = 2000, 24*time.Hour, every, max(every, 20*time.Minute)
	input := filepath.Join(dir, "trailers.ndjson")
	dayInput(t, o, input)
	must(t, os.WriteFile(filepath.Join(dir, "day.hcl"), []byte(strings.NewReplacer("URL", s.URL(), "DATABASE", name, "TOKEN", Token).Replace(dayWork)), 0o644))
	began := time.Now()
	command(t, ".", binary, "run", dir, "--once", "--quiet")
	ran := time.Since(began)
	points := filepath.Join(dir, "points.ndjson")
	allPoints(t, s, name, "plausible", points)
	with := "WITH " + strings.ReplaceAll(dayWanted, "INPUT", input)
	for what, c := range map[string]struct{ folder, table, sql string }{
		"Parquet": {filepath.Join(dir, "lake"), "lake", with + differ("SELECT * FROM wanted", "SELECT "+dayColumns+" FROM lake")},
		"influxd": {dir, "", with + `, points AS (SELECT ` + dayColumns + ` FROM read_json('` + points + `', format = 'newline_delimited', columns = ` + dayTypes + `))` +
			differ(dayPoint, "SELECT * FROM points")},
	} {
		out := command(t, "../oracle", "node", "lake.mjs", c.folder, c.table, c.sql)
		var r struct{ Wanted, Got, Missing, Extra int }
		must(t, json.Unmarshal(out, &r))
		if r.Missing != 0 || r.Extra != 0 || r.Wanted != r.Got || r.Wanted < least {
			t.Errorf("%s: %+v; there should be at least %d", what, r, least)
		}
		t.Logf("%s: %+v; the engine ran for %v", what, r, ran.Round(time.Millisecond))
	}
}

func dayInput(t *testing.T, o simulate.Options, name string) {
	t.Helper()
	f, err := simulate.New(o)
	must(t, err)
	out, err := os.Create(name)
	must(t, err)
	w := bufio.NewWriterSize(out, 1<<20)
	var line []byte
	for ok := true; ok; {
		line, _, ok = f.Next(line[:0])
		_, err = w.Write(line)
		must(t, err)
	}
	must(t, w.Flush())
	must(t, out.Close())
}

// allPoints writes all points of a measurement as JSON lines, read a hundredth of the fleet at a time.
func allPoints(t *testing.T, s *Server, db, measurement, name string) {
	t.Helper()
	out, err := os.Create(name)
	must(t, err)
	w := bufio.NewWriterSize(out, 1<<20)
	to := json.NewEncoder(w)
	for part := range 100 {
		series, err := s.Query(db, fmt.Sprintf(`SELECT * FROM %q WHERE device =~ /%02d$/ GROUP BY *`, measurement, part))
		must(t, err)
		for _, x := range series {
			for _, v := range x.Values {
				row := map[string]any{}
				for tag, value := range x.Tags {
					row[tag] = value
				}
				for i, c := range x.Columns[1:] {
					row[c] = v[i+1]
				}
				ns, err := v[0].(json.Number).Int64()
				must(t, err)
				row["ts"] = time.Unix(0, ns).UTC().Format("2006-01-02T15:04:05.000000")
				must(t, to.Encode(row))
			}
		}
	}
	must(t, w.Flush())
	must(t, out.Close())
}
