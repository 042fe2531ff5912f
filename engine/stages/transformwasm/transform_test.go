package transformwasm

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
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

// TestLongKey: a row whose key of state no table takes is rejected, and the state of others goes on as if it had not been there.
func TestLongKey(t *testing.T) {
	_, spec := Specs()
	text := func(label string) string {
		return "-- args --\nplugin = \"health\"\nby = [device, label]\n-- at --\nkey device\n-- rows --\n" +
			"_time device:string label:string temp:number setpoint:number\n" +
			"00:00:00 a x 1 0\n00:00:01 a " + label + " 2 0\n00:00:02 a x 3 0\n-- end --\n"
	}
	got := string(stagetest.Run(t, spec, []byte(text(strings.Repeat("q", 66_000))), 20, guests(t)))
	if _, rejects, _ := strings.Cut(got, "-- rejects --\n"); rejects != "1 its key has 66007 bytes; at most 65536 are taken\n" {
		t.Errorf("rejected: %.300s", rejects)
	}
	_, out, _ := strings.Cut(got, "-- out --\n")
	out, _, _ = strings.Cut(out, "-- rejects --")
	if n := strings.Count(out, "\n"); n != 3 || strings.Contains(out, "qq") {
		t.Errorf("%d lines came out: %.2000s", n, out)
	}
}
