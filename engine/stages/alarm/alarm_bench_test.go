package alarm

import (
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/stages/stagetest"
	"github.com/tidemill/tidemill/engine/state"
)

type void struct{ rows int64 }

func (v *void) Emit(rows arrow.RecordBatch) {
	v.rows += rows.NumRows()
	rows.Release()
}

// BenchmarkAlarm watches 2,000 devices, of which one in twenty is always too warm.
func BenchmarkAlarm(b *testing.B) {
	const rows = 4000
	var text strings.Builder
	text.WriteString("_time _slot device:string over:number\n")
	for i := range 2000 {
		over := 1
		if i%20 == 7 {
			over = 5
		}
		fmt.Fprintf(&text, "00:00:30 %d trailer-%05d %d\n", i, i, over)
	}
	batch := stagetest.Repeat(b, text.String(), rows)
	bound, diags := stagetest.Bind(Spec(), []byte("when = over > 3\nfor = \"5m\"\nwith = [over]\n"), batch.Schema(), "device", 4)
	if diags.HasErrors() {
		b.Fatal(diags)
	}
	st, err := bound.OpenStage(stage.Opening{Alloc: memory.DefaultAllocator, Tables: []*state.Table{state.New(bound.State[0])}, Count: func(string, int64) {}})
	if err != nil {
		b.Fatal(err)
	}
	out := &void{}
	for b.Loop() {
		if err := st.Process(0, batch, out); err != nil {
			b.Fatal(err)
		}
		for i := range flow.Times(batch) {
			flow.Times(batch)[i] += 30_000_000
		}
	}
	if out.rows > 100 {
		b.Fatalf("%d alarms from 100 devices that stay warm", out.rows)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*rows), "ns/row")
}
