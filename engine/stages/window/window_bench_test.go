package window

import (
	"fmt"
	"runtime"
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

func openBench(tb testing.TB, body string, schema *arrow.Schema) (stage.Stage, []*state.Table) {
	bound, diags := stagetest.Bind(Tumbling(), []byte(body), schema, "device", 4)
	if diags.HasErrors() {
		tb.Fatal(diags)
	}
	var tables []*state.Table
	for _, d := range bound.State {
		tables = append(tables, state.New(d))
	}
	st, err := bound.OpenStage(stage.Opening{Alloc: memory.DefaultAllocator, Tables: tables,
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
	}{
		{"count/8k", "[device]", "5m", "n = count()", 8000},
		{"avg/8k", "[device]", "5m", "a = avg(temp)", 8000},
		{"avg,min,max,count/8k", "[device]", "5m", "a = avg(temp), l = min(temp), h = max(temp), n = count()", 8000},
		{"avg/8k/1h", "[device]", "1h", "a = avg(temp)", 8000},
		{"avg/200k", "[device]", "5m", "a = avg(temp)", 200_000},
		{"stddev/8k", "[device]", "5m", "a = stddev(temp)", 8000},
		{"percentile/8k", "[device]", "5m", "a = percentile(temp, 95)", 8000},
		{"distinct/8k", "[device]", "5m", "a = distinct(temp)", 8000},
	} {
		b.Run(c.name, func(b *testing.B) {
			const rows = 4096
			// A pass is 12 minutes of every device, 30 s a row.
			batches := fleet(b, c.devices, rows, 24*c.devices/rows)
			out := &void{}
			body := fmt.Sprintf("by = %s\nevery = %q\nemit = { %s }\n", c.by, c.every, c.emit)
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			spent, seen := int64(0), 0
			st, _ := openBench(b, body, batches[0].Schema())
			for pass := range b.N + 1 {
				before := threadTime(b)
				for _, rows := range batches {
					if err := st.Process(0, rows, out); err != nil {
						b.Fatal(err)
					}
				}
				if pass > 0 { // the first one makes the keys
					spent += threadTime(b) - before
					seen += len(batches) * rows
				} else {
					out.rows = 0
				}
				later(batches, 24*30_000_000)
			}
			b.ReportMetric(float64(spent)/float64(seen), "cpu-ns/row")
			b.ReportMetric(float64(out.rows)/float64(seen), "out/row")
		})
	}
}

// later moves all times on.
func later(batches []arrow.RecordBatch, us int64) {
	for _, b := range batches {
		for i := range int(b.NumRows()) {
			flow.Times(b)[i] += arrow.Timestamp(us)
			flow.Received(b)[i] += arrow.Timestamp(us)
			flow.Marks(b)[i] += us
		}
	}
}

// threadTime is the CPU time of this thread, ns.
func threadTime(tb testing.TB) int64 {
	var ru unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &ru); err != nil {
		tb.Fatal(err)
	}
	return ru.Utime.Nano() + ru.Stime.Nano()
}

// TestMemoryOfManyDevices holds 200,000 devices with one window each to 100 MB.
func TestMemoryOfManyDevices(t *testing.T) {
	batches := fleet(t, 200_000, 1<<14, 13)
	st, tables := openBench(t, "by = [device]\nevery = \"5m\"\nemit = { a = avg(temp), h = max(temp), n = count() }\n", batches[0].Schema())
	for _, b := range batches {
		if err := st.Process(0, b, &void{}); err != nil {
			t.Fatal(err)
		}
	}
	total := int64(0)
	for _, tb := range tables {
		total += tb.MemoryBytes()
	}
	w := st.(*window)
	total += int64(cap(w.lanes))*24 + int64(cap(w.groupOf))*4 + int64(cap(w.due))*8
	t.Logf("%d MB", total>>20)
	if total > 100<<20 {
		t.Errorf("200,000 devices take %d MB, more than 100", total>>20)
	}
}
