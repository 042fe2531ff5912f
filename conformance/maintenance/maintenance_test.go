package maintenance

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/run"
	"github.com/tidemill/tidemill/engine/stages"
)

const (
	pipeline = "../../pipelines/predictive_maintenance"
	file     = "train_FD001.txt"
	known    = 70  // engines that the index is fitted to
	horizon  = 125 // cycles before the end from which an engine is not as good as new
	useful   = 10  // cycles that a warning has to come before the end
)

// sensors that the index is made of: those with a trend that is the same in all engines.
func sensors() []int { return []int{2, 3, 4, 7, 11, 12, 15, 17, 20, 21} }

// engine is one engine's life.
type engine struct {
	id     int
	cycles [][]float64 // of each, all 26 columns
}

func folder(t *testing.T) string {
	dir := os.Getenv("TIDEMILL_TURBOFAN")
	if dir == "" {
		dir = "../../../shared/data/turbofan" // beside the project's own folder
	}
	if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
		t.Skipf("NASA's data is not here (TIDEMILL_TURBOFAN names its folder): %v", err)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func engines(t *testing.T, dir string) []*engine {
	f, err := os.Open(filepath.Join(dir, file))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []*engine
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var row []float64
		for _, word := range strings.Fields(lines.Text()) {
			v, err := strconv.ParseFloat(word, 64)
			if err != nil {
				t.Fatal(err)
			}
			row = append(row, v)
		}
		if id := int(row[0]); len(all) == 0 || all[len(all)-1].id != id {
			all = append(all, &engine{id: id})
		}
		e := all[len(all)-1]
		e.cycles = append(e.cycles, row)
	}
	return all
}

// fit returns the least squares of the target over the sensors, each less its mean; first the constant.
func fit(all []*engine) (weights, means []float64) {
	cols := sensors()
	n := len(cols) + 1
	means = make([]float64, n)
	rows := 0.0
	for _, e := range all {
		for _, c := range e.cycles {
			rows++
			for i, s := range cols {
				means[i+1] += c[4+s]
			}
		}
	}
	for i := range means {
		means[i] /= rows
	}
	a := make([][]float64, n)
	for i := range a {
		a[i] = make([]float64, n+1)
	}
	x := make([]float64, n)
	for _, e := range all {
		for k, c := range e.cycles {
			x[0] = 1
			for i, s := range cols {
				x[i+1] = c[4+s] - means[i+1]
			}
			y := math.Min(float64(len(e.cycles)-1-k), horizon) / horizon
			for i := range x {
				for j := range x {
					a[i][j] += x[i] * x[j]
				}
				a[i][n] += x[i] * y
			}
		}
	}
	return solve(a), means
}

// solve is Gauss's elimination with the largest pivot.
func solve(a [][]float64) []float64 {
	n := len(a)
	for i := range n {
		p := i
		for r := i + 1; r < n; r++ {
			if math.Abs(a[r][i]) > math.Abs(a[p][i]) {
				p = r
			}
		}
		a[i], a[p] = a[p], a[i]
		for r := range n {
			if r == i {
				continue
			}
			k := a[r][i] / a[i][i]
			for c := i; c <= n; c++ {
				a[r][c] -= k * a[i][c]
			}
		}
	}
	out := make([]float64, n)
	for i := range out {
		out[i] = a[i][n] / a[i][i]
	}
	return out
}

// TestIndex: the coefficients in the pipeline are those of the engines that the index may know.
func TestIndex(t *testing.T) {
	weights, means := fit(engines(t, folder(t))[:known])
	text, err := os.ReadFile(filepath.Join(pipeline, "maintenance.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("%.4f", weights[0])
	for i, s := range sensors() {
		sign := "+"
		if weights[i+1] < 0 {
			sign = "-"
		}
		want += fmt.Sprintf(" %s %.5f * (s%d - %.2f)", sign, math.Abs(weights[i+1]), s, means[i+1])
	}
	space := regexp.MustCompile(`\s+`)
	if !strings.Contains(space.ReplaceAllString(string(text), " "), want) {
		t.Errorf("the pipeline's index is not\n%s", want)
	}
}

// TestWarnings runs the engines that the index does not know through the pipeline.
func TestWarnings(t *testing.T) {
	dir := folder(t)
	out := t.TempDir()
	e := env.Real()
	c, diags := config.Load(e, pipeline, config.Options{Vars: map[string]string{"data": dir, "out": out}})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	p, diags := plan.Build(c, stages.Builtin(), nil)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	eng, err := run.Open(p, run.Options{Env: e, Data: t.TempDir(), Specs: stages.Builtin(), StopAtEnd: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := eng.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if s := eng.Status(); s.Totals().Rejects > 0 || s.Totals().Rows != 20631 {
		t.Errorf("%d rows, %d rejects; the file has 20631", s.Totals().Rows, s.Totals().Rejects)
	}
	if err := eng.Close(); err != nil {
		t.Fatal(err)
	}
	report := judge(t, engines(t, dir), filepath.Join(out, "alarms.ndjson"))
	want, err := os.ReadFile("testdata/report.txt")
	if os.Getenv("UPDATE_TESTDATA") != "" {
		err = os.WriteFile("testdata/report.txt", []byte(report), 0o644)
		want = []byte(report)
	}
	if err != nil || report != string(want) {
		t.Errorf("%v; got\n%s", err, report)
	}
}

// judge says which engines were warned of, and how many cycles before their end.
func judge(t *testing.T, all []*engine, alarms string) string {
	text, err := os.ReadFile(alarms)
	if err != nil {
		t.Fatal(err)
	}
	first := map[string]map[int]int{} // by alarm and engine: the cycle
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		var row struct {
			Name, State, Engine string
			At                  time.Time
		}
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatal(err, line)
		}
		id, err := strconv.Atoi(row.Engine)
		if err != nil {
			t.Fatal(err)
		}
		if first[row.Name] == nil {
			first[row.Name] = map[int]int{}
		}
		if _, had := first[row.Name][id]; !had && row.State == "raised" {
			first[row.Name][id] = int(math.Ceil(float64(row.At.Unix()) / 86400))
		}
	}
	var b strings.Builder
	b.WriteString("alarm           engines          warned  missed  too late  cycles before the end: least  median   most\n")
	var names []string
	for n := range first {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, group := range []struct {
			what string
			of   []*engine
		}{{"1 to 70", all[:known]}, {"71 to 100, unknown", all[known:]}} {
			b.WriteString(line(name, group.what, group.of, first[name]))
		}
	}
	return b.String()
}

func line(name, what string, of []*engine, first map[int]int) string {
	var ahead []int
	late := 0
	for _, e := range of {
		at, ok := first[e.id]
		if !ok {
			continue
		}
		left := len(e.cycles) - at
		ahead = append(ahead, left)
		if left < useful {
			late++
		}
	}
	slices.SortFunc(ahead, cmp.Compare[int])
	if len(ahead) == 0 {
		ahead = []int{0}
	}
	return fmt.Sprintf("%-14s  %-18s %4d %7d %9d %29d %7d %6d\n", name, what, len(ahead), len(of)-len(ahead), late, ahead[0], ahead[len(ahead)/2], ahead[len(ahead)-1])
}
