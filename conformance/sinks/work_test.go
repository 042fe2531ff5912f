package sinks

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/conformance/rig"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/lake"
	"github.com/tidemill/tidemill/engine/objects"
	"github.com/tidemill/tidemill/engine/parquet"
)

// binary is what TestMain has built.
var binary string

func TestMain(m *testing.M) {
	os.Exit(withBinary(m))
}

func withBinary(m *testing.M) int {
	dir, err := os.MkdirTemp("", "tidemill-sinks")
	if err == nil {
		defer os.RemoveAll(dir)
		binary, err = rig.Build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func soak() bool { return os.Getenv("TIDEMILL_SOAK") != "" }

//go:embed work.hcl
var pipeline string

// work is a folder in which the binary writes a lake, here and in a bucket.
type work struct {
	*rig.Work
	prefix string
	lines  []string
	fed    int
	server *gateway
}

// newWork makes a folder with an empty input. url is where the sink finds the server.
func newWork(t *testing.T, lines []string, g *gateway, url, prefix string) *work {
	t.Helper()
	dir := t.TempDir()
	w := &work{Work: &rig.Work{Binary: binary, Dir: dir, Input: filepath.Join(dir, "input.ndjson"), Data: filepath.Join(dir, "data")}, prefix: prefix, lines: lines, server: g}
	text := strings.NewReplacer("URL", url, "PREFIX", prefix).Replace(pipeline)
	must(t, os.WriteFile(filepath.Join(dir, "work.hcl"), []byte(text), 0o644))
	must(t, os.WriteFile(w.Input, nil, 0o644))
	return w
}

// feed appends n more lines to the input.
func (w *work) feed(t *testing.T, n int) {
	t.Helper()
	n = min(n, len(w.lines)-w.fed)
	f, err := os.OpenFile(w.Input, os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteString(strings.Join(w.lines[w.fed:w.fed+n], ""))
	must(t, err)
	must(t, f.Close())
	w.fed += n
}

// finish feeds the rest and runs to the end.
func (w *work) finish(t *testing.T) {
	t.Helper()
	w.feed(t, len(w.lines))
	if said, err := exec.Command(w.Binary, "run", w.Dir, "--data", w.Data, "--once").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
}

// epoch is the newest checkpoint's.
func (w *work) epoch() int {
	entries, err := os.ReadDir(filepath.Join(w.Data, "checkpoints"))
	if err != nil {
		return 0
	}
	newest := 0
	for _, e := range entries {
		if n, err := strconv.ParseInt(strings.TrimSuffix(e.Name(), ".checkpoint"), 16, 64); err == nil {
			newest = max(newest, int(n))
		}
	}
	return newest
}

func (w *work) local() lake.Source {
	return lake.Source{Name: "local", Place: objects.Config{Place: filepath.Join(w.Dir, "lake")}}
}

// remote is the table in the bucket, by a way that nobody cuts.
func (w *work) remote() lake.Source {
	return lake.Source{Name: "remote", Place: objects.Config{Place: "s3://" + bucket + "/" + w.prefix, Endpoint: w.server.url(), Region: "us-east-1", AccessKey: accessKey, SecretKey: secretKey}}
}

// rowsOf reads a table by its list: a line a row, sorted; without what is a run's own, or
// only where in the channel each row comes from.
func rowsOf(s lake.Source, places bool) ([]string, error) {
	ctx := context.Background()
	t, err := s.Open(ctx, env.Real())
	if err != nil {
		return nil, err
	}
	store, err := objects.Open(env.Real(), s.Place)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, f := range t.Files {
		data, _, err := store.Get(ctx, f.Name)
		if err == nil {
			err = f.Check(data)
		}
		if err != nil {
			return nil, err
		}
		batches, err := parquet.Read(data, memory.DefaultAllocator)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		out = appendRows(out, batches, places)
	}
	slices.Sort(out)
	return out, nil
}

func appendRows(out []string, batches []arrow.RecordBatch, places bool) []string {
	for _, b := range batches {
		for i := range int(b.NumRows()) {
			var line strings.Builder
			for c, col := range b.Columns() {
				switch name := b.ColumnName(c); {
				case places && name != "_partition" && name != "_offset" && name != "_index":
					continue
				case !places && (name == "_offset" || name == "_received"): // offsets count clock ticks too
					continue
				}
				line.WriteString(col.ValueStr(i) + " ")
			}
			out = append(out, line.String())
		}
	}
	return out
}

// compare compares sorted lines.
func compare(want, got []string) error {
	if slices.Equal(want, got) {
		return nil
	}
	counts := map[string]int{}
	for _, x := range want {
		counts[x]++
	}
	for _, x := range got {
		counts[x]--
	}
	missing, double, example := 0, 0, ""
	for x, n := range counts {
		if n > 0 {
			missing += n
		}
		if n < 0 {
			double -= n
		}
		if n != 0 && (example == "" || x < example) {
			example = x
		}
	}
	return fmt.Errorf("%d rows missing, %d too many, of %d; such as %s", missing, double, len(want), example)
}

// orphans are files of a table that its list does not name, nor keeps for a while.
func orphans(s lake.Source) error {
	ctx := context.Background()
	t, err := s.Open(ctx, env.Real())
	if err != nil {
		return err
	}
	store, err := objects.Open(env.Real(), s.Place)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, f := range t.Files {
		known[f.Name] = true
	}
	for _, g := range t.Gone {
		known[g.Name] = true
	}
	list, err := store.List(ctx, "")
	for _, o := range list {
		if strings.HasSuffix(o.Name, ".parquet") && !known[o.Name] {
			err = errors.Join(err, fmt.Errorf("%s is in no list", o.Name))
		}
	}
	return err
}

// input makes the records of a fleet.
func input(t *testing.T, records int64) []string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "input.ndjson")
	must(t, rig.MakeInput(name, records, 1))
	text, err := os.ReadFile(name)
	must(t, err)
	return slices.Collect(strings.Lines(string(text)))
}
