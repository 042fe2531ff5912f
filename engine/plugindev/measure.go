package plugindev

import (
	"fmt"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/splitmix"
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
	rows := r.SampleRows(s, seed)
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
	t, err := r.Treadmill(s, rows, n, memory.DefaultAllocator)
	if err != nil {
		return c, err
	}
	defer t.Close()
	for range 20 { // what rows cost is learned before it is measured
		t.Once()
	}
	t.Fuel, t.Rows, t.Rejected = 0, 0, 0
	began := clock.Now()
	for clock.Now().Sub(began) < long {
		t.Once()
	}
	took, done := clock.Now().Sub(began), float64(t.Rows)
	return Cost{n, float64(took) / done, float64(t.Fuel) / done, float64(t.Rejected) / done}, nil
}

// Treadmill is a batch that a plugin is given over and over. One goroutine.
type Treadmill struct {
	In                   wasm.Input
	Fuel, Rows, Rejected int64
	Runner               *wasm.Runner
}

// Treadmill makes a batch of n rows, which are repeated to fill it. The caller closes it.
func (r *Rig) Treadmill(s Sample, rows *Rows, n int, alloc memory.Allocator) (*Treadmill, error) {
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
	in, err := batch.input(r.Plugin.Manifest, 0, n, tables)
	if err != nil {
		return nil, err
	}
	runner, err := r.Plugin.NewRunner(wasm.RunnerOptions{Alloc: alloc, Settings: s.Settings, Tables: tables})
	if err != nil {
		return nil, err
	}
	return &Treadmill{In: in, Runner: runner}, nil
}

// Once gives the plugin the batch.
func (t *Treadmill) Once() {
	made := t.Runner.Run(t.In)
	for _, col := range made.Columns {
		col.Release()
	}
	t.Fuel, t.Rows, t.Rejected = t.Fuel+made.Fuel, t.Rows+int64(t.In.Rows), t.Rejected+int64(len(made.Rejects))
}

// Close ends the plugin's instance.
func (t *Treadmill) Close() { t.Runner.Close() }

// SampleRows are those of a sample, or as many made up from the manifest.
func (r *Rig) SampleRows(s Sample, seed uint64) *Rows {
	if s.Rows != nil && s.Rows.Len() > 0 {
		return s.Rows
	}
	rand := chance{splitmix.Source(seed)}
	return plain(r.Plugin.Manifest, &rand, 1000)
}
