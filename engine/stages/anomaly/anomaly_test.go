package anomaly

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/stages/stagetest"
	"github.com/tidemill/tidemill/engine/state"
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

// TestModelsStay: what shapes a model makes another table, what judges it does not;
// and the plan counts a model's bytes.
func TestModelsStay(t *testing.T) {
	rows, err := flow.ParseRows(memory.DefaultAllocator, "_time device:string temp:number\n00:00:00 a 1\n")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Release()
	decl := func(more string) []state.Decl {
		bound, diags := stagetest.Bind(spec(t, "ensemble"), []byte("on = [temp]\n"+more), rows.Schema(), "device", 4)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		return bound.State
	}
	plain := decl("")
	for more, same := range map[string]bool{
		"threshold = 2": true, "alerts_per_week = 1": true, "quiet = 10": true, "warm_up = 5": true, "suppress = temp > 3": true,
		"trees = 10": false, "shingle = 2": false, "samples = 100": false, "decay = 0.1": false, "seed = 2": false,
	} {
		if got := slices.EqualFunc(plain, decl(more), state.Decl.Same); got != same {
			t.Errorf("%s: the same table: %v, want %v", more, got, same)
		}
	}
	if mb := (plain[0].PlannedBytes(1) + plain[1].PlannedBytes(1)) / 1e6; mb < 3750 || mb > 3950 {
		t.Errorf("the plan counts %d MB for ten thousand models of 382 kB and their logs", mb)
	}
}

// TestCuts: what stands out does not depend on where batches end and where the stage is restarted, with rows among them that are out of order or lack a value.
func TestCuts(t *testing.T) {
	out, _, counts := stagetest.Streams(t, spec(t, "robust_zscore"), 30, func(r *rand.Rand) string {
		return fmt.Sprintf("by = [%s]\non = [temp]\nwarm_up = %d\nthreshold = 0.5\n", []string{"device", "device, door"}[r.IntN(2)], 5+r.IntN(10))
	})
	if out < 100 || counts < 20 {
		t.Errorf("%d rows, %d counters: this check cannot fail", out, counts)
	}
}
