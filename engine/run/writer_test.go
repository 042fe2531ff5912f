package run_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/run"
)

// TestWrittenBeside: while a checkpoint is written, however long that takes, ticks and rows go on; no other is begun, no sink
// commits, and the journal keeps what came, though it is past its retention, until the file has its name.
func TestWrittenBeside(t *testing.T) {
	const rows = 12_000
	var in strings.Builder
	for i := range rows {
		fmt.Fprintf(&in, `{"device":"d%d","ts":"2025-06-01T00:%02d:%02dZ","temp":%d,"n":%d}`+"\n", i%100, i/60%60, i%60, i%40, i)
	}
	l := newLab(t)
	l.write("/in/a.ndjson", in.String())
	text := strings.Replace(telemetry, "key    = device", "key    = device\n  partitions = 1\n  retention = \"1ms\"", 1)
	text = strings.Replace(text, `checkpoint = "20ms"`, `checkpoint = "100ms"`, 1) // some 3,000 records, more than a file of the journal has
	e := l.open(text+followed+copying("p")+`pipeline "q" {
  from = channel.c
  sink "far" "server" { from = channel.c }
}
`, false)
	turn := func(writes bool) {
		for _, a := range e.Actors() {
			if writes || a.Name() != "writer" {
				_, err := a.Step()
				l.must(err)
			}
		}
		l.machine.Advance(5 * time.Millisecond)
	}
	committed := func() int {
		l.far.mu.Lock()
		defer l.far.mu.Unlock()
		return len(l.far.rows)
	}
	// The second checkpoint is the one that is held up: with it the journal could let go of something.
	for e.Status().Checkpoint.Epoch == 0 || l.totals().Rows < rows/2 {
		turn(true)
	}
	for was := e.Status().Checkpoint.Epoch; e.Status().Checkpoint.Epoch == was; {
		turn(true)
	}
	turn(true) // what that one needs no more is removed: the writer waits for the next
	first, epoch := l.totals().Rows, e.Status().Checkpoint.Epoch
	for had, still := committed(), 0; still < 300; still++ { // what is durable is delivered, a batch a turn, and told at the end
		if turn(false); committed() != had {
			had, still = committed(), 0
		}
	}
	place := func() run.PartitionStatus { return e.Status().Channels[0].Partitions[0] }
	if name := fmt.Sprintf("%016x.checkpoint", epoch); len(l.files("/data/checkpoints", name)) == 0 {
		t.Errorf("checkpoint %d is told of, and has no file", epoch)
	}
	had, before := committed(), place()
	for range 1000 {
		turn(false)
	}
	after := place()
	if first == rows || after.Rows != rows || after.Next != after.End {
		t.Errorf("%d rows were through, and then %d of %d; the task stands at %d of %d", first, after.Rows, rows, after.Next, after.End)
	}
	if ticks := after.End - before.End; before.End < rows || ticks < 4 {
		t.Errorf("%d ticks came in five seconds", ticks)
	}
	if now := e.Status().Checkpoint.Epoch; now != epoch || committed() != had {
		t.Errorf("checkpoint %d and %d rows committed, when %d and %d were durable", now, committed(), epoch, had)
	}
	if most := uint64(had) + 100; after.Earliest > most { // records that were committed, and ticks
		t.Errorf("the journal begins at %d, and the newest durable checkpoint ends before %d", after.Earliest, most)
	}
	for range 2000 {
		turn(true)
	}
	if now := e.Status().Checkpoint.Epoch; now < epoch+2 || committed() != rows {
		t.Errorf("checkpoint %d after %d, and %d of %d rows committed", now, epoch, committed(), rows)
	}
	if last := place(); last.Earliest <= after.Earliest {
		t.Errorf("the journal begins at %d still", last.Earliest)
	}
	l.close()
	l.expect("/out/p.ndjson", rows)
}

// TestNotWritten: a checkpoint that could not be written takes no room from those who wait for it; what a killed process left of one,
// however long, is not part of the next.
func TestNotWritten(t *testing.T) {
	const unfinished = "/data/checkpoints/0000000000000001.checkpoint.tmp"
	for after := range 3 {
		l := newLab(t)
		l.write(unfinished, strings.Repeat("left", 1<<18))
		l.write("/in/a.ndjson", records(0, 2000))
		e := l.open(telemetry+followed+copying("p"), false)
		l.machine.Fail(env.Fault{Op: env.OpWrite, Name: unfinished, After: after, Err: syscall.ENOSPC, Times: 1})
		l.steps(func() bool { return l.reported("could not be written") })
		if left := l.files("/data/checkpoints", ""); len(left) > 0 || e.Status().Checkpoint.Epoch > 0 {
			t.Errorf("after %d writes: there are %q, and checkpoint %d", after, left, e.Status().Checkpoint.Epoch)
		}
		l.write(unfinished, strings.Repeat("left", 1<<18))
		l.steps(func() bool { return e.Status().Checkpoint.Epoch > 0 })
		l.must(l.engine.Close())
		l.machine.Crash(uint64(after))
		l.open(telemetry+followed+copying("p"), false)
		l.settle()
		l.settle()
		l.close()
		l.expect("/out/p.ndjson", 2000)
	}
}
