package window

import (
	"slices"
	"testing"
)

// TestRingsOfEarlierPlaces: rows whose places are before those of the rows before them, as when partitions come together, have groups leave their
// rings, with windows of theirs in the queue behind others and behind their own. Result rows tell the latest place.
func TestRingsOfEarlierPlaces(t *testing.T) {
	for _, c := range []struct {
		emit    string
		devices int
	}{{"a = avg(temp)", 3}, {"a = avg(temp)", 300}, {"a = avg(temp), n = count()", 300}, {"n = count()", 300}} {
		args := "by = [device]\nsize = \"5m\"\nevery = \"1m\"\nkeep = \"8m\"\nlate = \"drop\"\nemit = { " + c.emit + " }\n"
		ring, plain := newRingWindow(t, args, ringSchema(), false), newRingWindow(t, args, ringSchema(), true)
		back := int64(0)
		for minute := int64(0); minute < 60; minute += 2 {
			var rows []ringRow
			for m := minute; m < minute+2; m++ {
				for d := range c.devices {
					if m == 40 && d%7 == 1 {
						back = 1_000_000 // from here on, and over again for the next device
					}
					at := m*60_000_000 + int64(d)
					rows = append(rows, ringRow{device: d, place: 2_000_000 + m*int64(c.devices) + int64(d) - back, t: at, mark: at, n: m, temp: float64(m ^ int64(d))})
					back = 0
					if m >= 40 && d%3 == 0 {
						back = 1_000_000
					}
				}
			}
			ring.process(t, rows)
			plain.process(t, rows)
			if a, b := ring.said(), plain.said(); !slices.Equal(a, b) {
				t.Fatalf("%s of %d devices, minute %d: with rings\n%.2000s\nwithout\n%.2000s", c.emit, c.devices, minute, a, b)
			}
		}
		if ring.went == 0 {
			t.Error("no ring: this check cannot fail")
		}
		ring.close(t)
		plain.close(t)
	}
}
