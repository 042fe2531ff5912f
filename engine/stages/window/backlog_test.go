package window

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
)

// backlog is a device that comes back: after a state of two hours, of which it has told the first row and, unless the state goes on, its end,
// live rows come a second apart, and behind each of them one of those that were held back. There is a tick behind every batch.
type backlog struct {
	open  bool
	order func(late []int) // in order of time, unless it says otherwise
	flaps bool             // the condition is true and false in turn
}

const backlogStart, backlogEnd = 10_000_000, 7_300_000_000

// batches are so many late rows and as many live ones.
func (k backlog) batches(n, rows int) []arrow.RecordBatch {
	late := make([]int, n)
	for i := range late {
		late[i] = i
	}
	if k.order != nil {
		k.order(late)
	}
	b := array.NewRecordBuilder(memory.DefaultAllocator, flow.NewSchema([]arrow.Field{
		{Name: "device", Type: arrow.BinaryTypes.String}, {Name: "temp", Type: arrow.PrimitiveTypes.Float64}, {Name: "on", Type: arrow.FixedWidthTypes.Boolean}}))
	offset, latest := int64(0), int64(0)
	row := func(t int64, on bool) {
		latest = max(latest, t)
		b.Field(0).(*array.Int64Builder).Append(offset)
		b.Field(1).(*array.Int32Builder).Append(0)
		b.Field(2).(*array.TimestampBuilder).Append(arrow.Timestamp(latest))
		b.Field(3).(*array.TimestampBuilder).Append(arrow.Timestamp(t))
		b.Field(4).(*array.Uint32Builder).Append(0)
		b.Field(5).(*array.Int64Builder).Append(latest)
		b.Field(6).(*array.StringBuilder).Append("trailer")
		b.Field(7).(*array.Float64Builder).Append(float64(offset%977) / 10)
		b.Field(8).(*array.BooleanBuilder).Append(on)
		offset++
	}
	row(0, false)
	row(backlogStart, true)
	row(backlogEnd, k.open)
	var out []arrow.RecordBatch
	for i, l := range late {
		row(backlogEnd+int64(i+1)*1_000_000, true)
		row(backlogStart+int64(l+1)*(backlogEnd-backlogStart)/int64(n+1), !k.flaps || l&1 == 0)
		if (i+1)%rows == 0 {
			out = append(out, b.NewRecordBatch())
		}
	}
	return append(out, b.NewRecordBatch())
}

const backlogArgs = "by = [device]\nwhile = on\nlate = \"revise\"\nkeep = \"12h\"\nmax_rows = 100000\nemit = { n = count(), a = avg(temp) }\n"

// counted keeps what a window says of the state that began first.
type counted struct{ revisions, rows int64 }

func (c *counted) Emit(rows arrow.RecordBatch) {
	defer rows.Release()
	column := func(name string) arrow.Array { return rows.Column(rows.Schema().FieldIndices(name)[0]) }
	for i := range int(rows.NumRows()) {
		if column("window_start").(*array.Timestamp).Value(i) == backlogStart {
			c.revisions, c.rows = column("revision").(*array.Int64).Value(i), column("n").(*array.Int64).Value(i)
		}
	}
}

// TestBacklog: a state is emitted again once a tick, however many rows are added to it between live ones, and has them all.
func TestBacklog(t *testing.T) {
	for _, k := range []backlog{{}, {order: slices.Reverse[[]int]}} {
		const n, every = 2000, 500
		batches := k.batches(n, every)
		st, _ := openBench(t, specNamed("state_"), backlogArgs, batches[0].Schema())
		out := &counted{}
		for i, rows := range batches {
			if err := st.Process(0, rows, out); err != nil {
				t.Fatal(err)
			}
			if out.revisions != int64(i) {
				t.Errorf("%d revisions after batch %d, before its tick", out.revisions, i)
			}
			if err := stage.AdvanceWhole(st, 0, flow.Watermarks{Tick: int64(i), Ticked: true}, out); err != nil {
				t.Fatal(err)
			}
		}
		if want := (counted{n / every, n + 1}); *out != want {
			t.Errorf("the state is %+v, want %+v", *out, want)
		}
	}
}

// BenchmarkBacklog is 10,000 late rows into one state of two hours between as many live ones, a tick every thousand.
func BenchmarkBacklog(b *testing.B) {
	shuffle := func(l []int) {
		rand.New(rand.NewPCG(1, 2)).Shuffle(len(l), func(i, j int) { l[i], l[j] = l[j], l[i] })
	}
	for _, c := range []struct {
		name string
		backlog
	}{{"ended", backlog{}}, {"open", backlog{open: true}}, {"flaps", backlog{flaps: true}}, {"reversed", backlog{order: slices.Reverse[[]int]}}, {"shuffled", backlog{order: shuffle}}} {
		for _, n := range []int{2500, 10_000} {
			b.Run(fmt.Sprint(c.name, "/", n), func(b *testing.B) {
				batches := c.batches(n, 500)
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				least := int64(0)
				for range b.N {
					st, _ := openBench(b, specNamed("state_"), backlogArgs, batches[0].Schema())
					before := threadTime(b)
					for i, rows := range batches {
						if err := st.Process(0, rows, &void{}); err != nil {
							b.Fatal(err)
						}
						if err := stage.AdvanceWhole(st, 0, flow.Watermarks{Tick: int64(i), Ticked: true}, &void{}); err != nil {
							b.Fatal(err)
						}
					}
					if took := threadTime(b) - before; least == 0 || took < least {
						least = took
					}
				}
				b.ReportMetric(float64(least)/float64(2*n), "cpu-ns/row")
			})
		}
	}
}
