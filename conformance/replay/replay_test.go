package replay

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/replay"
	"github.com/tidemill/tidemill/engine/run"
	"github.com/tidemill/tidemill/engine/simulate"
	"github.com/tidemill/tidemill/engine/stages"
)

const partitions = 4

const pipeline = `
channel "telemetry" {
  key        = device
  time       = ts
  partitions = 4
  schema = { device = string, ts = timestamp, site = string, speed = number, temp = number, setpoint = number, door_open = bool, seq = integer }
}
ingest "file" "in" {
  to   = channel.telemetry
  path = "in.ndjson"
}
engine { checkpoint = "20ms" }
pipeline "p" {
  from = channel.telemetry
  rule "over" {
    where = temp > -60 && temp < 80
    set   = { over = temp - setpoint }
  }
  window "tumbling" "ten" {
    from  = rule.over
    by    = [device]
    every = "10m"
    emit  = { n = count(), over_avg = avg(over), temp_sum = sum(temp), last_seq = last(seq) }
  }
  window "tumbling" "hour" {
    from  = rule.over
    by    = [device]
    every = "1h"
    late  = "drop"
    emit  = { n = count(), far = max(speed) }
  }
  alarm "warm" {
    from = rule.over
    by   = [device]
    when = over > 1
    for  = "2m"
  }
  sink "file" "ten" {
    from = window.ten
    path = "out/ten.ndjson"
  }
  sink "file" "hour" {
    from = window.hour
    path = "out/hour.ndjson"
  }
  sink "file" "warm" {
    from = alarm.warm
    path = "out/warm.ndjson"
  }
  sink "file" "over" {
    from = rule.over
    path = "out/over.ndjson"
  }
}
`

// edges are the files and what they hold.
var edges = map[string]string{
	"ten": "pipeline.p.window.ten", "hour": "pipeline.p.window.hour", "warm": "pipeline.p.alarm.warm", "over": "pipeline.p.rule.over",
}

// records is how many go in.
func records() int64 {
	if os.Getenv("TIDEMILL_SOAK") != "" {
		return 10_000_000
	}
	return 60_000
}

// TestSameJournalSameRows runs the engine once on a file, and then on copies of the journal that
// this made, in every way in which it may run.
func TestSameJournalSameRows(t *testing.T) {
	first := newFolder(t, "")
	first.fill(t)
	runtime.GOMAXPROCS(2)
	if lives := first.run(t, false); lives != 1 {
		t.Fatalf("%d lives", lives)
	}
	want := first.rows(t)
	for name := range edges {
		if len(want[name][0]) == 0 {
			t.Fatalf("nothing came of %s: this is half a check", name)
		}
	}
	for _, procs := range []int{1, 2, 4} {
		t.Run(fmt.Sprintf("%d processors", procs), func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
			f := newFolder(t, first.dir)
			f.run(t, false)
			equal(t, want, f.rows(t))
		})
	}
	t.Run("restarts", func(t *testing.T) {
		f := newFolder(t, first.dir)
		if lives := f.run(t, true); lives < 4 {
			t.Fatalf("%d lives: this is half a check", lives)
		}
		equal(t, want, f.rows(t))
	})
	t.Run("replay", func(t *testing.T) { equal(t, want, first.replayed(t)) })
}

// folder is a configuration with its data.
type folder struct{ dir string }

// newFolder makes a folder, with a copy of another's journal and without an input of its own where there is one.
func newFolder(t *testing.T, journalOf string) *folder {
	f := &folder{t.TempDir()}
	text := pipeline
	if journalOf != "" {
		from, to := filepath.Join(journalOf, ".tidemill/journal"), filepath.Join(f.dir, ".tidemill/journal")
		if err := os.CopyFS(to, os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
		begin := strings.Index(text, `ingest "file"`)
		text = text[:begin] + text[strings.Index(text, "engine {"):]
	}
	if err := os.WriteFile(filepath.Join(f.dir, "p.hcl"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return f
}

// fill writes the input: a fleet with everything that goes wrong with one.
func (f *folder) fill(t *testing.T) {
	o := simulate.Demo()
	o.Devices, o.Duration, o.Records = 300, 0, records()
	fleet, err := simulate.New(o)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(filepath.Join(f.dir, "in.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var buf []byte
	for {
		var ok bool
		if buf, _, ok = fleet.Next(buf); !ok || len(buf) > 1<<20 {
			if _, err := file.Write(buf); err != nil {
				t.Fatal(err)
			}
			buf = buf[:0]
		}
		if !ok {
			return
		}
	}
}

func (f *folder) plan(t *testing.T) *plan.Plan {
	c, diags := config.Load(env.Real(), f.dir, config.Options{})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	p, diags := plan.Build(c, stages.Builtin(), nil)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return p
}

// mostLives is how often the engine is opened before it may run to its end.
const mostLives = 10

// run runs the engine to its end. With restarts it is closed without a last checkpoint whenever there
// is a new one, and opened again. It returns how often it was opened.
func (f *folder) run(t *testing.T, restarts bool) (lives int) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	for done := false; !done; lives++ {
		e, err := run.Open(f.plan(t), run.Options{Env: env.Real(), Data: filepath.Join(f.dir, ".tidemill"), Specs: stages.Builtin(), StopAtEnd: true,
			Report: func(line string) { t.Log(line) }})
		if err != nil {
			t.Fatal(err)
		}
		if restarts && lives < mostLives {
			done, err = toCheckpoint(e)
		} else {
			done, err = true, e.Run(ctx)
		}
		if err == nil {
			err = e.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return lives
}

// toCheckpoint lets the engine move until it has taken a checkpoint, which is committed or not as it comes.
func toCheckpoint(e *run.Engine) (done bool, err error) {
	began := e.Status().Checkpoint.Epoch
	for !e.Done() {
		moved := false
		for _, a := range e.Actors() {
			m, err := a.Step()
			if err != nil {
				return false, err
			}
			moved = moved || m
		}
		if e.Status().Checkpoint.Epoch > began {
			return e.Done(), nil
		}
		if !moved {
			runtime.Gosched()
		}
	}
	return true, nil
}

// parts are a file's lines, by partition.
type parts [partitions][]byte

func (f *folder) rows(t *testing.T) map[string]*parts {
	out := map[string]*parts{}
	for name := range edges {
		text, err := os.ReadFile(filepath.Join(f.dir, "out", name+".ndjson"))
		if err != nil {
			t.Fatal(err)
		}
		p := &parts{}
		for line := range bytes.Lines(text) {
			var row struct{ Device string }
			if err := json.Unmarshal(line, &row); err != nil {
				t.Fatal(err)
			}
			at := flow.PartitionOf(flow.Hash([]byte(row.Device)), partitions)
			p[at] = append(p[at], line...)
		}
		out[name] = p
	}
	return out
}

// replayed is what `tidemill replay` gives.
func (f *folder) replayed(t *testing.T) map[string]*parts {
	r, diags, _, err := replay.Open(replay.Options{Env: env.Real(), Dir: f.dir, Data: filepath.Join(f.dir, ".tidemill"), Channel: "telemetry"})
	if diags.HasErrors() || err != nil {
		t.Fatal(diags, err)
	}
	out := map[string]*parts{}
	err = r.Run(context.Background(), func(rows []replay.Row) error {
		for _, row := range rows {
			for name, edge := range edges {
				if edge != row.Edge {
					continue
				}
				if out[name] == nil {
					out[name] = &parts{}
				}
				out[name][row.Partition] = append(append(out[name][row.Partition], row.Text...), '\n')
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return out
}

func equal(t *testing.T, want, got map[string]*parts) {
	t.Helper()
	for name := range edges {
		for p := range partitions {
			if got[name] == nil || !bytes.Equal(want[name][p], got[name][p]) {
				t.Errorf("%s, partition %d: the bytes differ", name, p)
			}
		}
	}
}
