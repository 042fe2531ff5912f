package plan_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/stages"
)

// TestShared: sinks that would write over each other are refused, within a
// pipeline and across pipelines, and so are those that would write where an ingest reads.
func TestShared(t *testing.T) {
	const head = `channel "c" { schema = { n = number } }
pipeline "p" {
  from = channel.c
  sink "file" "a" { path = "out.ndjson" }
`
	ingest := func(path string) string {
		return head + "}\ningest \"file\" \"in\" {\n  to   = channel.c\n  path = [\"other.ndjson\", \"" + path + "\"]\n}"
	}
	for _, c := range []struct{ name, text, want string }{
		{"apart", head + `  sink "file" "b" { path = "other.ndjson" }` + "\n}", ""},
		{"in a pipeline", head + `  sink "file" "b" { path = "./out.ndjson" }` + "\n}", "pipeline.p.sink.a and pipeline.p.sink.b write to the same place"},
		{"across pipelines", head + "}\n" + `pipeline "q" {
  from = channel.c
  sink "file" "a" { path = "out.ndjson" }
}`, "pipeline.p.sink.a and pipeline.q.sink.a write to the same place"},
		{"the engine's own", head + `  sink "file" "b" { path = "data://rejects/p.ndjson" }` + "\n}", "pipeline.p.sink.b and pipeline.p.sink.rejects write to the same place"},
		{"what an ingest reads", ingest("out.ndjson"), "ingest.in reads out.ndjson. Write to another file"},
		{"the same by another name", ingest("./x/../out.ndjson"), "ingest.in reads out.ndjson. Write to another file"},
		{"what an ingest's pattern takes in", ingest("*.ndjson"), "ingest.in reads *.ndjson. Write to another file"},
		{"what an ingest leaves out", ingest("in/*.ndjson"), ""},
		{"a name that the engine uses", head + `  sink "file" "rejects" { path = "other.ndjson" }` + "\n}", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "a.hcl"), []byte(c.text), 0o644); err != nil {
				t.Fatal(err)
			}
			cfg, diags := config.Load(env.Real(), dir, config.Options{})
			if diags.HasErrors() {
				t.Fatal(diags)
			}
			_, diags = plan.Build(cfg, stages.Builtin(), nil)
			if c.want == "" && diags.HasErrors() || !strings.Contains(diags.Error(), c.want) {
				t.Errorf("got %v, not %q", diags, c.want)
			}
		})
	}
}
