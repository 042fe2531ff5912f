package anomaly

import (
	"fmt"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/detect"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/state"
)

// BenchmarkCheckpoint is what a row costs checkpoints where each of 1,000 devices with an ensemble has a row between two of them: bytes
// that are written, and the time to copy and encode them; with models written whole, as all were once, and as they are now. Then
// what a device costs after a restart.
func BenchmarkCheckpoint(b *testing.B) {
	const devices = 1000
	cfg := detect.Config{Kind: "ensemble", Signals: 1}
	for _, whole := range []bool{true, false} {
		b.Run(map[bool]string{true: "whole", false: "log"}[whole], func(b *testing.B) {
			d, err := detect.New(cfg)
			if err != nil {
				b.Fatal(err)
			}
			p := &program{cfg: cfg, on: make([]stage.Column, 1)}
			var tables []*state.Table
			for _, decl := range decls("x", 1, d.Size(), state.DefaultMaxKeys) {
				tables = append(tables, state.New(decl))
			}
			m, chains := openModels(p, d, tables), make([][]*state.Snapshot, 2)
			var v detect.Verdict
			var copying time.Duration
			written, rows, x, buf := 0, 0, []float64{0}, []byte(nil)
			round := func() {
				for i := range devices {
					slot, _, err := tables[0].Slot(fmt.Appendf(nil, "device%d", i))
					if err != nil {
						b.Fatal(err)
					}
					x[0] = float64(rows * 7919 % 1000)
					d.Step(m.model(slot), int64(rows), x, &v)
					m.learnt(slot, int64(rows), x)
					if rows++; whole {
						m.write(slot)
					}
				}
				began := time.Now()
				for k, t := range tables {
					s := t.Snapshot(false)
					buf = s.AppendTo(buf[:0])
					written += len(buf)
					if !whole {
						chains[k] = append(chains[k], s)
					}
				}
				copying += time.Since(began)
			}
			for range 3 {
				round()
			}
			if !whole {
				for range logMost + 7 {
					round()
				}
			}
			written, rows, copying = 0, 0, 0
			for b.Loop() {
				round()
			}
			b.ReportMetric(float64(written)/float64(rows), "bytes/row")
			b.ReportMetric(float64(copying.Microseconds())/float64(rows), "us/row")
			if whole {
				return
			}
			for k, t := range tables {
				if tables[k], err = state.Restore(t.Decl(), chains[k]...); err != nil {
					b.Fatal(err)
				}
			}
			m = openModels(p, d, tables)
			began := time.Now()
			for slot := range uint32(devices) {
				m.model(slot)
			}
			b.ReportMetric(float64(time.Since(began).Microseconds())/devices, "us/device-restored")
		})
	}
}
