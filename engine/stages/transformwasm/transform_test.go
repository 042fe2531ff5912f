package transformwasm

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/stages/stagetest"
	"github.com/tidemill/tidemill/engine/wasm"
)

// guest is a plugin block over a guest of the package wasm's tests.
func guest(t testing.TB, name, code string) *config.Plugin {
	t.Helper()
	module, err := os.ReadFile(filepath.Join("../../wasm/testdata", code+".wasm"))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := os.ReadFile(filepath.Join("../../wasm/testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	if module, err = wasm.Attach(module, manifest); err != nil {
		t.Fatal(err)
	}
	return &config.Plugin{Name: name, Module: module, Digest: wasm.Digest(module), FuelPerRow: 50_000, Range: hcl.Range{Filename: "args", Start: hcl.InitialPos, End: hcl.InitialPos}}
}

func guests(t testing.TB) func(*stage.At) {
	configured := guest(t, "configured", "over")
	at := hcl.Range{Filename: "args", Start: hcl.Pos{Line: 9, Column: 9, Byte: 99}}
	configured.Config = []config.PluginArg{{Name: "limit", Value: cty.StringVal("secret"), Range: at}, {Name: "lmit", Value: cty.True, Range: at}}
	list := []*config.Plugin{guest(t, "burst", "burst"), configured, guest(t, "health", "health"), guest(t, "over", "over")}
	return func(a *stage.At) { a.Plugins = list }
}

// TestCases runs testdata/*.txt; UPDATE_TESTDATA=1 writes down what comes out.
func TestCases(t *testing.T) {
	update := os.Getenv("UPDATE_TESTDATA") != ""
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	with := guests(t)
	decode, spec := Specs()
	if decode.Args().(*args).plugins != spec.Args().(*args).plugins {
		t.Error("plugins that decode are compiled by another host, and so at the same time")
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			got := stagetest.Run(t, spec, want, 20, with)
			if bytes.Equal(got, want) {
				return
			}
			if update {
				if err := os.WriteFile(name, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			t.Errorf("got\n%s", got)
		})
	}
}
