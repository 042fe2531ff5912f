package oracle

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/tidemill/tidemill/conformance/rig"
	"github.com/tidemill/tidemill/engine/simulate"
)

// cases are the output files that DuckDB computes again.
var cases = []struct {
	pipeline, sql, input, output string
	least                        int // rows that there must be, so that the test cannot compare nothing
}{
	{"machine_temperature", "machine_hourly.sql", "machine_temperature_system_failure.csv", "machine_hourly.ndjson", 1800},
	{"machine_temperature", "gateways_ten_min.sql", "raw_data_large.json", "gateways_ten_min.ndjson", 200},
	{"machine_temperature", "gateways_daily.sql", "raw_data_large.json", "gateways_daily.ndjson", 3},
	{"machine_temperature", "gateway_rooms.sql", "raw_data_large.json", "gateway_rooms.ndjson", 30},
	{"machine_temperature", "gateway_pairs.sql", "raw_data_large.json", "gateway_pairs.ndjson", 5},
	{"machine_temperature", "fleet_hourly.sql", "raw_data_large.json", "fleet_hourly.ndjson", 10},
	{"coldhaul", "averages.sql", "trailers.ndjson", "averages.ndjson", 3000},
}

func TestWindowsAreAsDuckDBHasThem(t *testing.T) {
	if _, err := os.Stat("node_modules/@duckdb/node-api"); err != nil {
		t.Fatal("DuckDB is not installed: run `npm ci` in conformance/oracle, as `make test` does")
	}
	binary, err := rig.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	ran := map[string]string{}
	for _, c := range cases {
		dir := ran[c.pipeline]
		if dir == "" {
			dir = run(t, binary, c.pipeline)
			ran[c.pipeline] = dir
		}
		sql, err := os.ReadFile(c.sql)
		if err != nil {
			t.Fatal(err)
		}
		want := rowsOf(t, command(t, "node", "query.mjs", string(sql), filepath.Join(dir, c.input)))
		data, err := os.ReadFile(filepath.Join(dir, "out", c.output))
		if err != nil {
			t.Fatal(err)
		}
		got := rowsOf(t, data)
		if len(want) < c.least {
			t.Errorf("%s: DuckDB finds %d rows, there should be at least %d", c.sql, len(want), c.least)
		}
		compare(t, c.sql, got, want)
	}
}

// run copies a pipeline, feeds it, and runs it to its end.
func run(t *testing.T, binary, pipeline string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), pipeline)
	entries, err := os.ReadDir("../../pipelines/" + pipeline)
	if err == nil {
		err = os.Mkdir(dir, 0o755)
	}
	for _, e := range entries {
		if err == nil && e.Type().IsRegular() {
			var data []byte
			data, err = os.ReadFile("../../pipelines/" + pipeline + "/" + e.Name())
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, e.Name()), data, 0o644)
			}
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if pipeline == "machine_temperature" {
		again(t, filepath.Join(dir, "raw_data_large.json"))
	}
	args := []string{"run", dir, "--quiet"}
	if pipeline == "coldhaul" {
		simulated(t, filepath.Join(dir, "trailers.ndjson"))
		args = append(args, "--var", "input=trailers.ndjson")
	}
	command(t, binary, args...)
	return dir
}

// again puts every seventh reading of a file of readings in once more, one to four readings later: as they are
// none comes twice, and it would not be missed if nothing looked for that. Where minutes go by until then it is left
// out: windows would be right not to wait for it.
func again(t *testing.T, name string) {
	t.Helper()
	data, err := os.ReadFile(name)
	var readings, out []json.RawMessage
	if err == nil {
		err = json.Unmarshal(data, &readings)
	}
	due := map[int][]json.RawMessage{} // by the reading before them
	for i, r := range readings {
		out = append(out, r)
		if then := i + 1 + i/7%4; i%7 == 0 && then < len(readings) && timeOf(t, readings[then])-timeOf(t, r) < 120 {
			due[then] = append(due[then], r)
		}
		out = append(out, due[i]...)
	}
	if err == nil {
		data, err = json.Marshal(out)
	}
	if err == nil {
		err = os.WriteFile(name, data, 0o644)
	}
	if err != nil || len(out) < len(readings)*11/10 {
		t.Fatalf("%d readings became %d: %v", len(readings), len(out), err)
	}
}

// timeOf is a reading's time in seconds.
func timeOf(t *testing.T, reading json.RawMessage) float64 {
	t.Helper()
	var r struct {
		TS float64 `json:"ts"`
	}
	if err := json.Unmarshal(reading, &r); err != nil {
		t.Fatal(err)
	}
	return r.TS
}

// simulated writes three hours of a fleet with every fault there is.
func simulated(t *testing.T, name string) {
	t.Helper()
	o := simulate.Demo()
	o.Duration = 3 * time.Hour
	f, err := simulate.New(o)
	if err != nil {
		t.Fatal(err)
	}
	var out []byte
	for ok := true; ok; {
		out, _, ok = f.Next(out)
	}
	if err := os.WriteFile(name, out, 0o644); err != nil {
		t.Fatal(err)
	}
}

func command(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, stderr.String())
	}
	return out
}

type row map[string]any

func (r row) key() string { return fmt.Sprint(r["device"], " ", r["window_start"]) }

// rowsOf reads rows by key; of several revisions of a window it takes the last.
func rowsOf(t *testing.T, data []byte) map[string]row {
	t.Helper()
	out := map[string]row{}
	scan := bufio.NewScanner(bytes.NewReader(data))
	for scan.Scan() {
		var r row
		if err := json.Unmarshal(scan.Bytes(), &r); err != nil {
			t.Fatalf("%v: %s", err, scan.Text())
		}
		before, again := out[r.key()]
		if again && !(number(r["revision"]) > number(before["revision"])) {
			t.Fatalf("two rows of one window, and not a later revision:\n%v\n%v", before, r)
		}
		out[r.key()] = r
	}
	return out
}

func number(v any) float64 {
	f, ok := v.(float64)
	if !ok {
		return math.NaN()
	}
	return f
}

func compare(t *testing.T, name string, got, want map[string]row) {
	t.Helper()
	keys := map[string]bool{}
	for k := range got {
		keys[k] = true
	}
	for k := range want {
		keys[k] = true
	}
	var sorted []string
	for k := range keys {
		sorted = append(sorted, k)
	}
	slices.Sort(sorted)
	wrong := 0
	for _, k := range sorted {
		if problem := difference(got[k], want[k]); problem != "" {
			wrong++
			if wrong <= 5 {
				t.Errorf("%s: window %s: %s", name, k, problem)
			}
		}
	}
	if wrong > 0 {
		t.Errorf("%s: %d of %d windows differ", name, wrong, len(sorted))
	}
}

// difference compares the columns that DuckDB has; floats to 1e-9 relative.
func difference(got, want row) string {
	if got == nil || want == nil {
		return fmt.Sprintf("tidemill has %v, DuckDB has %v", got, want)
	}
	for name, w := range want {
		g := got[name]
		wf, wok := w.(float64)
		gf, gok := g.(float64)
		if wok && gok && math.Abs(wf-gf) <= 1e-9*math.Max(math.Abs(wf), math.Abs(gf)) {
			continue
		}
		if g != w {
			return fmt.Sprintf("%s is %v, and DuckDB has %v", name, g, w)
		}
	}
	return ""
}
