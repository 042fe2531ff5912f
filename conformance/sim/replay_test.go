package sim

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine/env"
)

// TestReplay runs a channel of one partition through everything that a seed has
// in store, and then its journal, without ingests, on a machine where nothing
// goes wrong: the files must be equal byte by byte.
func TestReplay(t *testing.T) {
	alone(t)
	lives := 0
	for seed := uint64(1); seed <= 40; seed++ {
		s := newScenario(seed)
		s.config = onePartition(s.config)
		w := newWorld(seed, false)
		w.config = s.config
		w.write("/in/data.ndjson", s.input)
		w.write("/in/more.ndjson", s.second)
		if err := w.drive(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		w.machine.Heal()
		lives += w.did.crashes
		again := newWorld(seed, true)
		again.config = strings.Replace(s.config, ingests, "", 1)
		w.copyTo(again, dataDir+"/journal/telemetry")
		if err := again.drive(); err != nil {
			t.Fatalf("seed %d, replayed: %v", seed, err)
		}
		for _, name := range []string{"rows", "windows", "alarms", "rejects", "hours", "colds"} {
			name = outDir + "/" + name + ".ndjson"
			if err := equalBytes(w.content(name), again.content(name)); err != nil {
				t.Fatalf("seed %d: %s: %v", seed, name, err)
			}
		}
	}
	if lives == 0 {
		t.Error("nothing went wrong: this is half a check")
	}
}

// TestReplayTogether does the same with three partitions whose rows come together in one: there they have one
// order, however the tasks of the three took turns.
func TestReplayTogether(t *testing.T) {
	alone(t)
	const seeds = 60
	lives, rows := 0, 0
	for seed := uint64(1); seed <= seeds; seed++ {
		s := newScenario(seed)
		s.config = strings.Replace(together3, "LATE", []string{"revise", "side", "drop"}[seed%3], 1)
		s.input = withSites(s.input)
		w := newWorld(seed, false)
		w.brisk = true
		w.config = s.config
		w.write("/in/data.ndjson", s.input)
		if err := w.drive(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		w.machine.Heal()
		lives += w.did.crashes
		again := newWorld(seed, true)
		again.config = strings.Replace(s.config, input3, "", 1)
		w.copyTo(again, dataDir+"/journal/telemetry")
		if err := again.drive(); err != nil {
			t.Fatalf("seed %d, replayed: %v", seed, err)
		}
		for _, name := range []string{"sites", "fleet", "alarms", "rejects"} {
			name = outDir + "/" + name + ".ndjson"
			rows += bytes.Count(w.content(name), []byte("\n"))
			if err := equalBytes(w.content(name), again.content(name)); err != nil {
				t.Fatalf("seed %d: %s: %v", seed, name, err)
			}
		}
		if diff := difference(w.outcome()["joined.ndjson"], again.outcome()["joined.ndjson"]); diff != "" { // of three partitions
			t.Fatalf("seed %d: joined: %s", seed, diff)
		}
	}
	if lives == 0 || rows < 16*seeds {
		t.Errorf("%d crashes, %d rows: this is half a check", lives, rows)
	}
}

// input3 brings records one at a time, so that there are ticks between them.
const input3 = `ingest "drip" "input" {
  to   = channel.telemetry
  path = "/in/data.ndjson"
}`

// together3 brings rows of three partitions together twice: through a channel of a file, and through the engine's own.
const together3 = `
engine {
  checkpoint = "50ms"
  tick       = "20ms"
  queue_rows = 20
}
channel "telemetry" {
  key        = device
  time       = ts
  partitions = 3
  schema     = { ts = timestamp, device = string, site = string, temp = number }
}
channel "warm" {
  key        = site
  partitions = 1
}
` + input3 + `
pipeline "a" {
  from = channel.telemetry
  rule "warm" { where = temp > 16 }
  sink "channel" "warm" {
    from = rule.warm
    to   = channel.warm
  }
  window "tumbling" "fleet" {
    every = "10m"
    late  = "LATE"
    keep  = "20m"
    emit  = { n = count(), hi = max(temp), first = first(device), last = last(device) }
  }
  sink "file" "fleet" {
    from = window.fleet
    path = "/out/fleet.ndjson"
  }
}
pipeline "c" {
  from = channel.telemetry
  rule "mild" { where = temp < 30 }
  join "latest" "known" {
    from    = [rule.mild, channel.warm]
    by      = [device]
    take    = { seen = temp }
    missing = "null"
  }
  join "interval" "near" {
    from   = [rule.mild, channel.warm]
    by     = [device]
    before = "5m"
    after  = "5m"
    grace  = "1h"
    take   = { other = temp }
    rows   = "left"
  }
  sink "file" "joined" {
    from = [join.known, join.near]
    path = "/out/joined.ndjson"
  }
}
pipeline "b" {
  from = channel.warm
  window "tumbling" "site" {
    by    = [site]
    every = "10m"
    keep  = "20m"
    idle  = "1s"
    emit  = { n = count(), hi = max(temp), first = first(device), last = last(device) }
  }
  alarm "hot" {
    by   = [site]
    when = temp > 22
    for  = "1m"
  }
  sink "file" "sites" {
    from = window.site
    path = "/out/sites.ndjson"
    meta = true
  }
  sink "file" "alarms" {
    from = alarm.hot
    path = "/out/alarms.ndjson"
    meta = true
  }
  sink "file" "rejects" { path = "/out/rejects.ndjson" }
  rejects = sink.rejects
}
`

// withSites gives each device a site.
func withSites(input []byte) []byte {
	return regexp.MustCompile(`"device":"?d?(\d+)[^,]*,`).ReplaceAllFunc(input, func(m []byte) []byte {
		digit := bytes.IndexAny(m, "0123456789")
		d := m[digit] - '0'
		return fmt.Appendf(nil, `"device":"d%c","site":"s%d",`, m[digit], d%3)
	})
}

func onePartition(config string) string {
	for n := 2; n <= 4; n++ {
		config = strings.Replace(config, fmt.Sprintf("partitions = %d", n), "partitions = 1", 1)
	}
	return config
}

// copyTo copies a folder of files.
func (w *world) copyTo(to *world, dir string) {
	entries, err := w.machine.Env().FS.ReadDir(dir)
	must(err)
	for _, e := range entries {
		to.write(dir+"/"+e.Name(), w.content(dir+"/"+e.Name()))
	}
}

func (w *world) content(name string) []byte {
	f, err := w.machine.Env().FS.Open(name, env.ReadOnly)
	must(err)
	info, err := f.Stat()
	must(err)
	buf := make([]byte, info.Size())
	if len(buf) > 0 {
		_, err = f.ReadAt(buf, 0)
		must(err)
	}
	return buf
}

func equalBytes(want, got []byte) error {
	if bytes.Equal(want, got) {
		return nil
	}
	a, b := bytes.Split(want, []byte("\n")), bytes.Split(got, []byte("\n"))
	for i := range min(len(a), len(b)) {
		if !bytes.Equal(a[i], b[i]) {
			return fmt.Errorf("line %d was\n%s\nand is now\n%s", i+1, a[i], b[i])
		}
	}
	return fmt.Errorf("%d lines were there, and %d are now", len(a)-1, len(b)-1)
}
