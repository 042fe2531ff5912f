package run_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// many is a pipeline of which one moment makes very many rows, before a sink that takes none at first.
const many = `
engine {
  checkpoint = "20ms"
  tick       = "50ms"
  queue_rows = 100
}
channel "telemetry" {
  key        = KEY
  time       = ts
  partitions = 2
  schema     = { ts = timestamp, device = string, site = string }
}
ingest "file" "input" {
  to   = channel.telemetry
  path = "/in/data.ndjson"
}
pipeline "p" {
  from = channel.telemetry
  window "sliding" "many" {
    by    = [device]
    size  = "2h"
    every = "1m"
    emit  = { n = count() }
  }
  sink "far" "out" {
    from  = window.many
    exact = true
  }
}
`

// TestPaced: a task that has more to say than its sink takes stands in the middle of a moment, whether a block of its own
// channel brought that or a tick of a channel between tasks, and says the rest when there is room; meanwhile
// ticks go on. Nothing is lost, nothing comes twice.
func TestPaced(t *testing.T) {
	const devices, windows = 400, 120
	for _, c := range []struct {
		name, key string
		rounds    int // of records, a day apart: the next one closes the windows of the one before
	}{{"at the end", "device", 1}, {"at a tick", "site", 2}} {
		t.Run(c.name, func(t *testing.T) {
			var in strings.Builder
			for round := range c.rounds {
				for d := range devices {
					fmt.Fprintf(&in, `{"device":"d%d","site":"s%d","ts":"2025-06-0%dT00:00:30Z"}`+"\n", d, d%7, round+1)
				}
			}
			l := newLab(t)
			l.write("/in/data.ndjson", in.String())
			e := l.open(strings.ReplaceAll(many, "KEY", c.key), true)
			made := func() int64 { s := e.Status(); return s.Rows("window") }
			l.steps(func() bool { return made() > 0 }) // what is fed comes with checkpoints, which wait for the sink
			for range 2000 {                           // the sink does not move
				moved := false
				for _, a := range e.Actors() {
					if a.Name() == "sink pipeline.p.sink.out" {
						continue
					}
					m, err := a.Step()
					l.must(err)
					moved = moved || m
				}
				if !moved {
					l.machine.Advance(5 * time.Millisecond)
				}
			}
			if n := made(); n > devices*windows*3/4 {
				t.Errorf("%d rows were made while the sink took none", n)
			}
			l.steps(e.Done)
			l.close()
			if want := devices * windows * c.rounds; len(l.far.rows) != want {
				t.Errorf("%d different rows came; want %d", len(l.far.rows), want)
			}
			for row, n := range l.far.rows {
				if n != 1 {
					t.Fatalf("%d times %s", n, row)
				}
			}
		})
	}
}

// kept is a pipeline that keeps rows of a channel between tasks, and has a stage beside that with something to say of them.
const kept = `
engine {
  checkpoint = "10s"
  tick       = "1h"
  queue_rows = 1
}
channel "telemetry" {
  key        = site
  time       = ts
  partitions = 1
  schema     = { ts = timestamp, device = string, site = string }
}
channel "all" {
  key        = device
  time       = ts
  partitions = 1
}
ingest "file" "input" {
  to   = channel.telemetry
  path = "/in/data.ndjson"
}
pipeline "a" {
  from = channel.telemetry
  rule "few" { # so that records of the channel are small, and several stand in a block
    where = device == "d1" || device == "d4"
  }
  sink "channel" "all" {
    from = rule.few
    to   = channel.all
  }
}
pipeline "b" {
  from = channel.all
  rule "some" { # behind it a window has to be told of watermarks
    where = device != "d9"
  }
  window "tumbling" "minute" {
    from  = rule.some
    by    = [device]
    every = "1m"
    emit  = { n = count() }
  }
  sink "far" "out" {
    from  = channel.all
    exact = true
  }
  sink "file" "minutes" {
    from = window.minute
    path = "/out/minutes.ndjson"
  }
}
`

// TestPacedByRows: rows of a channel between tasks fill a lane, so that a stage which is told of them has yet to be asked whether
// it has something to say. Records behind them in the same block wait for that.
func TestPacedByRows(t *testing.T) {
	const records, devices, through = 700, 7, 200
	var in strings.Builder
	for i := range records {
		fmt.Fprintf(&in, `{"device":"d%d","site":"s","ts":"2025-06-01T00:%02d:%02dZ"}`+"\n", i%devices, i/60, i%60)
	}
	l := newLab(t)
	l.write("/in/data.ndjson", in.String())
	l.complete(kept)
	if len(l.far.rows) != through {
		t.Errorf("%d different rows came; want %d", len(l.far.rows), through)
	}
	rows := 0
	for _, line := range l.lines("/out/minutes.ndjson") {
		_, text, _ := strings.Cut(line, `"n":`)
		var n int
		if _, err := fmt.Sscan(text[:strings.IndexByte(text, ',')], &n); err != nil {
			t.Fatal(err, line)
		}
		rows += n
	}
	if rows != through {
		t.Errorf("%d rows were counted in windows; want %d", rows, through)
	}
}
