package window

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/stages/stagetest"
	"github.com/tidemill/tidemill/engine/state"
)

// heapMiB is how much memory is in use.
func heapMiB() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc >> 20)
}

// pieces counts the rows of each piece.
type pieces struct {
	rows    int
	largest int
}

func (p *pieces) Emit(rows arrow.RecordBatch) {
	p.rows += int(rows.NumRows())
	rows.Release()
}

// TestManyWindowsAtOnce: what many windows need that close at once does not grow with them, however they come to.
func TestManyWindowsAtOnce(t *testing.T) {
	const devices, steps, mostMiB = 50_000, 60, 48
	var far []flow.KeyMark
	for i := range devices {
		far = append(far, flow.KeyMark{Slot: uint32(i), Time: 1 << 50})
	}
	for _, c := range []struct {
		name, by string
		marks    flow.Watermarks
		want     int
	}{
		{"end", "[device]", flow.Watermarks{Ended: true}, devices * steps},
		{"tick", "[device]", flow.Watermarks{Tick: 1, Ticked: true, Keys: far}, devices * steps},
		{"end of a fleet", "[temp]", flow.Watermarks{Ended: true}, 977 * steps},
		{"tick of a fleet", "[temp]", flow.Watermarks{Tick: 1, Ticked: true, Keys: far[:1]}, 977 * steps},
	} {
		t.Run(c.name, func(t *testing.T) {
			batches := fleet(t, devices, devices/10, 10)
			bound, diags := stagetest.Bind(Sliding(), []byte("by = "+c.by+"\nsize = \"1h\"\nevery = \"1m\"\nemit = { a = avg(temp) }\n"), batches[0].Schema(), "device", 1)
			if diags.HasErrors() {
				t.Fatal(diags)
			}
			var tables []*state.Table
			for _, d := range bound.State {
				tables = append(tables, state.New(d))
			}
			st, err := bound.OpenStage(stage.Opening{Alloc: kept{}, Tables: tables, Count: func(string, int64) {}})
			if err != nil {
				t.Fatal(err)
			}
			out := &pieces{}
			for _, b := range batches {
				if err := st.Process(0, b, out); err != nil {
					t.Fatal(err)
				}
				b.Release()
			}
			panes, before, most := tables[1].Len(), heapMiB(), 0
			if err := st.Advance(0, c.marks, out); err != nil {
				t.Fatal(err)
			}
			for i, more := 0, true; more; i++ {
				had := out.rows
				var err error
				if more, err = st.(stage.Paced).More(out); err != nil {
					t.Fatal(err)
				}
				out.largest = max(out.largest, out.rows-had)
				if n := tables[1].Len(); n > panes {
					t.Fatalf("%d panes have become %d", panes, n)
				}
				if i%100 == 0 {
					most = max(most, heapMiB()-before)
				}
			}
			if out.rows != c.want || out.largest > emitRows+steps {
				t.Errorf("%d windows came, %d at once; want %d and at most %d", out.rows, out.largest, c.want, emitRows+steps)
			}
			if most > mostMiB {
				t.Errorf("they needed %d MiB; at most %d would do", most, mostMiB)
			}
			if err := st.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestOrderAtTheEnd: windows that are open at the end come in order of their ends and then of group, also where those of one group
// end at other times than those of another.
func TestOrderAtTheEnd(t *testing.T) {
	batches := fleet(t, 700, 2800, 1) // over 2 minutes
	st, _ := openBench(t, Sliding(), "by = [device]\nsize = \"3m\"\nevery = \"30s\"\nemit = { n = count() }\n", batches[0].Schema())
	var out ordered
	if err := st.Process(0, batches[0], &out); err != nil {
		t.Fatal(err)
	}
	if err := stage.AdvanceWhole(st, 0, flow.Watermarks{Ended: true}, &out); err != nil {
		t.Fatal(err)
	}
	if out.err != nil || out.rows != 700*9 {
		t.Errorf("%d windows came; want %d; %v", out.rows, 700*9, out.err)
	}
}

// ordered checks the order of windows that the end of input closes.
type ordered struct {
	rows int
	end  int64
	last string
	err  error
}

func (o *ordered) Emit(rows arrow.RecordBatch) {
	defer rows.Release()
	at := func(name string) arrow.Array { return rows.Column(rows.Schema().FieldIndices(name)[0]) }
	ends, devices, marks := at("window_end").(*array.Timestamp), at("device").(*array.String), flow.Marks(rows)
	for i := range int(rows.NumRows()) {
		o.rows++
		if end := int64(ends.Value(i)); marks[i] > 90_000_000 { // those before were closed by rows
			if end < o.end || end == o.end && devices.Value(i) <= o.last {
				o.err = fmt.Errorf("%s at %d came behind %s at %d", devices.Value(i), end, o.last, o.end)
			}
			o.end, o.last = end, string(append([]byte{}, devices.Value(i)...))
		}
	}
}
