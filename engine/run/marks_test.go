package run

import (
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/state"
)

// sided makes a timekeeper of a side, whose table has room for one key's marks of all sides.
func sided(t *testing.T, keys *state.Table, side, sides int) *timekeeper {
	t.Helper()
	if _, _, err := keys.Slot([]byte("a")); err != nil {
		t.Fatal(err)
	}
	return &timekeeper{ch: &plan.Channel{}, keyCol: -1, keys: keys, ahead: 10, wantMarks: true, side: side, sides: sides}
}

func sidedKeys(sides int) *state.Table {
	return state.New(state.Decl{Name: "k", Digest: "1", MaxKeys: 10, Columns: []state.Column{
		{Name: "mark", Type: state.I64, Width: sides}, {Name: "due", Type: state.I64, Width: sides}}})
}

// TestSideMarks: a row of one side moves that side's watermark and no other, never back, and no further ahead of its receipt
// than the channel allows; whoever is told of the key is told of the side that is least far.
func TestSideMarks(t *testing.T) {
	keys := sidedKeys(2)
	left, right := sided(t, keys, 0, 2), sided(t, keys, 1, 2)
	for i, c := range []struct {
		k              *timekeeper
		time, received int64
		mark, told     int64
	}{
		{left, 100, 200, 100, flow.NoMark},
		{left, 60, 200, 100, flow.NoMark},
		{left, 900, 200, 210, flow.NoMark},
		{right, 50, 200, 50, 50},
		{right, 900, 300, 310, 210},
		{left, 250, 300, 250, 250},
		{right, 20, 300, 310, 250},
	} {
		out := []int64{0}
		c.k.batch++
		c.k.marks = c.k.marks[:0]
		c.k.fillSideMarks([]uint32{0}, []arrow.Timestamp{arrow.Timestamp(c.time)}, []arrow.Timestamp{arrow.Timestamp(c.received)}, out)
		if out[0] != c.mark || len(c.k.marks) != 1 || c.k.marks[0].Time != c.told {
			t.Errorf("row %d has the mark %d, and %v is told", i, out[0], c.k.marks)
		}
	}
}

// TestDueMarks: where watermarks move by ticks, a row has the one of the latest tick, and adds to the next what it brings, but no more than
// when it was received; of several sides the one that is least far is told.
func TestDueMarks(t *testing.T) {
	keys := sidedKeys(2)
	left, right := sided(t, keys, 0, 2), sided(t, keys, 1, 2)
	fill := func(k *timekeeper, time, received, want int64) {
		t.Helper()
		out := []int64{0}
		k.fillDue([]uint32{0}, []arrow.Timestamp{arrow.Timestamp(time)}, []arrow.Timestamp{arrow.Timestamp(received)}, out)
		if out[0] != want {
			t.Errorf("a row of %d has the mark %d, and not %d", time, out[0], want)
		}
	}
	tick := func(want ...int64) {
		t.Helper()
		var got []int64
		for _, m := range tickMarks(keys, 2) {
			got = append(got, m.Time)
		}
		if !slices.Equal(got, want) {
			t.Errorf("a tick tells of %d, and not of %d", got, want)
		}
	}
	fill(left, 100, 200, flow.NoMark)
	tick(flow.NoMark)
	fill(left, 50, 200, 100)
	tick()
	fill(left, 900, 300, 100)
	fill(right, 70, 300, flow.NoMark)
	tick(70)
	fill(right, 80, 300, 70)
	fill(left, 10, 300, 300)
	tick(80)
	fill(right, 500, 600, 80)
	tick(300)
}
