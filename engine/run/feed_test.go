package run_test

import (
	"fmt"
	"strings"
	"testing"
)

// rollups are pipelines that read what others have made: minutes, hours of them, days of those.
const rollups = `
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
channel "minutes" { key = device }
channel "hours" {
  key        = device
  partitions = 2
}
ingest "file" "input" {
  to   = channel.telemetry
  path = "/in/data.ndjson"
}
pipeline "a" {
  from = channel.telemetry
  window "tumbling" "minute" {
    by    = [device]
    every = "1m"
    late  = "drop"
    emit  = { n = count(), total = sum(temp) }
  }
  sink "channel" "roll" {
    from = window.minute
    to   = channel.minutes
  }
}
pipeline "b" {
  from = channel.minutes
  window "tumbling" "hour" {
    by    = [device]
    every = "1h"
    late  = "drop"
    emit  = { n = sum(n), total = sum(total), rows = count() }
  }
  sink "channel" "roll" {
    from = window.hour
    to   = channel.hours
  }
  sink "file" "minutes" {
    from = channel.minutes
    path = "/out/minutes.ndjson"
  }
}
pipeline "c" {
  from = channel.hours
  window "tumbling" "day" {
    by    = [device]
    every = "24h"
    emit  = { n = sum(n), total = sum(total), rows = count() }
  }
  sink "file" "days" { 
    from = window.day
    path = "/out/days.ndjson"
  }
}
`

func rollupInput(devices, records int) string {
	var b strings.Builder
	for i := range records {
		d := i % devices
		at := i / devices * 17
		fmt.Fprintf(&b, `{"device":"d%d","site":"s%d","ts":"2025-06-01T%02d:%02d:%02dZ","temp":%d}`+"\n", d, d%2, at/3600%24, at/60%60, at%60, i%7)
	}
	return b.String()
}

// TestRollup: what a pipeline feeds to a channel is counted by the next one, each row once.
func TestRollup(t *testing.T) {
	l := newLab(t)
	l.write("/in/data.ndjson", rollupInput(5, 5*1000))
	l.complete(rollups)
	days := l.lines("/out/days.ndjson")
	if len(days) != 5 {
		t.Fatalf("%d days of 5 devices: %q\n%q", len(days), days, l.reports)
	}
	for _, d := range days {
		if !strings.Contains(d, `"n":1000,`) || !strings.Contains(d, `"rows":5,`) {
			t.Error(d)
		}
	}
	if n := len(l.lines("/out/minutes.ndjson")); n != 5*284 {
		t.Errorf("%d minutes", n)
	}
}
