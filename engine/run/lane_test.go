package run

import (
	"testing"

	"github.com/tidemill/tidemill/engine/flow"
)

// TestLaneKeepsItsSize: a lane that is never empty does not grow with what went through it.
func TestLaneKeepsItsSize(t *testing.T) {
	l := newLane(1, &bells{}, &bells{})
	push := func(i int) { l.push(parcel{item: flow.Item{Kind: flow.Barrier, Epoch: uint64(i)}}) }
	push(0)
	push(1)
	for i := 2; i < 100_000; i++ {
		push(i)
		p, ok := l.pop()
		if !ok || p.item.Epoch != uint64(i-2) {
			t.Fatalf("item %d came in place of %d", p.item.Epoch, i-2)
		}
	}
	if n := cap(l.items); n > 4*laneSlack {
		t.Errorf("a lane of two items has places for %d", n)
	}
}
