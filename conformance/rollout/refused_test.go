package rollout

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/run"
	"github.com/tidemill/tidemill/engine/stages"
	"github.com/tidemill/tidemill/engine/wasm"
)

// TestRefused: rollout blocks that cannot be, told by validate.
func TestRefused(t *testing.T) {
	const block = "rollout \"r\" {\n  plugin  = plugin.probe\n  canary  = plugin.next\n  percent = 10\n}\nplugin \"next\" { source = \"v2.wasm\" }\n"
	const behind = `channel "d" { key = device }
pipeline "q" {
  from = channel.d
  transform "wasm" "again" { plugin = plugin.probe }
  sink "file" "more" { path = "more.ndjson" }
  sink "file" "bad" { path = "bad.ndjson" }
  rejects = sink.bad
}
`
	feeds := strings.Replace(text, "  sink \"file\" \"rejects\"", "  sink \"channel\" \"feed\" {\n    to = channel.d\n  }\n  sink \"file\" \"rejects\"", 1)
	for _, c := range []struct{ config, want string }{
		{text + block, ""},
		{feeds + behind, ""},
		{feeds + behind + block, "pipeline.q.transform.again reads rows that stages feed (channel.d)"},
		{strings.NewReplacer("transform \"wasm\" \"probe\" { plugin = plugin.probe }", "rule \"probe\" {}", "transform.probe", "rule.probe").Replace(text) + block, "No stage runs plugin.probe."},
		{strings.Replace(text, "v1.wasm", "away.wasm", 1) + block, "away.wasm: no such file or directory. tidemill plugin build makes it."},
		{text + strings.Replace(block, "plugin.next", "plugin.nxt", 1), "There is no block plugin.nxt. Did you mean"},
		// A fleet that no rollout names yet is looked at too: a command may name it.
		{text + "fleet \"x\" { where = divice == \"d1\" }\n", "There is no column \"divice\" in a fleet's devices. Did you mean device?"},
		{text + "fleet \"x\" { where = registy.site == \"lab\" }\n", "called registry.NAME"},
		{text + "fleet \"x\" { where = registry[\"site\"] == \"lab\" }\n", "called registry.NAME"},
		{text + "fleet \"x\" { where = registry.site }\n", "where must be a bool"},
		{text + strings.Replace(block, "v2.wasm", "other.wasm", 1), "pipeline.p.transform.probe cannot run plugin.next: it is other; plugin.probe is probe."},
	} {
		w := newWorld(t, t.TempDir(), "")
		w.other()
		w.write("p.hcl", c.config)
		diags := plan.Check(env.Real(), w.dir, config.Options{}, stages.Builtin())
		var said []string
		for _, d := range diags {
			said = append(said, d.Detail)
		}
		if all := strings.Join(said, "\n"); !strings.Contains(all, c.want) || (c.want == "") != (all == "") || len(said) > 1 {
			t.Errorf("%q, want %q", all, c.want)
		}
	}
}

// other writes a module of another plugin.
func (w *world) other() {
	code, err := os.ReadFile("testdata/v1.wasm")
	w.must(err)
	module, err := wasm.Attach(code, bytes.Replace(fmt.Appendf(nil, manifest, 1), []byte(`"probe"`), []byte(`"other"`), 1))
	w.must(err)
	w.write("other.wasm", string(module))
}

// TestLeavesState: a version that cannot go on with the state that the stable one leaves is not tried: it would reject every device
// there is.
func TestLeavesState(t *testing.T) {
	w := newWorld(t, t.TempDir(), "")
	e := w.open(true)
	defer func() { w.must(e.Close()) }()
	code, err := os.ReadFile("testdata/v2.wasm")
	w.must(err)
	module, err := wasm.Attach(code, bytes.Replace(fmt.Appendf(nil, manifest, 4), []byte(`"state": {"version": 1`), []byte(`"state": {"version": 2`), 1))
	w.must(err)
	digest, _, err := e.Modules().Put(module)
	w.must(err)
	err = e.Rollout(run.RolloutCommand{Action: "start", Name: "r", Plugin: "probe", Digest: digest, Share: 5000})
	if err == nil || !strings.Contains(err.Error(), "probe 4.0.0 keeps state of version 2, and probe 1.0.0 has left version 1") || len(e.Rollouts(false)) > 0 {
		t.Errorf("%v, and %d rollouts", err, len(e.Rollouts(false)))
	}
	w.must(e.Rollout(run.RolloutCommand{Action: "start", Name: "r", Plugin: "probe", Digest: w.digests[2], Share: 5000}))
}
