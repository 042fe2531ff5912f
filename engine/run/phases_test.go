package run_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/plan"
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
	sameRows(t, got[1], got[2])
}

// sameRows wants both to be equal, and shows the first that is not. Both have some.
func sameRows(t *testing.T, one, two []string) {
	t.Helper()
	for i := range max(len(one), len(two)) {
		if i >= len(one) || i >= len(two) || one[i] != two[i] {
			t.Fatalf("%d and %d rows\n%s\n%s", len(one), len(two), one[min(i, len(one)-1)], two[min(i, len(two)-1)])
		}
	}
}

// live is a pipeline whose windows follow the clock.
const live = `
engine {
  checkpoint = "100ms"
  tick       = "1s"
}
channel "telemetry" {
  key        = device
  time       = ts
  partitions = 3
  schema     = { ts = timestamp, device = string, site = string, temp = number }
}
ingest "file" "input" {
  to     = channel.telemetry
  path   = "/in/a.ndjson"
  follow = true
}
pipeline "p" {
  from = channel.telemetry
  window "tumbling" "site" {
    by    = [site]
    every = "10m"
    grace = "10s"
    keep  = "3h"
    MORE
    emit  = { n = count(), total = sum(temp) }
  }
  sink "file" "sites" {
    from = window.site
    path = "/out/sites.ndjson"
  }
}
`

// clocked feeds records of the machine's time to an engine.
type clocked struct {
	*lab
	records int
	late    strings.Builder // what a device that is away has kept
	want    map[string]int  // records by site and window
}

// minute lets a minute go by in which each device of those given reports every ten seconds; those with a ! keep it.
func (c *clocked) minute(devices ...string) {
	c.t.Helper()
	for range 6 {
		now := c.machine.Env().Clock.Now()
		var b strings.Builder
		for _, d := range devices {
			name := strings.TrimPrefix(d, "!")
			line := fmt.Sprintf(`{"device":"%s","site":"s%d","ts":"%s","temp":1}`+"\n", name, name[1]%2, now.UTC().Format(time.RFC3339))
			c.want[fmt.Sprint("s", name[1]%2, " ", now.UTC().Truncate(10*time.Minute).Format(time.RFC3339))]++
			if name != d {
				c.late.WriteString(line)
			} else {
				b.WriteString(line)
			}
		}
		c.feed(b.String())
		c.goOn(300 * time.Millisecond)
		c.machine.Advance(now.Add(10 * time.Second).Sub(c.machine.Env().Clock.Now()))
	}
}

// goOn lets the engine run for a while.
func (c *clocked) goOn(d time.Duration) {
	c.t.Helper()
	end := c.machine.Env().Clock.Now().Add(d)
	c.steps(func() bool { return c.machine.Env().Clock.Now().After(end) })
}

// last is the latest revision of each window: rows, and which revision.
func (c *clocked) last() map[string][2]int {
	out := map[string][2]int{}
	for _, line := range c.lines("/out/sites.ndjson") {
		var site, start string
		var n, revision int
		if _, err := fmt.Sscanf(strings.NewReplacer(`{"site":"`, "", `","window_start":"`, " ", `","window_end":"`, " ", `","n":`, " ", `,"hi":1`, "", `,"total":`, " ", `,"revision":`, " ", `,"final"`, " ").Replace(line),
			"%s %s %s %d %d %d", &site, &start, new(string), &n, new(int), &revision); err != nil {
			c.t.Fatal(err, line)
		}
		id := site + " " + start
		if was, ok := out[id]; !ok || was[1] < revision {
			out[id] = [2]int{n, revision}
		}
	}
	return out
}

// TestPhasesOffline: devices of one site are in several partitions. One device is away for two hours, a partition
// falls silent, the engine crashes: windows of the others come out in time, and in the end nothing is missing.
func TestPhasesOffline(t *testing.T) {
	c := &clocked{lab: newLab(t), want: map[string]int{}}
	c.write("/out/x", "")
	text := strings.Replace(live, "MORE", "", 1)
	c.open(text, false)
	everyone, fewer := []string{"d0", "d1", "d2", "d3", "d4", "d5", "d6"}, []string{"!d0", "d1", "d2"}
	for range 15 {
		c.minute(everyone...)
	}
	for m := range 120 { // of seven devices only two go on: there are partitions without any
		if c.minute(fewer...); m%40 == 20 {
			c.machine.Crash(uint64(m))
			c.open(text, false)
		}
	}
	start := c.machine.Env().Clock.Now().UTC().Add(-11 * time.Minute).Truncate(10 * time.Minute).Format(time.RFC3339)
	if got := c.last()["s1 "+start]; got != [2]int{60, 0} {
		t.Errorf("with partitions that are silent, the window from %s is %v", start, got)
	}
	c.feed(c.late.String())
	c.goOn(3 * time.Second)
	for range 12 {
		c.minute(everyone...)
	}
	revised := 0
	got := c.last()
	ends := c.machine.Env().Clock.Now().UTC().Add(-10 * time.Minute).Format(time.RFC3339)
	for id, n := range c.want {
		if id[3:] > ends {
			continue
		}
		if got[id][0] != n {
			t.Errorf("window %s has %v, want %d rows", id, got[id], n)
		}
		if got[id][1] > 0 {
			revised++
		}
	}
	if revised < 11 {
		t.Errorf("%d windows were revised", revised)
	}
	parts := c.engine.Status()
	for _, s := range parts.Stages {
		if strings.HasSuffix(s.Address, "~parts") && (s.Rows == 0 || s.Rows > 400) {
			t.Errorf("%d rows went from partition to partition", s.Rows)
		}
	}
	c.close()
}

// TestPhasesApply goes from one phase to two and to other aggregates while data flows.
func TestPhasesApply(t *testing.T) {
	c := &clocked{lab: newLab(t), want: map[string]int{}}
	c.write("/out/x", "")
	one, two := strings.Replace(live, "MORE", "phases = 1", 1), strings.Replace(live, "MORE", "phases = 2", 1)
	devices := []string{"d0", "d1", "d2", "d3", "d4"}
	fates := func(text string) map[string]plan.Change {
		out := map[string]plan.Change{}
		for _, x := range c.plan(text).Diff(c.engine.Held()) {
			out[x.Address] = x
		}
		return out
	}
	c.open(one, false)
	for range 12 {
		c.minute(devices...)
	}
	f := fates(two)
	if f["pipeline.p.window.site"].Fate != plan.Lost || f["pipeline.p.window.site~parts"].Fate != plan.New || f["channel.p~channel.telemetry~site"].Fate != plan.Lost {
		t.Errorf("what becomes of things: %+v", f)
	}
	c.must(c.swap(two))
	for range 20 {
		c.minute(devices...)
	}
	clear(c.want)
	for range 8 {
		c.minute(devices...)
	}
	more := strings.Replace(two, "n = count(),", "n = count(), hi = max(temp),", 1)
	f = fates(more)
	if f["pipeline.p.window.site"].Fate != plan.Lost || f["pipeline.p.window.site~parts"].Fate != plan.Rebuilt {
		t.Errorf("what becomes of things: %+v", f)
	}
	kept := strings.Replace(two, `keep  = "3h"`, `keep  = "4h"`, 1)
	if f = fates(kept); f["pipeline.p.window.site"].Entries == 0 || f["pipeline.p.window.site~parts"].Entries == 0 {
		t.Errorf("what becomes of things: %+v", f)
	}
	c.must(c.swap(kept))
	for range 25 {
		c.minute(devices...)
	}
	c.whole(4)
	clear(c.want)
	for range 14 {
		c.minute(devices...)
	}
	// The parts of a window that is open when the aggregates change follow from the journal: it has all of its rows.
	c.must(c.swap(more))
	for range 13 {
		c.minute(devices...)
	}
	c.whole(2)
	c.close()
}

// TestPhasesAtStart: an engine that starts with another number of phases says that windows which were open are lost; nobody is told
// of what is kept.
func TestPhasesAtStart(t *testing.T) {
	c := &clocked{lab: newLab(t), want: map[string]int{}}
	c.write("/out/x", "")
	for i, n := range []int{1, 1, 2, 2} {
		c.reports = nil
		c.open(strings.Replace(live, "MORE", fmt.Sprintf("phases = %d", n), 1), false)
		if lost := c.reported("pipeline.p.window.site: its state means something else now: it starts empty"); lost != (i == 2) || !lost && c.reported("lost") {
			t.Errorf("start %d: %q", i, c.reports)
		}
		for range 12 {
			c.minute("d0", "d1", "d2", "d3", "d4")
		}
		c.close()
	}
}

// whole tells that all windows whose every minute was wanted came once, with all rows.
func (c *clocked) whole(least int) {
	c.t.Helper()
	got, whole := c.last(), 0
	for id, n := range c.want {
		if n == 60*3 || n == 60*2 {
			if whole++; got[id] != [2]int{n, 0} {
				c.t.Errorf("window %s has %v, want %d rows", id, got[id], n)
			}
		}
	}
	if whole < least {
		c.t.Errorf("%d windows", whole)
	}
}

// TestPhasesAhead: a device whose clock is a year ahead costs the others of its site no row, in either number of phases.
func TestPhasesAhead(t *testing.T) {
	for n := 1; n <= 2; n++ {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			c := &clocked{lab: newLab(t), want: map[string]int{}}
			c.write("/out/x", "")
			c.open(strings.Replace(live, "MORE", fmt.Sprintf("phases = %d\nlate = \"drop\"", n), 1), false)
			for m := range 45 {
				if m == 22 {
					c.feed(`{"device":"d9","site":"s1","ts":"2027-01-01T12:00:00Z","temp":1}` + "\n" + `{"device":"d8","site":"s0","ts":"2027-01-01T12:00:00Z","temp":1}` + "\n")
				}
				c.minute("d0", "d1", "d2", "d3", "d4")
			}
			got := c.last()
			for id, rows := range c.want {
				if id[3:] < "2026-01-01T12:40:00Z" && got[id][0] != rows {
					t.Errorf("window %s has %v, want %d rows", id, got[id], rows)
				}
			}
			c.close()
		})
	}
}
