package window

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/stages/stagetest"
	"github.com/tidemill/tidemill/engine/state"
)

// rollup is a window over the latest revisions of another: what comes out in the end is what a batch would make of all rows.
type rollup struct {
	*trial      // the stream, the first window, and how they are run
	then   spec // the second
	all    bool // all devices together
	tail   string
	firsts string
}

func newRollup(seed uint64, big bool) *rollup {
	x := newTrial(kind(seed%2), seed, big, false)
	r := x.r
	head, _, _ := strings.Cut(x.args, "emit = ")
	// max is exact, and so what is equal stays equal
	u := &rollup{trial: x, firsts: head + "emit = { temp = max(temp), code = max(code), n = count() }\n", all: r.IntN(4) == 0}
	if u.all {
		x.tasks = 1
	}
	u.then = spec{kind: kind(r.IntN(2)), every: x.every * int64(1+r.IntN(12)), grace: int64(r.IntN(2)) * x.grace}
	if r.IntN(4) == 0 {
		u.then.every = max(1, x.every/int64(1+r.IntN(3))) / 1e6 * 1e6
	}
	b := &strings.Builder{}
	if !u.all {
		b.WriteString("by = [device]\n")
	}
	fmt.Fprintf(b, "revisions = \"latest\"\nkeep = \"18000h\"\nevery = \"%ds\"\ngrace = \"%ds\"\n", u.then.every/1e6, u.then.grace/1e6)
	if u.then.kind == sliding {
		u.then.size = u.then.every * int64(1+r.IntN(5))
		fmt.Fprintf(b, "size = \"%ds\"\n", u.then.size/1e6)
	}
	if r.IntN(3) == 0 {
		b.WriteString("idle = \"30s\"\n")
	}
	if r.IntN(3) == 0 {
		b.WriteString("early = \"25s\"\n")
	}
	b.WriteString("emit = { rows_ = sum(n), ")
	for _, a := range aggregatesOf() {
		if slices.Contains(x.names, a[0]) && a[0] != "ax" && !u.tied(a[0]) {
			fmt.Fprintf(b, "%s = %s, ", a[0], a[1])
		}
	}
	b.WriteString("}\n")
	u.tail = b.String()
	return u
}

// tied tells of an aggregate that two rows of one moment can decide, where rows of several devices have the same.
func (u *rollup) tied(name string) bool {
	return u.all && slices.Contains([]string{"f", "l", "dt", "r", "ta", "tl", "in", "c"}, name)
}

// link is one stage of a chain.
type link struct {
	spec   stage.Spec
	args   string
	in     *arrow.Schema
	with   func(*stage.At)
	bound  stage.Bound
	stage  stage.Stage
	tables []*state.Table
	chains [][]*state.Snapshot
}

func (l *link) open(fail func(string)) {
	bound, diags := stagetest.Bind(l.spec, []byte(l.args), l.in, "device", 1, func(at *stage.At) { l.with(at) })
	if diags.HasErrors() {
		fail(diags.Error() + "\n" + l.args)
		return
	}
	l.bound = bound
	for i, d := range bound.State {
		if len(l.tables) <= i {
			l.tables, l.chains = append(l.tables, state.New(d)), append(l.chains, nil)
		}
	}
	var err error
	l.stage, err = bound.OpenStage(stage.Opening{Alloc: memory.DefaultAllocator, Tables: l.tables, Address: "window.it",
		Reject: func(r stage.Reject) { fail("a reject: " + r.Reason) }, Count: func(name string, _ int64) {
			if name == "late_expired" {
				fail("rows came too late")
			}
		}})
	if err != nil {
		fail(err.Error())
	}
}

// crash puts the stage's tables into snapshots, and goes on with what they give back.
func (l *link) crash(r *rand.Rand, fail func(string)) {
	for i, t := range l.tables {
		s, err := state.DecodeSnapshot(t.Snapshot(len(l.chains[i]) == 0 || r.IntN(3) == 0).AppendTo(nil))
		if err != nil {
			fail(err.Error())
			return
		}
		l.chains[i] = append(l.chains[i], s)
	}
	if r.IntN(2) == 0 {
		return
	}
	if err := l.stage.Close(); err != nil {
		fail(err.Error())
	}
	for i := range l.tables {
		t, err := state.Restore(l.bound.State[i], l.chains[i]...)
		if err != nil {
			fail(err.Error())
			return
		}
		l.tables[i] = t
	}
	l.open(fail)
}

// chain runs both windows over the devices that are dealt to it.
type chain struct {
	*oracleTask // makes batches of events
	u           *rollup
	links       [2]link
	got         map[string]*outcome
}

func newChain(u *rollup) *chain {
	c := &chain{u: u, got: map[string]*outcome{}, oracleTask: &oracleTask{trial: u.trial, slots: map[int]uint32{}, told: map[uint32]int64{},
		build: array.NewRecordBuilder(memory.DefaultAllocator, streamSchema())}}
	c.links[0] = link{spec: specOf(u.kind), args: u.firsts, in: streamSchema(), with: func(*stage.At) {}}
	c.links[0].open(c.broken)
	c.links[1] = link{spec: specOf(u.then.kind), args: u.tail, in: c.links[0].bound.Out, with: func(at *stage.At) {
		at.Revised, at.Inputs = []*stage.Revised{c.links[0].bound.Revised}, []string{"window.first"}
	}}
	if c.err == nil {
		c.links[1].open(c.broken)
	}
	return c
}

func (c *chain) broken(what string) { c.fail("%s", what) }

func (c *chain) mayCrash() {
	for k := range c.links {
		if c.crashes && c.r.IntN(4) == 0 && c.err == nil {
			c.links[k].crash(c.r, c.broken)
		}
	}
}

// firsts takes what the first window emits, and cuts it anywhere.
type firsts struct{ c *chain }

func (f firsts) Emit(rows arrow.RecordBatch) {
	defer rows.Release()
	for at := int64(0); at < rows.NumRows() && f.c.err == nil; {
		to := min(rows.NumRows(), at+1+int64(f.c.r.IntN(20)))
		part := rows.NewSlice(at, to)
		if err := f.c.links[1].stage.Process(0, part, seconds(f)); err != nil {
			f.c.fail("%v", err)
		}
		part.Release()
		at = to
	}
}

// seconds keeps the latest revision of each window.
type seconds struct{ c *chain }

func (s seconds) Emit(rows arrow.RecordBatch) {
	defer rows.Release()
	for i := range int(rows.NumRows()) {
		values := map[string]any{}
		for k, f := range rows.Schema().Fields() {
			if k >= flow.MetaColumns && f.Name != "final" {
				values[f.Name] = valueAt(rows.Column(k), i)
			}
		}
		device, _ := values["device"].(string)
		key := fmt.Sprint(device, " ", values["window_start"])
		now, was := values["revision"].(int64), s.c.got[key]
		if was == nil && now != 0 || was != nil && now != was.revision+1 {
			s.c.fail("window %s has revision %d after %+v", key, now, was)
		}
		s.c.got[key] = &outcome{revision: now, final: rows.Column(int(rows.NumCols()) - 1).(*array.Boolean).Value(i), values: values}
	}
}

func (c *chain) flush(marks flow.Watermarks) {
	if c.err != nil {
		return
	}
	rows := c.build.NewRecordBatch()
	defer rows.Release()
	if rows.NumRows() > 0 {
		if err := c.links[0].stage.Process(0, rows, firsts{c}); err != nil {
			c.fail("%v", err)
		}
	}
	for _, k := range c.marks {
		if old, ok := c.told[k.Slot]; !ok || k.Time > old {
			c.told[k.Slot] = k.Time
			marks.Keys = append(marks.Keys, k)
		}
	}
	c.marks = c.marks[:0]
	if err := stage.AdvanceWhole(c.links[0].stage, 0, marks, firsts{c}); err != nil {
		c.fail("%v", err)
	}
	if err := stage.AdvanceWhole(c.links[1].stage, 0, marks, seconds{c}); err != nil {
		c.fail("%v", err)
	}
}

// run runs the stream and compares.
func (u *rollup) run() (windows, revised int, err error) {
	tasks := make([]*chain, u.tasks)
	for i := range tasks {
		if tasks[i] = newChain(u); tasks[i].err != nil {
			return 0, 0, tasks[i].err
		}
	}
	play(u.trial, tasks)
	got := map[string]*outcome{}
	for _, c := range tasks {
		if c.err != nil {
			return 0, 0, c.err
		}
		for k, v := range c.got {
			got[k] = v
			revised += int(min(1, v.revision))
		}
	}
	windows, err = u.compare(got)
	return windows, revised, err
}

// compare holds the latest revisions against windows over windows over all rows.
func (u *rollup) compare(got map[string]*outcome) (windows int, err error) {
	byDevice := make([][]event, u.devices)
	for _, e := range u.events {
		if !e.tick && !e.hidden {
			byDevice[e.device] = append(byDevice[e.device], e)
		}
	}
	groups := map[string][]event{}
	for d, rows := range byDevice {
		name := fmt.Sprint("d", d)
		if u.all {
			name = ""
		}
		for _, f := range u.bruteForce(rows) {
			v := f.values()
			row := event{t: f.end - 1, mark: int64(len(f.rows))} // mark: how many rows are in it
			row.temp, row.hasTemp = v["hi"].(float64)
			row.code = slices.MaxFunc(f.rows, func(a, b event) int { return cmp.Compare(a.code, b.code) }).code
			groups[name] = append(groups[name], row)
		}
	}
	for name, rows := range groups {
		for _, f := range u.then.bruteForce(rows) {
			windows++
			key := fmt.Sprint(name, " ", float64(f.start)/1e6)
			o := got[key]
			delete(got, key)
			if o == nil || !o.final {
				return windows, fmt.Errorf("window %s of %d rows: %+v", key, len(f.rows), o)
			}
			want, n := f.values(), int64(0)
			for _, r := range f.rows {
				n += r.mark
			}
			if o.values["rows_"] != n {
				return windows, fmt.Errorf("window %s has %v rows, want %d", key, o.values["rows_"], n)
			}
			for _, a := range u.names {
				if now, ok := o.values[a]; ok && a != "total_" && !alike(a, now, want[a], n) {
					return windows, fmt.Errorf("window %s: %s is %v, want %v", key, a, now, want[a])
				}
			}
		}
	}
	for key, o := range got {
		return windows, fmt.Errorf("window %s is too many: %+v", key, o)
	}
	return windows, nil
}

// TestOracleLatest compares windows over the latest revisions of windows with what a person would compute of all
// rows: 250 random streams of up to 50 devices and 2,000 rows, and 2 of 10,000 devices.
func TestOracleLatest(t *testing.T) {
	seeds, last := uint64(250), uint64(252)
	if testing.Short() {
		seeds, last = 60, 60
	}
	var windows, revised atomic.Int64
	eachSeed(t, last, func(seed uint64) {
		u := newRollup(seed, seed > seeds)
		n, again, err := u.run()
		windows.Add(int64(n))
		revised.Add(int64(again))
		if err != nil {
			t.Errorf("seed %d, %d rows of %d devices, %d tasks: %v\n%s\n%s", seed, len(u.events), u.devices, u.tasks, err, u.firsts, u.tail)
		}
	})
	t.Logf("%d windows, %d of them revised", windows.Load(), revised.Load())
	if !t.Failed() && *oracleSeed == 0 && revised.Load() < 10*int64(seeds) {
		t.Error("hardly a revision: this check cannot fail")
	}
}

// TestLatestForgets: rows are kept as long as revisions of them come, and no longer.
func TestLatestForgets(t *testing.T) {
	schema := flow.NewSchema([]arrow.Field{{Name: "device", Type: arrow.BinaryTypes.String},
		{Name: "window_start", Type: flow.Timestamp}, {Name: "n", Type: arrow.PrimitiveTypes.Float64}})
	for _, c := range []struct {
		spec stage.Spec
		args string
	}{
		{Tumbling(), `every = "10m"`}, {Sliding(), "size = \"30m\"\nevery = \"10m\""},
	} {
		t.Run(c.spec.Type, func(t *testing.T) {
			second := link{spec: c.spec, in: schema, args: c.args + "\nby = [device]\nkeep = \"20m\"\nrevisions = \"latest\"\nemit = { n = sum(n) }\n",
				with: func(at *stage.At) {
					at.Revised = []*stage.Revised{{By: []string{"device", "window_start"}, Fixed: []string{"device", "window_start"}, Every: minute, Keep: 20 * minute}}
				}}
			second.open(func(why string) { t.Fatal(why) })
			kept := second.tables[len(second.tables)-1]
			b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
			row := func(at int64) {
				b.Field(0).(*array.Int64Builder).Append(at)
				b.Field(1).(*array.Int32Builder).Append(0)
				b.Field(2).(*array.TimestampBuilder).Append(arrow.Timestamp(at * minute))
				b.Field(3).(*array.TimestampBuilder).Append(arrow.Timestamp(at*minute - 1))
				b.Field(4).(*array.Uint32Builder).Append(0)
				b.Field(5).(*array.Int64Builder).Append(at*minute - 1)
				b.Field(6).(*array.StringBuilder).Append("a")
				b.Field(7).(*array.TimestampBuilder).Append(arrow.Timestamp((at - 1) * minute))
				b.Field(8).(*array.Float64Builder).Append(float64(at))
			}
			most := 0
			for at := int64(1); at <= day; at++ {
				if row(at); at > 7 && at%7 == 0 {
					row(at - 5)
				}
				rows := b.NewRecordBatch()
				if err := second.stage.Process(0, rows, nowhere{}); err != nil {
					t.Fatal(err)
				}
				rows.Release()
				most = max(most, kept.Len())
			}
			if most < 20 || most > 80 {
				t.Errorf("%d rows are kept", most)
			}
		})
	}
}

// nowhere takes what is emitted.
type nowhere struct{}

func (nowhere) Emit(rows arrow.RecordBatch) { rows.Release() }
