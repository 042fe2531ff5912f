package dedupe

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/tidemill/tidemill/engine/stages/stagetest"
)

// TestCases runs testdata/*.txt; UPDATE_TESTDATA=1 writes down what comes out.
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
			got := stagetest.Run(t, Spec(), want, 40)
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
