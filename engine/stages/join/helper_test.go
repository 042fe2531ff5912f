package join

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/tidemill/tidemill/engine/carry"
	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/expr"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/state"
)

// row is a row of one of two inputs: of the first with a device and a value, of the second with a
// dev and a limit. key "" is null.
type row struct {
	in       int
	key      string
	time     int64 // s
	value    int64
	received int64 // s
	tick     bool  // no row: a tick at received
	hidden   bool  // a row that a filter dropped: it moves its key's watermark
	end      bool
	offset   int64
	mark     int64 // us; filled in
}

const second = 1_000_000

func schemas() [2]*arrow.Schema {
	make := func(key, value string) *arrow.Schema {
		return flow.NewSchema([]arrow.Field{{Name: key, Type: arrow.BinaryTypes.String, Nullable: true}, {Name: value, Type: arrow.PrimitiveTypes.Int64, Nullable: true},
			{Name: value + "_text", Type: arrow.BinaryTypes.String, Nullable: true}, {Name: value + "s", Type: arrow.ListOf(arrow.PrimitiveTypes.Int64), Nullable: true}})
	}
	return [2]*arrow.Schema{make("device", "value"), make("dev", "lim")}
}

func bindText(spec stage.Spec, body string, change func(*stage.At)) (stage.Bound, hcl.Diagnostics) {
	file, diags := hclsyntax.ParseConfig([]byte(body), "args", hcl.InitialPos)
	if diags.HasErrors() {
		return stage.Bound{}, diags
	}
	args := spec.Args()
	if diags := config.DecodeBody(file.Body, args, nil); diags.HasErrors() {
		return stage.Bound{}, diags
	}
	s := schemas()
	at := stage.At{Address: "pipeline.test.join.it", Inputs: []string{"rule.a", "channel.b"}, Keys: []string{"device", "dev"},
		Range: hcl.Range{Filename: "args", Start: hcl.InitialPos, End: hcl.InitialPos}, Channel: &config.Channel{Name: "t", Key: "device", Partitions: 4},
		Scope: func(i int) *expr.Scope { return &expr.Scope{Schema: s[i], What: "it"} }}
	if change != nil {
		change(&at)
	}
	return args.Bind(s[:], at)
}

// bench is a stage at work over events, cut and restarted as a seed says.
type bench struct {
	t       testing.TB
	r       *rand.Rand
	spec    stage.Spec
	body    string
	change  func(*stage.At)
	mem     *memory.CheckedAllocator
	bound   stage.Bound
	stage   stage.Stage
	tables  []*state.Table
	chains  [][]*state.Snapshot
	slots   map[string]uint32
	marks   map[uint32]*[2]int64
	shared  bool // both inputs have one watermark: they come from one channel
	cut     int  // about how many rows a batch has
	lives   int  // it is restarted after one in so many batches; 0: never
	lines   []string
	rejects []string
	counts  map[string]int64
}

func newBench(t testing.TB, spec stage.Spec, body string, seed uint64, change func(*stage.At)) *bench {
	t.Helper()
	b := &bench{t: t, r: rand.New(rand.NewPCG(seed, 11)), spec: spec, body: body, change: change, cut: 4, lives: 5, mem: memory.NewCheckedAllocator(memory.DefaultAllocator),
		slots: map[string]uint32{}, marks: map[uint32]*[2]int64{}, counts: map[string]int64{}}
	b.bind()
	for _, d := range b.bound.State {
		b.tables = append(b.tables, state.New(d))
	}
	b.chains = make([][]*state.Snapshot, len(b.tables))
	b.open()
	return b
}

func (b *bench) bind() {
	bound, diags := bindText(b.spec, b.body, b.change)
	if diags.HasErrors() {
		b.t.Fatal(diags)
	}
	b.bound = bound
}

func (b *bench) open() {
	st, err := b.bound.OpenStage(stage.Opening{Env: env.NewSim(1).Env(), Alloc: b.mem, Tables: b.tables,
		Reject: func(r stage.Reject) {
			b.rejects = append(b.rejects, fmt.Sprintf("%d %s", flow.Offsets(r.Rows)[r.Row], r.Reason))
		},
		Count: func(name string, n int64) { b.counts[name] += n }})
	b.must(err)
	b.stage = st
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// restart goes on with another stage over tables that were written and read.
func (b *bench) restart() {
	for i, t := range b.tables {
		s, err := state.DecodeSnapshot(t.Snapshot(b.r.IntN(3) == 0).AppendTo(nil))
		b.must(err)
		b.chains[i] = append(b.chains[i], s)
	}
	if b.r.IntN(2) == 0 {
		return
	}
	b.must(b.stage.Close())
	for i := range b.tables {
		t, err := state.Restore(b.bound.State[i], b.chains[i]...)
		b.must(err)
		b.tables[i] = t
	}
	b.bind()
	b.open()
}

// Emit takes what the stage sends.
func (b *bench) Emit(rows arrow.RecordBatch) {
	if !rows.Schema().Equal(b.bound.Out) {
		b.t.Errorf("rows of schema %s; bound was %s", rows.Schema(), b.bound.Out)
	}
	e := flow.NewJSONEncoder(rows.Schema(), false)
	for i := range int(rows.NumRows()) {
		if m, t := flow.Marks(rows)[i], int64(flow.Times(rows)[i]); m > t && b.bound.Lag > 0 {
			b.t.Errorf("a row of time %d goes out behind watermark %d", t, m)
		}
		b.lines = append(b.lines, fmt.Sprintf("%d %d %s", flow.Offsets(rows)[i], flow.Indexes(rows)[i], e.AppendRow(nil, rows, i)))
	}
	rows.Release()
}

// batch makes rows of one input.
func (b *bench) batch(events []row) arrow.RecordBatch {
	s := schemas()[events[0].in]
	var meta carry.Meta
	cols := []*carry.Column{}
	for _, f := range flow.UserFields(s) {
		cols = append(cols, carry.NewColumn(f.Type))
	}
	list := array.NewListBuilder(memory.DefaultAllocator, arrow.PrimitiveTypes.Int64)
	defer list.Release()
	for _, e := range events {
		meta.Add(e.offset, 0, e.received*second, e.time*second, b.slots[e.key], e.mark)
		if e.key == "" {
			cols[0].Null()
		} else {
			cols[0].Text([]byte(e.key))
		}
		if e.value%7 == 0 {
			cols[1].Null()
		} else {
			cols[1].Fixed(uint64(e.value))
		}
		cols[2].Text(fmt.Appendf(nil, "v%d", e.value))
		list.Append(true)
		list.ValueBuilder().(*array.Int64Builder).AppendValues([]int64{e.value, e.value + 1}, nil)
	}
	lists := list.NewArray()
	defer lists.Release()
	for i := range events {
		cols[3].From(lists, i)
	}
	return meta.Rows(s, carry.Finish(cols))
}

// fill gives the rows slots and watermarks in the order in which they came.
func (b *bench) fill(events []row) {
	for i := range events {
		e := &events[i]
		if e.tick || e.end {
			continue
		}
		slot, ok := b.slots[e.key]
		if !ok {
			slot = uint32(len(b.slots))
			b.slots[e.key], b.marks[slot] = slot, &[2]int64{flow.NoMark, flow.NoMark}
		}
		m := b.marks[slot]
		m[e.in] = max(m[e.in], e.time*second)
		if b.shared {
			m[1-e.in] = m[e.in]
		}
		if e.mark = m[e.in]; e.hidden {
			e.mark = min(m[0], m[1])
		}
	}
}

// run gives the stage the events, those of one input that follow each other in batches of any size.
func (b *bench) run(events []row) {
	b.fill(events)
	noRow := func(e row) bool { return e.tick || e.end || e.hidden }
	for i := 0; i < len(events); {
		e := events[i]
		if noRow(e) {
			for in := range 2 {
				marks := flow.Watermarks{Tick: e.received * second, Ticked: e.tick, Ended: e.end}
				if e.hidden { // what is told of a key holds for both inputs
					marks = flow.Watermarks{Keys: []flow.KeyMark{{Slot: b.slots[e.key], Time: e.mark}}}
				}
				b.must(b.stage.Advance(in, marks, b))
			}
			i++
			continue
		}
		n := 1
		for i+n < len(events) && !noRow(events[i+n]) && b.r.IntN(b.cut) > 0 && (b.shared || events[i+n].in == e.in) {
			n++
		}
		block := events[i : i+n]
		for in := range 2 {
			of := slices.DeleteFunc(slices.Clone(block), func(r row) bool { return r.in != in })
			if len(of) > 0 {
				rows := b.batch(of)
				b.must(b.stage.Process(in, rows, b))
				rows.Release()
			}
		}
		if b.shared {
			for in := range 2 {
				b.must(b.stage.Advance(in, flow.Watermarks{}, b))
			}
		}
		if i += n; b.lives > 0 && b.r.IntN(b.lives) == 0 {
			b.restart()
		}
	}
	b.must(b.stage.Close())
	b.mem.AssertSize(b.t, 0)
}

// stream makes events of some devices: disorder, duplicates, revisions, gaps, rows that a filter dropped, ticks.
// About as many rows of an input follow each other as burst says.
func stream(r *rand.Rand, n, devices, burst int) []row {
	out := make([]row, 0, n)
	now, in, clocks := int64(1000), 0, make([]int64, devices+1)
	for range n {
		now += int64(r.IntN(2))
		if r.IntN(12) == 0 {
			out = append(out, row{tick: true, received: now})
			continue
		}
		if r.IntN(burst) == 0 {
			in = r.IntN(2)
		}
		d := r.IntN(devices)
		e := row{in: in, key: fmt.Sprint("d", d), value: int64(r.IntN(1000)), received: now, hidden: r.IntN(15) == 0}
		if r.IntN(25) == 0 {
			d, e.key = devices, ""
		}
		if clocks[d] == 0 {
			clocks[d] = 1000
		}
		clocks[d] += int64(r.IntN(8))
		if r.IntN(30) == 0 {
			clocks[d] += int64(r.IntN(200))
		}
		e.time = clocks[d] - int64(r.IntN(2)*r.IntN(25))
		out = append(out, e)
		if again := &out[len(out)-1-r.IntN(min(len(out), 20))]; r.IntN(10) == 0 && !again.tick {
			e = *again // a duplicate, or the same row with what is known better now
			if e.received = now; r.IntN(2) == 0 {
				e.value = int64(r.IntN(1000))
			}
			out = append(out, e)
		}
	}
	for i := range out {
		out[i].offset = int64(i)
	}
	return out
}
