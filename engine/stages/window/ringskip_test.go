package window

import (
	"slices"
	"testing"
)

// TestRingSkipsStep: a group whose panes go round has a gap that leaves one step out, and its next row closes one window still: with
// a grace, that is neither a step of the ring nor one that a watermark has passed. What is wrong here goes round for ever.
func TestRingSkipsStep(t *testing.T) {
	const minute = int64(60_000_000)
	var rows []ringRow
	at := 55 * minute / 60
	for i := range int64(120) {
		rows = append(rows, ringRow{place: i, t: at, mark: at, n: i, temp: float64(i)})
		if at += minute; i == 80 {
			at += minute / 6 // 70 s behind the row before
		}
	}
	args := "by = [device]\nsize = \"4m\"\nevery = \"1m\"\ngrace = \"50s\"\nkeep = \"0s\"\nemit = { n = count(), most = max(n) }\n"
	ring, plain := newRingWindow(t, args, ringSchema(), false), newRingWindow(t, args, ringSchema(), true)
	for part := range slices.Chunk(rows, 40) {
		ring.process(t, part)
	}
	plain.process(t, rows)
	if ring.went < 40 {
		t.Errorf("%d windows of rings: the gap met none", ring.went)
	}
	if a, b := ring.said(), plain.said(); !slices.Equal(a, b) {
		t.Errorf("with rings\n%s\nwithout\n%s", a, b)
	}
	ring.close(t)
	plain.close(t)
}
