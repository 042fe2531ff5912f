package pipelines

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/pipetest"
	"github.com/tidemill/tidemill/engine/plugindev"
)

// TestPipelines runs every test of every folder of pipelines.
func TestPipelines(t *testing.T) {
	const folder = "../../pipelines"
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() {
			t.Run(e.Name(), func(t *testing.T) { suite(t, filepath.Join(folder, e.Name())) })
		}
	}
}

// modules builds the plugins whose modules a folder's files name, where their sources are in this repository.
func modules(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`source\s*=\s*"([^"]+\.wasm)"`).FindAllSubmatch(text, -1) {
			module := filepath.Join(dir, string(m[1]))
			p, diags := plugindev.ReadProject(env.Real(), filepath.Dir(module))
			if diags.HasErrors() {
				t.Fatal(diags)
			}
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
			defer cancel()
			code, err := p.Build(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if err := env.WriteWhole(env.Real().FS, module, code); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func suite(t *testing.T, dir string) {
	modules(t, dir)
	s, diags := pipetest.Load(env.Real(), dir)
	told(t, diags, s.Files)
	if len(s.Tests) == 0 {
		t.Fatalf("%s has no test", dir)
	}
	for _, test := range s.Tests {
		t.Run(test.Name, func(t *testing.T) {
			if test.Long && os.Getenv("TIDEMILL_SOAK") == "" {
				t.Skip("long; TIDEMILL_SOAK=1 runs it")
			}
			began := time.Now()
			out, diags, err := test.Run(dir, pipetest.Options{Env: env.Real(), Together: together})
			if err != nil {
				t.Fatal(err)
			}
			told(t, diags, out.Files())
			for _, f := range out.Failures {
				t.Errorf("%s:%d: %s\n%s", f.At.Filename, f.At.Start.Line, f.What, f.More)
			}
			t.Logf("%d records in %v", out.Records, time.Since(began).Round(time.Millisecond))
		})
	}
}

// together runs functions on goroutines of their own.
func together(list []func()) {
	var all sync.WaitGroup
	for _, f := range list {
		all.Go(f)
	}
	all.Wait()
}

// told fails with what is wrong in the files, as a person would read it.
func told(t *testing.T, diags hcl.Diagnostics, files map[string]*hcl.File) {
	t.Helper()
	if !diags.HasErrors() {
		return
	}
	var text strings.Builder
	if err := config.Print(&text, diags, files, false); err != nil {
		t.Fatal(err)
	}
	t.Fatal(text.String())
}
