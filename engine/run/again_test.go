package run_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/run"
)

// TestMissingLink: a checkpoint whose chain lacks a file is not taken for whole: the one before it counts.
func TestMissingLink(t *testing.T) {
	l := newLab(t)
	l.write("/out/x", "")
	l.write("/in/a.ndjson", "")
	text := strings.Replace(telemetry, "key    = device", "key    = device\n  retention = \"1h\"", 1) + followed + minutes("w", plainly, "f > 20")
	var input strings.Builder
	more := func(first, n, devices int) {
		var in strings.Builder
		for i := first; i < first+n; i++ {
			fmt.Fprintf(&in, `{"device":"d%d","ts":"2025-06-01T00:%02d:%02dZ","temp":%d.5,"n":%d}`+"\n", i%devices, i/60%60, i%60, i%40, i)
		}
		input.WriteString(in.String())
		l.feed(in.String())
		l.settle()
	}
	l.open(text, false)
	more(0, 4000, 4000)
	longest := 0
	for i := range 22 { // much is there, and little changes
		more(4000+10*i, 10, 3)
		if longest = max(longest, len(l.header().Chain)); longest > 15 {
			t.Fatalf("a checkpoint needs %d others", longest)
		}
	}
	h := l.header()
	if longest < 10 || len(h.Chain) < 2 {
		t.Fatalf("chains of %d and %d are too short to show anything", longest, len(h.Chain))
	}
	l.must(l.engine.Close())
	l.must(l.machine.Env().FS.Remove(fmt.Sprintf("/data/checkpoints/%016x.checkpoint", h.Chain[len(h.Chain)-1])))
	l.open(text, false)
	if !l.reported(fmt.Sprintf("checkpoint %d cannot be used, going back", h.Epoch)) {
		t.Errorf("nothing is told: %q", l.reports)
	}
	more(5000, 300, 200)
	l.close()
	want := whole(t, text, input.String())
	same(t, "windows", want.lines("/out/w.ndjson"), l.lines("/out/w.ndjson"))
}

// TestDamagedHeader: a checkpoint of which one digit is another is not taken for whole.
func TestDamagedHeader(t *testing.T) {
	l := newLab(t)
	l.write("/out/x", "")
	text := telemetry + followed + copying("p")
	l.open(text, false)
	l.feed(records(0, 10))
	l.settle()
	name := fmt.Sprintf("/data/checkpoints/%016x.checkpoint", l.header().Epoch)
	l.close()
	f, err := l.machine.Env().FS.Open(name, env.ReadWrite)
	l.must(err)
	content := make([]byte, l.length(name))
	_, err = f.ReadAt(content, 0)
	l.must(err)
	const word = `"next":`
	_, err = f.WriteAt([]byte("9"), int64(strings.Index(string(content), word)+len(word)))
	l.must(err)
	l.must(f.Close())
	_, err = run.Open(l.plan(text), run.Options{Env: l.machine.Env(), Data: "/data", Specs: l.specs(), Report: l.report})
	if err == nil || !l.reported("its checksum does not fit") {
		t.Errorf("it is taken: %v, %q", err, l.reports)
	}
}

// TestLostTail: where the disk has lost a log that a checkpoint has covered, what comes afterwards is not taken for what was there.
func TestLostTail(t *testing.T) {
	text := telemetry + followed + copying("p") + server
	for _, lost := range []string{"/data/journal/c", "/data/spool/pipeline.s.sink.server"} {
		l := newLab(t)
		l.write("/out/x", "")
		l.feed(records(0, 300))
		l.open(text, false)
		l.steps(func() bool { return l.sum() == 300 })
		l.settle()
		l.close()
		removed := 0
		for _, dir := range append(l.files("/data/spool", ""), l.files("/data/journal", "")...) {
			if strings.HasPrefix(dir, lost) {
				for _, name := range l.files(dir, "") {
					l.must(l.machine.Env().FS.Remove(name))
					removed++
				}
			}
		}
		if removed == 0 {
			t.Fatalf("%s has no files", lost)
		}
		had := len(l.lines("/out/p.ndjson"))
		l.feed(records(300, 100)) // and, where the journal is gone, the ingest begins anew
		l.open(text, false)
		for range 3 {
			l.settle()
		}
		l.close()
		if got := len(l.lines("/out/p.ndjson")); got < had+100 || l.sum() < 400 {
			t.Errorf("%s is gone: the file has %d rows more, and the server %d", lost, got-had, l.sum()-300)
		}
	}
}

// TestLostSpool: where the disk has lost what a server has not had, that is told, and the server has what comes afterwards.
func TestLostSpool(t *testing.T) {
	l := newLab(t)
	l.feed(records(0, 300))
	l.open(telemetry+followed+server, false)
	l.far.set(errors.New("down"), false)
	for range 3 {
		l.settle()
	}
	l.close()
	for _, name := range l.files(l.files("/data/spool", "")[0], "") {
		l.must(l.machine.Env().FS.Remove(name))
	}
	l.far.set(nil, false)
	l.feed(records(300, 100))
	e := l.open(telemetry+followed+server, false)
	for range 3 {
		l.settle()
	}
	lost := e.Status().Sinks[0].Counters["batches_lost"]
	l.close()
	if l.sum() != 100 {
		t.Errorf("the server has %d rows", l.sum())
	}
	if !l.reported("pipeline.s.sink.server: batches 0 to ") || lost == 0 {
		t.Errorf("%d batches are counted as lost; reports: %q", lost, l.reports)
	}
}

// TestDamagedSpool: where a spool is damaged in the middle the batches there are counted and told of, and the others go through.
func TestDamagedSpool(t *testing.T) {
	l := newLab(t)
	l.feed(records(0, 300))
	l.open(telemetry+followed+server, false)
	l.far.set(errors.New("down"), false)
	for i := range 3 {
		l.feed(records(300+100*i, 100))
		l.settle()
	}
	l.close()
	files := l.files(l.files("/data/spool", "")[0], "")
	l.spoil(files[0], l.length(files[0])/2)
	l.far.set(nil, false)
	e := l.open(telemetry+followed+server, false)
	l.settle()
	lost := e.Status().Sinks[0].Counters["batches_lost"]
	l.close()
	if got := l.sum(); got == 0 || got >= 600 || lost == 0 || !l.reported("of its spool are lost: its log is damaged") {
		t.Errorf("%d rows came, %d batches are counted as lost; reports: %q", got, lost, l.reports)
	}
}

// TestDamagedJournal: records that cannot be read any more are counted and rejected, and the others go through.
func TestDamagedJournal(t *testing.T) {
	l := newLab(t)
	l.write("/out/x", "")
	const n = 400
	text := telemetry + followed + `pipeline "p" {
  from = channel.c
  sink "file" "rows" { path = "/out/p.ndjson" }
  sink "file" "rejects" { path = "/out/rejects.ndjson" }
  rejects = sink.rejects
}
`
	e := l.open(text, false)
	for i := range n { // nobody reads
		if i%20 == 0 {
			l.feed(records(i, 20))
		}
		for _, a := range e.Actors() {
			if strings.HasPrefix(a.Name(), "ingest") || strings.HasPrefix(a.Name(), "flush") {
				_, err := a.Step()
				l.must(err)
			}
		}
		l.machine.Advance(5 * time.Millisecond)
	}
	l.close()
	damaged := false
	for _, name := range l.files("/data/journal/c", "") {
		f, err := l.machine.Env().FS.Open(name, env.ReadWrite)
		l.must(err)
		content := make([]byte, l.length(name))
		_, err = f.ReadAt(content, 0)
		l.must(err)
		if at := strings.Index(string(content), `"n":200}`); at > 0 {
			_, err = f.WriteAt([]byte("damage"), int64(at))
			l.must(err)
			damaged = true
		}
		l.must(f.Close())
	}
	if !damaged {
		t.Fatal("the journal does not have the record")
	}
	l.open(text, false)
	l.settle()
	lost := int(l.totals().Lost)
	l.settle()
	l.close()
	rows, rejects := l.lines("/out/p.ndjson"), l.lines("/out/rejects.ndjson")
	if lost == 0 || len(rows)+lost != n {
		t.Errorf("of %d records %d are rows, and %d are told to be lost", n, len(rows), lost)
	}
	if len(rejects) != 1 || !strings.Contains(rejects[0], fmt.Sprintf("%d records from offset ", lost)) {
		t.Errorf("%d are lost; rejects: %q", lost, rejects)
	}
}

// TestClockSetBack: ticks rise though the clock was set back before a start.
func TestClockSetBack(t *testing.T) {
	l := newLab(t)
	l.write("/out/x", "")
	text := "engine {\n  checkpoint = \"20ms\"\n  tick = \"50ms\"\n}\n" + strings.TrimPrefix(telemetry, quick) + followed + copying("p")
	last := 0.0
	for life := range 3 {
		l.open(text, false)
		l.settle()
		l.feed(records(10*life, 10)) // something to take a checkpoint of
		l.settle()
		l.close()
		tick, _ := l.header().Parts[0]["tick"].(float64)
		if tick <= last {
			t.Errorf("tick %.0f comes after %.0f", tick, last)
		}
		last = tick
		l.machine.Jump(-time.Hour)
	}
}

// TestSecondEnd: a run that ends closes the windows of what came since the end before it, in channels that pipelines feed too, without
// a tick in between.
func TestSecondEnd(t *testing.T) {
	l := newLab(t)
	text := strings.Replace(rollups, `tick       = "50ms"`, `tick       = "1h"`, 1)
	all := strings.SplitAfter(rollupInput(5, 5*1000), "\n")
	l.write("/in/data.ndjson", strings.Join(all[:2500], ""))
	l.complete(text)
	first := len(l.lines("/out/days.ndjson"))
	l.write("/in/data.ndjson", strings.Join(all, ""))
	l.complete(text)
	if second := len(l.lines("/out/days.ndjson")); first == 0 || second <= first {
		t.Errorf("%d rows at the first end, and %d at the second", first, second)
	}
}
