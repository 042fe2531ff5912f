package stagetest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/expr"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/state"
)

// Case is a case that was read.
type Case struct {
	spec       stage.Spec
	args       []byte
	key        string
	partitions int
	room       int // keys that tables have room for; 0: as usual
	events     []event
	schema     *arrow.Schema
	mem        *memory.CheckedAllocator
	revised    *stage.Revised // how rows that come in are revised; nil: they are not
	with       []func(*stage.At)
}

// event is one row, a tick or the end.
type event struct {
	rows   arrow.RecordBatch // with a row: the section's rows
	at     int
	hidden bool
	mark   flow.KeyMark
	tick   int64
	ended  bool
}

// readRevised reads which columns tell revisions, how far apart rows are and for how long they are revised.
func (c *Case) readRevised(t testing.TB, words []string) *stage.Revised {
	t.Helper()
	if len(words) < 3 {
		t.Fatal("section at: revised takes columns, every and keep")
	}
	n := len(words) - 2
	every, err := time.ParseDuration(words[n])
	keep, more := time.ParseDuration(words[n+1])
	if err := errors.Join(err, more); err != nil {
		t.Fatal(err)
	}
	return &stage.Revised{By: words[:n], Fixed: append(words[:n:n], "window_end"), Every: every.Microseconds(), Keep: keep.Microseconds()}
}

// Cases runs every testdata/*.txt of the package under test through Run; with
// UPDATE_TESTDATA=1 it writes down what comes out, and still fails.
func Cases(t *testing.T, spec stage.Spec) {
	world := env.Real()
	_, update := world.Var("UPDATE_TESTDATA")
	files, err := world.FS.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, entry := range files {
		if !strings.HasSuffix(entry.Name(), ".txt") {
			continue
		}
		ran++
		t.Run(entry.Name(), func(t *testing.T) { oneCase(t, spec, world.FS, "testdata/"+entry.Name(), update) })
	}
	if ran == 0 {
		t.Fatal("there is no case in testdata")
	}
}

func oneCase(t *testing.T, spec stage.Spec, files env.FS, name string, update bool) {
	f, err := files.Open(name, env.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<24))
	if err != nil {
		t.Fatal(err)
	}
	got := Run(t, spec, want, 40)
	if bytes.Equal(got, want) {
		return
	}
	if update {
		_, err = f.WriteAt(got, 0)
		if err := errors.Join(err, f.Truncate(int64(len(got)))); err != nil {
			t.Fatal(err)
		}
	}
	t.Errorf("got\n%s", got)
}

// Run runs a case in its plainest way and in `ways` others, drawn from a seed.
// It returns the archive with errors, out, rejects and counts as they came out. with
// changes where the stage stands, for a stage that needs more than its input.
func Run(t testing.TB, spec stage.Spec, archive []byte, ways int, with ...func(*stage.At)) []byte {
	t.Helper()
	c := &Case{spec: spec, partitions: 1, with: with, mem: memory.NewCheckedAllocator(worn{})}
	defer c.mem.AssertSize(t, 0)
	a := txtar.Parse(archive)
	c.read(t, a)
	defer c.release()
	var sections []txtar.File
	if _, diags := c.bind(); diags.HasErrors() {
		sections = []txtar.File{{Name: "errors", Data: []byte(diagText(diags))}}
	} else {
		sections = c.compare(t, ways)
	}
	kept := slices.DeleteFunc(a.Files, func(f txtar.File) bool {
		return slices.Contains([]string{"errors", "out", "rejects", "counts"}, f.Name)
	})
	return txtar.Format(&txtar.Archive{Comment: a.Comment, Files: append(kept, sections...)})
}

func (c *Case) compare(t testing.TB, ways int) []txtar.File {
	t.Helper()
	plain := c.run(t, nil)
	for seed := range uint64(ways) {
		other := c.run(t, rand.New(rand.NewPCG(seed, 7)))
		for i, f := range plain {
			if !bytes.Equal(f.Data, other[i].Data) {
				t.Fatalf("way %d gives other %s:\n%s\nwant\n%s", seed, f.Name, other[i].Data, f.Data)
			}
		}
	}
	return slices.DeleteFunc(plain, func(f txtar.File) bool { return len(f.Data) == 0 })
}

func diagText(diags hcl.Diagnostics) string {
	var b strings.Builder
	for _, d := range config.Sort(diags) {
		if d.Severity == hcl.DiagError {
			fmt.Fprintf(&b, "%d:%d %s: %s\n", d.Subject.Start.Line, d.Subject.Start.Column, d.Summary, d.Detail)
		}
	}
	return b.String()
}

func (c *Case) read(t testing.TB, a *txtar.Archive) {
	t.Helper()
	slots, marks, offset := map[string]uint32{}, map[uint32]int64{}, int64(0)
	for _, f := range a.Files {
		name, rest, _ := strings.Cut(f.Name, " ")
		switch name {
		case "args":
			c.args = f.Data
		case "at":
			c.readAt(t, string(f.Data))
		case "rows", "hidden":
			rows, err := flow.ParseRows(c.mem, string(f.Data))
			if err != nil {
				t.Fatalf("section %s: %v", f.Name, err)
			}
			if name == "rows" {
				c.schema = rows.Schema()
			}
			c.fill(rows, string(f.Data), slots, marks, &offset)
			for i := range int(rows.NumRows()) {
				slot := flow.Slots(rows)[i]
				c.events = append(c.events, event{rows: rows, at: i, hidden: name == "hidden", mark: flow.KeyMark{Slot: slot, Time: flow.Marks(rows)[i]}})
			}
			if rows.NumRows() == 0 {
				rows.Release()
			}
		case "tick":
			rows, err := flow.ParseRows(memory.DefaultAllocator, "_time\n"+rest)
			if err != nil {
				t.Fatalf("section %s: %v", f.Name, err)
			}
			c.events = append(c.events, event{tick: int64(flow.Times(rows)[0])})
		case "end":
			c.events = append(c.events, event{ended: true})
		}
	}
}

func (c *Case) readAt(t testing.TB, text string) {
	t.Helper()
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		name, value, _ := strings.Cut(line, " ")
		switch name {
		case "key":
			c.key = value
		case "partitions":
			n, err := strconv.Atoi(value)
			if err != nil {
				t.Fatal(err)
			}
			c.partitions = n
		case "room":
			n, err := strconv.Atoi(value)
			if err != nil {
				t.Fatal(err)
			}
			c.room = n
		case "revised":
			c.revised = c.readRevised(t, strings.Fields(value))
		default:
			t.Fatalf("section at: unknown line %q", line)
		}
	}
}

// fill makes up the metadata that the header does not name.
func (c *Case) fill(rows arrow.RecordBatch, text string, slots map[string]uint32, marks map[uint32]int64, offset *int64) {
	head, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	given := strings.Fields(head)
	has := func(name string) bool { return slices.Contains(given, name) }
	at := rows.Schema().FieldIndices(c.key)
	for i := range int(rows.NumRows()) {
		if !has("_offset") {
			flow.Offsets(rows)[i] = *offset
			*offset++
		}
		if !has("_slot") && len(at) > 0 {
			key := fmt.Sprint(rows.Column(at[0]).IsNull(i), rows.Column(at[0]).ValueStr(i))
			if _, ok := slots[key]; !ok {
				slots[key] = uint32(len(slots))
			}
			flow.Slots(rows)[i] = slots[key]
		}
		slot := flow.Slots(rows)[i]
		if !has("_mark") {
			m, ok := marks[slot]
			if now := int64(flow.Times(rows)[i]); !ok || now > m {
				m = now
			}
			flow.Marks(rows)[i] = m
		}
		marks[slot] = flow.Marks(rows)[i]
	}
}

func (c *Case) release() {
	seen := map[arrow.RecordBatch]bool{}
	for _, e := range c.events {
		if e.rows != nil && !seen[e.rows] {
			seen[e.rows] = true
			e.rows.Release()
		}
	}
}

func (c *Case) bind() (stage.Bound, hcl.Diagnostics) {
	with := append([]func(*stage.At){func(at *stage.At) { at.Revised = []*stage.Revised{c.revised} }}, c.with...)
	bound, diags := Bind(c.spec, c.args, c.schema, c.key, c.partitions, with...)
	for i := range bound.State {
		if d := &bound.State[i]; c.room > 0 && d.MaxKeys == state.DefaultMaxKeys {
			d.MaxKeys = c.room
		}
	}
	return bound, diags
}

// Bind decodes and binds a block's body over rows of one input. It is what a
// fuzz target feeds.
func Bind(spec stage.Spec, body []byte, schema *arrow.Schema, key string, partitions int, with ...func(*stage.At)) (stage.Bound, hcl.Diagnostics) {
	file, diags := hclsyntax.ParseConfig(body, "args", hcl.InitialPos)
	if diags.HasErrors() {
		return stage.Bound{}, diags
	}
	args := spec.Args()
	if diags := config.DecodeBody(file.Body, args, nil); diags.HasErrors() {
		return stage.Bound{}, diags
	}
	at := stage.At{
		Address: "pipeline.test." + spec.Kind + ".it", Range: hcl.Range{Filename: "args", Start: hcl.InitialPos, End: hcl.InitialPos},
		Inputs: []string{"channel.telemetry"}, Keys: []string{key},
		Channel: &config.Channel{Name: "telemetry", Key: key, Partitions: partitions},
		Scope:   func(int) *expr.Scope { return &expr.Scope{Schema: schema, What: "channel.telemetry"} },
	}
	for _, f := range with {
		f(&at)
	}
	return args.Bind([]*arrow.Schema{schema}, at)
}

// run is one run of the events; r decides about cuts, and nil means none.
type run struct {
	c       *Case
	t       testing.TB
	r       *rand.Rand
	bound   stage.Bound
	stage   stage.Stage
	tables  []*state.Table
	chains  [][]*state.Snapshot
	out     []arrow.RecordBatch
	rejects []string
	counts  map[string]int64
	pending map[uint32]int64 // marks that moved and were not told yet
	known   map[uint32]int64
}

func (c *Case) run(t testing.TB, r *rand.Rand) []txtar.File {
	t.Helper()
	x := &run{c: c, t: t, r: r, counts: map[string]int64{}, pending: map[uint32]int64{}, known: map[uint32]int64{}}
	x.bindAnew()
	for _, d := range x.bound.State {
		x.tables = append(x.tables, state.New(d))
	}
	x.chains = make([][]*state.Snapshot, len(x.tables))
	x.open()
	for i := 0; i < len(c.events); {
		i = x.step(i)
		if r != nil && r.IntN(4) == 0 {
			x.restart()
		}
	}
	x.must(x.stage.Close())
	var meta []string
	for _, f := range flow.MetaFields() {
		meta = append(meta, f.Name)
	}
	text := ""
	if len(x.out) > 0 {
		text = flow.FormatRows(meta, x.out...)
	}
	for _, b := range x.out {
		b.Release()
	}
	sort.Strings(x.rejects)
	return []txtar.File{{Name: "out", Data: []byte(text)}, {Name: "rejects", Data: []byte(strings.Join(x.rejects, ""))}, {Name: "counts", Data: []byte(x.countText())}}
}

func (x *run) must(err error) {
	x.t.Helper()
	if err != nil {
		x.t.Fatal(err)
	}
}

func (x *run) countText() string {
	var lines []string
	for name, n := range x.counts {
		lines = append(lines, fmt.Sprintf("%s %d\n", name, n))
	}
	sort.Strings(lines)
	return strings.Join(lines, "")
}

func (x *run) bindAnew() {
	bound, diags := x.c.bind()
	if diags.HasErrors() {
		x.t.Fatal(diags)
	}
	x.bound = bound
}

func (x *run) open() {
	st, err := x.bound.OpenStage(stage.Opening{
		Env: env.NewSim(1).Env(), Alloc: x.c.mem, Address: "pipeline.test.it", Tables: x.tables,
		Reject: func(r stage.Reject) {
			x.rejects = append(x.rejects, fmt.Sprintf("%d %s\n", flow.Offsets(r.Rows)[r.Row], r.Reason))
		},
		Count: func(name string, n int64) {
			if !strings.HasPrefix(name, "cost_") { // what it cost may depend on the cuts
				x.counts[name] += n
			}
			if !slices.Contains(x.c.spec.Counts, name) {
				x.t.Errorf("%q is counted, which is none of the stage's Counts, %q", name, x.c.spec.Counts)
			}
		},
	})
	x.must(err)
	x.stage = st
}

// restart takes a snapshot, as a base or as a delta, and half of the time goes
// on with a stage over what is restored from its encoding.
func (x *run) restart() {
	for i, t := range x.tables {
		s, err := state.DecodeSnapshot(t.Snapshot(x.r.IntN(3) == 0).AppendTo(nil))
		x.must(err)
		x.chains[i] = append(x.chains[i], s)
	}
	if x.r.IntN(2) == 0 {
		return
	}
	x.must(x.stage.Close())
	for i := range x.tables {
		t, err := state.Restore(x.bound.State[i], x.chains[i]...)
		x.must(err)
		x.tables[i] = t
	}
	x.bindAnew()
	x.open()
}

// step gives the stage the events from i on that go together.
func (x *run) step(i int) int {
	e := x.c.events[i]
	if e.rows == nil {
		if x.r != nil && x.r.IntN(2) == 0 {
			x.advance(flow.Watermarks{})
		}
		x.advance(flow.Watermarks{Tick: e.tick, Ticked: !e.ended, Ended: e.ended})
		return i + 1
	}
	n := 1
	for i+n < len(x.c.events) && x.c.events[i+n].rows == e.rows && (x.r == nil || x.r.IntN(3) > 0) {
		n++
	}
	for _, e := range x.c.events[i : i+n] {
		if old, ok := x.known[e.mark.Slot]; !ok || e.mark.Time > old {
			x.pending[e.mark.Slot], x.known[e.mark.Slot] = e.mark.Time, e.mark.Time
		}
	}
	if !e.hidden {
		rows := e.rows.NewSlice(int64(e.at), int64(e.at+n))
		x.must(x.stage.Process(0, rows, x))
		rows.Release()
	}
	if x.r == nil || x.r.IntN(3) > 0 {
		x.advance(flow.Watermarks{})
	}
	return i + n
}

func (x *run) advance(marks flow.Watermarks) {
	for slot, m := range x.pending {
		marks.Keys = append(marks.Keys, flow.KeyMark{Slot: slot, Time: m})
	}
	sort.Slice(marks.Keys, func(i, j int) bool { return marks.Keys[i].Slot < marks.Keys[j].Slot })
	clear(x.pending)
	x.must(stage.AdvanceWhole(x.stage, 0, marks, x))
}

// Emit takes what the stage sends.
func (x *run) Emit(rows arrow.RecordBatch) {
	if !rows.Schema().Equal(x.bound.Out) {
		x.t.Errorf("rows of schema %s were emitted; bound was %s", rows.Schema(), x.bound.Out)
	}
	x.out = append(x.out, rows)
}

// Repeat makes a batch of n rows by repeating a table, for benchmarks.
func Repeat(t testing.TB, text string, n int) arrow.RecordBatch {
	rows, err := flow.ParseRows(memory.DefaultAllocator, text)
	if err != nil {
		t.Fatal(err)
	}
	sel := make([]int32, n)
	for i := range sel {
		sel[i] = int32(i % int(rows.NumRows()))
	}
	cols := make([]arrow.Array, rows.NumCols())
	for i := range cols {
		cols[i] = flow.TakeArray(rows.Column(i), sel, memory.DefaultAllocator)
	}
	return array.NewRecordBatch(rows.Schema(), cols, int64(n))
}
