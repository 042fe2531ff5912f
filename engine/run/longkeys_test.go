package run_test

import (
	"strings"
	"testing"
)

// TestLongKeys: a text that is too long for a key costs its row at each stage that would have it as one, and not the run; whoever does not go by it
// has the row.
func TestLongKeys(t *testing.T) {
	l := newLab(t)
	long := strings.Repeat("x", 70_000)
	record := func(ts, name string) string {
		return `{"device":"d","label":"` + name + `","ts":"2025-06-01T00:` + ts + `Z","temp":9,"on":true}` + "\n"
	}
	l.write("/in/a.ndjson", record("00:00", "a")+record("00:30", long)+record("01:00", "a")+record("01:30", "b")+record("02:00", long))
	s := l.complete(`channel "c" {
  key    = device
  time   = ts
  schema = { device = string, label = string, ts = timestamp, temp = number, on = bool }
}
ingest "file" "a" {
  to   = channel.c
  path = "/in/a.ndjson"
}
pipeline "p" {
  from = channel.c
  rule "all" { where = temp > 0 }
  alarm "hot" {
    from = channel.c
    by   = [device, label]
    when = temp > 5
  }
  anomaly "ewma" "odd" {
    from = channel.c
    by = [device, label]
    on = [temp]
  }
  window "tumbling" "minutes" {
    from = channel.c
    by    = [device, label]
    every = "1h"
    emit  = { n = count() }
  }
  window "state" "runs" {
    from = channel.c
    by    = [device, label]
    while = on
    emit  = { n = count() }
  }
  window "session" "sessions" {
    from = channel.c
    by   = [label]
    gap  = "5m"
    grace = "1s"
    emit = { n = count() }
  }
  join "latest" "view" {
    from = [rule.all, channel.c]
    by   = [device, label]
    take = { was = temp }
  }
  sink "file" "windows" {
    from = [window.minutes, window.runs, window.sessions]
    path = "/out/windows.ndjson"
  }
` + keyedSinks + `}
`)
	if n := len(l.lines("/out/alarms.ndjson")); n != 2 {
		t.Errorf("%d alarms", n)
	}
	if n := len(l.lines("/out/scores.ndjson")); n != 3 {
		t.Errorf("%d rows are judged", n)
	}
	if n := counted(t, l.lines("/out/windows.ndjson")); n != 9 {
		t.Errorf("%d rows are in windows of three kinds, want 3 in each", n)
	}
	if n := len(l.lines("/out/views.ndjson")); n != 5 {
		t.Errorf("%d rows have met the view", n)
	}
	rejects := l.lines("/data/rejects/p.ndjson")
	for _, r := range rejects {
		if !strings.Contains(r, "bytes; at most 65536 are taken") && !strings.Contains(r, "no window for its key") {
			t.Errorf("a reject: %.300s", r[max(0, len(r)-300):])
		}
	}
	if len(rejects) != 12 || s.Totals().Rows != 5 {
		t.Errorf("%d rejects of %d rows: want 2 from each of six stages", len(rejects), s.Totals().Rows)
	}
}

// TestLongRevisions: a row that a window would keep, so that a later one can take its place, and that is told from others by more than a table takes, is
// rejected: here a key that the window before has taken, and the begin of its window.
func TestLongRevisions(t *testing.T) {
	l := newLab(t)
	record := func(ts, label string) string {
		return `{"device":"d","label":"` + label + `","ts":"2025-06-01T00:` + ts + `Z"}` + "\n"
	}
	l.write("/in/a.ndjson", record("00:00", "a")+record("00:30", strings.Repeat("x", 65_525))+record("01:00", "b"))
	l.complete(`channel "c" {
  key    = device
  time   = ts
  schema = { device = string, label = string, ts = timestamp }
}
ingest "file" "a" {
  to   = channel.c
  path = "/in/a.ndjson"
}
pipeline "p" {
  from = channel.c
  window "tumbling" "minutes" {
    by    = [device, label]
    every = "1m"
    late  = "revise"
    keep  = "10m"
    emit  = { rows = count() }
  }
  window "tumbling" "hours" {
    from      = window.minutes
    by        = [device]
    every     = "1h"
    revisions = "latest"
    emit      = { n = sum(rows) }
  }
  sink "file" "hours" {
    from = window.hours
    path = "/out/hours.ndjson"
  }
}
`)
	if n := counted(t, l.lines("/out/hours.ndjson")); n != 2 {
		t.Errorf("%d rows are in the hour, want 2", n)
	}
	rejects := l.lines("/data/rejects/p.ndjson")
	if len(rejects) != 1 || !strings.Contains(rejects[0], "its key has 65541 bytes; at most 65536 are taken") {
		t.Errorf("%d rejects", len(rejects))
	}
}
