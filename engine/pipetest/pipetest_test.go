package pipetest

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/env"
)

// TestSuites runs the folders of testdata. What a test should say stands in
// want.txt beside it: a line an outcome, a line a failure.
func TestSuites(t *testing.T) {
	dirs, err := filepath.Glob("testdata/*")
	if err != nil || len(dirs) == 0 {
		t.Fatal("no folders: ", err)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			got := outcomes(t, dir)
			name := filepath.Join(dir, "want.txt")
			if os.Getenv("UPDATE_TESTDATA") != "" {
				if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// outcomes tells how the tests of a folder went, twice: a run must not depend on the one before, nor on what
// moves at the same time.
func outcomes(t *testing.T, dir string) string {
	suite, diags := Load(env.Real(), dir)
	var out strings.Builder
	if err := config.Print(&out, diags, suite.Files, false); err != nil {
		t.Fatal(err)
	}
	for _, test := range suite.Tests {
		first := outcome(t, suite, test, nil)
		if again := outcome(t, suite, test, together); again != first {
			t.Errorf("test %q says another thing the second time:\n%s\n%s", test.Name, first, again)
		}
		out.WriteString(first)
	}
	return out.String()
}

func together(list []func()) {
	var all sync.WaitGroup
	for _, f := range list {
		all.Go(f)
	}
	all.Wait()
}

func outcome(t *testing.T, suite *Suite, test *Test, together func([]func())) string {
	var out strings.Builder
	o, diags, err := test.Run(suite.Dir, Options{Env: env.Real(), Together: together})
	if err != nil {
		t.Fatal(err)
	}
	files := maps.Clone(o.Files())
	maps.Copy(files, suite.Files)
	if err := config.Print(&out, diags, files, false); err != nil {
		t.Fatal(err)
	}
	if diags.HasErrors() {
		return "mistake  " + test.Name + "\n" + out.String()
	}
	word := "ok  "
	if len(o.Failures) > 0 {
		word = "FAIL"
	}
	out.WriteString(word + "  " + test.Name + "\n")
	for _, f := range o.Failures {
		out.WriteString("    " + f.What + "\n" + f.More)
	}
	var c Coverage
	c.Add(o)
	reached, missing := c.Report()
	out.WriteString("    " + reached + "\n")
	for _, m := range missing {
		out.WriteString("      " + m + "\n")
	}
	return out.String()
}

// TestApply: tables are rewritten where they stand, whatever their length.
func TestApply(t *testing.T) {
	src := "a\n    table = <<-EOT\n      x  y\n      1  2\n    EOT\nb\n    table = <<-EOT\n      z\n    EOT\n"
	suite := []Update{{Lines: []string{"x  y", "3  4", "5  6"}}, {Lines: []string{"z", "9"}}}
	suite[0].At.Start.Line, suite[1].At.Start.Line = 2, 7
	want := "a\n    table = <<-EOT\n      x  y\n      3  4\n      5  6\n    EOT\nb\n    table = <<-EOT\n      z\n      9\n    EOT\n"
	if got := string(Apply([]byte(src), suite)); got != want {
		t.Errorf("got\n%s", got)
	}
}
