package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/stages"
)

// minBad is how many mistakes the files must show at least.
const minBad = 60

// TestBad validates every file of bad/, and every folder, as a configuration of
// its own. A mistake is announced on its line by "# ERROR: text", where text is
// a part of "summary; detail"; a second one on the line by a second such comment;
// one that has no position by "# ERROR ANYWHERE: text". What is
// announced and what is found must match one to one. Warnings likewise, by "# WARNING: text".
func TestBad(t *testing.T) {
	entries, err := os.ReadDir("bad")
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, entry := range entries {
		sources := []string{filepath.Join("bad", entry.Name())}
		if entry.IsDir() {
			if sources, err = filepath.Glob(filepath.Join("bad", entry.Name(), "*.hcl")); err != nil {
				t.Fatal(err)
			}
		}
		t.Run(strings.TrimSuffix(entry.Name(), ".hcl"), func(t *testing.T) {
			want, diags := validate(t, sources)
			total += len(want)
			for _, problem := range compare(want, diags) {
				t.Error(problem)
			}
		})
	}
	if total < minBad {
		t.Errorf("%d mistakes are announced, too few", total)
	}
}

// validate copies files into a folder of their own and validates it.
func validate(t *testing.T, sources []string) ([]expectation, hcl.Diagnostics) {
	t.Helper()
	dir := t.TempDir()
	var want []expectation
	for _, source := range sources {
		text, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(source)
		want = append(want, announced(name, string(text))...)
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return want, plan.Check(badWorld(t), dir, config.Options{}, stages.Builtin())
}

// badWorld is this machine, but for its environment variables.
func badWorld(t *testing.T) *env.Env {
	t.Helper()
	e := env.Real()
	e.Var = func(name string) (string, bool) {
		if name == "SECRET" {
			return secret, true
		}
		return "", false
	}
	return e
}

// secret is the value of the environment variable SECRET; no message may hold it.
const secret = "hunter2"

// expectation is a mistake that a file announces. A file "" is anywhere.
type expectation struct {
	file string
	line int
	text string
	kind hcl.DiagnosticSeverity
}

func announced(file, src string) []expectation {
	comment := regexp.MustCompile(`# (ERROR|WARNING)( ANYWHERE)?: (.*?)(?:$| # (?:ERROR|WARNING))`)
	var all []expectation
	for i, line := range strings.Split(src, "\n") {
		for rest := line; ; {
			m := comment.FindStringSubmatchIndex(rest)
			if m == nil {
				break
			}
			want := expectation{file, i + 1, strings.TrimSpace(rest[m[6]:m[7]]), hcl.DiagError}
			if rest[m[2]:m[3]] == "WARNING" {
				want.kind = hcl.DiagWarning
			}
			if m[4] >= 0 {
				want.file, want.line = "", 0
			}
			all = append(all, want)
			rest = rest[m[7]:]
		}
	}
	return all
}

// compare matches what is announced and what was found, one to one.
func compare(want []expectation, diags hcl.Diagnostics) []string {
	var problems []string
	used := make([]bool, len(want))
next:
	for _, d := range diags {
		file, line, text := "", 0, d.Summary+"; "+d.Detail
		if d.Subject != nil {
			file, line = filepath.Base(d.Subject.Filename), d.Subject.Start.Line
		}
		if strings.Contains(text, secret) {
			problems = append(problems, "a secret is told: "+text)
		}
		for i, w := range want {
			if !used[i] && w.kind == d.Severity && w.file == file && w.line == line && strings.Contains(text, w.text) {
				used[i] = true
				continue next
			}
		}
		problems = append(problems, fmt.Sprintf("%s:%d: not announced: %s", file, line, text))
	}
	for i, w := range want {
		if !used[i] {
			problems = append(problems, fmt.Sprintf("%s:%d: announced, not found: %s", w.file, w.line, w.text))
		}
	}
	return problems
}

// TestCompare shows that the comparison can fail, each way.
func TestCompare(t *testing.T) {
	at := hcl.Range{Filename: "x/a.hcl", Start: hcl.Pos{Line: 2}}
	found := config.Errorf(at, "Wrong", "very")
	for _, c := range []struct {
		src      string
		found    hcl.Diagnostics
		problems int
	}{
		{"x\ny # ERROR: Wrong; very", found, 0},
		{"x\ny", found, 1},
		{"x # ERROR: Wrong\ny", found, 2},
		{"x\ny # ERROR: Right", found, 2},
		{"x\ny # WARNING: Wrong", found, 2},
		{"x\ny # ERROR: Wrong # ERROR: very", found, 1},
		{"x\ny # ERROR: Wrong # ERROR ANYWHERE: very", found, 1},
		{"x # ERROR ANYWHERE: Lost", config.Errorf(hcl.Range{}, "Lost", ""), 0},
		{"x # ERROR ANYWHERE: Lost", config.Errorf(hcl.Range{}, "Lost", secret), 1},
	} {
		if got := compare(announced("a.hcl", c.src), c.found); len(got) != c.problems {
			t.Errorf("%q: %d problems, want %d: %v", c.src, len(got), c.problems, got)
		}
	}
}
