package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/expr"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/run"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/stages"
	"github.com/tidemill/tidemill/engine/state"
)

const (
	windowsWork   = "WINDOWS"
	joinsWork     = "JOINS"
	windowsPeriod = 30_000_000 // us between two rows of a device
	windowsHour   = 120        // rows of each device in an hour: a sliding window does once an hour what others do all the time
	windowsWarm   = 2          // hours before
	aloneRounds   = 20         // rows of each device in a run of another stage
	aloneWarm     = 7          // runs before
	aloneBatch    = 4096
	// aloneHeld is about how many rows are held in memory: more keys have fewer rounds, which come again.
	aloneHeld = 400_000
	// manyTimes as many devices as --devices says are the other size that is measured: a million of 8,000.
	manyTimes = 125
)

// windowKinds are the windows that are measured, and their arguments. What a record costs depends on how many results
// there are for it: "tumbling" has one for ten records, "tumbling 1h" one for 120, and "tumbling 1m" as many as
// the sliding window, one for two.
func windowKinds() [][2]string {
	return [][2]string{
		{"tumbling", `every = "5m"`},
		{"tumbling 1h", `every = "1h"`},
		{"tumbling 1m", `every = "1m"`},
		{"sliding", "size = \"1h\"\nevery = \"1m\"\nkeep = \"1m\""},
		{"session", `gap = "1m"`},
		{"count", `size = 10`},
		{"state", `while = temp > 40`},
	}
}

// windows measures each kind of window alone, in this process: a line each, with the
// memory of its tables; and with many keys. It returns the last.
func (b *bencher) windows(r *benchResult) (*benchResult, error) {
	var runs []alone
	for _, many := range []bool{false, true} {
		for _, k := range windowKinds() {
			kind, _, _ := strings.Cut(k[0], " ")
			if many && k[0] == "tumbling 1m" { // sixty panes a key, as sliding has
				continue
			}
			runs = append(runs, alone{name: k[0], many: many, kind: "window", typ: kind, body: "by = [device]\nemit = { a = avg(temp) }\n" + k[1] + "\n",
				period: windowsPeriod, inputs: 1, rounds: windowsHour})
			if many && kind == "sliding" { // a task may hold the panes of 597,000 keys: this is one of two partitions
				runs[len(runs)-1].part = 2
			}
		}
	}
	return b.alone(r, runs)
}

// alone is a stage that is measured by itself.
type alone struct {
	name            string
	many            bool
	part            int // of many keys: in how many partitions they are, of which one is measured
	keys            int
	kind, typ, body string
	period          int64 // us between two rows of a key
	inputs          int
	// view says that the second input is taken once, before, and only the first is measured.
	view bool
	// rounds is how many rows of each key make a run, if not aloneRounds.
	rounds int
}

func (a *alone) roundsOfRun() int {
	if a.rounds > 0 {
		return a.rounds
	}
	return aloneRounds
}

// alone measures stages, prints all results but the last, and returns that.
func (b *bencher) alone(r *benchResult, runs []alone) (*benchResult, error) {
	for i := range runs {
		one := *r
		if runs[i].keys = r.Devices; runs[i].many {
			runs[i].keys *= manyTimes
			runs[i].keys /= max(1, runs[i].part)
		}
		one.Workload, one.Devices, one.Records = runs[i].name, runs[i].keys, int64(runs[i].roundsOfRun()*runs[i].keys)
		if err := b.measureAlone(&one, &runs[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", runs[i].name, err)
		}
		if i == len(runs)-1 {
			return &one, nil
		}
		if err := b.print(&one); err != nil {
			return nil, err
		}
	}
	return nil, errors.New("there is nothing to measure")
}

func (b *bencher) measureAlone(r *benchResult, a *alone) error {
	all := a.roundsOfRun()
	rounds := min(all, max(2, aloneHeld/a.keys/2*2))
	for all%rounds != 0 {
		rounds -= 2
	}
	batches, ins := a.rows(rounds)
	st, tables, err := a.open()
	if err != nil {
		return err
	}
	out := &taker{}
	pass := func() (cpu float64, err error) {
		for done := 0; done < all; done += rounds {
			for i, rows := range batches {
				near(rows)
				before := cpuTime()
				if err := st.Process(ins[i], rows, out); err != nil {
					return 0, err
				}
				cpu += float64(cpuTime() - before)
			}
			for _, rows := range batches { // the same rows, later
				times, marks, offsets := flow.Times(rows), flow.Marks(rows), flow.Offsets(rows)
				for i := range times {
					offsets[i] += int64(rounds * a.keys)
					times[i] += arrow.Timestamp(int64(rounds) * a.period)
					marks[i] += int64(rounds) * a.period
				}
			}
		}
		return cpu / float64(all*a.keys), nil
	}
	var times []float64
	warm, runs := aloneWarm, 2*b.runs+1
	switch {
	case a.rounds > 0 && a.many && a.typ == "sliding": // its panes go round after two hours; getting there takes a part of the third
		warm, runs = windowsWarm+1, 1
	case a.rounds > 0 && a.many: // an hour of a million keys is 120 million records
		warm, runs = 1, 1
	case a.rounds > 0:
		warm = windowsWarm
	case a.many:
		warm, runs = 1, b.runs
	}
	for i := range warm + runs {
		if i == warm {
			out.rows = 0
		}
		cpu, err := pass()
		if err != nil {
			return err
		}
		if i >= warm {
			times = append(times, cpu)
		}
	}
	slices.Sort(times)
	r.CPU = times[len(times)/2]
	r.RowsAlone = out.alone() * float64(out.rows) / float64(runs*all*a.keys)
	for _, t := range tables {
		r.RSS += float64(t.MemoryBytes()) / 1e6
	}
	if s, ok := st.(stage.Sized); ok {
		r.RSS += float64(s.MemoryBytes()) / 1e6
	}
	r.Wall, r.PerKey = r.CPU, r.RSS*1e6/float64(a.keys)
	return st.Close()
}

// near brings the columns of a batch into the caches, where the stage before has left them in a pipeline.
func near(rows arrow.RecordBatch) (sum byte) {
	const line = 64
	for _, c := range rows.Columns() {
		for _, b := range c.Data().Buffers() {
			if b != nil {
				for i := 0; i < b.Len(); i += line {
					sum ^= b.Bytes()[i]
				}
			}
		}
	}
	return sum
}

// taker counts rows, drops them and keeps the largest batch.
type taker struct {
	rows    int64
	largest arrow.RecordBatch
}

func (t *taker) Emit(rows arrow.RecordBatch) {
	t.rows += rows.NumRows()
	if t.largest != nil && t.largest.NumRows() >= rows.NumRows() {
		rows.Release()
		return
	}
	if t.largest != nil {
		t.largest.Release()
	}
	t.largest = rows
}

// alone is what it costs to write a row of the largest batch, ns, when its columns lie ready in the caches and are only copied to
// new ones, which are released: no way to make such rows costs less. It lets the batch go.
func (t *taker) alone() float64 {
	if t.largest == nil {
		return 0
	}
	defer t.largest.Release()
	const times = 200
	alloc, before := run.Buffers(), cpuTime()
	for range times {
		cols := make([]arrow.Array, 0, t.largest.NumCols())
		for _, c := range t.largest.Columns() {
			cols = append(cols, copied(c.Data(), alloc))
		}
		rows := array.NewRecordBatch(t.largest.Schema(), cols, t.largest.NumRows())
		for _, c := range cols {
			c.Release()
		}
		rows.Release()
	}
	return float64(cpuTime()-before) / float64(times*t.largest.NumRows())
}

// copied is a column of values that lie side by side, or of texts, in new buffers.
func copied(d arrow.ArrayData, alloc memory.Allocator) arrow.Array {
	bufs := make([]*memory.Buffer, len(d.Buffers()))
	for i, b := range d.Buffers() {
		if b != nil {
			bufs[i] = memory.NewResizableBuffer(alloc)
			bufs[i].Resize(b.Len())
			copy(bufs[i].Bytes(), b.Bytes())
			defer bufs[i].Release()
		}
	}
	own := array.NewData(d.DataType(), d.Len(), bufs, nil, d.NullN(), 0)
	defer own.Release()
	return array.MakeFromData(own)
}

// forgetful takes rows and drops them.
type forgetful struct{}

func (*forgetful) Emit(rows arrow.RecordBatch) { rows.Release() }

// schemas are those of the inputs.
func (a *alone) schemas() []*arrow.Schema {
	var out []*arrow.Schema
	for _, value := range []string{"temp", "rpm"}[:a.inputs] {
		out = append(out, flow.NewSchema([]arrow.Field{{Name: "device", Type: arrow.BinaryTypes.String}, {Name: value, Type: arrow.PrimitiveTypes.Float64}}))
	}
	return out
}

// open binds and opens the stage as a pipeline would.
func (a *alone) open() (stage.Stage, []*state.Table, error) {
	all, in := stages.Builtin(), a.schemas()
	spec := all[slices.IndexFunc(all, func(s stage.Spec) bool { return s.Kind == a.kind && s.Type == a.typ })]
	file, diags := hclsyntax.ParseConfig([]byte(a.body), "bench", hcl.InitialPos)
	if diags.HasErrors() {
		return nil, nil, diags
	}
	args := spec.Args()
	if diags = config.DecodeBody(file.Body, args, nil); diags.HasErrors() {
		return nil, nil, diags
	}
	bound, diags := args.Bind(in, stage.At{
		Address: a.kind + ".bench", Inputs: []string{"channel.bench", "channel.more"}[:len(in)], Keys: []string{"device", "device"}[:len(in)],
		Channel: &config.Channel{Name: "bench", Key: "device", Partitions: 1},
		Scope:   func(i int) *expr.Scope { return &expr.Scope{Schema: in[i], What: "channel.bench"} },
	})
	if diags.HasErrors() {
		return nil, nil, diags
	}
	var tables []*state.Table
	for _, d := range bound.State {
		tables = append(tables, state.New(d))
	}
	st, err := bound.OpenStage(stage.Opening{Alloc: run.Buffers(), Address: a.kind + ".bench", Tables: tables,
		Reject: func(stage.Reject) {}, Count: func(string, int64) {}})
	if err == nil && a.view {
		batches, _ := (&alone{keys: a.keys, inputs: 2}).rows(2)
		for _, rows := range batches[len(batches)/2:] {
			if err := st.Process(1, rows, &forgetful{}); err != nil {
				return nil, nil, err
			}
		}
	}
	return st, tables, err
}

// rows makes batches of devices that report in turn, and says which input each is of: with two inputs, every
// second round is the second's.
func (a *alone) rows(rounds int) (batches []arrow.RecordBatch, ins []int) {
	schemas := a.schemas()
	for round := range rounds {
		in := 0
		if a.inputs == 2 && !a.view {
			in = round % 2
		}
		for from := 0; from < a.keys; from += aloneBatch {
			batches, ins = append(batches, aloneRows(schemas[in], round, from, min(a.keys, from+aloneBatch), a)), append(ins, in)
		}
	}
	return batches, ins
}

func aloneRows(schema *arrow.Schema, round, from, to int, a *alone) arrow.RecordBatch {
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	b.Reserve(to - from)
	t := int64(round) * a.period
	for slot := from; slot < to; slot++ {
		n := round*a.keys + slot
		b.Field(0).(*array.Int64Builder).Append(int64(n))
		b.Field(1).(*array.Int32Builder).Append(0)
		b.Field(2).(*array.TimestampBuilder).Append(arrow.Timestamp(t))
		b.Field(3).(*array.TimestampBuilder).Append(arrow.Timestamp(t))
		b.Field(4).(*array.Uint32Builder).Append(uint32(slot))
		b.Field(5).(*array.Int64Builder).Append(t)
		b.Field(6).(*array.StringBuilder).Append(fmt.Sprintf("trailer-%05d", slot))
		b.Field(7).(*array.Float64Builder).Append(float64(n%977) / 10)
	}
	return b.NewRecordBatch()
}
