package run_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/run"
)

// forgetfully keeps no record in its journal that no checkpoint needs, and is fed what it has made itself. It remembers every number.
const forgetfully = quick + `channel "c" {
  key       = device
  retention = "1ms"
  schema    = { device = string, n = integer, pad = string }
}
channel "again" {
  key       = device
  retention = "1ms"
}
ingest "file" "a" {
  to     = channel.c
  path   = "/in/a.ndjson"
  follow = true
}
pipeline "p" {
  from = channel.c
  rule "all" { set = { m = n + 1 } }
  window "count" "never" {
    by   = [n]
    size = 2
    emit = { rows = count() }
  }
  sink "file" "never" {
    from = window.never
    path = "/out/never.ndjson"
  }
  sink "channel" "again" {
    from = rule.all
    to   = channel.again
  }
}
pipeline "q" {
  from = channel.again
  sink "file" "rows" { path = "/out/rows.ndjson" }
}
`

// chained runs until there is a whole checkpoint and at least n deltas to it, between any two of which there were more records than a file of the
// journal holds, and ends without a last one: the last has read records that the one before it has not, or only rows that were
// fed. It returns how many records there were.
func chained(t *testing.T, n int, read bool) (l *lab, records int) {
	return chainedWith(t, forgetfully, n, read)
}

func chainedWith(t *testing.T, text string, n int, read bool) (l *lab, records int) {
	const first, often = 1_000, 80 // so that a whole checkpoint outweighs some deltas
	l = newLab(t)
	for records = first; ; records += often {
		l.write("/in/a.ndjson", bulky(0, records))
		if records == first {
			l.must(l.start(text))
		}
		l.steps(l.has(records))
		if have := l.checkpoints(); len(have) > n {
			break
		} else if records > 40*often {
			t.Fatalf("there are only %v", have)
		}
	}
	if was := len(l.checkpoints()); read {
		records += 20 * often
		l.write("/in/a.ndjson", bulky(0, records))
		l.steps(func() bool { return len(l.checkpoints()) != was })
	}
	l.ends()
	return l, records
}

// ends lets everybody move for a while in which there is no checkpoint, since the clock stands; then the coordinator alone, which looks
// after retention and waits for a checkpoint; and ends the process.
func (l *lab) ends() {
	l.t.Helper()
	for round := range 30 {
		if round == 20 {
			l.machine.Advance(time.Minute)
		}
		for _, a := range l.engine.Actors() {
			if round < 20 || a.Name() == "coordinator" {
				_, err := a.Step()
				l.must(err)
			}
		}
	}
	l.must(l.engine.Close())
	l.machine.Crash(1)
}

// has looks now and then whether so many rows came out.
func (l *lab) has(rows int) func() bool {
	looks := 0
	return func() bool {
		looks++
		return looks%100 == 0 && len(l.lines("/out/rows.ndjson")) >= rows
	}
}

func (l *lab) checkpoints() []string {
	names := l.files("/data/checkpoints", ".checkpoint")
	slices.Sort(names)
	return names
}

// reopen starts over the data that there are, and returns what was wrong.
func (l *lab) reopen() error { return l.start(forgetfully) }

// start begins a run with small files.
func (l *lab) start(text string) error {
	e, err := run.Open(l.plan(text), run.Options{Env: l.machine.Env(), Data: "/data", Specs: l.specs(),
		BlockBytes: 1 << 10, SegmentBytes: 8 << 10, PieceBytes: 1 << 10, Alloc: l.memory, Report: l.report})
	l.engine = e
	return err
}

// spoil changes a byte of a file.
func (l *lab) spoil(name string, at int64) {
	l.t.Helper()
	f, err := l.machine.Env().FS.Open(name, env.ReadWrite)
	l.must(err)
	b := []byte{0}
	_, err = f.ReadAt(b, at)
	l.must(err)
	b[0]++
	_, err = f.WriteAt(b, at)
	l.must(err)
	l.must(errors.Join(f.Sync(), f.Close()))
}

// goesOn reads further records and finds every one so far once.
func (l *lab) goesOn(records int) {
	l.t.Helper()
	l.write("/in/a.ndjson", bulky(0, records))
	l.steps(l.has(records))
	l.settle()
	seen := map[string]int{}
	for _, line := range l.lines("/out/rows.ndjson") {
		_, rest, _ := strings.Cut(line, `"n":`)
		n, _, _ := strings.Cut(rest, ",")
		seen[n]++
	}
	for i := range records {
		if seen[fmt.Sprint(i)] != 1 {
			l.t.Fatalf("record %d is there %d times; reports:\n%s", i, seen[fmt.Sprint(i)], strings.Join(l.reports, "\n"))
		}
	}
	l.close()
}

// TestGoBack: where the newest checkpoint is damaged, the run goes on from the one before it, though nobody asked the journal and the
// feed to keep anything, also where another run has gone on from the newest meanwhile. The damaged file is kept under another name.
func TestGoBack(t *testing.T) {
	for _, when := range []string{"fed", "read", "restarted"} {
		l, records := chained(t, 4, when == "read")
		have := l.checkpoints()
		if when == "restarted" {
			l.must(l.reopen())
			l.ends()
		}
		newest := have[len(have)-1]
		l.spoil(newest, 40)
		l.must(l.reopen())
		if !l.reported("cannot be used, going back to the one before") {
			t.Errorf("nobody is told: %s", strings.Join(l.reports, "\n"))
		}
		if now := l.files("/data/checkpoints", ".damaged"); !slices.Equal(now, []string{newest + ".damaged"}) || slices.Contains(l.checkpoints(), newest) {
			t.Errorf("set aside is %v, and there are %v", now, l.checkpoints())
		}
		l.ends()
		l.must(l.reopen())
		l.goesOn(records + 100)
	}
}

// TestGoBackTooFar: a damaged link of the chain takes all behind it along. Where the journal, or the feed, does not reach back to the one before
// that, the start is refused, and nothing is changed.
func TestGoBackTooFar(t *testing.T) {
	for _, x := range []struct{ retention, want string }{
		{"1ms", "the journal of channel.c does not hold records "},
		{"1h", "of what pipelines fed to channel.again records "},
	} {
		l, _ := chainedWith(t, strings.Replace(forgetfully, `"1ms"`, `"`+x.retention+`"`, 1), 7, false)
		have, rows := l.checkpoints(), len(l.lines("/out/rows.ndjson"))
		l.spoil(have[1], 40)
		for range 2 {
			if err := l.reopen(); err == nil || !strings.Contains(err.Error(), x.want) {
				t.Fatalf("went back too far: %v", err)
			}
		}
		if now := l.checkpoints(); !slices.Equal(now, have) || len(l.lines("/out/rows.ndjson")) != rows {
			t.Errorf("there are %v with %d rows, and were %v with %d", now, len(l.lines("/out/rows.ndjson")), have, rows)
		}
	}
}

// TestUnreadCheckpoint: what the system fails to read is not passed over, since it may be whole, and come back when sinks and logs are
// behind it no more.
func TestUnreadCheckpoint(t *testing.T) {
	l, records := chained(t, 2, false)
	have := l.checkpoints()
	l.machine.Fail(env.Fault{Op: env.OpOpen, Name: have[len(have)-1], Err: syscall.EIO})
	err := l.reopen()
	if err == nil || !strings.Contains(err.Error(), "cannot be read: ") || !strings.Contains(err.Error(), "Nothing has been changed") {
		t.Fatalf("passed over: %v", err)
	}
	if now := l.checkpoints(); !slices.Equal(now, have) {
		t.Errorf("there are %v, and were %v", now, have)
	}
	if !strings.Contains(err.Error(), "removing it lets the run go on") {
		t.Errorf("nobody is told what to do where the file is lost: %v", err)
	}
	l.must(l.reopen())
	l.goesOn(records + 100)
}

// TestUnreadOnly: nobody is told to remove the only checkpoint, without which all would be written twice.
func TestUnreadOnly(t *testing.T) {
	l, _ := chained(t, 2, false)
	have := l.checkpoints()
	for _, name := range have[1:] {
		l.must(l.machine.Env().FS.Remove(name))
	}
	l.machine.Fail(env.Fault{Op: env.OpOpen, Name: have[0], Err: syscall.EIO})
	if err := l.reopen(); err == nil || strings.Contains(err.Error(), "removing") || !strings.Contains(err.Error(), "from a copy") {
		t.Errorf("what to do: %v", err)
	}
}

// TestOtherFormat: a checkpoint of a later version is no damage.
func TestOtherFormat(t *testing.T) {
	l, _ := chained(t, 2, false)
	have := l.checkpoints()
	l.spoil(have[len(have)-1], 7)
	if err := l.reopen(); err == nil || !strings.Contains(err.Error(), `is of format "TIDECKP2", and this version reads "TIDECKP1"`) {
		t.Fatalf("passed over: %v", err)
	}
}
