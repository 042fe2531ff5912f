package window

import (
	"flag"
	"fmt"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
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

var (
	oracleSeeds = flag.Uint64("oracle-seeds", 1000, "random streams of each kind of window, and five of 10,000 devices; 100 with -short")
	oracleSeed  = flag.Uint64("oracle-seed", 0, "this stream alone")
)

func specOf(k kind) stage.Spec {
	return [...]func() stage.Spec{Tumbling, Sliding, Session, Count, State}[k]()
}

// task is one stage instance over the devices that are dealt to it.
type oracleTask struct {
	*trial
	bound  stage.Bound
	stage  stage.Stage
	tables []*state.Table
	chains [][]*state.Snapshot
	build  *array.RecordBuilder
	first  int64 // offset of the next row
	slots  map[int]uint32
	told   map[uint32]int64
	marks  []flow.KeyMark
	got    map[string]*outcome
	rings  int // windows of panes that go round
	err    error
}

// outcome is the latest revision of a window.
type outcome struct {
	revision int64
	final    bool
	empty    bool
	duration float64
	values   map[string]any
}

func (o *oracleTask) fail(format string, args ...any) {
	if o.err == nil {
		o.err = fmt.Errorf(format, args...)
	}
}

func (o *oracleTask) open() {
	bound, diags := stagetest.Bind(specOf(o.kind), []byte(o.args), streamSchema(), "device", 4)
	if diags.HasErrors() {
		o.fail("%v\n%s", diags, o.args)
		return
	}
	o.bound = bound
	for i, d := range bound.State {
		if len(o.tables) <= i {
			o.tables, o.chains = append(o.tables, state.New(d)), append(o.chains, nil)
		}
	}
	st, err := bound.OpenStage(stage.Opening{Alloc: memory.DefaultAllocator, Tables: o.tables, Address: "window.it",
		Reject: func(r stage.Reject) { o.fail("a reject: %s", r.Reason) }, Count: func(string, int64) {}})
	if err != nil {
		o.fail("%v", err)
	}
	o.stage = st
}

func (o *oracleTask) mayCrash() {
	if o.crashes && o.r.IntN(4) == 0 && o.err == nil {
		o.crash()
	}
}

// crash goes on with a stage over what snapshots give back.
func (o *oracleTask) crash() {
	for i, t := range o.tables {
		s, err := state.DecodeSnapshot(t.Snapshot(len(o.chains[i]) == 0 || o.r.IntN(3) == 0).AppendTo(nil))
		if err != nil {
			o.fail("%v", err)
			return
		}
		o.chains[i] = append(o.chains[i], s)
	}
	if o.r.IntN(2) == 0 {
		return
	}
	if err := o.stage.Close(); err != nil {
		o.fail("%v", err)
	}
	for i := range o.tables {
		t, err := state.Restore(o.bound.State[i], o.chains[i]...)
		if err != nil {
			o.fail("%v", err)
			return
		}
		o.tables[i] = t
	}
	o.open()
}

func (o *oracleTask) slot(device int) uint32 {
	s, ok := o.slots[device]
	if !ok {
		s = uint32(len(o.slots))
		o.slots[device] = s
	}
	return s
}

func (o *oracleTask) take(e event) {
	slot := o.slot(e.device)
	o.marks = append(o.marks, flow.KeyMark{Slot: slot, Time: e.mark})
	if e.hidden {
		return
	}
	b := o.build
	b.Field(0).(*array.Int64Builder).Append(o.first)
	o.first++
	b.Field(1).(*array.Int32Builder).Append(0)
	b.Field(2).(*array.TimestampBuilder).Append(arrow.Timestamp(e.received))
	b.Field(3).(*array.TimestampBuilder).Append(arrow.Timestamp(e.t))
	b.Field(4).(*array.Uint32Builder).Append(slot)
	b.Field(5).(*array.Int64Builder).Append(e.mark)
	b.Field(6).(*array.StringBuilder).Append(fmt.Sprint("d", e.device))
	if e.hasTemp {
		b.Field(7).(*array.Float64Builder).Append(e.temp)
	} else {
		b.Field(7).AppendNull()
	}
	b.Field(8).(*array.StringBuilder).Append(e.code)
	if e.on < 0 {
		b.Field(9).AppendNull()
	} else {
		b.Field(9).(*array.BooleanBuilder).Append(e.on == 1)
	}
	b.Field(10).(*array.TimestampBuilder).Append(arrow.Timestamp(e.t))
}

func (o *oracleTask) flush(marks flow.Watermarks) {
	if o.err != nil {
		return
	}
	rows := o.build.NewRecordBatch()
	defer rows.Release()
	if rows.NumRows() > 0 {
		if err := o.stage.Process(0, rows, o); err != nil {
			o.fail("%v", err)
		}
	}
	for _, k := range o.marks {
		if old, ok := o.told[k.Slot]; !ok || k.Time > old {
			o.told[k.Slot] = k.Time
			marks.Keys = append(marks.Keys, k)
		}
	}
	o.marks = o.marks[:0]
	if err := stage.AdvanceWhole(o.stage, 0, marks, o); err != nil {
		o.fail("%v", err)
	}
}

// Emit keeps the latest revision of each window.
func (o *oracleTask) Emit(rows arrow.RecordBatch) {
	defer rows.Release()
	if w, ok := o.stage.(*window); ok {
		for i := range w.queue {
			if w.queue[i].ring {
				o.rings++
			}
		}
	}
	col := func(name string) arrow.Array { return rows.Column(rows.Schema().FieldIndices(name)[0]) }
	starts, ends := col("window_start").(*array.Timestamp), col("window_end").(*array.Timestamp)
	device, revision, final := col("device").(*array.String), col("revision").(*array.Int64), col("final").(*array.Boolean)
	for i := range int(rows.NumRows()) {
		key := fmt.Sprint(device.Value(i), " ", int64(starts.Value(i)))
		if o.kind == counting {
			key = fmt.Sprint(device.Value(i), " #", col("number").(*array.Int64).Value(i))
		}
		now := o.got[key]
		if now == nil {
			now = &outcome{revision: -1, values: map[string]any{}}
			o.got[key] = now
		}
		if *oracleSeed != 0 {
			fmt.Println(key, revision.Value(i), final.Value(i), int64(ends.Value(i)), valueAt(col("total_"), i))
		}
		again := o.kind == session && (o.drop || o.keep > 0) && revision.Value(i) == 0 // a session that is gone began there too
		if revision.Value(i) != now.revision+1 && !again {
			o.fail("window %s has revision %d after %d", key, revision.Value(i), now.revision)
		}
		rows := valueAt(col("total_"), i)
		if o.kind == holding && rows == int64(0) && (now.revision < 0 || now.values["total_"] == rows) {
			o.fail("window %s is taken back, revision %d, though it was not there", key, revision.Value(i))
		}
		now.revision, now.final, now.empty = revision.Value(i), final.Value(i), starts.Value(i) == ends.Value(i)
		if o.kind == session || o.kind == holding {
			now.duration = col("duration").(*array.Float64).Value(i)
		}
		clear(now.values)
		now.values["end"] = int64(ends.Value(i))
		now.values["start"] = int64(starts.Value(i))
		for _, name := range o.names {
			now.values[name] = valueAt(col(name), i)
		}
		now.values["total_"] = rows
	}
}

func valueAt(a arrow.Array, i int) any {
	if a.IsNull(i) {
		return nil
	}
	switch a := a.(type) {
	case *array.Int64:
		return a.Value(i)
	case *array.Float64:
		return a.Value(i)
	case *array.String:
		return strings.Clone(a.Value(i))
	case *array.Timestamp:
		return float64(a.Value(i)) / 1e6
	case *array.List:
		from, to := a.ValueOffsets(i)
		var out []string
		for k := from; k < to; k++ {
			out = append(out, a.ListValues().ValueStr(int(k)))
		}
		return fmt.Sprint(out)
	}
	panic("BUG: " + a.DataType().String())
}

// player is what takes a part of a stream: a task, or stages one behind the other.
type player interface {
	take(event)
	flush(flow.Watermarks) // what was taken, and then these
	mayCrash()             // where the trial has crashes, now and then
}

// play gives a stream to tasks up to its end, in pieces that are cut anywhere.
func play[P player](x *trial, tasks []P) {
	cut := 1 + x.r.IntN(300)
	if x.devices > 1000 {
		cut = 2000 // a snapshot of so many costs more than rows
	}
	for _, e := range x.events {
		if e.tick {
			for _, o := range tasks {
				o.flush(flow.Watermarks{})
				o.flush(flow.Watermarks{Tick: e.t, Ticked: true})
			}
			continue
		}
		o := tasks[e.device%x.tasks]
		o.take(e)
		if x.r.IntN(cut) == 0 {
			o.flush(flow.Watermarks{})
			o.mayCrash()
		}
	}
	for _, o := range tasks {
		o.flush(flow.Watermarks{})
		o.flush(flow.Watermarks{Ended: true})
	}
}

// run runs the stream and compares.
func (x *trial) run() (windows int, err error) {
	tasks := make([]*oracleTask, x.tasks)
	for i := range tasks {
		tasks[i] = &oracleTask{trial: x, slots: map[int]uint32{}, told: map[uint32]int64{}, got: map[string]*outcome{}, build: array.NewRecordBuilder(memory.DefaultAllocator, streamSchema())}
		tasks[i].open()
	}
	play(x, tasks)
	got := map[string]*outcome{}
	for _, o := range tasks {
		if o.err != nil {
			return 0, o.err
		}
		x.rings += o.rings
		for k, v := range o.got {
			got[k] = v
		}
		if err := o.stage.Close(); err != nil {
			return 0, err
		}
	}
	return x.compare(got)
}

func (x *trial) compare(got map[string]*outcome) (windows int, err error) {
	byDevice := make([][]event, x.devices)
	for _, e := range x.events {
		if !e.tick && !e.hidden {
			byDevice[e.device] = append(byDevice[e.device], e)
		}
	}
	for d, rows := range byDevice {
		all := x.bruteForce(rows)
		starts := map[int64]int{}
		for _, f := range all {
			starts[f.start]++
		}
		for _, f := range all {
			windows++
			if x.kind == session && starts[f.start] > 1 {
				delete(got, fmt.Sprint("d", d, " ", f.start))
				continue
			}
			key := fmt.Sprint("d", d, " ", f.start)
			if x.kind == counting {
				key = fmt.Sprint("d", d, " #", f.number)
			}
			o := got[key]
			delete(got, key)
			if o == nil || o.empty != (f.start == f.end) {
				return windows, fmt.Errorf("window %s of %d rows is missing: %+v", key, len(f.rows), o)
			}
			if !o.final || o.values["end"] != f.end || o.values["start"] != f.start || o.duration != f.duration {
				return windows, fmt.Errorf("window %s is %+v, want %+v", key, o, f)
			}
			want := f.values()
			if *oracleSeed != 0 {
				fmt.Println(key, f.start, f.end, o.values, want, o.revision)
			}
			for _, name := range x.names {
				if !alike(name, o.values[name], want[name], int64(len(f.rows))) {
					return windows, fmt.Errorf("window %s: %s is %v, want %v", key, name, o.values[name], want[name])
				}
			}
		}
	}
	for key, o := range got {
		if !o.empty {
			return windows, fmt.Errorf("window %s is too many: %+v", key, o)
		}
	}
	return windows, nil
}

// alike compares a value with what it should be: floats to 1e-9, a 90th percentile to 1 % of the value at
// the nearest rank, the rest exactly.
func alike(name string, got, want any, n int64) bool {
	if name == "total_" {
		return got == n
	}
	if temps, ok := want.([]float64); ok {
		v, ok := got.(float64)
		t := temps[(9*len(temps)+9)/10-1]
		return ok && math.Abs(t-v) <= 0.010001*math.Abs(t)
	}
	g, gok := got.(float64)
	w, wok := want.(float64)
	if gok && wok {
		return math.Abs(g-w) <= 1e-9*max(1, math.Abs(g), math.Abs(w))
	}
	return got == want
}

// lastSeed is that of the last trial. Those behind oracleSeeds are big.
func lastSeed() uint64 {
	if testing.Short() {
		*oracleSeeds = min(*oracleSeeds, 100)
		return *oracleSeeds
	}
	return *oracleSeeds + bigTrials
}

// TestMain lets garbage lie: small streams make much of it, nothing stays, and collecting it was a third of the tests' work.
func TestMain(m *testing.M) {
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(512 << 20)
	os.Exit(m.Run())
}

// eachSeed calls check with the seeds up to last on all processors until one fails, or with the one that is asked for.
func eachSeed(t *testing.T, last uint64, check func(seed uint64)) {
	if *oracleSeed != 0 {
		check(*oracleSeed)
		return
	}
	var next atomic.Uint64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for seed := next.Add(1); seed <= last && !t.Failed(); seed = next.Add(1) {
				check(seed)
			}
		})
	}
	wg.Wait()
}

// TestOracle compares random streams with what a person would compute. Each of the five kinds has 1,000 of up to 50 devices and 2,000
// rows, and 5 of 10,000 devices, at 1, 2 and 4 tasks, half of them with crashes; so has each join (stages/join), and two
// phases have 600 and 5 (phases_test.go).
func TestOracle(t *testing.T) {
	last := lastSeed()
	for k, name := range []string{"tumbling", "sliding", "session", "count", "state"} {
		t.Run(name, func(t *testing.T) {
			var windows, rings atomic.Int64
			eachSeed(t, last, func(seed uint64) {
				x := newTrial(kind(k), seed, seed > *oracleSeeds, kind(k) == sliding && seed%3 == 0)
				n, err := x.run()
				windows.Add(int64(n))
				rings.Add(int64(x.rings))
				if err != nil {
					t.Errorf("seed %d, %d rows of %d devices, %d tasks: %v\n%s", seed, len(x.events), x.devices, x.tasks, err, x.args)
				}
			})
			t.Logf("%d windows, %d of rings", windows.Load(), rings.Load())
			if !t.Failed() && windows.Load() < int64(*oracleSeeds) && *oracleSeed == 0 {
				t.Error("hardly a window: this check cannot fail")
			}
			if !t.Failed() && kind(k) == sliding && rings.Load() < int64(*oracleSeeds) && *oracleSeed == 0 {
				t.Error("hardly a ring: this check cannot fail")
			}
		})
	}
}
