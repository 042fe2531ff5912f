package run_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// sites is a pipeline whose windows take rows of all partitions together.
const sites = `
engine {
  checkpoint = "20ms"
  tick       = "50ms"
}
channel "telemetry" {
  key        = device
  time       = ts
  partitions = 3
  schema     = { ts = timestamp, device = string, site = string, temp = number }
}
ingest "file" "input" {
  to   = channel.telemetry
  path = "/in/data.ndjson"
}
pipeline "p" {
  from = channel.telemetry
  window "tumbling" "site" {
    by     = [site]
    every  = "10m"
    phases = PHASES
    emit   = { n = count(), total = sum(temp), hi = max(temp), some = collect(temp, 3), odd = percentile(temp, 90), d = distinct(device) }
  }
  window "sliding" "all" {
    size   = "30m"
    every  = "10m"
    phases = PHASES
    emit   = { n = count(), total = sum(temp), dev = min(device) }
  }
  sink "file" "sites" {
    from = window.site
    path = "/out/sites.ndjson"
  }
  sink "file" "all" {
    from = window.all
    path = "/out/all.ndjson"
  }
}
`

func phases(n int) string { return strings.ReplaceAll(sites, "PHASES", fmt.Sprint(n)) }

// TestPhases: two phases give what one gives, row for row.
func TestPhases(t *testing.T) {
	var got [3][]string
	for n := 1; n <= 2; n++ {
		l := newLab(t)
		l.write("/in/data.ndjson", rollupInput(7, 7*400))
		l.complete(phases(n))
		got[n] = append(l.lines("/out/sites.ndjson"), l.lines("/out/all.ndjson")...)
		if len(got[n]) < 20 {
			t.Fatalf("%d rows: %q\n%q", len(got[n]), got[n], l.reports)
		}
	}
	if !slices.Equal(got[1], got[2]) {
		for i := range got[1] {
			if i >= len(got[2]) || got[1][i] != got[2][i] {
				t.Fatalf("%d and %d rows\n%s\n%s", len(got[1]), len(got[2]), got[1][i], got[2][min(i, len(got[2])-1)])
			}
		}
	}
}
