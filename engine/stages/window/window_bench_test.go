package window

import (
	"fmt"
	"math/bits"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"golang.org/x/sys/unix"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/stages/stagetest"
	"github.com/tidemill/tidemill/engine/state"
)

// kept is an allocator that keeps what is freed, as the engine's does.
type kept map[int][][]byte

func (k kept) Allocate(n int) []byte {
	class := bits.Len(uint(max(n, 64) - 1))
	free := k[class]
	if len(free) == 0 {
		return make([]byte, 1<<class)[:n]
	}
	k[class] = free[:len(free)-1]
	return free[len(free)-1][:n]
}

func (k kept) Free(b []byte) {
	class := bits.Len(uint(cap(b) - 1))
	k[class] = append(k[class], b)
}

func (k kept) Reallocate(n int, b []byte) []byte {
	if n <= cap(b) {
		return b[:n]
	}
	more := k.Allocate(n)
	copy(more, b)
	k.Free(b)
	return more
}

// void takes rows and drops them.
type void struct{ rows int64 }

func (v *void) Emit(rows arrow.RecordBatch) {
	v.rows += rows.NumRows()
	rows.Release()
}

// fleet makes batches of devices that report in turn, 30 s apart each.
func fleet(tb testing.TB, devices, rows, batches int) []arrow.RecordBatch {
	var out []arrow.RecordBatch
	n := 0
	for range batches {
		b := array.NewRecordBuilder(memory.DefaultAllocator, flow.NewSchema([]arrow.Field{
			{Name: "device", Type: arrow.BinaryTypes.String}, {Name: "temp", Type: arrow.PrimitiveTypes.Float64}}))
		for range rows {
			slot, t := n%devices, int64(n/devices)*30_000_000
			b.Field(0).(*array.Int64Builder).Append(int64(n))
			b.Field(1).(*array.Int32Builder).Append(0)
			b.Field(2).(*array.TimestampBuilder).Append(arrow.Timestamp(t))
			b.Field(3).(*array.TimestampBuilder).Append(arrow.Timestamp(t))
			b.Field(4).(*array.Uint32Builder).Append(uint32(slot))
			b.Field(5).(*array.Int64Builder).Append(t)
			b.Field(6).(*array.StringBuilder).Append(fmt.Sprintf("trailer-%05d", slot))
			b.Field(7).(*array.Float64Builder).Append(float64(n%977) / 10)
			n++
		}
		out = append(out, b.NewRecordBatch())
	}
	return out
}

func openBench(tb testing.TB, spec stage.Spec, body string, schema *arrow.Schema) (stage.Stage, []*state.Table) {
	bound, diags := stagetest.Bind(spec, []byte(body), schema, "device", 4)
	if diags.HasErrors() {
		tb.Fatal(diags)
	}
	var tables []*state.Table
	for _, d := range bound.State {
		tables = append(tables, state.New(d))
	}
	st, err := bound.OpenStage(stage.Opening{Alloc: kept{}, Tables: tables,
		Reject: func(stage.Reject) { tb.Fatal("reject") }, Count: func(string, int64) {}})
	if err != nil {
		tb.Fatal(err)
	}
	return st, tables
}

func BenchmarkWindow(b *testing.B) {
	for _, c := range []struct {
		name, by, every, emit string
		devices               int
		body                  string // of another kind: session, ...
	}{
		{name: "sliding 1h by 1m/8k", devices: 8000, body: "sliding by = [device]\nsize = \"1h\"\nevery = \"1m\"\nkeep = \"1m\"\nemit = { a = avg(temp) }\n"},
		{name: "sliding 1h by 5m/8k", devices: 8000, body: "sliding by = [device]\nsize = \"1h\"\nevery = \"5m\"\nkeep = \"1m\"\nemit = { a = avg(temp) }\n"},
		{name: "session/8k", devices: 8000, body: "session by = [device]\ngap = \"1m\"\nemit = { a = avg(temp) }\n"},
		{name: "count/8k", devices: 8000, body: "count by = [device]\nsize = 10\nemit = { a = avg(temp) }\n"},
		{name: "state/8k", devices: 8000, body: "state by = [device]\nwhile = temp > 40\nemit = { a = avg(temp) }\n"},
		{name: "state that revises/8k", devices: 8000, body: "state by = [device]\nwhile = temp > 40\nlate = \"revise\"\nkeep = \"1h\"\nemit = { a = avg(temp) }\n"},
		{name: "count/8k", by: "[device]", every: "5m", emit: "n = count()", devices: 8000},
		{name: "avg/8k", by: "[device]", every: "5m", emit: "a = avg(temp)", devices: 8000},
		{name: "avg,min,max,count/8k", by: "[device]", every: "5m", emit: "a = avg(temp), l = min(temp), h = max(temp), n = count()", devices: 8000},
		{name: "avg/8k/1h", by: "[device]", every: "1h", emit: "a = avg(temp)", devices: 8000},
		{name: "avg/200k", by: "[device]", every: "5m", emit: "a = avg(temp)", devices: 200_000},
		{name: "stddev/8k", by: "[device]", every: "5m", emit: "a = stddev(temp)", devices: 8000},
		{name: "percentile/8k", by: "[device]", every: "5m", emit: "a = percentile(temp, 95)", devices: 8000},
		{name: "distinct/8k", by: "[device]", every: "5m", emit: "a = distinct(temp)", devices: 8000},
	} {
		b.Run(c.name, func(b *testing.B) {
			const rows, hour = 4096, 5
			// A pass is 12 minutes of every device, 30 s a row.
			batches := fleet(b, c.devices, rows, 24*c.devices/rows)
			out := &void{}
			body := fmt.Sprintf("by = %s\nevery = %q\nemit = { %s }\n", c.by, c.every, c.emit)
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			var spent []int64 // by pass
			seen := 0
			spec := Tumbling()
			if c.body != "" {
				var name string
				name, body, _ = strings.Cut(c.body, " ")
				spec = specNamed(name + "_")
			}
			st, tables := openBench(b, spec, body, batches[0].Schema())
			warm := 1 // the first pass makes the keys
			if c.body != "" {
				warm = 7 // and the others fill windows of an hour
			}
			for pass := range b.N + warm {
				took := int64(0)
				for _, rows := range batches {
					near(rows)
					before := threadTime(b)
					if err := st.Process(0, rows, out); err != nil {
						b.Fatal(err)
					}
					took += threadTime(b) - before
				}
				if pass >= warm {
					spent = append(spent, took)
					seen += len(batches) * rows
				} else {
					out.rows = 0
				}
				later(batches, 24*30_000_000)
			}
			// The least of the hours of five passes: a sliding window's suffixes are built once an hour.
			hours := spent[:0]
			for ; len(spent) >= hour; spent = spent[hour:] {
				sum := int64(0)
				for _, v := range spent[:hour] {
					sum += v
				}
				hours = append(hours, sum/hour)
			}
			if len(hours) == 0 {
				hours = spent
			}
			b.ReportMetric(float64(slices.Min(hours))/float64(len(batches)*rows), "cpu-ns/row")
			b.ReportMetric(float64(out.rows)/float64(seen), "out/row")
			held := st.(*window).MemoryBytes()
			for _, t := range tables {
				held += t.MemoryBytes()
			}
			b.ReportMetric(float64(held)/float64(c.devices), "B/key")
		})
	}
}

// near brings a batch's columns into the caches, where the stage before a window leaves what it has made.
func near(rows arrow.RecordBatch) (sum int) {
	for _, c := range rows.Columns() {
		for _, b := range c.Data().Buffers() {
			if b != nil {
				for i := 0; i < b.Len(); i += 64 {
					sum += int(b.Bytes()[i])
				}
			}
		}
	}
	return sum
}

// later moves all times and places on.
func later(batches []arrow.RecordBatch, us int64) {
	all := int64(0)
	for _, b := range batches {
		all += b.NumRows()
	}
	for _, b := range batches {
		times, received, marks, offsets := flow.Times(b), flow.Received(b), flow.Marks(b), flow.Offsets(b)
		for i := range times {
			offsets[i] += all
			times[i] += arrow.Timestamp(us)
			received[i] += arrow.Timestamp(us)
			marks[i] += us
		}
	}
}

// threadTime is the CPU time of this thread, ns.
func threadTime(tb testing.TB) int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now); err != nil {
		tb.Fatal(err)
	}
	return now.Nano()
}

// TestMemoryOfManyDevices holds 200,000 devices with one window each to 100 MB.
func TestMemoryOfManyDevices(t *testing.T) {
	batches := fleet(t, 200_000, 1<<14, 13)
	st, tables := openBench(t, Tumbling(), "by = [device]\nevery = \"5m\"\nemit = { a = avg(temp), h = max(temp), n = count() }\n", batches[0].Schema())
	for _, b := range batches {
		if err := st.Process(0, b, &void{}); err != nil {
			t.Fatal(err)
		}
	}
	total := int64(0)
	for _, tb := range tables {
		total += tb.MemoryBytes()
	}
	total += st.(*window).MemoryBytes()
	t.Logf("%d MB", total>>20)
	if total > 100<<20 {
		t.Errorf("200,000 devices take %d MB, more than 100", total>>20)
	}
}

// BenchmarkRows writes result rows and nothing else: their words lie ready in an array, in the order in which they go out.
func BenchmarkRows(b *testing.B) {
	const keys = 4096
	batches := fleet(b, keys, keys, 1)
	st, _ := openBench(b, specNamed("sliding_"), "by = [device]\nsize = \"1h\"\nevery = \"1m\"\nemit = { a = avg(temp) }\n", batches[0].Schema())
	w := st.(*window)
	if err := w.Process(0, batches[0], &void{}); err != nil {
		b.Fatal(err)
	}
	q := make([]emission, keys)
	w.merged = make([]int64, keys*w.words)
	for i := range q {
		q[i] = emission{pane: uint32(i), group: uint32(i), merged: uint32(i), final: true}
		copy(w.merged[i*w.words:], w.cells(uint32(i)))
	}
	w.queue, w.mergedTo = q, keys
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := threadTime(b)
	for b.Loop() {
		w.batch(0, keys).Release()
	}
	b.ReportMetric(float64(threadTime(b)-before)/float64(b.N*keys), "cpu-ns/row")
}
