package run_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// visits are sessions over rows of all partitions: of the history that they read, rows within HELD of the machine's clock wait in their
// partitions, and others go alone.
const visits = `
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
  window "session" "site" {
    by     = [site]
    gap    = "10s"
    grace  = "HELD"
    late   = "LATE"
    phases = PHASES
    emit   = { n = count(), total = sum(temp), hi = max(temp), some = collect(temp, 3), odd = percentile(temp, 90), d = distinct(device) }
  }
  window "session" "all" {
    gap    = "17s"
    grace  = "HELD"
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
  sink "file" "rejects" { path = "/out/rejects.ndjson" }
  rejects = sink.rejects
}
`

// TestPhasesSession: two phases give what one gives, row for row, whether rows go alone, wait for the end, or half of them do.
func TestPhasesSession(t *testing.T) {
	input := rollupInput(7, 7*400)
	for _, held := range []string{"1m", "5147h5m", "1000d"} { // the records are from the first two hours of 1 June, 5148 hours before
		for _, late := range []string{"revise", "side"} {
			t.Run(held+" "+late, func(t *testing.T) {
				var got [3][]string
				for n := 1; n <= 2; n++ {
					l := newLab(t)
					l.write("/in/data.ndjson", input)
					l.complete(strings.NewReplacer("HELD", held, "LATE", late, "PHASES", fmt.Sprint(n)).Replace(visits))
					got[n] = append(append(l.lines("/out/sites.ndjson"), l.lines("/out/all.ndjson")...), l.lines("/out/rejects.ndjson")...)
					if len(got[n]) < 800 {
						t.Fatalf("%d rows: %q\n%q", len(got[n]), got[n], l.reports)
					}
				}
				sameRows(t, got[1], got[2])
			})
		}
	}
}

// sessionsOf are sessions that follow the clock.
func sessionsOf(phases int) string {
	return strings.NewReplacer(`window "tumbling"`, `window "session"`, `every = "10m"`, `gap = "25s"`, `"10s"`, `"15s"`, "MORE", fmt.Sprintf("phases = %d", phases)).Replace(live)
}

// TestPhasesSessionOffline: of sites whose devices pause and are away, with what they bring later, and crashes, sessions come as
// in one phase, each revision of them; and few rows go from partition to partition.
func TestPhasesSessionOffline(t *testing.T) {
	var got [3][]string
	for n := 1; n <= 2; n++ {
		c := &clocked{lab: newLab(t), want: map[string]int{}}
		c.write("/out/x", "")
		c.open(sessionsOf(n), false)
		for m := range 60 {
			switch {
			case m%20 == 13: // nobody reports
				c.minute()
			case m%20 > 13:
				c.minute("!d0", "d1", "!d2", "d3")
			case m%20 == 5 && c.late.Len() > 0:
				c.feed(c.late.String())
				c.late.Reset()
				c.minute("d0", "d1", "d2", "d3", "d4", "d5")
			case m%20 == 9:
				c.minute("!d1", "!d3", "!d5") // half of the devices, so that a site rests
			default:
				c.minute("d0", "d1", "d2", "d3", "d4", "d5")
			}
			if m%17 == 16 {
				c.machine.Crash(uint64(m))
				c.open(sessionsOf(n), false)
			}
		}
		for range 2 {
			c.minute()
		}
		rows := uint64(0)
		for _, s := range c.engine.Status().Stages {
			if strings.HasSuffix(s.Address, "~parts") {
				rows += uint64(s.Rows)
			}
		}
		if n == 2 && (rows == 0 || rows > 900) {
			t.Errorf("%d rows went from partition to partition", rows)
		}
		c.close()
		got[n] = c.lines("/out/sites.ndjson")
	}
	slices.Sort(got[1])
	slices.Sort(got[2])
	revised := 0
	for _, line := range got[1] {
		if !strings.Contains(line, `"revision":0`) {
			revised++
		}
	}
	if len(got[1]) < 12 || revised < 4 {
		t.Errorf("%d rows, %d of which revise: this is half a check\n%s", len(got[1]), revised, strings.Join(got[1], "\n"))
	}
	if !slices.Equal(got[1], got[2]) {
		t.Errorf("one phase:\n%s\ntwo:\n%s", strings.Join(got[1], "\n"), strings.Join(got[2], "\n"))
	}
}

// TestPhasesSessionChanged goes on with another gap, and then with another grace, while rows wait in their partitions: these follow from the journal, or stay.
func TestPhasesSessionChanged(t *testing.T) {
	c := &clocked{lab: newLab(t), want: map[string]int{}}
	c.write("/out/x", "")
	text := strings.NewReplacer(`"15s"`, `"5m"`, `"25s"`, `"45s"`).Replace(sessionsOf(2))
	c.open(text, false)
	for range 4 {
		c.minute("d0", "d1", "d2", "d3", "d4")
	}
	c.must(c.swap(strings.Replace(text, `"45s"`, `"25s"`, 1)))
	for range 3 {
		c.minute("d0", "d1", "d2", "d3", "d4")
	}
	c.must(c.swap(strings.NewReplacer(`"45s"`, `"25s"`, `"5m"`, `"1m"`).Replace(text)))
	c.minute("d0", "d1", "d2", "d3", "d4")
	rows, want := 0, 0
	for _, n := range c.want {
		want += n
	}
	for range 4 {
		c.minute()
	}
	for range 2 {
		c.minute("d0", "d1") // so that those before end
	}
	c.close()
	for _, line := range c.lines("/out/sites.ndjson") {
		var n int
		if i := strings.Index(line, `"n":`); i > 0 {
			if _, err := fmt.Sscanf(line[i:], `"n":%d`, &n); err != nil {
				t.Fatal(err, line)
			}
			rows += n
		}
	}
	if rows != want {
		t.Errorf("%d rows of %d are in sessions\n%s", rows, want, strings.Join(c.lines("/out/sites.ndjson"), "\n"))
	}
}
