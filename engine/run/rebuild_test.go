package run_test

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/run"
	"github.com/tidemill/tidemill/engine/state"
)

// minutes is a pipeline of windows and an alarm, whose file is of its own name.
func minutes(name, aggregates, when string) string {
	return fmt.Sprintf(`pipeline "w" {
  from = channel.c
  rule "some" {
    where = n %% 3 != 0
    set   = { f = temp * 2 }
  }
  window "tumbling" "m" {
    from  = rule.some
    by    = [device]
    every = "1m"
    keep  = "2m"
    emit  = { %s }
  }
  alarm "warm" {
    from = rule.some
    by   = [device]
    when = %s
    for  = "40s"
  }
  sink "file" "rows" {
    from = window.m
    path = "/out/%s.ndjson"
  }
  sink "file" "alarms" {
    from = alarm.warm
    path = "/out/%s.alarms.ndjson"
  }
}
`, aggregates, when, name, name)
}

const (
	plainly = "n = count(), p = percentile(f, 50)"
	richer  = "n = count(), p = percentile(f, 50), hi = max(f), d = distinct(n)"
)

// place finds which window a row is of, and which of its revisions.
var place = regexp.MustCompile(`"device":"[^"]*"|"window_start":"[^"]*"|"revision":\d+`)

// sameBut checks rows that came of two configurations, one after the other: each window came once, as it does of
// one of them, and at least so many of the second.
func sameBut(t *testing.T, got, first, second []string, least int) {
	t.Helper()
	places := func(rows []string) []string {
		var out []string
		for _, row := range rows {
			out = append(out, strings.Join(place.FindAllString(row, -1), " "))
		}
		slices.Sort(out)
		return out
	}
	if a, b := places(got), places(second); !slices.Equal(a, b) {
		t.Errorf("%d windows came, not the %d that there are, or not each once", len(a), len(b))
	}
	n, of := 0, map[string]int{}
	for _, row := range first {
		of[row] = 1
	}
	for _, row := range second {
		of[row] = 2
	}
	for _, row := range got {
		switch of[row] {
		case 2:
			n++
		case 0:
			t.Errorf("this is not what it would be: %s", row)
		}
	}
	if n < least {
		t.Errorf("only %d windows are of the new configuration", n)
	}
}

// whole runs a configuration over everything that there will be.
func whole(t *testing.T, config, input string) *lab {
	l := newLab(t)
	l.write("/out/x", "")
	l.write("/in/a.ndjson", input)
	l.open(config, false)
	l.settle()
	l.close()
	return l
}

// TestRebuild changes a window's aggregates in mid-stream, by an apply and by a restart: windows that close
// afterwards are as if they had never been others, and none comes twice.
func TestRebuild(t *testing.T) {
	before, after := whole(t, telemetry+followed+minutes("w", plainly, "f > 20"), records(0, 1200)), whole(t, telemetry+followed+minutes("w", richer, "f > 20"), records(0, 1200))
	for _, restart := range []bool{false, true} {
		for _, part := range []int{30, 100, 595, 610, 1100} {
			l := newLab(t)
			l.write("/out/x", "")
			l.feed(records(0, part))
			l.open(telemetry+followed+minutes("w", plainly, "f > 20"), false)
			l.settle()
			if restart {
				l.close()
				l.machine.Crash(uint64(part))
				l.open(telemetry+followed+minutes("w", richer, "f > 20"), false)
			} else {
				l.must(l.swap(telemetry + followed + minutes("w", richer, "f > 20")))
			}
			if !l.reported("pipeline.w.window.m: its state is made again from") {
				t.Error("nobody is told of it")
			}
			l.feed(records(part, 1200-part))
			l.settle()
			l.close()
			sameBut(t, l.lines("/out/w.ndjson"), before.lines("/out/w.ndjson"), after.lines("/out/w.ndjson"), (1200-part)/60*6)
			if got, want := l.lines("/out/w.alarms.ndjson"), after.lines("/out/w.alarms.ndjson"); !slices.Equal(got, want) || len(want) == 0 {
				t.Errorf("%d alarms, not %d", len(got), len(want))
			}
			if t.Failed() {
				t.Fatalf("after %d records, restart %v", part, restart)
			}
		}
	}
}

// TestRebuildBeside: records come and go through the old graph while the journal is read again.
func TestRebuildBeside(t *testing.T) {
	const n = 20_000
	l := newLab(t)
	l.write("/out/x", "")
	l.feed(hours(0, n))
	l.open(telemetry+followed+minutes("w", plainly, "f > 2000"), false)
	l.settle()
	done := l.engine.Request(l.plan(telemetry + followed + minutes("w", plainly+", lo = min(f)", "f > 1000")))
	seen, fed := l.totals().Records, false
	l.steps(func() bool {
		if l.reported("its state is made again") && !fed {
			l.feed(hours(n, 500))
			fed = true
		}
		l.machine.Advance(time.Millisecond)
		select {
		case err := <-done:
			l.must(err)
			return true
		default:
			return false
		}
	})
	if l.totals().Records == seen {
		t.Error("nothing came through meanwhile")
	}
	l.feed(hours(n+500, 300))
	l.settle()
	l.close()
	input := hours(0, n+800)
	before, after := whole(t, telemetry+followed+minutes("w", plainly, "f > 2000"), input), whole(t, telemetry+followed+minutes("w", plainly+", lo = min(f)", "f > 1000"), input)
	sameBut(t, l.lines("/out/w.ndjson"), before.lines("/out/w.ndjson"), after.lines("/out/w.ndjson"), 4*7)
}

// crowd is a configuration of two partitions of so many keys each, and gives records whose devices are two of partition
// 0 and one of the other.
func crowd() (config func(keys int, aggregates string) string, input func(first, n int) string) {
	const parts = 2
	var names []string
	for i, have := 0, map[int]int{}; len(names) < parts+1; i++ {
		name := fmt.Sprintf("d%d", i)
		at := flow.PartitionOf(flow.Hash([]byte(name)), parts)
		if have[at]++; have[at] == 1 || at == 0 && have[at] == 2 {
			names = append(names, name)
		}
	}
	input = func(first, n int) string {
		return regexp.MustCompile(`"d\d"`).ReplaceAllStringFunc(records(first, n), func(d string) string {
			return fmt.Sprintf("%q", names[int(d[2]-'0')%len(names)])
		})
	}
	config = func(keys int, aggregates string) string {
		channel := fmt.Sprintf("time = ts\n  partitions = %d\n  max_keys = %d", parts, keys)
		return strings.Replace(telemetry, "time   = ts", channel, 1) + followed + minutes("w", aggregates, "f > 20")
	}
	return config, input
}

// TestRebuildMoreKeys: a stage and max_keys change together, by an apply or a restart, and there were more keys than
// there was room for: those that were refused are so again when the journal is read once more, and come in afterwards.
func TestRebuildMoreKeys(t *testing.T) {
	config, input := crowd()
	for _, restart := range []bool{false, true} {
		l := newLab(t)
		l.write("/out/x", "")
		l.feed(input(0, 300))
		l.open(config(1, plainly), false)
		l.settle()
		seen := l.totals()
		if seen.Rejects == 0 {
			t.Fatal("there was room for all keys")
		}
		if restart {
			l.close()
			l.machine.Crash(1)
			l.open(config(10, richer), false)
		} else {
			l.must(l.swap(config(10, richer)))
		}
		if !l.reported("pipeline.w.window.m: its state is made again from") {
			t.Error("nobody is told of it")
		}
		l.feed(input(300, 300))
		l.settle()
		if got := l.totals(); !restart && got.Rejects != seen.Rejects || restart && got.Rejects != 0 {
			t.Errorf("restart %v: %d rejects, and %d before", restart, got.Rejects, seen.Rejects)
		}
		devices := map[string]int{}
		for _, row := range l.lines("/out/w.ndjson") {
			devices[regexp.MustCompile(`"device":"[^"]*"`).FindString(row)]++
		}
		if len(devices) != 3 {
			t.Errorf("restart %v: windows are of %v", restart, devices)
		}
		l.close()
	}
}

// TestRebuildRefused: where the journal cannot be read once more, from whatever block on, the old configuration goes on.
func TestRebuildRefused(t *testing.T) {
	config, input := crowd()
	refused := 0
	for after := range 8 {
		l := newLab(t)
		l.write("/out/x", "")
		l.feed(input(0, 300))
		l.open(config(10, plainly), false)
		l.settle()
		seen := l.totals().Records
		l.machine.Fail(env.Fault{Op: env.OpRead, Name: "journal/c", After: after, Err: syscall.EIO})
		if err := l.swap(config(10, richer)); err != nil {
			refused++
		}
		l.machine.Heal()
		l.feed(input(300, 300))
		l.settle()
		if got := l.totals().Records; got != seen+300 {
			t.Errorf("%d records, not %d", got, seen+300)
		}
		l.expect("/out/w.ndjson", len(slices.Compact(l.lines("/out/w.ndjson"))))
		l.close()
	}
	if refused < 2 {
		t.Errorf("the change was refused %d times: nothing failed", refused)
	}
}

// TestRebuildOtherColumns: a later version of the program keeps a stage's state in other columns, under the same files: all of its tables
// are made again, and not one of them beside an old one.
func TestRebuildOtherColumns(t *testing.T) {
	config := telemetry + followed + minutes("w", plainly, "f > 20")
	want := whole(t, config, records(0, 1200)).lines("/out/w.ndjson")
	for table := range 2 {
		l := newLab(t)
		l.write("/out/x", "")
		l.feed(records(0, 600))
		l.open(config, false)
		l.settle()
		l.close()
		p := l.plan(config)
		for _, n := range p.Pipelines[0].Nodes {
			if n.Address == "pipeline.w.window.m" {
				d := &n.Bound.State[table]
				d.Columns = append(slices.Clone(d.Columns), state.Column{Name: "later", Type: state.U32})
			}
		}
		l.openPlan(p, false)
		if !l.reported("pipeline.w.window.m: its state is made again from") {
			t.Error("nobody is told of it")
		}
		l.feed(records(600, 600))
		l.settle()
		l.close()
		if got := l.lines("/out/w.ndjson"); !slices.Equal(got, want) {
			t.Errorf("table %d: %d windows, not the %d that there should be", table, len(got), len(want))
		}
	}
}

// hours makes records a second apart, of seven devices.
func hours(first, n int) string {
	var b strings.Builder
	for i := first; i < first+n; i++ {
		at := time.Date(2025, 6, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(i) * time.Second)
		fmt.Fprintf(&b, `{"device":"d%d","ts":"%s","temp":%d.5,"n":%d}`+"\n", i%7, at.Format(time.RFC3339), i%40, i)
	}
	return b.String()
}

// TestRebuildGoroutines does it in a running engine, and gives up when whoever asked does.
func TestRebuildGoroutines(t *testing.T) {
	l := newSharedLab(t)
	l.write("/out/x", "")
	l.feed(hours(0, 20_000))
	e := l.open(telemetry+followed+minutes("w", plainly, "f > 2000"), false)
	ctx, stop := context.WithCancel(context.Background())
	ran := l.goroutines(ctx)
	l.until("all records are through", func() bool { return l.totals().Records == 20_000 })
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	p := l.plan(telemetry + followed + minutes("w", richer, "f > 2000"))
	if err := e.Apply(gone, p); err == nil {
		t.Error("an apply whose context has ended was waited for")
	}
	l.until("it is through, or was given up", func() bool {
		err := e.Apply(context.Background(), l.plan(telemetry+followed+minutes("w", richer, "f > 3000")))
		return err == nil
	})
	stop()
	l.must(l.wait(ran))
	l.close()
}

// TestHeldPast: what is said before of state that is to be made again.
func TestHeldPast(t *testing.T) {
	l := newLab(t)
	l.write("/out/x", "")
	l.feed(records(0, 700))
	config := func(retain, aggregates string) string {
		return strings.Replace(telemetry, "time   = ts", "time = ts\n  partitions = 1\n"+retain, 1) + followed + minutes("w", aggregates, "f > 20")
	}
	l.open(config("", plainly), false)
	l.settle()
	for _, live := range []bool{true, false} {
		held := l.engine.Held
		if !live {
			l.close()
			held = func() (h *plan.Held) { h, err := run.ReadHeld(l.machine.Env(), "/data"); l.must(err); return h }
		}
		for _, c := range l.plan(config("", richer)).Diff(held()) {
			if c.Address == "pipeline.w.window.m" && (c.Fate != "rebuilt" || !strings.Contains(c.Why, "made again from at most 7")) {
				t.Errorf("%s: %s", c.Fate, c.Why)
			}
		}
	}
}
