package run_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/run"
)

// house is a folder with a configuration, an input and a data folder.
type house struct {
	t   *testing.T
	dir string
}

func newHouse(t *testing.T, records int) *house {
	h := &house{t, t.TempDir()}
	h.feed(0, records)
	return h
}

// feed appends records from number first to the input.
func (h *house) feed(first, records int) {
	h.t.Helper()
	var in bytes.Buffer
	for i := first; i < first+records; i++ {
		at := time.Date(2025, 6, 1, 0, 0, i/7, 0, time.UTC).Format(time.RFC3339)
		fmt.Fprintf(&in, `{"device":"d%d","ts":"%s","temp":%d.5,"n":%d}`+"\n", i%7, at, i%40, i)
	}
	f, err := os.OpenFile(filepath.Join(h.dir, "in.ndjson"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err == nil {
		_, err = f.Write(in.Bytes())
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) write(name, content string) {
	h.t.Helper()
	if err := os.WriteFile(filepath.Join(h.dir, name), []byte(content), 0o644); err != nil {
		h.t.Fatal(err)
	}
}

// configure writes the configuration: extra goes into the rule, tasks is how
// many goroutines run partitions.
func (h *house) configure(extra string, tasks int, follow bool) {
	h.write("p.hcl", fmt.Sprintf(`
engine {
  checkpoint = "20ms"
  tasks      = %d
  queue_rows = 500
}
channel "c" {
  key        = device
  time       = ts
  partitions = 5
  schema     = { device = string, ts = timestamp, temp = number, n = integer }
}
ingest "file" "in" {
  to     = channel.c
  path   = "in.ndjson"
  follow = %t
}
pipeline "p" {
  from = channel.c
  rule "warm" {
    where = temp > 3
    %s
  }
  window "tumbling" "minute" {
    from  = rule.warm
    by    = [device]
    every = "1m"
    emit  = { n = count(), mean = avg(temp) }
  }
  sink "file" "rows" {
    from = rule.warm
    path = "rows.ndjson"
  }
  sink "file" "windows" {
    from = window.minute
    path = "windows.ndjson"
  }
}
`, tasks, follow, extra))
}

func (h *house) plan() *plan.Plan {
	h.t.Helper()
	c, diags := config.Load(env.Real(), h.dir, config.Options{})
	if diags.HasErrors() {
		h.t.Fatal(diags)
	}
	p, diags := plan.Build(c, builtin(), nil)
	if diags.HasErrors() {
		h.t.Fatal(diags)
	}
	return p
}

func (h *house) open(stopAtEnd bool) *run.Engine {
	h.t.Helper()
	e, err := run.Open(h.plan(), run.Options{Env: env.Real(), Data: filepath.Join(h.dir, "data"), Specs: builtin(),
		StopAtEnd: stopAtEnd, BlockBytes: 4 << 10, Report: func(line string) { h.t.Log(line) }})
	if err != nil {
		h.t.Fatal(err)
	}
	return e
}

// lines returns a file's lines, sorted.
func (h *house) lines(name string) []string {
	buf, err := os.ReadFile(filepath.Join(h.dir, name))
	if err != nil && !os.IsNotExist(err) {
		h.t.Fatal(err)
	}
	out := strings.Split(strings.TrimSuffix(string(buf), "\n"), "\n")
	sort.Strings(out)
	return out
}

// TestWidths stops a run again and again and goes on with another number of
// goroutines; the rows are those of one run through.
func TestWidths(t *testing.T) {
	const records = 60_000
	straight := newHouse(t, records)
	straight.configure("", 1, false)
	e := straight.open(true)
	if err := e.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	broken := newHouse(t, records)
	stops := 0
	for i := 0; ; i++ {
		broken.configure("", []int{2, 3, 1, 5, 4}[i%5], false)
		e := broken.open(true)
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(5+7*(i%5))*time.Millisecond)
		if err := e.Run(ctx); err != nil {
			t.Fatal(err)
		}
		done := ctx.Err() == nil
		cancel()
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		if done {
			break
		}
		if stops++; stops > 2000 {
			t.Fatal("the run does not come to its end")
		}
	}
	t.Logf("stopped and restored %d times", stops)
	if stops < 3 {
		t.Error("the run was hardly stopped: this check cannot fail")
	}
	for _, name := range []string{"rows.ndjson", "windows.ndjson"} {
		same(t, name, straight.lines(name), broken.lines(name))
	}
}

func same(t *testing.T, name string, want, got []string) {
	t.Helper()
	if len(want) != len(got) {
		t.Errorf("%s: %d lines wanted, %d came", name, len(want), len(got))
	}
	for i := range min(len(want), len(got)) {
		if want[i] != got[i] {
			t.Fatalf("%s: wanted %s\ncame %s", name, want[i], got[i])
		}
	}
}

// TestApply changes a rule while rows flow: each row comes out once, by the
// old rule up to a point in its partition and by the new one after it.
func TestApply(t *testing.T) {
	const records = 60_000
	h := newHouse(t, records/6)
	h.configure(`set = { v = 1 }`, 2, true)
	e := h.open(false)
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- e.Run(ctx) }()
	for v := 2; v <= 6; v++ {
		time.Sleep(50 * time.Millisecond)
		h.feed((v-1)*records/6, records/6)
		time.Sleep(time.Duration(v) * 5 * time.Millisecond)
		h.configure(fmt.Sprintf(`set = { v = %d }`, v), 2, true)
		if err := e.Apply(ctx, h.plan()); err != nil {
			t.Fatal(err)
		}
	}
	want := 0
	for i := range records {
		if i%40 >= 3 {
			want++
		}
	}
	deadline := time.Now().Add(2 * time.Minute)
	for len(h.lines("rows.ndjson")) < want && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	cancel()
	if err := <-ran; err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	checkVersions(t, filepath.Join(h.dir, "rows.ndjson"), want)
}

func checkVersions(t *testing.T, name string, want int) {
	t.Helper()
	buf, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	latest := map[string]int{}
	versions := map[int]int{}
	for _, line := range bytes.Split(bytes.TrimSuffix(buf, []byte("\n")), []byte("\n")) {
		var row struct {
			Device string
			N, V   int
		}
		if err := json.Unmarshal(line, &row); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if seen[row.N] {
			t.Fatalf("row %d came twice", row.N)
		}
		seen[row.N] = true
		if row.V < latest[row.Device] {
			t.Fatalf("row %d of %s was made by rule %d after rule %d", row.N, row.Device, row.V, latest[row.Device])
		}
		latest[row.Device] = row.V
		versions[row.V]++
	}
	if len(seen) != want {
		t.Fatalf("%d rows wanted, %d came", want, len(seen))
	}
	t.Logf("rows by version of the rule: %v", versions)
	if len(versions) < 3 {
		t.Error("the rule was not changed while rows flowed")
	}
}
