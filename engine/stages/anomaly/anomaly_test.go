package anomaly

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/stages/stagetest"
)

func spec(t testing.TB, kind string) stage.Spec {
	for _, s := range Specs() {
		if s.Type == kind {
			return s
		}
	}
	t.Fatalf("no anomaly stage of kind %q", kind)
	panic("unreachable")
}

// TestCases runs testdata/KIND-*.txt; UPDATE_TESTDATA=1 writes down what comes out.
func TestCases(t *testing.T) {
	update := os.Getenv("UPDATE_TESTDATA") != ""
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			kind, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(name), ".txt"), "-")
			got := stagetest.Run(t, spec(t, kind), want, 20)
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
