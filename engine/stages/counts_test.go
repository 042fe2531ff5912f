package stages

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestCounts: what stages count, in their folders and in those of what they share, is what they say they count, or a test of a
// pipeline takes a metric for a slip.
func TestCounts(t *testing.T) {
	said := map[string]bool{}
	for _, s := range Builtin() {
		if s.Kind == "ingest" || s.Kind == "sink" {
			continue // tests of pipelines put others in their places
		}
		if !slices.IsSorted(s.Counts) {
			t.Errorf("%s %s: what it counts is not sorted", s.Kind, s.Type)
		}
		for _, name := range s.Counts {
			said[name] = !strings.HasPrefix(name, "cost_log_") || name == "cost_log_dropped" // others end with a level
		}
	}
	maps.DeleteFunc(said, func(_ string, plain bool) bool { return !plain })
	found := map[string]bool{}
	call := regexp.MustCompile(`\.Count\("([a-z_]*[a-z])"`)
	for _, pattern := range []string{"*/*.go", "../carry/*.go", "../wasm/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatal(pattern, err)
		}
		for _, name := range files {
			if strings.HasPrefix(name, "ingest") || strings.HasPrefix(name, "sink") || strings.HasSuffix(name, "_test.go") {
				continue
			}
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range call.FindAllSubmatch(text, -1) {
				found[string(m[1])] = true
			}
		}
	}
	if want, got := slices.Sorted(maps.Keys(found)), slices.Sorted(maps.Keys(said)); !slices.Equal(want, got) {
		t.Errorf("stages count %q and say that they count %q", want, got)
	}
}
