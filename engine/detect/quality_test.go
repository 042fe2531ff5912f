package detect

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/detect/nab"
)

func corpus(t testing.TB) []made {
	dir := os.Getenv("TIDEMILL_NAB")
	if dir == "" {
		dir = "../../../shared/data/nab" // beside the project's own folder
	}
	data, err := os.ReadFile(filepath.Join(dir, "windows.json"))
	if err != nil {
		t.Skipf("the benchmark's series are not here (TIDEMILL_NAB names their folder): %v", err)
	}
	var wins map[string][][2]string
	if err := json.Unmarshal(data, &wins); err != nil {
		t.Fatal(err)
	}
	var names []string
	for n := range wins {
		names = append(names, n)
	}
	sort.Strings(names)
	var all []made
	for _, n := range names {
		text, err := os.ReadFile(filepath.Join(dir, n))
		if err != nil {
			continue
		}
		m := made{name: filepath.Base(n)}
		row := map[string]int{}
		var times []int64
		for i, l := range strings.Split(strings.TrimSpace(string(text)), "\n")[1:] {
			ts, v, _ := strings.Cut(l, ",")
			tm, err := time.Parse("2006-01-02 15:04:05", ts)
			if err != nil {
				t.Fatal(err)
			}
			x, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := row[ts]; !ok {
				row[ts] = i
			}
			times = append(times, tm.UnixMicro())
			m.values = append(m.values, x)
		}
		m.times = times
		for _, w := range wins[n] {
			a, aok := row[strings.TrimSuffix(w[0], ".000000")]
			b, bok := row[strings.TrimSuffix(w[1], ".000000")]
			if !aok || !bok {
				t.Fatalf("%s: window %v is not at rows", n, w)
			}
			m.windows = append(m.windows, nab.Window{First: a, Last: b})
		}
		all = append(all, m)
	}
	return all
}

// evaluate is a line of a table: scores of the three profiles at the best
// threshold of each, what was found at the first, and with each series left out.
func evaluate(name string, set []made) (line string, standard [3]float64) {
	var s []nab.Series
	for _, m := range set {
		s = append(s, nab.Series{Name: m.name, Scores: scores(Config{Kind: name}, m), Windows: m.windows})
	}
	var out [3]nab.Result
	for i, p := range nab.Profiles() {
		out[i] = nab.Best(s, p)
		standard[i] = out[i].Score
	}
	first := out[0]
	return fmt.Sprintf("%-17s %6.1f %6.1f %6.1f %9.1f  %3d of %d %6d  %9.3f\n", name, out[0].Score, out[1].Score, out[2].Score,
		nab.LeaveOneOut(s, nab.Profiles()[0]), first.Found, first.Found+first.Gone, first.False, first.Threshold), standard
}

func (m made) at(i int) int64 {
	if m.times != nil {
		return m.times[i]
	}
	return 1_400_000_000_000_000/day*day + int64(i)*m.every
}

func scores(c Config, m made) []float64 {
	c.Signals = 1
	d, err := New(c)
	if err != nil {
		panic(err)
	}
	d.Silence(Silent{Share: true, Bands: true})
	mem := make([]byte, d.Size())
	d.Init(mem, 1)
	out := make([]float64, len(m.values))
	var v Verdict
	for i, x := range m.values {
		d.Step(mem, m.at(i), []float64{x}, &v)
		out[i] = v.Score
	}
	return out
}

// TestSynthetic: the shipped defaults find what was put into signals of sixteen
// kinds, better than a forest alone would.
func TestSynthetic(t *testing.T) {
	t.Parallel()
	set := synthetic(10)
	line, ensemble := evaluate("ensemble", set)
	t.Log("\n" + line)
	for i, p := range nab.Profiles() {
		if ensemble[i] < 65 {
			t.Errorf("%s: %.1f; a forest alone has 58 to 64", p.Name, ensemble[i])
		}
	}
}

// TestBenchmark compares every detector on thirteen series of the Numenta
// Anomaly Benchmark with what testdata/nab.txt says. UPDATE_TESTDATA=1 writes it anew.
func TestBenchmark(t *testing.T) {
	t.Parallel()
	set := corpus(t)
	table := "detector          standard low FP low FN  left out     found   false  threshold\n"
	all := map[string][3]float64{}
	lines := make([]string, len(Kinds()))
	var wait sync.WaitGroup
	var lock sync.Mutex
	for i, k := range Kinds() {
		wait.Go(func() {
			line, s := evaluate(k, set)
			lock.Lock()
			defer lock.Unlock()
			lines[i], all[k] = line, s
		})
	}
	wait.Wait()
	table += strings.Join(lines, "")
	for i, least := range [3]float64{12, 0, 0} {
		if all["ensemble"][i] < all["rcf"][i]+least {
			t.Errorf("%s: ensemble %.1f, rcf %.1f", nab.Profiles()[i].Name, all["ensemble"][i], all["rcf"][i])
		}
	}
	want, err := os.ReadFile("testdata/nab.txt")
	if os.Getenv("UPDATE_TESTDATA") != "" {
		err = os.WriteFile("testdata/nab.txt", []byte(table), 0o644)
		want = []byte(table)
	}
	if err != nil || string(want) != table {
		t.Errorf("testdata/nab.txt does not say what comes out: %v\n%s", err, table)
	}
}
