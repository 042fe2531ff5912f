package influx

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/simulate"
)

// windows are the measurements that DuckDB computes again, by the statements of conformance/oracle.
var windows = []struct {
	pipeline, sql, input, measurement string
	least                             int // rows that there must be, so that the test cannot compare nothing
}{
	{"machine_temperature", "machine_hourly.sql", "machine_temperature_system_failure.csv", "hourly", 1800},
	{"machine_temperature", "gateways_ten_min.sql", "raw_data_large.json", "ten_min", 200},
	{"coldhaul", "averages.sql", "trailers.ndjson", "five_min", 3000},
}

// TestWindowsAreAsDuckDBHasThem runs the shipped pipelines into influxd: real data, and a
// simulated fleet whose records come late and twice.
func TestWindowsAreAsDuckDBHasThem(t *testing.T) {
	s, name := database(t)
	ran := map[string]string{}
	for _, w := range windows {
		if ran[w.pipeline] == "" {
			must(t, s.Create(name+"_"+w.pipeline))
			ran[w.pipeline] = runPipeline(t, w.pipeline, s.URL(), name+"_"+w.pipeline)
		}
		sql, err := os.ReadFile("../oracle/" + w.sql)
		must(t, err)
		out := command(t, "../oracle", "node", "query.mjs", string(sql), filepath.Join(ran[w.pipeline], w.input))
		want := map[string]map[string]any{}
		for scan := bufio.NewScanner(bytes.NewReader(out)); scan.Scan(); {
			var r map[string]any
			must(t, json.Unmarshal(scan.Bytes(), &r))
			at, err := time.Parse(time.RFC3339, r["window_start"].(string))
			must(t, err)
			delete(r, "window_start")
			device, _ := r["device"].(string)
			delete(r, "device")
			want[fmt.Sprint(device, " ", at.UnixNano())] = r
		}
		got := pointsOf(t, s, name+"_"+w.pipeline, w.measurement)
		if len(want) < w.least || len(got) != len(want) {
			t.Errorf("%s: influxd has %d points, DuckDB %d; there should be at least %d", w.measurement, len(got), len(want), w.least)
		}
		wrong := 0
		for key, r := range want {
			for column, v := range r {
				if !same(got[key][column], v) {
					if wrong++; wrong <= 5 {
						t.Errorf("%s %s: %s is %v, and DuckDB has %v", w.measurement, key, column, got[key][column], v)
					}
				}
			}
		}
	}
}

// same compares values; numbers to 1e-9 relative. A null is no field.
func same(got, want any) bool {
	w, ok := want.(float64)
	if !ok {
		return got == want
	}
	g, ok := got.(json.Number)
	f, err := g.Float64()
	return ok && err == nil && math.Abs(f-w) <= 1e-9*math.Max(math.Abs(f), math.Abs(w))
}

// pointsOf reads a measurement: fields by "device time".
func pointsOf(t *testing.T, s *Server, db, measurement string) map[string]map[string]any {
	t.Helper()
	series, err := s.Query(db, fmt.Sprintf(`SELECT * FROM %q GROUP BY *`, measurement))
	must(t, err)
	out := map[string]map[string]any{}
	for _, x := range series {
		for _, v := range x.Values {
			r := map[string]any{}
			for i, c := range x.Columns {
				if v[i] != nil {
					r[c] = v[i]
				}
			}
			out[fmt.Sprint(x.Tags["device"], " ", v[0])] = r
		}
	}
	return out
}

// runPipeline copies a shipped pipeline, feeds it, and runs it to its end.
func runPipeline(t *testing.T, pipeline, url, db string) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), pipeline)
	must(t, os.CopyFS(dir, os.DirFS("../../pipelines/"+pipeline)))
	args := []string{"run", dir, "--once", "--quiet", "--var", "influx_url=" + url, "--var", "influx_bucket=" + db + "/autogen", "--var", "influx_token=" + Token}
	if pipeline == "coldhaul" {
		fleet(t, filepath.Join(dir, "trailers.ndjson"))
		args = append(args, "--var", "input=trailers.ndjson")
	}
	command(t, ".", binary, args...)
	return dir
}

// fleet writes three hours of a fleet with every fault there is.
func fleet(t *testing.T, name string) {
	t.Helper()
	o := simulate.Demo()
	o.Duration = 3 * time.Hour
	f, err := simulate.New(o)
	must(t, err)
	var out []byte
	for ok := true; ok; {
		out, _, ok = f.Next(out)
	}
	must(t, os.WriteFile(name, out, 0o644))
}

func command(t *testing.T, dir, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(name, args...)
	var stderr bytes.Buffer
	cmd.Dir, cmd.Stderr = dir, &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, stderr.String())
	}
	return out
}
