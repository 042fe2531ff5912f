package lineproto

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"

	influx "github.com/influxdata/influxdb-client-go/v2"
	"github.com/influxdata/influxdb-client-go/v2/api/write"

	"github.com/tidemill/tidemill/engine/flow"
)

// BenchmarkRows writes rows of 13 columns, as a trailer sends them; the client library's
// encoder does the same with points that are there already, and with points that it makes.
func BenchmarkRows(b *testing.B) {
	const n = 4096
	var text strings.Builder
	text.WriteString("_time\tdevice:string\tsite:string\tlat:number\tlon:number\tspeed:number\ttemp:number\tsetpoint:number\tambient:number\tdoor_open:bool\tfuel:number\tbattery:number\tseq:integer\n")
	for i := range n {
		fmt.Fprintf(&text, "%d\ttrailer-%05d\t%s\t%d.%05d\t%d.%05d\t%d.%d\t-%d.%02d\t-18.0\t%d.%d\t%v\t%d.%02d\t13.%02d\t%d\n", 1_700_000_000_000_000+int64(i)*1_003_000, i%8000,
			[]string{"prague", "barcelona", "toulouse"}[i%3], 40+i%20, i*7919%100000, i%20, i*104729%100000, i%90, i%10, i%25, i%100, i%30, i*3%10, i%7 == 0, i%100, i*7%100, i%100, 100000+i)
	}
	rows, err := flow.ParseRows(memory.DefaultAllocator, text.String())
	if err != nil {
		b.Fatal(err)
	}
	defer rows.Release()
	l := Layout{Measurement: "plausible", Tags: []string{"device", "site"},
		Fields: []string{"lat", "lon", "speed", "temp", "setpoint", "ambient", "door_open", "fuel", "battery", "seq"}}
	e, err := NewEncoder(l)
	if err != nil {
		b.Fatal(err)
	}
	r := rowsOf(rows, l)
	b.Run("tidemill", func(b *testing.B) {
		var out Lines
		for b.Loop() {
			out.Reset()
			e.Append(&out, r, n)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/row")
		b.ReportMetric(float64(len(out.Text))/n, "B/row")
	})
	b.Run("influxdb-client-go", func(b *testing.B) {
		for b.Loop() {
			for i := range 256 {
				p := influx.NewPoint("plausible", map[string]string{"device": "trailer-00042", "site": "prague"}, map[string]any{
					"lat": 49.94033, "lon": 15.04192, "speed": 77.5, "temp": 4.08, "setpoint": 4.0, "ambient": 14.9, "door_open": false, "fuel": 56.8, "battery": 13.45, "seq": int64(i),
				}, time.UnixMicro(1_700_000_000_000_000))
				_ = write.PointToLineProtocol(p, time.Microsecond)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/256, "ns/row")
	})
}
