package window

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/flow"
)

// delays notes how long after its end each window's first result goes out, of devices that are never away.
type delays struct {
	now   int64 // arrival of the rows at hand, us
	away  []bool
	found []int64
}

func (d *delays) Emit(rows arrow.RecordBatch) {
	defer rows.Release()
	col := func(name string) arrow.Array { return rows.Column(rows.Schema().FieldIndices(name)[0]) }
	ends, revisions := col("window_end").(*array.Timestamp), col("revision").(*array.Int64)
	for i, slot := range flow.Slots(rows) {
		if !d.away[slot] && revisions.Value(i) == 0 {
			d.found = append(d.found, d.now-int64(ends.Value(i)))
		}
	}
}

const (
	minute = 60_000_000
	day    = 24 * 60
	period = 20 // between two rows of a device
)

// arrivals lists, by minute of arrival, rows as device and event time in minutes, and notes who is away, or would be but for the storm.
func (d *delays) arrivals(storm bool) [][][2]int64 {
	r := rand.New(rand.NewPCG(99, 1))
	came := make([][][2]int64, day+1)
	for dev := range d.away {
		away, back := int64(day), int64(day)
		if d.away[dev] = dev%20 == 0; d.away[dev] {
			away = r.Int64N(day - period)
			back = away + r.Int64N(day-away)
		}
		sent := int64(0)
		for at := r.Int64N(period); at < day; at += period {
			arrives := at
			if storm && at >= away && at < back {
				arrives = min(day, max(at, back+sent*period/100)) // a hundred a period
				sent++
			}
			came[arrives] = append(came[arrives], [2]int64{int64(dev), at})
		}
	}
	return came
}

// TestDelay has 10,000 devices report for a day, each at its own minute of a period, of which one in twenty is away for up to a
// day in one of two runs and sends a hundred times as fast when it is back. By arrival, the results of the others come as they did.
func TestDelay(t *testing.T) {
	const devices = 10_000
	for _, c := range []struct {
		kind kind
		args string
	}{{tumbling, "every = \"1h\"\n"}, {sliding, "size = \"3h\"\nevery = \"1h\"\n"}} {
		t.Run(specOf(c.kind).Type, func(t *testing.T) {
			var p99 [2]int64
			for storm := range 2 {
				d := &delays{away: make([]bool, devices)}
				came := d.arrivals(storm == 1)
				st, _ := openBench(t, specOf(c.kind), "by = [device]\n"+c.args+"emit = { a = avg(temp) }\n", fleet(t, 1, 1, 1)[0].Schema())
				b := array.NewRecordBuilder(memory.DefaultAllocator, fleet(t, 1, 1, 1)[0].Schema())
				marks := slices.Repeat([]int64{flow.NoMark}, devices)
				n := int64(0)
				for at, rows := range came {
					d.now = int64(at) * minute
					for _, e := range rows {
						marks[e[0]] = max(marks[e[0]], e[1]*minute)
						for i, v := range []int64{n, 0, d.now, e[1] * minute, e[0], marks[e[0]]} {
							switch f := b.Field(i).(type) {
							case *array.Int64Builder:
								f.Append(v)
							case *array.Int32Builder:
								f.Append(int32(v))
							case *array.TimestampBuilder:
								f.Append(arrow.Timestamp(v))
							case *array.Uint32Builder:
								f.Append(uint32(v))
							}
						}
						b.Field(6).(*array.StringBuilder).Append(fmt.Sprint("d", e[0]))
						b.Field(7).(*array.Float64Builder).Append(1)
						n++
					}
					if batch := b.NewRecordBatch(); batch.NumRows() > 0 {
						if err := st.Process(0, batch, d); err != nil {
							t.Fatal(err)
						}
						batch.Release()
					}
				}
				if len(d.found) < devices*20 {
					t.Fatalf("%d results of those that are never away", len(d.found))
				}
				slices.Sort(d.found)
				p99[storm] = d.found[len(d.found)*99/100]
			}
			t.Logf("99 of 100 results within %d minutes, and %d in the storm", p99[0]/minute, p99[1]/minute)
			if x := float64(p99[1]) / float64(p99[0]); x < 0.9 || x > 1.1 || p99[0] <= 0 || p99[0] > period*minute {
				t.Errorf("of the others 99 of 100 results come within %d us after their windows, and within %d us in the storm", p99[0], p99[1])
			}
		})
	}
}
