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

// TestRollupLatest: what comes late revises minutes, and these the hours and days in the channels behind, each in the place of the
// row before, so that the last of each day is what a batch would give.
func TestRollupLatest(t *testing.T) {
	text := strings.NewReplacer(`late  = "drop"`, "idle  = \"500ms\"", `every = "1h"`, "every = \"1h\"\n    revisions = \"latest\"\n    keep = \"2h\"",
		`every = "24h"`, "every = \"24h\"\n    revisions = \"latest\"\n    keep = \"3h\"").Replace(rollups)
	l := newLab(t)
	var lines []string
	for at, line := range strings.Split(strings.TrimSpace(rollupInput(5, 5*1000)), "\n") {
		if at%7 == 3 { // some 14 minutes late
			lines[len(lines)-1] += "\n" + line
			continue
		}
		lines = append(lines, line)
	}
	for i := 0; i+250 < len(lines); i += 250 {
		lines[i], lines[i+249] = lines[i+249], lines[i]
	}
	l.write("/in/data.ndjson", strings.Join(lines, "\n")+"\n")
	l.complete(text)
	last := map[string]string{}
	revised := 0
	for _, d := range l.lines("/out/days.ndjson") {
		_, device, _ := strings.Cut(d, `"device":"`)
		if last[device[:2]] != "" {
			revised++
		}
		last[device[:2]] = d
	}
	for _, d := range last {
		if !strings.Contains(d, `"n":1000,`) || !strings.Contains(d, `"rows":5,`) || !strings.Contains(d, `"final":true`) {
			t.Error(d)
		}
	}
	if n := len(l.lines("/out/minutes.ndjson")); len(last) != 5 || n <= 5*284 {
		t.Errorf("%d days of 5 devices, %d rows of 1,420 minutes: none of them was revised\n%q", len(last), n, l.reports)
	}
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
