package run_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/run"
)

const devicesConfig = `
channel "c" {
  key        = device
  time       = ts
  partitions = 3
  schema     = { device = string, ts = timestamp, n = number }
}
channel "d" {
  key        = id
  partitions = 1
  schema     = { id = integer }
}
channel "e" {
  schema = { n = number }
}
ingest "file" "in" {
  to     = channel.c
  path   = "/in/c.ndjson"
  follow = true
}
ingest "file" "ids" {
  to     = channel.d
  path   = "/in/d.ndjson"
  follow = true
}
pipeline "p" {
  from = channel.c
  sink "file" "out" { path = "/out/c.ndjson" }
  sink "file" "rejects" { path = "/out/rejects.ndjson" }
  rejects = sink.rejects
}
pipeline "q" {
  from = channel.d
  sink "file" "ids" { path = "/out/d.ndjson" }
  sink "file" "rejects" { path = "/out/rejects_d.ndjson" }
  rejects = sink.rejects
}`

// Devices are listed page by page, each once, whatever the size of a page.
func TestDevices(t *testing.T) {
	l := newLab(t)
	now := l.machine.Env().Clock.Now()
	var in strings.Builder
	for i := range 300 {
		// Nine records late by 2 s, one by an hour: the median is what counts.
		late := 2_000
		if i/30 == 4 {
			late = 3_600_000
		}
		n := fmt.Sprint(i)
		if i == 7 {
			n = `"seven"`
		}
		fmt.Fprintf(&in, `{"device":"d%02d","ts":%d,"n":%s}`+"\n", i%30, now.UnixMilli()-int64(late), n)
	}
	in.WriteString("no record\n")
	l.write("/in/c.ndjson", in.String())
	l.write("/in/d.ndjson", "{\"id\":17}\n{\"id\":-3}\n{\"id\":17}\n")
	e := l.open(devicesConfig, false)
	l.steps(func() bool { return l.totals().Records == 304 })
	list := func(q run.DeviceQuery) (all []run.DeviceStatus, pages int) {
		for {
			page, err := e.Devices(q)
			l.must(err)
			all, pages = append(all, page.Devices...), pages+1
			if q.After = page.Next; q.After == "" {
				return all, pages
			}
		}
	}
	for _, limit := range []int{1, 7, 32, 33, 1000} {
		all, pages := list(run.DeviceQuery{Limit: limit})
		seen := map[string]bool{}
		for _, d := range all {
			seen[d.Channel+"/"+d.Device] = true
		}
		if len(all) != 32 || len(seen) != 32 || pages != (32+limit-1)/limit || !seen["d/-3"] || !seen["c/d29"] {
			t.Errorf("limit %d: %d devices, %d different, on %d pages", limit, len(all), len(seen), pages)
		}
		for _, d := range all {
			rejects := int64(0)
			if d.Device == "d07" {
				rejects = 1
			}
			if d.Channel == "c" && (d.Records != 10 || d.Rejects != rejects || d.Skew < 1.9 || d.Skew > 2.3 || d.LastSeen.Before(now) || d.Watermark.IsZero()) {
				t.Errorf("%+v", d)
			}
		}
	}
	if some, _ := list(run.DeviceQuery{Channel: "c", Prefix: "d1", Limit: 3}); len(some) != 10 {
		t.Errorf("%d begin with d1", len(some))
	}
	for _, q := range []run.DeviceQuery{{}, {Limit: run.MaxDevices + 1}, {Limit: 1, After: "x"}, {Limit: 1, Channel: "no"}} {
		if _, err := e.Devices(q); !errors.Is(err, run.ErrDevices) {
			t.Errorf("%+v: %v", q, err)
		}
	}
	l.close()
}

const clockConfig = `
engine {
  checkpoint = "50ms"
}
channel "c" {
  key        = device
  time       = ts
  partitions = 2
  schema     = { device = string, ts = timestamp }
  clock {
    correct_skew = true
    tolerance    = "5s"
    behind       = "1h"
  }
}
ingest "file" "in" {
  to     = channel.c
  path   = "/in/c.ndjson"
  follow = true
}
pipeline "p" {
  from = channel.c
  rule "seen" { set = { off = ts - _time } }
  sink "file" "out" { path = "/out/c.ndjson" }
}`

// Where clocks are corrected, devices show how far they are off and by what they are corrected: also after
// a swap, a crash and a stop. What is too far off counts with its device.
func TestClocksOfDevices(t *testing.T) {
	for _, what := range []string{"", "swap", "crash", "stop"} {
		l := newLab(t)
		e := l.open(clockConfig, false)
		var in strings.Builder
		for i := range 20 { // those after the twelfth alone would be too few for an estimate
			l.machine.Advance(10 * time.Second)
			now := l.machine.Env().Clock.Now().UnixMilli()
			fmt.Fprintf(&in, `{"device":"slow","ts":%d}`+"\n", now-600_000)
			fmt.Fprintf(&in, `{"device":"right","ts":%d}`+"\n", now-1_000)
			if i == 19 {
				fmt.Fprintf(&in, `{"device":"right","ts":%d}`+"\n", now-2*3_600_000)
			}
			l.write("/in/c.ndjson", in.String())
			want := strings.Count(in.String(), "\n")
			l.steps(func() bool { return int(l.totals().Records) >= want })
			if i != 12 {
				continue
			}
			l.settle()
			switch what {
			case "swap":
				l.must(l.swap(clockConfig + "\n# again"))
			case "crash":
				l.machine.Crash(1)
				_ = e.Close() // gives memory back; the files are gone
				e = l.open(clockConfig, false)
			case "stop":
				l.must(e.Close())
				e = l.open(clockConfig, false)
			}
			if what == "crash" || what == "stop" { // counters begin anew
				in.Reset()
				l.write("/in/c.ndjson", "")
			}
		}
		page, err := e.Devices(run.DeviceQuery{Limit: 10})
		l.must(err)
		for _, d := range page.Devices {
			corrected, skew, rejects := 0.0, 1.0, int64(1)
			if d.Device == "slow" {
				corrected, skew, rejects = 600, 600, 0
			}
			if math.Abs(d.Corrected-corrected) > 3 || math.Abs(d.Skew-skew) > 3 || d.Rejects != rejects {
				t.Errorf("%s: %+v", what, d)
			}
		}
		for _, s := range e.Skews() { // slow is ten minutes behind, and right a second
			want := int64(1)
			if s.Over == "1h" || s.Over == "1d" {
				want = 0
			}
			if s.Channel != "c" || s.Ahead != 0 || s.Behind != want && s.Over != "10m" {
				t.Errorf("%s: %+v", what, s)
			}
		}
		if n := len(e.Skews()); n != 5 {
			t.Errorf("%s: %d counts of clocks that are off", what, n)
		}
		l.close()
	}
}
