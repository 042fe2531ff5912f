package transformwasm

import (
	"fmt"
	"math"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/state"
	"github.com/tidemill/tidemill/engine/wasm"
)

// TestMoveState: what a trial has learned of keys goes to the others' table, also of those behind a key that there is no room for.
func TestMoveState(t *testing.T) {
	decl := (&wasm.Manifest{Name: "p", State: &wasm.State{}}).Tables("", 4)[1]
	to, from := state.New(decl), state.New(decl)
	put := func(table *state.Table, key string, version uint32) {
		slot, _, err := table.Slot([]byte(key))
		if err != nil {
			t.Fatal(err)
		}
		table.U32(0)[slot] = version
		table.SetBytes(1, slot, []byte(fmt.Sprint(key, version)))
	}
	for _, key := range []string{"a", "b", "c"} {
		put(to, key, 1)
	}
	for _, key := range []string{"x", "y", "b"} {
		put(from, key, 2)
	}
	put(from, "unborn", 0) // a key whose state is not written yet
	if left := moveState(to, from); left != 1 {
		t.Errorf("%d keys are left, want that for which there is no room", left)
	}
	for key, want := range map[string]string{"a": "a1", "b": "b2", "c": "c1", "x": "x2"} {
		slot, ok := to.Find([]byte(key))
		if !ok || string(to.Bytes(1, slot)) != want {
			t.Errorf("%s: %v, %q, want %q", key, ok, to.Bytes(1, slot), want)
		}
	}
}

// TestAlike: numbers that differ by rounding are the same; what only one version can count is not.
func TestAlike(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct {
		a, b float64
		want bool
	}{
		{1, 1, true},
		{1, 1 + 1e-10, true},
		{1, 1 + 1e-8, false},
		{0, 1e-300, false},
		{1e308, -1e308, false},
		{inf, 5, false},
		{5, -inf, false},
		{inf, -inf, false},
	} {
		b := array.NewFloat64Builder(memory.DefaultAllocator)
		b.AppendValues([]float64{c.a, c.b}, nil)
		col := b.NewFloat64Array()
		if got := alike(col, 0, col, 1); got != c.want {
			t.Errorf("%v and %v: %v", c.a, c.b, got)
		}
		col.Release()
		b.Release()
	}
}
