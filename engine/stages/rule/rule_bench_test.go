package rule

import (
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/stages/stagetest"
)

type void struct{}

func (void) Emit(rows arrow.RecordBatch) { rows.Release() }

// BenchmarkRule runs the filter of 5 % with one computed column over rows of 13 columns.
func BenchmarkRule(b *testing.B) {
	for _, rows := range []int{100, 400, 1600, 10000} {
		b.Run(fmt.Sprint(rows), func(b *testing.B) { benchmarkRule(b, rows) })
	}
}

func benchmarkRule(b *testing.B, rows int) {
	var text strings.Builder
	text.WriteString("_time device:string site:string lat:number lon:number speed:number temp:number setpoint:number ambient:number door_open:bool fuel:number battery:number seq:integer\n")
	for i := range 200 {
		temp := -18.5
		if i%20 == 7 {
			temp = -3
		}
		fmt.Fprintf(&text, "00:00:30 trailer-%05d rotterdam 51.9 4.4 83 %v -18 11.4 false 71 12.6 %d\n", i, temp, i)
	}
	batch := stagetest.Repeat(b, text.String(), rows)
	for _, c := range []struct{ name, body string }{
		{"5percent", "where = temp > setpoint + 3 && !door_open\nset = { over = temp - setpoint }\n"},
		{"all", "where = temp < 100\n"},
		{"set", "set = { over = temp - setpoint }\n"},
	} {
		b.Run(c.name, func(b *testing.B) {
			bound, diags := stagetest.Bind(Spec(), []byte(c.body), batch.Schema(), "device", 4)
			if diags.HasErrors() {
				b.Fatal(diags)
			}
			st, err := bound.OpenStage(stage.Opening{Alloc: memory.DefaultAllocator})
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if err := st.Process(0, batch, void{}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(rows), "ns/row")
		})
	}
}
