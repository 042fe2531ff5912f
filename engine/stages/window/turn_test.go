package window

import (
	"fmt"
	"testing"
)

// TestTurn holds the panes of each group to their order, while the oldest becomes the next one: links lead from each to its neighbours, and
// there are as many panes as keep asks for. Batches end in other places than rounds of all devices do, so that windows turn in the middle of a batch.
func TestTurn(t *testing.T) {
	const devices, rows, batches = 5, 7, 280
	for _, c := range []struct {
		every, keep string
		panes       int // of a group, at most
	}{
		{"1m", "3m", 5},
		{"1m", "0s", 2},
		{"30s", "2m", 6},
		{"5m", "10m", 4},
	} {
		t.Run(c.every+" "+c.keep, func(t *testing.T) {
			fed := fleet(t, devices, rows, batches)
			st, _ := openBench(t, Tumbling(), fmt.Sprintf("by = [device]\nevery = %q\nlate = \"revise\"\nkeep = %q\nemit = { a = avg(temp), h = max(temp) }\n", c.every, c.keep), fed[0].Schema())
			w, out := st.(*window), &void{}
			for i, b := range fed {
				if err := st.Process(0, b, out); err != nil {
					t.Fatal(err)
				}
				panes := 0
				w.groups.Range(func(g uint32) bool {
					n := checkPanes(t, w, g)
					panes += n
					if least := keptWindows(w, g, devices); n < least || n > c.panes {
						t.Errorf("batch %d: group %d has %d panes, and should have %d to %d", i, g, n, least, c.panes)
					}
					return true
				})
				if panes != w.panes.Len() {
					t.Errorf("batch %d: groups have %d panes, and the table %d", i, panes, w.panes.Len())
				}
			}
			want := int64(0) // without grace, those that end no later than each device's last row
			for d := range devices {
				want += int64((rows*batches-devices+d)/devices) * 30_000_000 / w.every
			}
			if out.rows != want {
				t.Errorf("%d windows came out, not %d", out.rows, want)
			}
		})
	}
}

// keptWindows is how many windows of a group are open, or may still be revised at the time of its latest row.
func keptWindows(w *window, g uint32, devices int64) (n int) {
	c := w.cells(w.groupLinks(g)[groupNewest] - 1)
	mark := c[paneOffset] / devices * 30_000_000
	for start := c[paneStart]; start >= 0 && start+w.every+w.keep > mark; start -= w.every {
		n++
	}
	return n
}

// checkPanes walks through a group's panes from the newest to the oldest and says how many there are.
func checkPanes(t *testing.T, w *window, g uint32) (n int) {
	links, newer := w.groupLinks(g), uint32(0)
	for at := links[groupNewest]; at != 0; n++ {
		own := w.paneLinks(at - 1)
		if n > w.panes.Len() {
			t.Fatalf("the panes of group %d lead in a circle", g)
		}
		if own[paneGroup] != g || own[paneNewer] != newer {
			t.Fatalf("pane %d of group %d is of group %d, and behind it is %d, not %d", at, g, own[paneGroup], own[paneNewer], newer)
		}
		if newer != 0 && w.cells(at - 1)[paneStart] >= w.cells(newer - 1)[paneStart] {
			t.Fatalf("pane %d of group %d begins at %d, no earlier than the next", at, g, w.cells(at - 1)[paneStart])
		}
		newer, at = at, own[paneOlder]
	}
	if links[groupOldest] != newer {
		t.Fatalf("the oldest pane of group %d is %d, not %d", g, links[groupOldest], newer)
	}
	return n
}
