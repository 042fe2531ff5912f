package run_test

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/env"
)

// bulky makes records of a kilobyte.
func bulky(first, n int) string {
	var b strings.Builder
	pad := strings.Repeat("x", 1000)
	for i := first; i < first+n; i++ {
		fmt.Fprintf(&b, `{"device":"d%d","n":%d,"pad":"%s"}`+"\n", i%7, i, pad)
	}
	return b.String()
}

// size is how many bytes a folder's files hold.
func (l *lab) size(dir string) int64 {
	l.t.Helper()
	entries, err := l.machine.Env().FS.ReadDir(dir)
	l.must(err)
	var n int64
	for _, e := range entries {
		if e.IsDir() {
			n += l.size(dir + "/" + e.Name())
			continue
		}
		info, err := e.Info()
		l.must(err)
		n += info.Size()
	}
	return n
}

const spooled = quick + `channel "c" {
  retain_bytes = "2MiB"
  schema = { device = string, n = integer, pad = string }
}
ingest "file" "a" {
  to     = channel.c
  path   = "/in/a.ndjson"
  follow = true
}
`

// TestSpoolForgets: what a server has taken leaves the disk, and what it has
// not taken stays.
func TestSpoolForgets(t *testing.T) {
	l := newLab(t)
	var first int64
	const round = 1000 // a file of the spool, at least
	for i := range 4 {
		l.write("/in/a.ndjson", bulky(0, round*(i+1)))
		l.far.set(nil, false)
		l.open(spooled+server, false)
		l.far.set(map[bool]error{true: errors.New("down")}[i == 2], false)
		if i == 2 {
			l.steps(func() bool { return l.totals().Records > 0 && l.totals().Lag == 0 })
		} else {
			l.steps(func() bool { return l.far.count() == round*(i+1) })
		}
		for range 4 {
			l.settle() // retention is looked after at times
		}
		size := l.size("/data/spool")
		l.close()
		if i == 0 {
			first = size
		} else if i == 3 && size > 2*first {
			t.Errorf("the spool holds %d bytes, though the server has taken everything: four times %d", size, first)
		}
	}
	for _, n := range l.far.rows {
		if n != 1 {
			t.Fatalf("a row came %d times", n)
		}
	}
}

// TestRestartKeepsUnread: retention must not drop what the tasks of a new
// process have not read yet.
func TestRestartKeepsUnread(t *testing.T) {
	l := newLab(t)
	l.write("/out/x", "")
	config := func(retain string) string {
		return quick + `channel "c" {
  retention = "1h"
  schema = { device = string, n = integer, pad = string }
}
ingest "file" "a" {
  to   = channel.c
  path = "/in/a.ndjson"
}
` + retain
	}
	// A first run reads nothing much and leaves a checkpoint; then much is journaled that nobody reads.
	l.write("/in/a.ndjson", bulky(0, 10))
	l.complete(config(copying("p")))
	const n = 2000 // several segments of the journal
	l.write("/in/a.ndjson", bulky(0, n))
	l.machine.Advance(time.Minute)
	e := l.open(config(copying("p")), true)
	// Everything moves but tasks: the process dies before they have done anything.
	for range 500 {
		moved := false
		for _, a := range e.Actors() {
			if !strings.HasPrefix(a.Name(), "ingest") && !strings.HasPrefix(a.Name(), "flush") {
				continue
			}
			m, err := a.Step()
			l.must(err)
			moved = moved || m
		}
		if !moved {
			l.machine.Advance(5 * time.Millisecond)
		}
	}
	l.close()
	l.machine.Advance(2 * time.Hour)
	l.complete(config(copying("p")))
	l.expect("/out/p.ndjson", n)
}

// TestNobodyReads: a channel that no pipeline reads keeps to its retention, and
// takes records for as long as there is room.
func TestNobodyReads(t *testing.T) {
	l := newLab(t)
	l.write("/in/a.ndjson", bulky(0, 5000))
	l.open(spooled, false)
	l.steps(func() bool { _, end := bounds(l); return end >= 5000 })
	for range 4 {
		l.settle()
	}
	if earliest, _ := bounds(l); earliest == 0 {
		t.Error("nothing was dropped, though the channel is over its limit")
	}
	l.close()
}

// TestRetentionAtOnce: what an apply says of how much a channel keeps holds at once, and if the apply fails, not at all.
func TestRetentionAtOnce(t *testing.T) {
	l := newLab(t)
	l.write("/taken/z.ndjson", "mine")
	config := func(keep string) string { return strings.Replace(spooled, `retain_bytes = "2MiB"`, keep, 1) }
	l.write("/in/a.ndjson", bulky(0, 5000))
	l.open(config(""), false)
	l.steps(func() bool { _, end := bounds(l); return end >= 5000 })
	l.settle()
	all := l.size("/data/journal")
	if err := l.swap(config(`retain_bytes = "1MiB"`) + strings.Replace(copying("z"), "/out/z", "/taken/z", 1)); err == nil {
		t.Fatal("a file that is another's was taken")
	}
	l.settle()
	if now := l.size("/data/journal"); now < all {
		t.Fatalf("%d bytes are left of %d though the change was refused", now, all)
	}
	for _, keep := range []string{`retain_bytes = "2MiB"`, `retention = "10s"`} {
		l.must(l.swap(config(keep)))
		l.machine.Advance(time.Minute)
		l.settle()
		now := l.size("/data/journal")
		if now >= all/2 {
			t.Errorf("%s: %d bytes are left of %d", keep, now, all)
		}
		all = now
	}
	l.close()
}

// TestOverLimit: more comes through a channel than it may keep.
func TestOverLimit(t *testing.T) {
	l := newLab(t)
	l.write("/out/x", "")
	l.write("/in/a.ndjson", bulky(0, 5000))
	l.complete(strings.Replace(spooled, "follow = true", "", 1) + copying("p"))
	l.expect("/out/p.ndjson", 5000)
}

func bounds(l *lab) (earliest, end uint64) {
	p := l.engine.Status().Channels[0].Partitions[0]
	return p.Earliest, p.End
}

// TestFullDisk: whatever fills the disk, and whenever, the run goes on once there is room.
func TestFullDisk(t *testing.T) {
	for file, afters := range map[string][]int{"/data/journal": {0, 1}, "/data/spool": {0, 1}, "/data/checkpoints": {0, 1}, "/out/p": {0}, "": {0, 1, 2, 3, 4, 5}} {
		for _, after := range afters {
			t.Run(fmt.Sprintf("%s %d", strings.ReplaceAll(file, "/", "_"), after), func(t *testing.T) {
				l := newLab(t)
				l.write("/out/x", "")
				l.write("/in/a.ndjson", records(0, 2000))
				e := l.open("engine {\n  queue_rows = 50\n  checkpoint = \"10ms\"\n}\n"+strings.TrimPrefix(telemetry, quick)+strings.Replace(followed, "follow = true", "", 1)+copying("p")+server, true)
				l.machine.Fail(env.Fault{Op: env.OpWrite, Name: file, After: after, Err: syscall.ENOSPC, Times: -1})
				full := l.machine.Env().Clock.Now().Add(5 * time.Second)
				l.steps(func() bool { return e.Done() || l.machine.Env().Clock.Now().After(full) })
				if l.machine.Heal() == 0 {
					t.Fatal("nothing was written there so often")
				}
				if e.Done() {
					t.Fatal("the run ended on a full disk")
				}
				l.steps(e.Done)
				l.close()
				l.expect("/out/p.ndjson", 2000)
				if n := l.sum(); n != 2000 {
					t.Errorf("the server has %d rows", n)
				}
			})
		}
	}
}
