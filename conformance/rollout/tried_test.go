package rollout

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/replay"
)

// TestTried: a replay runs the module that ran then, whatever the block names by now; a configuration that it is compared with runs
// its own, where that is another one.
func TestTried(t *testing.T) {
	w := newWorld(t, filepath.Join(t.TempDir(), "p"), "ingest \"file\" \"in\" {\n  to   = channel.c\n  path = \"in.ndjson\"\n}\n")
	var in strings.Builder
	for i := range 40 {
		fmt.Fprintf(&in, "{\"device\": \"d%d\", \"seq\": %d, \"temp\": 1}\n", i%7, i)
	}
	w.write("in.ndjson", in.String())
	e := w.open(true)
	w.must(e.Run(context.Background()))
	w.must(e.Close())
	other := func(version string) string {
		dir := t.TempDir()
		w.must(os.CopyFS(dir, os.DirFS(w.dir)))
		content, err := os.ReadFile(filepath.Join(dir, "p.hcl"))
		w.must(err)
		w.must(os.WriteFile(filepath.Join(dir, "p.hcl"), []byte(strings.Replace(string(content), "v1.wasm", version, 1)), 0o644))
		return dir
	}
	same, next := other("v1.wasm"), other("v3.wasm")
	for _, c := range []struct {
		name, dir, than string
		differ          int64
	}{{"the same module", same, w.dir, 0}, {"another one", next, w.dir, 40}, {"another one, which stands in for nothing", next, "", 0}} {
		open := func(dir, than string) *replay.Replay {
			r, diags, _, err := replay.Open(replay.Options{Env: env.Real(), Dir: dir, Than: than, Data: w.data(), Every: true})
			if diags.HasErrors() {
				t.Fatal(diags)
			}
			w.must(err)
			t.Cleanup(func() { w.must(r.Close()) })
			return r
		}
		d, err := replay.Compare(context.Background(), open(w.dir, ""), open(c.dir, c.than))
		w.must(err)
		for _, x := range d.Edges {
			if x.Edge == "pipeline.p.transform.probe" && (x.OnlyB != c.differ || x.OnlyA != c.differ || x.Same != 40-c.differ) {
				t.Errorf("%s: %d rows alike, %d and %d that only one has; want %d", c.name, x.Same, x.OnlyA, x.OnlyB, c.differ)
			}
		}
		if len(d.Edges) == 0 {
			t.Errorf("%s: nothing was compared", c.name)
		}
	}
}
