package run_test

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/tidemill/tidemill/engine/env"
)

const (
	telemetry = quick + `channel "c" {
  key    = device
  time   = ts
  schema = { device = string, ts = timestamp, temp = number, n = integer }
}
`
	followed = `ingest "file" "a" {
  to     = channel.c
  path   = "/in/a.ndjson"
  follow = true
}
`
)

// copying is a pipeline that writes all that comes to a file of its own name.
func copying(name string) string {
	return fmt.Sprintf(`pipeline "%s" {
  from = channel.c
  sink "file" "rows" { path = "/out/%s.ndjson" }
}
`, name, name)
}

// feed makes the input longer. It appends: whoever follows the file must not see it empty meanwhile, and take it for another one.
func (l *lab) feed(records string) {
	l.t.Helper()
	name := "/in/a.ndjson"
	f, err := l.machine.Env().FS.Open(name, env.ReadWrite)
	if err != nil {
		l.write(name, records)
		return
	}
	info, err := f.Stat()
	l.must(err)
	_, err = f.WriteAt([]byte(records), info.Size())
	l.must(err)
	l.must(f.Sync())
	l.must(f.Close())
}

// expect checks how many rows a file has, each once.
func (l *lab) expect(name string, rows int) {
	l.t.Helper()
	got := l.lines(name)
	for i := 1; i < len(got); i++ {
		if got[i] == got[i-1] {
			l.t.Fatalf("%s: this row came twice: %s", name, got[i])
		}
	}
	if len(got) != rows {
		l.t.Errorf("%s has %d rows, not %d", name, len(got), rows)
	}
}

// TestApplyComesAndGoes: pipelines, and a channel, come and go; the file of
// each has every row once that came while it was there, or when nobody read the channel.
func TestApplyComesAndGoes(t *testing.T) {
	l := newLab(t)
	l.write("/out/x", "")
	l.feed(records(0, 100))
	p, q := copying("p"), copying("q")
	l.open(telemetry+followed+p, false)
	l.settle()
	steps := []struct {
		config string
		p, q   int // rows afterwards
	}{
		{telemetry + followed + p + q, 200, 100}, // q begins where p is
		{telemetry + followed + q, 200, 200},
		{telemetry + followed, 200, 200},         // nobody reads the channel
		{telemetry + followed + p, 400, 200},     // p goes on where the channel was left
		{telemetry, 400, 200},                    // nothing comes in
		{quick, 400, 200},                        // not even the channel is there
		{telemetry + followed + p, 700, 200},     // all is back
		{telemetry + followed + p + q, 800, 300}, // and q
	}
	for i, s := range steps {
		l.must(l.swap(s.config))
		l.feed(records(100*(i+1), 100))
		l.settle()
		l.expect("/out/p.ndjson", s.p)
		l.expect("/out/q.ndjson", s.q)
		if t.Failed() {
			t.Fatalf("after step %d", i)
		}
	}
	l.close()
}

// TestRestartComesAndGoes is TestApplyComesAndGoes with a restart in place of each apply.
func TestRestartComesAndGoes(t *testing.T) {
	l := newLab(t)
	l.write("/out/x", "")
	for i, s := range []struct {
		config string
		rows   int
	}{
		{telemetry + followed + copying("p"), 100},
		{telemetry + followed, 100},
		{quick, 100},
		{telemetry + followed + copying("p"), 400},
	} {
		l.feed(records(100*i, 100))
		l.open(s.config, false)
		l.settle()
		l.close()
		l.machine.Crash(uint64(i))
		l.expect("/out/p.ndjson", s.rows)
	}
}

// TestRetriedBesideIdle: a checkpoint that is written at the second attempt has each partition once, also where it
// carries those of a channel that nobody reads any more.
func TestRetriedBesideIdle(t *testing.T) {
	l := newLab(t)
	l.write("/out/x", "")
	config := strings.Replace(telemetry, "key    = device", "key    = device\n  partitions = 3", 1) + followed + copying("p")
	other := `channel "b" {
  schema = { n = integer }
}
`
	reads := `pipeline "q" {
  from = channel.b
  sink "file" "rows" { path = "/out/q.ndjson" }
}
`
	l.feed(records(0, 100))
	l.open(config+other+reads, false)
	l.settle()
	l.must(l.swap(config + other))
	l.settle()
	l.feed(records(100, 100))
	l.machine.Fail(env.Fault{Op: env.OpWrite, Name: ".checkpoint", Err: syscall.ENOSPC})
	l.steps(func() bool { return l.reported("checkpoints can be written again") })
	l.machine.Crash(1)
	l.open(config+other, false)
	l.feed(records(200, 100))
	l.settle()
	l.expect("/out/p.ndjson", 300)
	l.close()
}

// TestApplyIngest changes the ingest while records that it has appended are not
// durable: the one that takes over must not send them again.
func TestApplyIngest(t *testing.T) {
	l := newLab(t)
	l.write("/out/x", "")
	slow := `engine {
  checkpoint = "20ms"
  linger     = "1s"
}
`
	config := strings.TrimPrefix(telemetry, quick) + copying("p")
	l.feed(records(0, 300))
	l.open(slow+config+followed, false)
	l.steps(func() bool { return l.engine.Status().Channels[0].Pending > 0 })
	l.must(l.swap(slow + config + strings.Replace(followed, "follow = true", "follow = 1 == 1", 1)))
	l.settle()
	l.expect("/out/p.ndjson", 300)
	l.close()
}

// TestApplyHalfWay: whatever of the new configuration cannot be opened, the old one goes on
// as if nothing had been asked, and nothing stays open.
func TestApplyHalfWay(t *testing.T) {
	averages := `pipeline "w" {
  from = channel.c
  window "tumbling" "m" {
    by    = [device]
    every = "1m"
    emit  = { n = count(), p = percentile(temp, 50), d = distinct(n) }
  }
  sink "file" "rows" { path = "/out/w.ndjson" }
  sink "far" "server" { from = window.m }
}
`
	run := func(t *testing.T, disturb bool) []string {
		l := newLab(t)
		l.write("/out/x", "")
		l.write("/taken/q.ndjson", "mine")
		l.feed(records(0, 200))
		l.open(telemetry+followed+averages, false)
		for i := range 5 {
			l.settle()
			if disturb {
				bad := strings.Replace(copying("z"), "/out/z", "/taken/q", 1) // sorts behind w: opened last
				if err := l.swap(telemetry + followed + averages + bad); err == nil || !strings.Contains(err.Error(), "/taken/q.ndjson holds 4 bytes") {
					t.Fatal(err)
				}
				l.machine.Fail(env.Fault{Op: env.OpOpen, Name: "/data/journal/new", Err: syscall.EIO, Times: -1})
				if err := l.swap(telemetry + followed + averages + `channel "new" { schema = { n = number } }`); !errors.Is(err, syscall.EIO) {
					t.Fatal(err)
				}
				l.machine.Heal()
				l.far.set(errors.New("down"), false)
				for _, exact := range []string{"false", "true"} {
					if err := l.swap(telemetry + followed + averages + strings.Replace(server, "false", exact, 1)); err == nil {
						t.Fatal("a sink that cannot recover was taken")
					}
				}
				l.far.set(nil, false)
				gone := strings.Replace(followed, "follow = true", "", 1)
				if err := l.swap(telemetry + averages + gone + strings.NewReplacer(`"a"`, `"b"`, "a.ndjson", "nowhere.ndjson").Replace(gone)); err == nil {
					t.Fatal("an ingest without a file was taken")
				}
			}
			l.feed(records(200*(i+1), 200))
		}
		l.settle()
		l.expect("/out/w.ndjson", 1200)
		l.close()
		var out []string
		for row := range l.far.rows {
			out = append(out, row)
		}
		return out
	}
	want, got := run(t, false), run(t, true)
	missing := map[string]bool{}
	for _, row := range want {
		missing[row] = true
	}
	for _, row := range got {
		if !missing[row] {
			t.Errorf("only when disturbed: %s", row)
		}
		delete(missing, row)
	}
	for row := range missing {
		t.Errorf("only when undisturbed: %s", row)
	}
	if len(want) < 50 {
		t.Errorf("%d windows are too few to tell anything", len(want))
	}
}

// TestRejectsName: a sink may be called as the engine calls its own.
func TestRejectsName(t *testing.T) {
	l := newLab(t)
	l.write("/out/x", "")
	l.write("/in/a.ndjson", records(0, 50)+"rubbish\n")
	l.complete(telemetry + strings.Replace(followed, "follow = true", "", 1) + strings.Replace(copying("p"), `"rows"`, `"rejects"`, 1))
	l.expect("/out/p.ndjson", 50)
	l.expect("/data/rejects/p.ndjson", 1)
}

// TestNothingToDo: configurations in which little or nothing moves come to an end.
func TestNothingToDo(t *testing.T) {
	ends := strings.Replace(followed, "follow = true", "", 1)
	for name, c := range map[string]string{
		"nothing at all":            quick,
		"a channel":                 telemetry,
		"a channel nobody fills":    telemetry + copying("p"),
		"a channel nobody reads":    telemetry + ends,
		"an ingest switched off":    telemetry + copying("p") + strings.Replace(ends, "to ", "enabled = false\n  to ", 1),
		"a pipeline without stages": telemetry + ends + `pipeline "p" { from = channel.c }`,
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.write("/out/x", "")
			l.write("/in/a.ndjson", records(0, 50))
			l.complete(c)
			l.complete(c)
		})
	}
}

// TestMoreKeys: a channel, and a stage, may get another limit, by an apply or with a restart.
func TestMoreKeys(t *testing.T) {
	config := func(keys int) string {
		return strings.Replace(telemetry, "key    = device", fmt.Sprintf("partitions = 1\n  key = device\n  max_keys = %d", keys), 1) + followed + copying("p")
	}
	l := newLab(t)
	l.write("/out/x", "")
	l.feed(records(0, 70)) // of seven devices
	l.open(config(2), false)
	l.settle()
	l.expect("/out/p.ndjson", 20)
	l.must(l.swap(config(3)))
	l.feed(records(70, 70))
	l.settle()
	l.expect("/out/p.ndjson", 50)
	l.close()
	l.open(config(100), false)
	l.feed(records(140, 70))
	l.settle()
	l.expect("/out/p.ndjson", 120)
	l.must(l.swap(config(1))) // those that are there stay
	l.feed(records(210, 70))
	l.settle()
	l.expect("/out/p.ndjson", 190)
	l.close()
}

// TestTwoIngests: the run ends when both have, and each record comes once.
func TestTwoIngests(t *testing.T) {
	l := newLab(t)
	l.write("/out/x", "")
	l.write("/in/a.ndjson", records(0, 50))
	l.write("/in/b.ndjson", records(50, 900))
	one := strings.Replace(followed, "follow = true", "", 1)
	l.complete(telemetry + copying("p") + copying("q") + one + strings.NewReplacer(`"a"`, `"b"`, "a.ndjson", "b.ndjson").Replace(one))
	l.expect("/out/p.ndjson", 950)
	l.expect("/out/q.ndjson", 950)
}
