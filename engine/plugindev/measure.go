package plugindev

import (
	"fmt"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/state"
	"github.com/tidemill/tidemill/engine/wasm"
)

// Cost is what rows cost at a size of batch.
type Cost struct {
	Rows     int     `json:"batch_rows"`
	NsPerRow float64 `json:"ns_per_row"`   // across the whole boundary, metering on
	Fuel     float64 `json:"fuel_per_row"` // instructions
	Rejected float64 `json:"rejected"`     // share of the rows
}

// Measure runs a module over rows, in batches of several sizes, for so long each. Rows are repeated to
// fill a batch; each key occurs anew.
func (r *Rig) Measure(clock env.Clock, s Sample, seed uint64, long time.Duration) ([]Cost, error) {
	m, rand := r.Plugin.Manifest, chance(seed)
	rows := s.Rows
	if rows == nil || rows.Len() == 0 {
		rows = plain(m, &rand, 1000)
	}
	var list []Cost
	for _, n := range []int{1, 64, 1024, 4096, 16_384} {
		c, err := r.measure(clock, s, rows, n, long)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

func (r *Rig) measure(clock env.Clock, s Sample, rows *Rows, n int, long time.Duration) (c Cost, err error) {
	numbers := make([]int, n)
	for i := range numbers {
		numbers[i] = i % rows.Len()
	}
	batch := rows.take(numbers)
	for i := range batch.Keys {
		batch.Keys[i] = fmt.Sprint(batch.Keys[i], i%257)
	}
	var tables []*state.Table
	for _, d := range r.Plugin.Manifest.Tables("", 0) {
		tables = append(tables, state.New(d))
	}
	runner, err := r.Plugin.NewRunner(wasm.RunnerOptions{Alloc: memory.DefaultAllocator, Settings: s.Settings, Tables: tables})
	if err != nil {
		return c, err
	}
	defer runner.Close()
	in, err := batch.input(r.Plugin.Manifest, 0, n, tables)
	if err != nil {
		return c, err
	}
	var fuel, done, rejected int64
	once := func() {
		made := runner.Run(in)
		for _, col := range made.Columns {
			col.Release()
		}
		fuel, done, rejected = fuel+made.Fuel, done+int64(n), rejected+int64(len(made.Rejects))
	}
	for range 20 { // what rows cost is learned before it is measured
		once()
	}
	fuel, done, rejected = 0, 0, 0
	began := clock.Now()
	for clock.Now().Sub(began) < long {
		once()
	}
	took := clock.Now().Sub(began)
	return Cost{n, float64(took) / float64(done), float64(fuel) / float64(done), float64(rejected) / float64(done)}, nil
}
