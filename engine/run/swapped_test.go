package run_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/stage"
)

// TestSwapIsDurable: a checkpoint that needs none before it follows a swap at once, however far apart checkpoints are; a change that is asked for
// while another waits is refused.
func TestSwapIsDurable(t *testing.T) {
	l := newLab(t)
	l.write("/out/x", "")
	l.feed(records(0, 100))
	text := strings.Replace(telemetry, `checkpoint = "20ms"`, `checkpoint = "10m"`, 1) + followed + copying("p")
	l.open(text, false)
	l.settle()
	first, second := l.engine.Request(l.plan(text+copying("q"))), l.engine.Request(l.plan(text))
	select {
	case err := <-second:
		if err == nil || !strings.Contains(err.Error(), "another change is being applied") {
			t.Error(err)
		}
	default:
		t.Error("two changes wait at once")
	}
	l.steps(func() bool { return len(first) > 0 })
	l.must(<-first)
	swapped := l.header().Epoch
	l.settle()
	if h := l.header(); h.Epoch != swapped+1 || len(h.Chain) > 0 {
		t.Errorf("the swap was at checkpoint %d; the newest is %d, which needs %d", swapped, h.Epoch, h.Chain)
	}
	l.close()
}

// TestOtherKey: where a channel's key changes, what comes from then on goes to the partitions of its new keys.
func TestOtherKey(t *testing.T) {
	l := newLab(t)
	l.write("/out/x", "")
	text := func(key string) string {
		return strings.Replace(telemetry, "key    = device", "key    = "+key+"\n  partitions = 4", 1) + followed + copying("p")
	}
	parts := func() (out []int64) {
		for _, p := range l.engine.Status().Channels[0].Partitions {
			out = append(out, p.Records)
		}
		return out
	}
	l.open(text("device"), false)
	l.feed(records(0, 200))
	l.settle()
	before := parts()
	l.must(l.swap(text("temp")))
	l.feed(strings.Repeat(`{"device":"d1","ts":"2025-06-01T00:00:00Z","temp":1.5,"n":1}`+"\n", 50) +
		strings.Repeat(`{"device":"d1","ts":"2025-06-01T00:00:00Z","temp":2.5,"n":1}`+"\n", 50) +
		strings.Repeat(`{"device":"d1","ts":"2025-06-01T00:00:00Z","temp":4.5,"n":1}`+"\n", 50) +
		strings.Repeat(`{"device":"d1","ts":"2025-06-01T00:00:00Z","temp":7.5,"n":1}`+"\n", 50))
	l.settle()
	got := 0
	for i, n := range parts() {
		if n > before[i] {
			got++
		}
	}
	l.close()
	if got < 2 {
		t.Errorf("records of one device and four temperatures went to %d partitions", got)
	}
}

// TestWatermarkStays: a row that comes late does not take its key's watermark back, and one of a clock that is far ahead takes it
// no further than to when it was received.
func TestWatermarkStays(t *testing.T) {
	l := newLab(t)
	l.write("/out/x", "")
	l.open(telemetry+followed+copying("p"), false)
	for _, minute := range []int{10, 30, 20} {
		l.feed(fmt.Sprintf(`{"device":"d","ts":"2025-06-01T00:%02d:00Z","temp":1.5,"n":%d}`+"\n", minute, minute))
		l.settle()
	}
	defer l.close()
	known := 0
	for _, p := range l.engine.Status().Channels[0].Partitions {
		if p.Records > 0 {
			if known++; p.Watermark.Minute() != 30 {
				t.Errorf("the watermark is %v", p.Watermark)
			}
		}
	}
	if known != 1 {
		t.Errorf("one device is in %d partitions", known)
	}
	l.feed(`{"device":"d","ts":"2126-06-01T00:00:00Z","temp":1.5,"n":0}` + "\n")
	l.settle()
	now := l.machine.Env().Clock.Now()
	for _, p := range l.engine.Status().Channels[0].Partitions {
		if ahead := p.Watermark.Sub(now); p.Records > 0 && (ahead > time.Hour || ahead < -time.Hour) {
			t.Errorf("the watermark is %v, and it is %v", p.Watermark, now)
		}
	}
}

// TestLater: a server behind a spool that says when it wants to be asked again is not asked before.
func TestLater(t *testing.T) {
	l := newLab(t)
	clock := l.machine.Env().Clock
	l.feed(records(0, 100))
	l.open(telemetry+followed+server, false)
	until := clock.Now().Add(time.Minute)
	l.far.set(&stage.Later{Until: until, Err: errors.New("come back in a minute")}, false)
	l.steps(func() bool { return l.reported("come back in a minute") })
	l.far.set(nil, false)
	l.steps(func() bool { return l.far.count() > 0 })
	if now := clock.Now(); now.Before(until) {
		t.Errorf("it was asked %v before", until.Sub(now))
	}
	l.steps(func() bool { return l.sum() == 100 })
	l.close()
}

// TestRebuildOldest: what a rebuild reads reaches back to the key that is furthest behind, whichever came last.
func TestRebuildOldest(t *testing.T) {
	l := newLab(t)
	l.write("/out/x", "")
	config := func(aggregates string) string {
		return strings.Replace(telemetry, "key    = device", "key    = device\n  partitions = 1", 1) + followed + minutes("w", aggregates, "f > 20")
	}
	start := l.machine.Env().Clock.Now().Truncate(time.Minute)
	send := func(device string, n int, after time.Duration) {
		var in strings.Builder
		for i := range n {
			at := start.Add(after + time.Duration(i)*time.Second).Format(time.RFC3339)
			fmt.Fprintf(&in, `{"device":"%s","ts":"%s","temp":9,"n":%d}`+"\n", device, at, 3*i+1)
		}
		l.feed(in.String())
		l.settle()
	}
	l.open(config(plainly), false)
	send("slow", 20, 0)
	l.machine.Advance(time.Hour)
	send("fast", 20, time.Hour)
	l.must(l.swap(config(richer)))
	send("slow", 1, 50*time.Second)
	send("slow", 1, time.Hour)
	l.close()
	found := false
	for _, row := range l.lines("/out/w.ndjson") {
		if strings.Contains(row, `"slow"`) {
			found = found || strings.Contains(row, `"n":21,`) && strings.Contains(row, `"d":`)
		}
	}
	if !found {
		t.Errorf("the window of the slow device is not there with all of its rows: %q", l.lines("/out/w.ndjson"))
	}
}
