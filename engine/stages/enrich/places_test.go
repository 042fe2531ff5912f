package enrich

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"syscall"
	"testing"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/state"
)

// TestPlaces: a stage that is given another file begins with what stands there, whatever it knows of the one before, also when it comes back to
// that; and one that has no state any more has the newest that it knows from its first tick on.
func TestPlaces(t *testing.T) {
	l := newLab(t, File(), "")
	at := func(name, refresh string) {
		l.body = common3 + fmt.Sprintf("path = \"/in/%s.csv\"\nrefresh = %q\n", name, refresh)
		l.must(l.open(nil))
	}
	table := func(name, region string) { l.write("/in/"+name+".csv", "id,region,lat\na,"+region+",1\n") }
	sees := func(when, region string) {
		t.Helper()
		if got := l.look("a"); !strings.Contains(got, fmt.Sprintf("%q", region)) {
			t.Errorf("%s: %s, want %s", when, got, region)
		}
	}
	table("one", "one-first")
	at("one", "1s")
	table("one", "one-second")
	l.tick(1000)
	sees("refreshed", "one-second")
	l.close()

	l.must(l.sim.Env().FS.Remove("/in/one.csv"))
	at("one", "1s")
	sees("before a tick, which may be the first of all", "one-first")
	l.tick(2000)
	sees("a tick behind all versions, and no file", "one-second")
	for tick := range int64(5) {
		l.tick(2001 + tick)
	}
	if l.counts["refresh_failed"] != 6 || len(l.told) != 1 {
		t.Errorf("a file that is gone: %d failures, told %q", l.counts["refresh_failed"], l.told)
	}
	l.close()

	table("one", "one-third")
	table("two", "two-first")
	at("two", "0s")
	sees("another file", "two-first")
	l.tick(3000)
	sees("another file, at a tick", "two-first")
	l.close()
	for _, when := range []string{"back again", "back again, without a checkpoint"} {
		at("one", "0s")
		sees(when, "one-third")
		l.tick(1000)
		sees(when+", at a tick of the time before", "one-third")
		l.close()
	}

	l.body = common3 + "path = \"/in/none.csv\"\nrefresh = \"1s\"\n"
	if err := l.open(nil); err == nil || !strings.Contains(err.Error(), "none.csv cannot be used as a table") {
		t.Errorf("another file that is not there: %v", err)
	}
	for from, want := range map[int64]string{0: "one-first", 999e6: "one-first", 1000e6: "one-second", 5000e6: "one-third"} {
		log, err := Past(l.sim.Env(), "/data", "enrich.it", 0, from)
		l.must(err)
		_, digest, _ := strings.Cut(strings.SplitN(string(log), "\n", 2)[0], " ")
		digest, _, _ = strings.Cut(digest, " ")
		data, err := env.ReadWhole(l.sim.Env().FS, path.Join(Folder("/data", "enrich.it", 0), digest), 1<<20)
		l.must(err)
		if !strings.Contains(string(data), want) {
			t.Errorf("a replay from %d begins with %s, want %s", from, data, want)
		}
	}
}

// TestPlaceUndone: what a stage took of another file, which then was not gone over to, is not used by the one that goes on.
func TestPlaceUndone(t *testing.T) {
	l := newLab(t, File(), common3+"path = \"/in/one.csv\"\nrefresh = \"1s\"\n")
	l.write("/in/one.csv", "id,region,lat\na,one,1\n")
	l.write("/in/two.csv", "id,region,lat\na,two,1\n")
	l.must(l.open(nil))
	l.tick(1000)
	snap, err := state.DecodeSnapshot(l.table.Snapshot(true).AppendTo(nil))
	l.must(err)
	l.close()
	one := l.body
	l.body = strings.Replace(one, "one.csv", "two.csv", 1)
	l.must(l.open(nil))
	l.close()
	l.body = one
	l.must(l.sim.Env().FS.Remove("/in/one.csv"))
	l.must(l.open(snap))
	for tick := range int64(3) {
		l.tick(2000 + tick)
		if got := l.look("a"); !strings.Contains(got, "one") {
			t.Errorf("tick %d: %s", tick, got)
		}
	}
	l.close()
}

// TestPlacesOfOld: a log that an older binary wrote, which says nothing of places, is gone on with where there is a state, and otherwise not begun with.
func TestPlacesOfOld(t *testing.T) {
	l := newLab(t, File(), common3+"path = \"/in/one.csv\"\nrefresh = \"1s\"\n")
	l.write("/in/one.csv", "id,region,lat\na,old,1\n")
	l.must(l.open(nil))
	snap, err := state.DecodeSnapshot(l.table.Snapshot(true).AppendTo(nil))
	l.must(err)
	l.write("/in/one.csv", "id,region,lat\na,later,1\n")
	l.tick(100)
	l.close()
	folder := Folder("/data", "enrich.it", 0)
	text, err := env.ReadWhole(l.sim.Env().FS, path.Join(folder, logName), 1<<20)
	l.must(err)
	old := ""
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) != 3 {
			t.Fatalf("a line is %q", line)
		}
		old += words[0] + " " + words[1] + "\n"
	}
	l.write("/in/one.csv", "id,region,lat\na,new,1\n")
	for _, c := range []struct {
		from *state.Snapshot
		want []string // at first, and at the ticks of 50, 100 and 150 s
	}{
		{snap, []string{"old", "old", "later", "new"}},
		{nil, []string{"new", "new", "new", "new"}},
	} {
		l.must(env.WriteWhole(l.sim.Env().FS, path.Join(folder, logName), []byte(old)))
		l.must(l.open(c.from))
		for i, want := range c.want {
			if i > 0 {
				l.tick(50 * int64(i))
			}
			if got := l.look("a"); !strings.Contains(got, want) {
				t.Errorf("step %d: %s, want %s", i, got, want)
			}
		}
		l.close()
	}
}

// TestVersionGone: a version that was used and is not at hand any more is missed once, and not at each tick.
func TestVersionGone(t *testing.T) {
	l := newLab(t, File(), common3+"path = \"/in/one.csv\"\nrefresh = \"1s\"\n")
	l.write("/in/one.csv", "id,region,lat\na,one,1\n")
	l.must(l.open(nil))
	snap, err := state.DecodeSnapshot(l.table.Snapshot(true).AppendTo(nil))
	l.must(err)
	l.write("/in/one.csv", "id,region,lat\na,two,1\n")
	l.tick(100)
	gone := l.stage.(*enrich).digest
	l.close()
	l.must(l.sim.Env().FS.Remove(path.Join(Folder("/data", "enrich.it", 0), gone)))
	l.must(l.open(snap))
	for tick := range int64(5) {
		l.tick(100 + tick)
	}
	if got := l.look("a"); l.counts["refresh_failed"] != 1 || len(l.told) != 1 || !strings.Contains(got, "two") {
		t.Errorf("%d failures, told %q; then %s", l.counts["refresh_failed"], l.told, got)
	}
	l.close()
}

// TestVersionSettled: a version whose name did not become durable before its process died is so before the next one uses it.
func TestVersionSettled(t *testing.T) {
	for seed := range uint64(20) {
		machine := env.NewSim(seed)
		v, err := openVersions(machine.Env(), "/v", "here")
		if err != nil {
			t.Fatal(err)
		}
		machine.Fail(env.Fault{Op: env.OpSyncDir, Name: "/v", After: 1, Err: syscall.EIO})
		if _, err := v.add(7, []byte("table")); !errors.Is(err, syscall.EIO) {
			t.Fatal(err)
		}
		machine.Kill()
		for range 2 {
			if v, err = openVersions(machine.Env(), "/v", "here"); err != nil || v.last() != 7 {
				t.Fatalf("seed %d: the newest is of tick %d (%v)", seed, v.last(), err)
			}
			machine.Crash(seed)
		}
	}
}
