package replay

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
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
  window "sliding" "slide" {
    from  = rule.over
    by    = [device]
    size  = "30m"
    every = "10m"
    emit  = { n = count(), over_avg = avg(over), p90 = percentile(temp, 90) }
  }
  window "session" "trip" {
    from = rule.over
    by   = [device]
    gap  = "45s"
    emit = { n = count(), far = time_avg(speed) }
  }
  window "count" "fifty" {
    from = rule.over
    by   = [device]
    size = 50
    emit = { rise = last(temp) - first(temp), sd = stddev(temp) }
  }
  window "state" "open" {
    from  = rule.over
    by    = [device]
    while = door_open
    emit  = { n = count(), hi = max(temp) }
  }
  window "state" "above" {
    from  = rule.over
    by    = [device]
    while = over > 0
    late  = "revise"
    keep  = "2h"
    emit  = { n = count(), hi = max(temp), over_avg = avg(over) }
  }
  rule "shut" { where = !door_open }
  rule "ajar" { where = door_open && speed > 0 }
  join "interval" "near" {
    from   = [rule.shut, rule.ajar]
    by     = [device]
    before = "1m"
    after  = "1m"
    grace  = "5m"
    keep   = [device, seq]
    take   = { open_seq = seq }
  }
  join "latest" "seen" {
    from = [rule.shut, rule.ajar]
    by   = [device]
    take = { open_seq = seq }
  }
  alarm "warm" {
    from = rule.over
    by   = [device]
    when = over > 1
    for  = "2m"
  }
  window "tumbling" "site" {
    from  = rule.over
    by    = [site]
    every = "20m"
    keep  = "3h"
    emit  = { n = count(), over_avg = avg(over), devices = distinct(device) }
  }
  window "session" "crowd" {
    from  = rule.over
    by    = [site]
    gap   = "1s"
    grace = "5s"
    keep  = "3h"
    emit  = { n = count(), over_avg = avg(over), devices = distinct(device), last_seq = last(seq) }
  }
  window "session" "throng" {
    from  = rule.over
    by    = [site, setpoint]
    gap   = "10m"
    grace = "GRACE"
    emit  = { n = count(), over_avg = avg(over), p90 = percentile(temp, 90), some = collect(seq, 5) }
  }
  window "tumbling" "tens" {
    from      = window.ten
    by        = [device]
    every     = "30m"
    revisions = "latest"
    emit      = { n = sum(n), lo = min(over_avg), last = last(last_seq), rows = count() }
  }
  sink "file" "tens" {
    from = window.tens
    path = "out/tens.ndjson"
  }
  sink "file" "slide" {
    from = window.slide
    path = "out/slide.ndjson"
  }
  sink "file" "trip" {
    from = window.trip
    path = "out/trip.ndjson"
  }
  sink "file" "fifty" {
    from = window.fifty
    path = "out/fifty.ndjson"
  }
  sink "file" "open" {
    from = window.open
    path = "out/open.ndjson"
  }
  sink "file" "above" {
    from = window.above
    path = "out/above.ndjson"
  }
  sink "file" "near" {
    from = join.near
    path = "out/near.ndjson"
  }
  sink "file" "seen" {
    from = join.seen
    path = "out/seen.ndjson"
  }
  sink "file" "site" {
    from = window.site
    path = "out/site.ndjson"
  }
  sink "file" "crowd" {
    from = window.crowd
    path = "out/crowd.ndjson"
  }
  sink "file" "throng" {
    from = window.throng
    path = "out/throng.ndjson"
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
	"slide": "pipeline.p.window.slide", "trip": "pipeline.p.window.trip", "fifty": "pipeline.p.window.fifty", "open": "pipeline.p.window.open", "above": "pipeline.p.window.above",
	"near": "pipeline.p.join.near", "seen": "pipeline.p.join.seen", "site": "pipeline.p.window.site", "crowd": "pipeline.p.window.crowd", "throng": "pipeline.p.window.throng",
	"tens": "pipeline.p.window.tens",
}

// revising are windows of which late rows must have revised some.
var revising = []string{"above", "ten", "tens", "slide", "site", "trip", "crowd"}

// together are the edges whose rows come from several partitions. They are compared as a multiset.
var together = map[string]bool{"site": true, "crowd": true, "throng": true}

// records is how many go in: in a soak ten million, or as many as TIDEMILL_SOAK says.
func records() int64 {
	n, err := strconv.ParseInt(os.Getenv("TIDEMILL_SOAK"), 10, 64)
	switch {
	case os.Getenv("TIDEMILL_SOAK") == "":
		return 60_000
	case err != nil || n < 60_000:
		return 10_000_000
	}
	return n
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
		if t.Logf("%s: %d lines in partition 0, %d of them revised", name, want[name][0].lines, want[name][0].revised); want[name][0].lines == 0 {
			t.Fatalf("nothing came of %s: this is half a check", name)
		}
	}
	for _, name := range revising {
		if want[name][0].revised < 10 {
			t.Fatalf("%d lines of %s are revised: this is half a check", want[name][0].revised, name)
		}
	}
	if err := errors.Join(os.Remove(filepath.Join(first.dir, "in.ndjson")), os.RemoveAll(filepath.Join(first.dir, "out"))); err != nil {
		t.Fatal(err) // of ten million records they take 6 GB
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
		lives := f.run(t, true)
		if t.Logf("%d lives", lives); lives < 4 {
			t.Fatalf("%d lives: this is half a check", lives)
		}
		equal(t, want, f.rows(t))
	})
	t.Run("replay", func(t *testing.T) { equal(t, want, first.replayed(t)) })
}

// folder is a configuration with its data; the first has an input, and makes the journal.
type folder struct {
	dir   string
	first bool
}

// throngGrace is how long it is since an hour after the first record was measured. Rows of window.throng wait in their partitions if they
// are of later, and go alone if they are not.
var throngGrace = min(time.Since(time.Date(2025, 11, 22, 11, 0, 0, 0, time.UTC)), 3653*24*time.Hour)

// newFolder makes a folder, with a copy of another's journal and without an input of its own where there is one.
func newFolder(t *testing.T, journalOf string) *folder {
	f := &folder{dir: t.TempDir(), first: journalOf == ""}
	text := strings.Replace(pipeline, "GRACE", fmt.Sprintf("%ds", int(throngGrace.Seconds())), 1)
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

// fill writes the input: a fleet with everything that goes wrong with one. Of each device's records one in fifty comes up to
// half an hour late, behind others of the device.
func (f *folder) fill(t *testing.T) {
	o := simulate.Demo()
	o.Devices, o.Duration, o.Records = devices, 0, records()
	fleet, err := simulate.New(o)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(filepath.Join(f.dir, "in.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	out, r, late := bufio.NewWriterSize(file, 1<<20), rand.New(rand.NewPCG(1, 2)), map[int][]byte{}
	var buf []byte
	n := 0
	for {
		var ok bool
		if buf, _, ok = fleet.Next(buf[:0]); !ok {
			break
		}
		if n++; r.IntN(50) == 0 {
			due := n + 1 + r.IntN(latest)
			late[due] = append(late[due], buf...)
		} else {
			out.Write(buf)
		}
		out.Write(late[n])
		delete(late, n)
	}
	for end := n + latest; n <= end; n++ {
		out.Write(late[n])
	}
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
}

// The fleet reports every half a minute; a record that is late comes behind so many others at most.
const (
	devices = 300
	latest  = 60 * devices
)

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

// mostLives is how often the engine is opened before it may run to its end, and mostEpochs how many checkpoints
// it takes in a life at most: what it goes on from then is a snapshot and what has changed since, and since that.
const (
	mostLives  = 10
	mostEpochs = 3
)

// run runs the engine to its end. With restarts it is closed without a last checkpoint when there are one to
// three new ones, and opened again. It returns how often it was opened.
func (f *folder) run(t *testing.T, restarts bool) (lives int) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	for done := false; !done; lives++ {
		world, clock := env.Real(), env.NewSim(1)
		first := f.first && lives == 0
		stepped := first || restarts && lives < mostLives
		if stepped {
			world.Clock = clock.Env().Clock
			clock.Advance(time.Since(world.Clock.Now()))
		}
		e, err := run.Open(f.plan(t), run.Options{Env: world, Data: filepath.Join(f.dir, ".tidemill"), Specs: stages.Builtin(), StopAtEnd: true, BlockBytes: blockBytes,
			Report: func(line string) { t.Log(line) }})
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case first:
			done, err = toCheckpoint(e, clock, math.MaxUint32, firstTurn)
		case stepped:
			done, err = toCheckpoint(e, clock, 1+uint64(lives%mostEpochs), turn)
		default:
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

// blockBytes is how much a task takes in a turn, at most: little, so that the journal has room for many checkpoints.
const blockBytes = 32 << 10

// turn is how long everybody's turn takes by the clock of a life that ends at a checkpoint, so that how many
// checkpoints there are follows from the rows, and not from how quick the machine is.
const turn = 10 * time.Millisecond

// firstTurn is that of the run that makes the journal: long enough that ticks stand between its rows.
const firstTurn = 100 * time.Millisecond

// toCheckpoint lets the engine move until it has taken so many checkpoints, of which the last is committed or not as it comes.
func toCheckpoint(e *run.Engine, clock *env.Sim, epochs uint64, turn time.Duration) (done bool, err error) {
	began := e.Status().Checkpoint.Epoch
	for !e.Done() {
		for _, a := range e.Actors() {
			if _, err := a.Step(); err != nil {
				return false, err
			}
		}
		if e.Status().Checkpoint.Epoch >= began+epochs {
			return e.Done(), nil
		}
		clock.Advance(turn)
	}
	return true, nil
}

// tally is what is remembered of lines: all bytes of ten million records would not fit.
type tally struct {
	lines   int
	revised int       // of them, those with a revision behind the first
	bytes   hash.Hash // of all lines in their order
	sum     uint64    // of the lines' own hashes, in any order
}

// parts are a file's lines, by partition.
type parts [partitions]tally

func (p *parts) add(name string, partition int, line []byte) {
	_, revision, ok := bytes.Cut(line, []byte(`"revision":`))
	revised := 0
	if ok && revision[0] != '0' {
		revised = 1
	}
	if together[name] {
		p[0].lines++
		p[0].revised += revised
		own := sha256.Sum256(line)
		p[0].sum += binary.LittleEndian.Uint64(own[:])
		return
	}
	t := &p[partition]
	if t.bytes == nil {
		t.bytes = sha256.New()
	}
	t.lines++
	t.revised += revised
	t.bytes.Write(line)
	t.bytes.Write([]byte{'\n'})
}

func (t tally) String() string {
	out := fmt.Sprintf("%d lines, %x", t.lines, t.sum)
	if t.bytes != nil {
		out += fmt.Sprintf(", %x", t.bytes.Sum(nil))
	}
	return out
}

func (f *folder) rows(t *testing.T) map[string]*parts {
	out := map[string]*parts{}
	for name := range edges {
		file, err := os.Open(filepath.Join(f.dir, "out", name+".ndjson"))
		if err != nil {
			t.Fatal(err)
		}
		p := &parts{}
		lines := bufio.NewScanner(file)
		for lines.Scan() {
			_, rest, ok := bytes.Cut(lines.Bytes(), []byte(`"device":"`))
			device, _, _ := bytes.Cut(rest, []byte{'"'})
			if !ok && !together[name] {
				t.Fatalf("%s: no device: %s", name, lines.Bytes())
			}
			p.add(name, flow.PartitionOf(flow.Hash(device), partitions), lines.Bytes())
		}
		if err := errors.Join(lines.Err(), file.Close()); err != nil {
			t.Fatal(err)
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
				out[name].add(name, row.Partition, []byte(row.Text))
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
			if w := want[name][p].String(); got[name] == nil || got[name][p].String() != w {
				t.Errorf("%s, partition %d: the bytes differ: want %s, got %v", name, p, w, got[name])
			}
		}
	}
}
