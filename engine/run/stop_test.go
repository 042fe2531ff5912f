package run_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/env"
)

// server is a pipeline whose rows go to the far sink.
const server = `pipeline "s" {
  from = channel.c
  sink "far" "server" { exact = false }
}
`

// TestStop interrupts runs that something keeps from their end. Each stops in
// good time, and the next run ends up with every row.
func TestStop(t *testing.T) {
	for _, c := range []struct {
		name, config string
		before       func(l *lab)
		ready        func(l *lab) bool
		report       string // what the interrupted run must have told
		most         int    // how often the server may have a row
	}{
		{"nothing in the way", telemetry + followed + server, func(l *lab) {}, func(l *lab) bool { return l.far.count() == 2000 }, "", 1},
		{"a server is down", telemetry + followed + server, func(l *lab) { l.far.set(errors.New("down"), false) },
			func(l *lab) bool { return l.reported("down; trying again") }, "", 1},
		{"a server never answers", telemetry + followed + server, func(l *lab) { l.far.set(nil, true) },
			func(l *lab) bool { return l.engine.Status().Checkpoint.Epoch > 3 }, "", 1},
		{"an exact sink is down", telemetry + followed + strings.Replace(server, "false", "true", 1), func(l *lab) { l.far.set(errors.New("down"), false) },
			func(l *lab) bool { return l.reported("down; trying again") }, "without a last checkpoint", 1},
		{"an exact sink never answers", telemetry + followed + strings.Replace(server, "false", "true", 1), func(l *lab) { l.far.set(nil, true) },
			func(l *lab) bool { return l.totals().Records > 100 }, "without a last checkpoint", 1},
		{"checkpoints cannot be written", telemetry + followed + server, func(l *lab) {
			l.machine.Fail(env.Fault{Op: env.OpOpen, Name: ".checkpoint", Err: syscall.EACCES, Times: -1})
		}, func(l *lab) bool { return l.reported("checkpoint could not be written") }, "without a last checkpoint", 1},
		{"the disk of checkpoints fills up", telemetry + followed + server, func(l *lab) {
			l.machine.Fail(env.Fault{Op: env.OpWrite, Name: ".checkpoint", Err: syscall.ENOSPC, Times: -1})
		}, func(l *lab) bool { return l.reported("checkpoint could not be written") }, "without a last checkpoint", 1},
		{"old checkpoints cannot be removed", telemetry + followed + server, func(l *lab) {
			l.machine.Fail(env.Fault{Op: env.OpRemove, Name: ".checkpoint", Err: syscall.EACCES, Times: -1})
		}, func(l *lab) bool { return l.reported("cannot be removed") && l.far.count() == 2000 }, "", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newSharedLab(t)
			l.feed(records(0, 2000))
			l.open(c.config, false)
			c.before(l)
			ctx, cancel := context.WithCancel(context.Background())
			ran := l.goroutines(ctx)
			l.until("something is in the way", func() bool { return c.ready(l) })
			asked := l.engine.Request(l.plan(c.config))
			cancel()
			l.must(l.wait(ran))
			select {
			case <-asked:
			default:
				t.Error("who asked for a change is not told what became of it")
			}
			if !l.reported(c.report) {
				t.Errorf("nothing was told of %s", c.report)
			}
			if c.report == "" && l.reported("without a last checkpoint") {
				t.Error("there was no last checkpoint")
			}
			late, done := context.WithTimeout(context.Background(), time.Minute)
			defer done()
			if err := l.engine.Apply(late, l.plan(c.config)); err == nil || late.Err() != nil {
				t.Error("a change was applied to an engine that has stopped")
			}
			l.close()
			l.machine.Heal()
			l.far.set(nil, false)
			l.open(c.config, false)
			l.steps(func() bool { return l.far.count() == 2000 })
			l.settle()
			l.close()
			for row, n := range l.far.rows {
				if n > c.most {
					t.Fatalf("%d times: %s", n, row)
				}
			}
		})
	}
}

// TestStopUnderLoad: an interrupt ends a run into which more comes all the time.
func TestStopUnderLoad(t *testing.T) {
	l := newSharedLab(t)
	l.write("/out/x", "")
	l.feed(records(0, 100))
	l.open(telemetry+followed+copying("p"), false)
	ctx, cancel := context.WithCancel(context.Background())
	ran := l.goroutines(ctx)
	over := make(chan struct{})
	fed := make(chan int)
	go func() {
		n := 100
		f, _ := l.machine.Env().FS.Open("/in/a.ndjson", env.ReadWrite)
		for {
			select {
			case <-over:
				fed <- n
				return
			default:
				if l.totals().Records+2000 < int64(n) { // what is left at the end is to be gone through, too
					time.Sleep(time.Millisecond)
					continue
				}
				info, _ := f.Stat()
				_, _ = f.WriteAt([]byte(records(n, 20)), info.Size())
				n += 20
			}
		}
	}()
	l.until("rows flow", func() bool { return l.totals().Records > 2000 })
	cancel()
	err := l.wait(ran)
	close(over)
	n := <-fed
	l.must(err)
	if l.reported("without a last checkpoint") {
		t.Error("there was no last checkpoint")
	}
	l.close()
	l.open(telemetry+followed+copying("p"), false)
	l.steps(func() bool { return l.totals().Lag == 0 && l.totals().Records > 0 })
	l.settle()
	l.close()
	l.expect("/out/p.ndjson", n)
}

// TestLearningTogether: partitions learn different fields at the same time, under
// goroutines, while somebody looks on. The race detector has the last word.
func TestLearningTogether(t *testing.T) {
	var in strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&in, `{"device":"d%d","n":%d,"f%d":%d}`+"\n", i%23, i, i/100, i)
	}
	for _, tasks := range []int{1, 2, 4} {
		t.Run(fmt.Sprint(tasks), func(t *testing.T) {
			l := newSharedLab(t)
			l.write("/out/x", "")
			l.write("/in/a.ndjson", in.String())
			e := l.open(fmt.Sprintf(`engine {
  checkpoint = "20ms"
  tasks      = %d
  queue_rows = 100
}
channel "c" { key = device }
ingest "file" "a" {
  to   = channel.c
  path = "/in/a.ndjson"
}
`, tasks)+copying("p")+strings.Replace(server, `"far"`, `"far"`, 1), true)
			ran := l.goroutines(context.Background())
			l.until("it has ended", func() bool {
				s := e.Status()
				e.Held()
				return s.Totals().Records == 3000 && e.Done()
			})
			l.must(l.wait(ran))
			l.close()
			l.expect("/out/p.ndjson", 3000)
			if n := l.sum(); n != 3000 {
				t.Errorf("the server has %d rows", n)
			}
		})
	}
}

// TestSwapWhileServerHangs: a server that does not answer holds up neither a
// change nor the rows of others.
func TestSwapWhileServerHangs(t *testing.T) {
	l := newSharedLab(t)
	l.write("/out/x", "")
	l.feed(records(0, 300))
	l.open(telemetry+followed+server, false)
	l.far.set(nil, true)
	ctx, cancel := context.WithCancel(context.Background())
	ran := l.goroutines(ctx)
	l.until("all is read, and a checkpoint", func() bool { // else the new pipeline begins before the end of what is there
		return l.totals().Records == 300 && l.engine.Status().Checkpoint.Epoch > 1
	})
	p := l.plan(telemetry + followed + server + copying("p"))
	late, done := context.WithTimeout(ctx, time.Minute)
	defer done()
	l.must(l.engine.Apply(late, p))
	l.feed(records(300, 100))
	l.until("the new pipeline writes", func() bool { return len(l.lines("/out/p.ndjson")) == 100 })
	l.far.set(nil, false)
	l.until("the server has all", func() bool { return l.far.count() == 400 })
	cancel()
	l.must(l.wait(ran))
	l.close()
}
