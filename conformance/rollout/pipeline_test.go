package rollout

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/device"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/plugindev"
	"github.com/tidemill/tidemill/engine/run"
	"github.com/tidemill/tidemill/engine/simulate"
	"github.com/tidemill/tidemill/engine/stages"
	"github.com/tidemill/tidemill/engine/wasm"
)

// TestPipeline runs pipelines/trailer_health, whose rollout block puts a plugin's new version on trial: in the shadow of the
// old one, with a quarter of the pilots, and then with all of them, while the fleet goes on.
func TestPipeline(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "pipelines", "trailer_health")
	w := &world{t: t, dir: dir}
	w.must(os.CopyFS(dir, os.DirFS("../../pipelines/trailer_health")))
	digests := map[string]string{}
	for _, name := range []string{"plugins/geofence", "plugins/refrigerant_health", "pipelines/trailer_health/next"} {
		p, diags := plugindev.ReadProject(env.Real(), filepath.Join("../..", name))
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		module, err := p.Build(context.Background())
		w.must(err)
		digests[name] = wasm.Digest(module)
		w.must(os.MkdirAll(filepath.Join(root, name), 0o755))
		w.must(os.WriteFile(filepath.Join(root, name, p.Manifest.Name+".wasm"), module, 0o644))
	}
	w.write("in.ndjson", "")
	e := w.trailers()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	w.must(e.SetDevices([]device.Device{{ID: simulate.DeviceName(1), Attributes: map[string]string{"pilot": "yes"}}}))
	sent := w.drive(e, digests["pipelines/trailer_health/next"])
	cancel()
	w.must(<-ended)
	w.must(e.Close())
	t.Logf("%d rows", sent)
	if rejects, err := os.ReadFile(filepath.Join(dir, "out", "rejects.ndjson")); err != nil || len(rejects) > 0 {
		t.Errorf("rejects: %v\n%.2000s", err, rejects)
	}
}

// trailers opens the engine on the pipeline.
func (w *world) trailers() *run.Engine {
	w.t.Helper()
	c, diags := config.Load(env.Real(), w.dir, config.Options{Vars: map[string]string{"input": "in.ndjson", "follow": "true"}})
	if diags.HasErrors() {
		w.t.Fatal(diags)
	}
	p, diags := plan.Build(c, stages.Builtin(), nil)
	if diags.HasErrors() {
		w.t.Fatal(diags)
	}
	w.must(os.MkdirAll(w.data(), 0o755))
	e, err := run.Open(p, run.Options{Env: env.Real(), Data: w.data(), Specs: stages.Builtin()})
	w.must(err)
	return e
}

// drive lets the fleet go on until the new version is promoted, and looks at how that came.
func (w *world) drive(e *run.Engine, next string) (sent int64) {
	w.t.Helper()
	const chunk = 4_000 // rows; 200 trailers send 400 a minute of their time
	fleet, err := simulate.New(simulate.Options{Devices: 200, Seed: 3})
	w.must(err)
	promoted := func() bool {
		for _, v := range e.Rollouts(false) {
			if v.Name == "pilot_health" && v.Stable == next {
				return true
			}
		}
		return false
	}
	for end := time.Now().Add(2 * time.Minute); !promoted(); {
		if h := e.RolloutHistory(); time.Now().After(end) || h[len(h)-1].Action == "rollback" {
			w.t.Fatalf("it is not promoted: %+v, %+v", e.RolloutHistory(), e.Rollouts(true))
		}
		var lines []byte
		for range chunk {
			lines, _, _ = fleet.Next(lines)
		}
		w.more(string(lines))
		sent += chunk
		for s := e.Status(); s.Totals().Records < sent || s.Totals().Lag > 0; s = e.Status() {
			if time.Now().After(end) {
				w.t.Fatalf("%d of %d records came in two minutes", s.Totals().Records, sent)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	var did []string
	for _, h := range e.RolloutHistory() {
		if h.Rollout == "pilot_health" {
			did = append(did, fmt.Sprintf("%s %d by %s", h.Action, h.Share, h.By))
		}
	}
	if got, want := strings.Join(did, ", "), "shadow 10000 by rollout block, canary 2500 by bake, promote 0 by bake"; got != want {
		w.t.Errorf("history: %s; want %s", got, want)
	}
	return sent
}
