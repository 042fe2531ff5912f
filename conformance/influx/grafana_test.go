package influx

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

const grafana = "../../pipelines/coldhaul/grafana/"

// dashboard is what a test looks at of a dashboard.
type dashboard struct {
	UID        string
	Title      string
	Panels     []panel
	Templating struct {
		List []struct{ Name, Query string }
	}
	Annotations struct {
		List []struct {
			Name   string
			Target struct{ Query string }
		}
	}
}

type panel struct {
	ID         int
	Title      string
	Type       string
	GridPos    struct{ X, Y, W, H int }
	Datasource struct{ Type, UID string }
	Targets    []struct{ RefID, Query, Expr string }
}

func dashboards(t *testing.T) map[string]dashboard {
	t.Helper()
	files, err := filepath.Glob(grafana + "dashboards/*.json")
	must(t, err)
	if len(files) < 4 {
		t.Fatalf("dashboards: %v", files)
	}
	out := map[string]dashboard{}
	for _, name := range files {
		text, err := os.ReadFile(name)
		must(t, err)
		var d dashboard
		must(t, json.Unmarshal(text, &d))
		out[name] = d
	}
	return out
}

// TestEveryPanelShowsSomething runs coldhaul into influxd and asks what each panel asks.
func TestEveryPanelShowsSomething(t *testing.T) {
	s, db := database(t)
	runPipeline(t, "coldhaul", s.URL(), db)
	asked := 0
	for name, d := range dashboards(t) {
		ask := func(what, query string) {
			t.Helper()
			asked++
			query = substitute(query)
			series, err := s.Query(db, query)
			if err != nil || len(series) == 0 || len(series[0].Values) == 0 {
				t.Errorf("%s, %s: %s: %d series, %v", filepath.Base(name), what, query, len(series), err)
			}
			if m := regexp.MustCompile(`\$\w+`).FindString(query); m != "" {
				t.Errorf("%s, %s: %s stands for nothing", filepath.Base(name), what, m)
			}
		}
		for _, v := range d.Templating.List {
			ask("variable "+v.Name, v.Query)
		}
		for _, a := range d.Annotations.List {
			ask("annotation "+a.Name, a.Target.Query)
		}
		for _, p := range d.Panels {
			for _, q := range p.Targets {
				if p.Datasource.Type == "influxdb" {
					ask(p.Title, q.Query)
				}
			}
		}
	}
	if asked < 25 {
		t.Errorf("%d queries were asked", asked)
	}
}

// substitute puts values in the places of Grafana's variables. The trailer is one of the
// simulation's that has raised both alarms.
func substitute(q string) string {
	return strings.NewReplacer("$timeFilter", "time >= 1700000000000ms AND time <= 1900000000000ms",
		"$__interval", "5m", "$device", alarmed).Replace(q)
}

// alarmed is a trailer that has raised both alarms in the test's fleet.
const alarmed = "trailer-00043"

// TestPrometheusHasTheMetrics compares the names and labels in PromQL with what a running
// engine shows at /metrics.
func TestPrometheusHasTheMetrics(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "coldhaul")
	must(t, os.CopyFS(dir, os.DirFS("../../pipelines/coldhaul")))
	fleet(t, filepath.Join(dir, "trailers.ndjson"))
	cmd := exec.Command(binary, "run", dir, "--quiet", "--admin", "127.0.0.1:0", "--var", "input=trailers.ndjson", "--var", "follow=true",
		"--var", "influx_url=http://127.0.0.1:9", "--var", "influx_bucket=none")
	var said strings.Builder
	cmd.Stderr = &said
	must(t, cmd.Start())
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	client := http.Client{Transport: controlSocket(filepath.Join(dir, ".tidemill", "control.sock"))}
	shown := ""
	for end := time.Now().Add(time.Minute); !strings.Contains(shown, `event="retries"`) && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if res, err := client.Get("http://tidemill/metrics"); err == nil {
			text, err := io.ReadAll(res.Body)
			must(t, err)
			must(t, res.Body.Close())
			shown = string(text)
		}
	}
	names := map[string]string{}
	for line := range strings.Lines(shown) {
		if name := regexp.MustCompile(`^[a-z_]+`).FindString(line); name != "" {
			names[name] += line
		}
	}
	metric, label := regexp.MustCompile(`\b(?:tidemill|go)_[a-z_]+`), regexp.MustCompile(`by \(([a-z, ]+)\)`)
	checked := 0
	for name, d := range dashboards(t) {
		for _, p := range d.Panels {
			for _, q := range p.Targets {
				if p.Datasource.Type != "prometheus" {
					continue
				}
				for _, m := range metric.FindAllString(q.Expr, -1) {
					checked++
					if names[m] == "" {
						t.Errorf("%s, %s: the engine shows no %s\n%s", filepath.Base(name), p.Title, m, said.String())
					}
					for _, group := range label.FindAllStringSubmatch(q.Expr, -1) {
						for l := range strings.SplitSeq(group[1], ", ") {
							if !strings.Contains(names[m], l+"=") {
								t.Errorf("%s, %s: %s has no label %s", filepath.Base(name), p.Title, m, l)
							}
						}
					}
				}
			}
		}
	}
	if checked < 15 {
		t.Errorf("%d metrics were checked", checked)
	}
}

// TestDashboardsFitTheSchema lets the TypeScript compiler compare every dashboard with Grafana's
// own types, and the panels' options with the types of their kinds.
func TestDashboardsFitTheSchema(t *testing.T) {
	if _, err := os.Stat("grafana/node_modules/@grafana/schema"); err != nil {
		t.Fatal("Grafana's schema is not installed: run .ci/needs, as `make test` does")
	}
	ids := map[string]string{}
	for name, d := range dashboards(t) {
		if other := ids[d.UID]; d.UID == "" || other != "" {
			t.Errorf("%s has the uid %q of %s", name, d.UID, other)
		}
		ids[d.UID] = name
		taken := map[string]string{}
		for _, p := range d.Panels {
			g := p.GridPos
			if g.X+g.W > 24 || g.W == 0 || g.H == 0 {
				t.Errorf("%s, %s: it does not fit into 24 columns: %+v", name, p.Title, g)
			}
			for x := g.X; x < g.X+g.W; x++ {
				for y := g.Y; y < g.Y+g.H; y++ {
					at := fmt.Sprint(x, " ", y)
					if taken[at] != "" {
						t.Fatalf("%s: %q and %q lie over each other", name, taken[at], p.Title)
					}
					taken[at] = p.Title
				}
			}
			if p.Datasource.UID != "coldhaul" && p.Datasource.UID != "tidemill" {
				t.Errorf("%s, %s: no data source %q is provisioned", name, p.Title, p.Datasource.UID)
			}
		}
	}
	good, err := exec.Command("node", "grafana/check.mjs", grafana+"dashboards").CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, good)
	}
	bad, err := exec.Command("node", "grafana/check.mjs", "testdata/bad_dashboards").CombinedOutput()
	for _, says := range []string{"schemaVersion", "showLegend", "left"} {
		if err == nil || !strings.Contains(string(bad), says) {
			t.Errorf("a broken dashboard: %v, and nothing is said of %s:\n%s", err, says, bad)
		}
	}
}
