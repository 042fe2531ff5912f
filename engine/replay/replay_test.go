package replay_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/journal"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/replay"
	"github.com/tidemill/tidemill/engine/run"
	"github.com/tidemill/tidemill/engine/stages"
)

const (
	text = `
variable "limit" { default = 10 }
engine { checkpoint = "1s" }
channel "c" {
  key        = device
  time       = ts
  partitions = 2
  schema     = { device = string, ts = timestamp, n = number }
}
channel "other" {
  schema = { n = number }
}
ingest "file" "in" {
  to     = channel.c
  path   = "in.ndjson"
  follow = true
}
pipeline "p" {
  from = channel.c
  rule "low" { where = n < var.limit }
  window "tumbling" "two_min" {
    from  = rule.low
    by    = [device]
    every = "2m"
    emit  = { n = count(), most = max(n) }
  }
  sink "file" "out" {
    from = window.two_min
    path = "out.ndjson"
  }
}
pipeline "q" {
  from = channel.other
  rule "all" {}
  sink "file" "other" { path = "other.ndjson" }
}`
	// minutes is how often each of the devices a, b and c has sent its n: 0, 1, ... , a minute apart, in a block of its own.
	minutes = 12
	low     = "pipeline.p.rule.low"
	windows = "pipeline.p.window.two_min"
)

// past is a machine on which the engine has run.
type past struct {
	t       *testing.T
	machine *env.Sim
	began   time.Time // when n = 0 was received
	engine  *run.Engine
	at      []time.Time // before n was received, and after n-1
}

func newPast(t *testing.T) *past { return newPastOf(t, text, minutes, right) }

// right is clocks that are.
func right(string, int) time.Duration { return 0 }

// newPastOf lets the engine run for some minutes. The clock of a device is ahead by so much at its n, or behind.
func newPastOf(t *testing.T, text string, minutes int, ahead func(device string, n int) time.Duration) *past {
	return newPastWith(t, text, minutes, ahead, func(*past, int) {})
}

// newPastWith calls before ahead of each minute, the first time before the engine is there.
func newPastWith(t *testing.T, text string, minutes int, ahead func(device string, n int) time.Duration, before func(h *past, n int)) *past {
	h := &past{t: t, machine: env.NewSim(1)}
	world := h.machine.Env()
	h.must(world.FS.MkdirAll("/p"))
	h.must(env.WriteWhole(world.FS, "/p/p.hcl", []byte(text)))
	h.write("/p/in.ndjson", "")
	before(h, 0)
	c, diags := config.Load(world, "/p", config.Options{})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	p, diags := plan.Build(c, stages.Builtin(), nil)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	e, err := run.Open(p, run.Options{Env: world, Data: "/p/.tidemill", Specs: stages.Builtin(), Report: func(line string) { t.Log(line) }})
	h.must(err)
	h.engine = e
	var in strings.Builder
	for n := range minutes {
		if n > 0 {
			before(h, n)
		}
		now := world.Clock.Now()
		h.at = append(h.at, now)
		if n == 0 {
			h.began = now
		}
		for _, d := range []string{"a", "b", "c"} {
			ts := now.Add(ahead(d, n))
			fmt.Fprintf(&in, `{"device":%q,"ts":%d,"n":%d}`+"\n", d, ts.UnixMilli(), n)
		}
		h.write("/p/in.ndjson", in.String())
		until := now.Add(time.Minute)
		for world.Clock.Now().Before(until) {
			h.turn()
		}
	}
	s := e.Status()
	if got := s.Totals().Records; got != int64(3*minutes) {
		t.Fatalf("the engine has taken %d records, not %d", got, 3*minutes)
	}
	h.must(e.Close())
	return h
}

// turn lets everything move once, and a tenth of a second pass.
func (h *past) turn() {
	h.t.Helper()
	for _, a := range h.engine.Actors() {
		_, err := a.Step()
		h.must(err)
	}
	h.machine.Advance(100 * time.Millisecond)
}

// written are the lines of a file.
func (h *past) written(name string) []string {
	h.t.Helper()
	f, err := h.machine.Env().FS.Open(name, env.ReadOnly)
	h.must(err)
	defer f.Close()
	text, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<20))
	h.must(err)
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

func (h *past) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// write puts a text into a file, where it stands: whoever follows the file goes on with it.
func (h *past) write(name, text string) {
	h.t.Helper()
	f, err := h.machine.Env().FS.Open(name, env.Create)
	h.must(err)
	_, err = f.WriteAt([]byte(text), 0)
	h.must(err)
	h.must(f.Close())
}

func (h *past) open(o replay.Options) *replay.Replay {
	h.t.Helper()
	o.Env, o.Dir, o.Data = h.machine.Env(), "/p", "/p/.tidemill"
	r, diags, _, err := replay.Open(o)
	if diags.HasErrors() || err != nil {
		h.t.Fatal(diags, err)
	}
	h.t.Cleanup(func() { h.must(r.Close()) })
	return r
}

// rows runs a replay and lists the rows of an edge, sorted.
func (h *past) rows(o replay.Options, edge string) (out []string) {
	h.t.Helper()
	h.must(h.open(o).Run(context.Background(), func(rows []replay.Row) error {
		for _, row := range rows {
			if row.Edge == edge {
				out = append(out, string(row.Text))
			}
		}
		return nil
	}))
	slices.Sort(out)
	return out
}

// What is replayed is bounded in time, by device and by edge, and leaves history as it was.
func TestRun(t *testing.T) {
	h := newPast(t)
	used := h.machine.Used()
	at := func(n int) time.Time { return h.began.Add(time.Duration(n) * time.Minute) }
	for _, c := range []struct {
		name string
		o    replay.Options
		edge string
		rows int
		has  string // of the first row
	}{
		{"all", replay.Options{Channel: "c", Edges: []string{"rule.low"}}, low, 30, `"device":"a"`},
		{"a device", replay.Options{Channel: "c", Device: "b", Edges: []string{"rule.low"}}, low, 10, `"device":"b"`},
		{"nobody", replay.Options{Channel: "c", Device: "z", Edges: []string{"rule.low"}}, low, 0, ""},
		{"from the fourth on", replay.Options{Channel: "c", Device: "b", From: at(4), Edges: []string{"rule.low"}}, low, 6, `"n":4`},
		{"up to the fourth", replay.Options{Channel: "c", Device: "b", To: at(4), Edges: []string{"rule.low"}}, low, 4, `"n":0`},
		{"between", replay.Options{Channel: "c", Device: "b", From: at(4), To: at(6), Edges: []string{"rule.low"}}, low, 2, `"n":4`},
		{"warm", replay.Options{Channel: "c", Device: "b", From: at(5), To: at(6), Warm: 5 * time.Minute, End: true}, windows, 1, `"n":2`},
		{"cold", replay.Options{Channel: "c", Device: "b", From: at(5), To: at(6), End: true}, windows, 1, `"n":1`},
		{"a window that nothing closes", replay.Options{Channel: "c", Device: "b", To: at(2)}, windows, 0, ""},
		{"but the end", replay.Options{Channel: "c", Device: "b", To: at(2), End: true}, windows, 1, `"most":1`},
		{"another value of a variable", replay.Options{Channel: "c", Device: "b", Vars: map[string]string{"limit": "3"}, Edges: []string{"rule.low"}}, low, 3, `"n":0`},
	} {
		rows := h.rows(c.o, c.edge)
		if len(rows) != c.rows || c.rows > 0 && !strings.Contains(rows[0], c.has) {
			t.Errorf("%s: %d rows: %s", c.name, len(rows), strings.Join(rows, "\n"))
		}
	}
	if now := h.machine.Used(); now != used {
		t.Errorf("the machine's disk held %d bytes, and %d after replays", used, now)
	}
}

// Clocks are corrected in a replay as they were when it happened: what is known of them comes from the journal alone.
func TestClocks(t *testing.T) {
	corrected := strings.Replace(strings.Replace(text, "default = 10", "default = 100", 1),
		"partitions = 2", "partitions = 2\n  clock {\n    correct_skew = true\n    far_future   = \"receive\"\n  }", 1)
	h := newPastOf(t, corrected, 20, func(device string, _ int) time.Duration {
		if device == "c" {
			return -30 * time.Minute
		}
		return 0
	})
	lines := h.written("/p/out.ndjson")
	for _, o := range []replay.Options{{Channel: "c"}, {Channel: "c", Device: "c"}} {
		again := h.rows(o, windows)
		for _, line := range lines {
			if (o.Device == "" || strings.Contains(line, `"device":"c"`)) && !slices.Contains(again, line) {
				t.Errorf("device %q: the engine wrote %s, and a replay does not", o.Device, line)
			}
		}
	}
	last := `{"device":"c","window_start":"` + h.began.Add(16*time.Minute).UTC().Format("2006-01-02T15:04:05")
	if !slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, last) }) {
		t.Errorf("the clock was not corrected: no %s... in\n%s", last, strings.Join(lines, "\n"))
	}
}

// What came through a channel that a pipeline feeds comes in a replay too, to the last row: though nothing is shown of what
// stands before it, and though the channel's ticks are many more than a replay waits turns.
func TestFed(t *testing.T) {
	fed := strings.Replace(text, "default = 10", "default = 100", 1) + `
channel "lows" { key = device }
pipeline "r" {
  from = channel.lows
  window "tumbling" "four_min" {
    every     = "4m"
    revisions = "first"
    emit      = { n = sum(n) }
  }
  sink "file" "fours" {
    from = window.four_min
    path = "fours.ndjson"
  }
}`
	fed = strings.Replace(fed, `  sink "file" "out" {`, "  sink \"channel\" \"feed\" {\n    from = window.two_min\n    to   = channel.lows\n  }\n  sink \"file\" \"out\" {", 1)
	h := newPastOf(t, fed, 40, right)
	lines := h.written("/p/fours.ndjson")
	if len(lines) < 8 {
		t.Fatalf("the engine wrote %d rows", len(lines))
	}
	slices.Sort(lines)
	if again := h.rows(replay.Options{Channel: "c"}, "pipeline.r.window.four_min"); !slices.Equal(again, lines) {
		t.Errorf("the engine wrote\n%s\nand a replay\n%s", strings.Join(lines, "\n"), strings.Join(again, "\n"))
	}
	side := func() *replay.Replay { return h.open(replay.Options{Channel: "c", Every: true}) }
	d, err := replay.Compare(context.Background(), side(), side())
	h.must(err)
	for _, e := range d.Edges {
		if e.Edge == "pipeline.r.window.four_min" && e.Same != int64(len(lines)) {
			t.Errorf("two replays agree on %d rows of %d", e.Same, len(lines))
		}
	}
}

// A configuration that cannot be replayed is told so, with what would be right.
func TestRefused(t *testing.T) {
	h := newPast(t)
	for _, c := range []struct {
		o    replay.Options
		want string
	}{
		{replay.Options{Channel: "othr"}, `Did you mean "other"?`},
		{replay.Options{Channel: "other", Device: "a"}, "channel.other has no key"},
		{replay.Options{Channel: "c", Edges: []string{"rule.lw"}}, "rule.low"},
		{replay.Options{Channel: "c", Write: []string{"sink.no"}}, "sink.no"},
	} {
		c.o.Env, c.o.Dir, c.o.Data = h.machine.Env(), "/p", "/p/.tidemill"
		r, diags, _, err := replay.Open(c.o)
		if r != nil {
			h.must(r.Close())
		}
		said := fmt.Sprint(err)
		for _, d := range diags { // Error of several tells of the first alone
			said += "\n" + d.Detail
		}
		if !strings.Contains(said, c.want) {
			t.Errorf("%+v: %s", c.o, said)
		}
	}
}

// Two configurations over one history: what is the same is counted, and what is not comes with its cause.
func TestCompare(t *testing.T) {
	h := newPast(t)
	side := func(limit string) *replay.Replay {
		return h.open(replay.Options{Channel: "c", Device: "a", Every: true, End: true, Vars: map[string]string{"limit": limit}})
	}
	d, err := replay.Compare(context.Background(), side("10"), side("5"))
	h.must(err)
	type counts struct{ same, onlyA, onlyB, changed int64 }
	got := map[string]counts{}
	for _, e := range d.Edges {
		got[e.Edge] = counts{e.Same, e.OnlyA, e.OnlyB, e.Changed}
	}
	// A has n from 0 to 9, B from 0 to 4: of the windows of two, the third has lost a row, and two are not there.
	if got[low] != (counts{5, 5, 0, 0}) || got[windows] != (counts{2, 3, 1, 1}) {
		t.Errorf("%+v", got)
	}
	for _, c := range d.Changes {
		if c.Cause.Edge != low || !strings.Contains(c.Cause.Why, "variables") || len(c.Cause.Records) == 0 || !strings.Contains(string(c.Cause.Records[0].Payload), `"device":"a"`) {
			t.Errorf("%s %s: cause %+v", c.Edge, c.Key, c.Cause)
		}
		if c.A != nil && c.B != nil && !slices.Equal(c.Columns, []string{"most", "n"}) {
			t.Errorf("%s %s: %v differ", c.Edge, c.Key, c.Columns)
		}
	}
	if d, err = replay.Compare(context.Background(), side("5"), side("5")); err != nil || len(d.Changes) != 0 {
		t.Errorf("a configuration differs from itself: %+v, %v", d, err)
	}
}

// Two replays of a journal that an engine writes meanwhile read the same records of it.
func TestCompareBeside(t *testing.T) {
	h := newPast(t)
	o := replay.Options{Channel: "c", Every: true}
	apart, first := h.open(o), h.open(o)
	log, err := journal.Open(h.machine.Env(), "/p/.tidemill/journal/c", journal.Options{})
	h.must(err)
	late := journal.Record{Payload: []byte(`{"device":"a","ts":0,"n":3}`), Received: h.machine.Env().Clock.Now().UnixMicro()}
	h.must(log.Appender().Append(journal.Batch{Records: []journal.Record{late}}))
	h.must(log.Appender().Flush())
	h.must(log.Close())
	changes := func(a, b *replay.Replay) int {
		d, err := replay.Compare(context.Background(), a, b)
		h.must(err)
		return len(d.Changes)
	}
	if changes(apart, h.open(o)) == 0 {
		t.Error("what came meanwhile is not seen: this test cannot fail")
	}
	o.Beside = first
	if n := changes(first, h.open(o)); n > 0 {
		t.Errorf("a configuration differs from itself: %d changes", n)
	}
}

// A device's records come one at a time, each with what came of it.
func TestSteps(t *testing.T) {
	h := newPast(t)
	var steps []string
	h.must(h.open(replay.Options{Channel: "c", Device: "c", Every: true, End: true}).Steps(context.Background(), func(s replay.Step) error {
		line := "tick"
		if s.Record != nil {
			_, n, _ := strings.Cut(string(s.Record.Payload), `"n":`)
			line = strings.TrimSuffix(n, "}")
		}
		for _, row := range s.Rows {
			line += " " + row.Edge[strings.LastIndex(row.Edge, ".")+1:]
		}
		steps = append(steps, line)
		return nil
	}))
	want := "0 low, 1 low, 2 low two_min, 3 low, 4 low two_min, 5 low, 6 low two_min, 7 low, 8 low two_min, 9 low, 10, tick two_min, 11"
	if all := strings.Join(steps, ", "); all != want {
		t.Errorf("%s\nnot %s", all, want)
	}
}

// The latest records are given as they came.
func TestRecords(t *testing.T) {
	h := newPast(t)
	for _, c := range []struct {
		device string
		most   int
		first  string
		n      int
	}{{"a", 3, `"n":9`, 3}, {"a", 100, `"n":0`, minutes}, {"", 4, `"n":10`, 4}, {"z", 5, "", 0}} {
		list, err := h.open(replay.Options{Channel: "c", Device: c.device, Every: true}).Records(context.Background(), c.most)
		h.must(err)
		if len(list) != c.n || c.n > 0 && !strings.Contains(string(list[0].Payload), c.first) {
			t.Errorf("%+v: %d records, first %+v", c, len(list), list)
		}
	}
}
