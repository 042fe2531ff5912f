package plan_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/stages"
	"github.com/tidemill/tidemill/engine/state"
)

// build binds one file.
func build(t *testing.T, text []byte) *plan.Plan {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.hcl"), text, 0o644); err != nil {
		t.Fatal(err)
	}
	c, diags := config.Load(env.Real(), dir, config.Options{})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	p, diags := plan.Build(c, stages.Builtin(), nil)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return p
}

// hold is what an engine with this plan holds: five entries in every table.
func hold(p *plan.Plan) *plan.Held {
	h := &plan.Held{Epoch: 1, Nodes: p.HeldNodes()}
	add := func(address string, d state.Decl) {
		h.Tables = append(h.Tables, plan.HeldTable{Address: address, Decl: d, Entries: 5})
	}
	for _, ch := range p.Channels {
		h.Channels = append(h.Channels, plan.HeldChannel{Name: ch.Config.Name, Partitions: ch.Config.Partitions, Offset: 1234})
		add("", ch.KeysDecl())
	}
	for _, pl := range p.Pipelines {
		for _, n := range pl.Nodes {
			for _, d := range n.Bound.State {
				add(n.Address, d)
			}
		}
	}
	return h
}

// TestDiff: testdata/diff/*.txtar hold what ran (before.hcl, or common.hcl and
// before.hcl after each other), what takes over (after.hcl), and what is said of it. UPDATE_SCRIPTS=1
// writes that down.
func TestDiff(t *testing.T) {
	names, err := filepath.Glob("testdata/diff/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatal(err, len(names))
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			a, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			part := map[string][]byte{}
			for _, f := range a.Files {
				part[f.Name] = f.Data
			}
			before := build(t, append(bytes.Clone(part["common.hcl"]), part["before.hcl"]...))
			after := build(t, append(bytes.Clone(part["common.hcl"]), part["after.hcl"]...))
			if same := before.Diff(hold(before)); plan.Differs(same) {
				t.Errorf("a plan differs from itself:\n%s", plan.ChangesText(same))
			}
			got := plan.ChangesText(after.Diff(hold(before)))
			if os.Getenv("UPDATE_SCRIPTS") != "" {
				a.Files[len(a.Files)-1].Data = []byte(got)
				if err := os.WriteFile(name, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if want := string(part["want"]); got != want {
				t.Errorf("got\n%swant\n%s", got, want)
			}
		})
	}
}
