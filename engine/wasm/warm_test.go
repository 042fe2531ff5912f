package wasm

import (
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
)

// TestWarm: runners take the instances that wait for their settings, and no others; what comes out is the same.
func TestWarm(t *testing.T) {
	p := load(t, module(t, "over"), Limits{})
	if err := p.Warm(nil, 2); err != nil {
		t.Fatal(err)
	}
	waiting := p.spares.bySet["map[]"]
	if len(waiting) != 2 {
		t.Fatalf("%d instances wait", len(waiting))
	}
	a, b, c := waiting[0].instance, waiting[1].instance, fourColumns(3)
	other := runner(t, p, RunnerOptions{Settings: map[string]Setting{"limit": {Text: "1"}}})
	if other.instance == a || other.instance == b {
		t.Error("an instance was taken by a runner with other settings")
	}
	for _, want := range []*Instance{b, a, nil} {
		r := runner(t, p, RunnerOptions{})
		if want != nil && r.instance != want {
			t.Error("the runner did not take the instance that waited")
		}
		out := r.Run(c)
		if v := out.Columns[0].(*array.Float64).Value(2); out.Rows != 3 || v != native(c, r.o.Alloc).(*array.Float64).Value(2) {
			t.Errorf("%d rows, %v", out.Rows, v)
		}
	}
}
