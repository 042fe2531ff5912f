package run_test

import (
	"context"
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

// What is told of devices is what the journal says, each record once: also after a swap, a stop, and a crash before and after a checkpoint. A restart alone
// changes nothing of it. Runs with and without one cannot be compared: an ingest that was opened anew reads at other moments, and skew tells of those.
func TestFiguresOfDevicesStay(t *testing.T) {
	for _, what := range []string{"", "swap", "crash", "stop"} {
		for _, checkpointed := range []bool{false, true} {
			l := newLab(t)
			e := l.open(devicesConfig, false)
			want := int64(0)
			for i := range 6 {
				l.machine.Advance(10 * time.Second)
				want += l.tellOfDevices(i)
				l.steps(func() bool { return figuresTotal(l, e) >= want })
				if i == 2 && checkpointed {
					l.settle()
				}
				if i != 3 {
					continue
				}
				before := figuresOf(l, e)
				e = l.disturb(what, devicesConfig)
				l.steps(func() bool { return figuresTotal(l, e) >= want })
				if after := figuresOf(l, e); after != before {
					t.Errorf("%s, checkpointed %v:\n%snot, as before,\n%s", what, checkpointed, after, before)
				}
			}
			l.settle() // whatever would be counted twice is
			told := figuresOf(l, e)
			l.close()
			l.forgetCheckpoints()
			e = l.open(strings.NewReplacer("/out/", "/again/", "follow = true", "follow  = true\n  enabled = false").Replace(devicesConfig), false)
			l.steps(func() bool { return figuresTotal(l, e) >= want })
			if again := figuresOf(l, e); told != again || !strings.Contains(told, "d03 6 1 ") || !strings.Contains(told, "d19 3 0 ") {
				t.Errorf("%s, checkpointed %v:\n%snot, as by the journal,\n%s", what, checkpointed, told, again)
			}
			l.close()
		}
	}
}

// tellOfDevices writes the records of a round, and tells how many there are. Five devices are not heard later on, and one sends what is no number.
func (l *lab) tellOfDevices(round int) (n int64) {
	l.t.Helper()
	var in strings.Builder
	now := l.machine.Env().Clock.Now().UnixMilli()
	for k := range 20 {
		value := fmt.Sprint(k)
		if k == round {
			value = `"no number"`
		}
		if k < 15 || round < 3 {
			fmt.Fprintf(&in, `{"device":"d%02d","ts":%d,"n":%s}`+"\n", k, now-int64(k)*1_000, value)
			n++
		}
	}
	l.write("/in/c.ndjson", in.String())
	return n
}

// disturb lets something happen to the process, and returns what runs afterwards.
func (l *lab) disturb(what, config string) *run.Engine {
	l.t.Helper()
	switch what {
	case "swap":
		l.must(l.swap(config + "\n# again"))
	case "crash":
		l.machine.Crash(1)
		_ = l.engine.Close() // gives memory back; the files are gone
		return l.open(config, false)
	case "stop":
		l.must(l.engine.Close())
		return l.open(config, false)
	}
	return l.engine
}

// forgetCheckpoints removes all checkpoints: whatever opens the data folder reads its journal from the beginning.
func (l *lab) forgetCheckpoints() {
	l.t.Helper()
	fsys := l.machine.Env().FS
	entries, err := fsys.ReadDir("/data/checkpoints")
	l.must(err)
	for _, e := range entries {
		l.must(fsys.Remove("/data/checkpoints/" + e.Name()))
	}
}

// figuresTotal is how many records devices of channel c have.
func figuresTotal(l *lab, e *run.Engine) (n int64) {
	page, err := e.Devices(run.DeviceQuery{Channel: "c", Limit: 100})
	l.must(err)
	for _, d := range page.Devices {
		n += d.Records
	}
	return n
}

// figuresOf is what is told of each device of channel c, a line each.
func figuresOf(l *lab, e *run.Engine) string {
	page, err := e.Devices(run.DeviceQuery{Channel: "c", Limit: 100})
	l.must(err)
	var out strings.Builder
	for _, d := range page.Devices {
		fmt.Fprintf(&out, "%s %d %d %v %v %v %v\n", d.Device, d.Records, d.Rejects, d.Skew, d.LastSeen, d.Watermark, d.Corrected)
	}
	return out.String()
}

// A checkpoint of a version that kept no figures opens, and figures begin with what comes then; a watermark was kept, and stays.
func TestFiguresOfDevicesBegin(t *testing.T) {
	l := newLab(t)
	e := l.open(devicesConfig, false)
	want := l.tellOfDevices(0)
	l.steps(func() bool { return figuresTotal(l, e) >= want })
	l.settle()
	before := figuresOf(l, e)
	l.must(e.Close())
	n, err := run.WithoutFigures(l.machine.Env(), "/data")
	l.must(err)
	if n < 4 {
		t.Fatalf("%d tables of figures were in the checkpoints; there are four partitions", n)
	}
	l.reports = nil
	e = l.open(devicesConfig, false)
	page, err := e.Devices(run.DeviceQuery{Channel: "c", Limit: 100})
	l.must(err)
	for _, d := range page.Devices {
		if d.Records != 0 || d.Rejects != 0 || d.Skew != 0 || !d.LastSeen.IsZero() || d.Watermark.IsZero() {
			t.Errorf("%+v", d)
		}
	}
	l.machine.Advance(10 * time.Second)
	more := l.tellOfDevices(4)
	l.steps(func() bool { return figuresTotal(l, e) >= more })
	l.settle()
	after := figuresOf(l, l.disturb("stop", devicesConfig))
	if !strings.Contains(before, "d00 1 1 0.0") || !strings.Contains(after, "d00 1 0 0 2026") || !strings.Contains(after, "d04 1 1 4 2026") || !strings.Contains(after, "d19 0 0 0 0001") {
		t.Errorf("before:\n%safterwards:\n%s", before, after)
	}
	if text := strings.Join(l.reports, "\n"); strings.Contains(text, "checkpoint") {
		t.Error(text)
	}
	l.close()
}

// A change that is refused after tasks with another key were opened leaves everything as it was, also what is told of devices.
func TestFiguresOfDevicesRefused(t *testing.T) {
	l := newLab(t)
	e := l.open(devicesConfig, false)
	want := l.tellOfDevices(0)
	l.steps(func() bool { return figuresTotal(l, e) >= want })
	before := figuresOf(l, e)
	other := strings.Replace(devicesConfig, "key        = device", "key        = n", 1)
	if err := l.swap(strings.Replace(other, "path   = \"/in/d.ndjson\"\n  follow = true", `path = "/in/nowhere.ndjson"`, 1)); err == nil {
		t.Fatal("an ingest without a file was taken")
	}
	if after := figuresOf(l, e); after != before {
		t.Errorf("%snot, as before,\n%s", after, before)
	}
	want += l.tellOfDevices(1)
	l.steps(func() bool { return figuresTotal(l, e) >= want })
	l.close()
}

// Onlookers ask for devices while rows come and checkpoints copy what they ask for.
func TestDevicesLookedAt(t *testing.T) {
	l := newSharedLab(t)
	l.tellOfDevices(0)
	e := l.open("engine {\n  checkpoint = \"10ms\"\n}\n"+devicesConfig, false)
	ctx, cancel := context.WithCancel(context.Background())
	ran := l.goroutines(ctx)
	for i := 0; i < 300 || figuresTotal(l, e) < 20; i++ {
		e.Skews()
	}
	cancel()
	l.must(l.wait(ran))
	l.close()
}
