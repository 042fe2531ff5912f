package window

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/flow"
)

// came is a row of a device as it came.
type came struct{ offset, time int64 }

// latestOf checks that each window's place is that of the row of it that came last.
type latestOf struct {
	t             *testing.T
	came          map[string][]came
	seen, reached int // windows, and those whose latest row is not in their newest pane
}

func (l *latestOf) Emit(rows arrow.RecordBatch) {
	defer rows.Release()
	device := rows.Column(rows.Schema().FieldIndices("device")[0]).(*array.String)
	start := rows.Column(rows.Schema().FieldIndices("window_start")[0]).(*array.Timestamp)
	end := rows.Column(rows.Schema().FieldIndices("window_end")[0]).(*array.Timestamp)
	for i := range device.Len() {
		want, newest := came{offset: -1}, int64(-1)
		for _, c := range l.came[device.Value(i)] {
			if c.time >= int64(start.Value(i)) && c.time < int64(end.Value(i)) {
				newest = max(newest, c.time)
				if c.offset > want.offset {
					want = c
				}
			}
		}
		got := [3]int64{flow.Offsets(rows)[i], int64(flow.Indexes(rows)[i]), int64(flow.Received(rows)[i])}
		if got != [3]int64{want.offset, want.offset % 7, want.offset * 3} {
			l.t.Errorf("%s from %d: _offset, _index and _received are %v, want those of row %d", device.Value(i), start.Value(i), got, want.offset)
		}
		if l.seen++; newest-want.time >= 60_000_000 {
			l.reached++
		}
	}
}

// TestLatestRow plays devices that send in disorder, never too late, and are silent at times to sliding windows: what tells a window's
// row from others is the place of the row that came last, in whichever of its panes that is, also if that is in the block before.
func TestLatestRow(t *testing.T) {
	const minute, rounds = 60_000_000, 600
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(seed, 29))
		schema := flow.NewSchema([]arrow.Field{{Name: "device", Type: arrow.BinaryTypes.String}, {Name: "temp", Type: arrow.PrimitiveTypes.Float64}})
		check := &latestOf{t: t, came: map[string][]came{}}
		st, _ := openBench(t, specNamed("sliding_"), "by = [device]\nsize = \"6m\"\nevery = \"1m\"\ngrace = \"20m\"\nemit = { a = avg(temp), n = count(), f = first(temp) }\n", schema)
		offset, marks, silent := int64(0), [3]int64{}, [3]int64{}
		for at := 0; at < rounds; {
			b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
			for range 1 + r.IntN(9) {
				at++
				d := r.IntN(len(marks))
				if r.IntN(20) == 0 {
					silent[d] += int64(r.IntN(15)) * minute
				}
				now := int64(at)*20_000_000 + silent[d]
				if r.IntN(3) == 0 {
					now = max(0, now-int64(r.IntN(12))*minute)
				}
				marks[d] = max(marks[d], now)
				name := fmt.Sprint("trailer-", d)
				check.came[name] = append(check.came[name], came{offset, now})
				b.Field(0).(*array.Int64Builder).Append(offset)
				b.Field(1).(*array.Int32Builder).Append(int32(offset % 7))
				b.Field(2).(*array.TimestampBuilder).Append(arrow.Timestamp(offset * 3))
				b.Field(3).(*array.TimestampBuilder).Append(arrow.Timestamp(now))
				b.Field(4).(*array.Uint32Builder).Append(uint32(d))
				b.Field(5).(*array.Int64Builder).Append(marks[d])
				b.Field(6).(*array.StringBuilder).Append(name)
				b.Field(7).(*array.Float64Builder).Append(1)
				offset++
			}
			rows := b.NewRecordBatch()
			if err := st.Process(0, rows, check); err != nil {
				t.Fatal(err)
			}
			rows.Release()
			b.Release()
		}
		if check.seen < 300 || check.reached < 20 {
			t.Errorf("seed %d: %d windows, of %d the latest row is not in the newest pane: that shows nothing", seed, check.seen, check.reached)
		}
	}
}
