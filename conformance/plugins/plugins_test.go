package plugins

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/conformance/rig"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/plugindev"
	"github.com/tidemill/tidemill/engine/wasm"
)

// compilers puts the AssemblyScript compiler that .ci/needs installs on the PATH.
func compilers(t *testing.T) {
	t.Helper()
	bin, err := filepath.Abs("node_modules/.bin")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(filepath.ListSeparator)+os.Getenv("PATH"))
}

func build(t *testing.T, dir string) (*plugindev.Project, []byte) {
	t.Helper()
	p, diags := plugindev.ReadProject(env.Real(), dir)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	module, err := p.Build(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return p, module
}

func load(t *testing.T, module []byte) *plugindev.Rig {
	t.Helper()
	rig, err := plugindev.Load(env.Real(), module, wasm.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := rig.Close(); err != nil {
			t.Error(err)
		}
	})
	return rig
}

// passes runs the tests of a folder and holds the module to the guarantees.
func passes(t *testing.T, dir string, module []byte) {
	t.Helper()
	rig := load(t, module)
	tests, _, diags := plugindev.ReadTests(env.Real(), dir)
	if diags.HasErrors() || len(tests) == 0 {
		t.Fatalf("%d tests: %v", len(tests), diags)
	}
	sample := plugindev.Sample{Rows: &plugindev.Rows{}}
	for _, test := range tests {
		failures, err := rig.Run(test)
		if err != nil {
			t.Fatalf("%s: %v", test.Name, err)
		}
		for _, f := range failures {
			t.Errorf("%s: %s", test.Name, f)
		}
	}
	settings, err := rig.Settings(tests[0].Config)
	if err != nil {
		t.Fatal(err)
	}
	sample.Settings = settings
	rows, err := tests[0].Rows(rig.Plugin.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	sample.Rows.Add(rows)
	verdicts, err := rig.Check(1, sample)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range verdicts {
		if v.Failure != "" {
			t.Errorf("%s: %s", v.Name, v.Failure)
		}
	}
}

// most is the size that a module may have, in bytes.
func most(language string) int {
	if language == "go" {
		return 2_500_000
	}
	return 20_000
}

func TestPlugins(t *testing.T) {
	compilers(t)
	dirs, err := filepath.Glob("../../plugins/*/plugin.hcl")
	if err != nil || len(dirs) < 6 {
		t.Fatal(len(dirs), "plugins", err)
	}
	dirs = append(dirs, "../../pipelines/trailer_health/next/plugin.hcl")
	for _, file := range dirs {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			described, diags := plugindev.ReadProject(env.Real(), dir)
			if diags.HasErrors() {
				t.Fatal(diags)
			}
			name, _ := described.Generate()
			before, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			p, module := build(t, dir)
			if after, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(after) != string(before) {
				t.Errorf("%s is not as plugin.hcl says; it has been written anew (%v)", name, err)
			}
			if len(module) > most(p.Language) {
				t.Errorf("%d bytes; a module in %s has at most %d", len(module), p.Language, most(p.Language))
			}
			passes(t, dir, module)
		})
	}
}

// TestMutants runs guests that each break one guarantee.
func TestMutants(t *testing.T) {
	sources, err := filepath.Glob("testdata/mutants/*.c")
	if err != nil || len(sources) == 0 {
		t.Fatal("no mutants", err)
	}
	hcl, err := os.ReadFile("testdata/mutants/plugin.hcl")
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range sources {
		t.Run(filepath.Base(source), func(t *testing.T) {
			text, err := os.ReadFile(source)
			if err != nil {
				t.Fatal(err)
			}
			want := regexp.MustCompile(`^/\* (.*) \*/`).FindSubmatch(text)
			dir := t.TempDir()
			for name, text := range map[string][]byte{"mutant.c": text, "plugin.hcl": hcl} {
				if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			_, module := build(t, dir)
			verdicts, err := load(t, module).Check(1, plugindev.Sample{})
			if err != nil {
				t.Fatal(err)
			}
			var broken []string
			for _, v := range verdicts {
				if v.Failure != "" {
					broken = append(broken, v.Name)
				}
			}
			if !slices.Contains(broken, string(want[1])) {
				t.Errorf("it breaks %q; what was found: %q", want[1], broken)
			}
		})
	}
}

func TestNew(t *testing.T) {
	compilers(t)
	for _, language := range plugindev.Languages() {
		t.Run(language, func(t *testing.T) {
			var digests []string
			places := 2 // the same digest in both
			if language == "go" || language == "assemblyscript" {
				places = 1 // which take long, and know no place
			}
			for range places {
				dir := filepath.Join(t.TempDir(), "fresh_one")
				if _, err := plugindev.New(dir, language); err != nil {
					t.Fatal(err)
				}
				_, module := build(t, dir)
				digests = append(digests, wasm.Digest(module))
				if len(module) > most(language) {
					t.Errorf("%d bytes; a module in %s has at most %d", len(module), language, most(language))
				}
				if len(digests) == 1 {
					passes(t, dir, module)
				}
			}
			if digests[0] != digests[places-1] {
				t.Errorf("the same sources in two folders made %q", digests)
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	dir := t.TempDir()
	for _, c := range [][3]string{{dir, "go", "is no name"}, {filepath.Join(dir, "x"), "cobol", "there is no language"}, {filepath.Join(dir, "Big"), "c", "is no name"}} {
		if _, err := plugindev.New(c[0], c[1]); err == nil || !strings.Contains(err.Error(), c[2]) {
			t.Errorf("New(%s, %s): %v; want %q", c[0], c[1], err, c[2])
		}
	}
}

func TestMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for language, tool := range map[string]string{"c": "clang", "go": "go", "assemblyscript": "asc"} {
		dir := filepath.Join(t.TempDir(), "p")
		if _, err := plugindev.New(dir, language); err != nil {
			t.Fatal(err)
		}
		p, diags := plugindev.ReadProject(env.Real(), dir)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		_, err := p.Build(context.Background())
		if missing := (*plugindev.Missing)(nil); !errors.As(err, &missing) || missing.What != tool || !strings.Contains(missing.Get, "install") && !strings.Contains(missing.Get, "https://") {
			t.Errorf("%s without %s: %v", language, tool, err)
		}
	}
}

// TestReadme runs the shell blocks of sdk/README.md one after another, in an empty folder.
func TestReadme(t *testing.T) {
	compilers(t)
	binary, err := rig.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", filepath.Dir(binary)+string(filepath.ListSeparator)+os.Getenv("PATH"))
	text, err := os.ReadFile("../../sdk/README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```sh\n(.*?)^```").FindAllSubmatch(text, -1)
	if len(blocks) < 4 {
		t.Fatal(len(blocks), "blocks")
	}
	dir := t.TempDir()
	for _, b := range blocks {
		cmd := exec.Command("bash", "-euo", "pipefail", "-c", string(b[1]))
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s\n%v\n%s", b[1], err, out)
		}
		t.Logf("%s\n%s", b[1], out)
	}
	for _, m := range regexp.MustCompile("(?ms)^```json\n(.*?)^```").FindAllSubmatch(text, -1) {
		out, err := os.ReadFile(filepath.Join(dir, "out.ndjson"))
		if err != nil || !slices.Equal(sortedLines(out), sortedLines(m[1])) {
			t.Errorf("out.ndjson is %q; the page says %q (%v)", out, m[1], err)
		}
	}
}

// sortedLines are lines in an order of their own: partitions have none among each other.
func sortedLines(text []byte) []string {
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	slices.Sort(lines)
	return lines
}
