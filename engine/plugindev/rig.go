package plugindev

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/state"
	"github.com/tidemill/tidemill/engine/wasm"
)

// Rig runs a module over rows, as the engine would.
type Rig struct {
	host   *wasm.Host
	Plugin *wasm.Plugin
}

// Load compiles a module. The caller closes the rig.
func Load(e *env.Env, module []byte, l wasm.Limits) (*Rig, error) {
	return load(e, module, l, wasm.Options{})
}

// LoadMeasured compiles a module to measure what its calls cost, without trying again the rows that it refuses; with fuel or
// without, where one that loops loops for ever.
func LoadMeasured(e *env.Env, module []byte, l wasm.Limits, metered bool) (*Rig, error) {
	return load(e, module, l, wasm.Options{Unmetered: !metered, Trusting: true})
}

func load(e *env.Env, module []byte, l wasm.Limits, o wasm.Options) (*Rig, error) {
	o.Clock = e.Clock
	host, err := wasm.NewHost(o)
	if err != nil {
		return nil, err
	}
	p, err := host.Load(module, l)
	if err != nil {
		return nil, errors.Join(err, host.Close())
	}
	return &Rig{host, p}, nil
}

// Close frees the module's code.
func (r *Rig) Close() error { return errors.Join(r.Plugin.Close(), r.host.Close()) }

// Settings checks arguments, given as JSON by name.
func (r *Rig) Settings(given map[string]json.RawMessage) (map[string]wasm.Setting, error) {
	s, problems := r.Plugin.Manifest.Settings(given)
	var list []string
	for name, problem := range problems {
		list = append(list, "config "+name+": "+problem)
	}
	if len(list) > 0 {
		slices.Sort(list)
		return nil, errors.New(strings.Join(list, "; "))
	}
	return s, nil
}

// trial is how rows are run.
type trial struct {
	settings map[string]wasm.Setting
	cut      func(at, rows int) int // rows of the batch that begins there; nil: one batch
	fresh    bool                   // a new instance for every batch
	restart  bool                   // and tables that come out of a snapshot
	twice    bool                   // run them, forget all state, and run them again in the same instance
}

// outRow is a row that came out.
type outRow struct {
	from   int
	values []any
}

// outcome is what became of rows.
type outcome struct {
	out     []outRow
	rejects []wasm.Reject
	failed  int
	splits  int64
	fuel    int64
	logs    []string
	state   map[string]string
}

// text is everything that counts, for comparison, by lines.
func (o *outcome) text() []string {
	var lines []string
	for _, row := range o.out {
		var cells []string
		for _, v := range row.values {
			cells = append(cells, cell(v))
		}
		lines = append(lines, fmt.Sprintf("row %d gave %s", row.from, strings.Join(cells, "  ")))
	}
	for _, r := range o.rejects {
		lines = append(lines, fmt.Sprintf("row %d was refused: %s", r.Row, r.Reason))
	}
	var keys []string
	for key := range o.state {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		lines = append(lines, fmt.Sprintf("state of %s is %x", cell(key), o.state[key]))
	}
	return lines
}

// run runs rows over new tables.
func (r *Rig) run(rows *Rows, t trial) (*outcome, error) {
	m := r.Plugin.Manifest
	o := &outcome{state: map[string]string{}}
	var tables []*state.Table
	for _, d := range m.Tables("", 0) {
		tables = append(tables, state.New(d))
	}
	options := wasm.RunnerOptions{
		Alloc: memory.DefaultAllocator, Settings: t.settings, Tables: tables,
		Log: func(_ int, line string) { o.logs = append(o.logs, line) },
		Count: func(name string, n int64) {
			switch name {
			case "failed":
				o.failed += int(n)
			case "cost_splits":
				o.splits += n
			}
		},
	}
	runner, err := r.Plugin.NewRunner(options)
	if err != nil {
		return nil, err
	}
	if t.twice {
		if err := o.batch(runner, rows, 0, rows.Len(), tables); err != nil {
			runner.Close()
			return nil, err
		}
		forget(tables)
		*o = outcome{state: o.state}
	}
	for at := 0; at < rows.Len(); {
		n := rows.Len() - at
		if t.cut != nil {
			n = min(n, t.cut(at, rows.Len()))
		}
		if err := o.batch(runner, rows, at, at+n, options.Tables); err != nil {
			runner.Close()
			return nil, err
		}
		at += n
		if t.fresh || t.restart {
			runner.Close()
		}
		if t.restart {
			if options.Tables, err = restored(options.Tables); err != nil {
				return nil, err
			}
			if runner, err = r.Plugin.NewRunner(options); err != nil {
				return nil, err
			}
		}
	}
	runner.Close()
	if m.State != nil {
		records := options.Tables[1]
		records.Range(func(slot uint32) bool {
			o.state[string(records.Key(slot))] = string(records.Bytes(1, slot))
			return true
		})
	}
	return o, nil
}

// forget removes every key.
func forget(tables []*state.Table) {
	for _, t := range tables {
		var slots []uint32
		t.Range(func(slot uint32) bool {
			slots = append(slots, slot)
			return true
		})
		for _, slot := range slots {
			t.Delete(slot)
		}
	}
}

// restored are tables as they come back after a crash: through the bytes of a snapshot.
func restored(tables []*state.Table) (list []*state.Table, err error) {
	for _, t := range tables {
		back, err := state.Restore(t.Decl(), t.Snapshot(true))
		if err != nil {
			return nil, err
		}
		list = append(list, back)
	}
	return list, nil
}

// input is rows from to to as the engine hands them over.
func (r *Rows) input(m *wasm.Manifest, from, to int, tables []*state.Table) (wasm.Input, error) {
	in := wasm.Input{Rows: to - from, Columns: r.arrow(m, from, to), Indexes: make([]int32, to-from)}
	for row := from; row < to; row++ {
		in.Offsets = append(in.Offsets, int64(row))
		in.Received = append(in.Received, arrow.Timestamp(1_700_000_000_000_000+int64(row)*1_000_000))
		if m.State == nil {
			continue
		}
		slot, _, err := tables[1].Slot([]byte(r.Keys[row]))
		if err != nil {
			return in, err
		}
		in.Keys = append(in.Keys, slot)
	}
	return in, nil
}

func (o *outcome) batch(runner *wasm.Runner, rows *Rows, from, to int, tables []*state.Table) error {
	in, err := rows.input(runner.Plugin().Manifest, from, to, tables)
	if err != nil {
		return err
	}
	made := runner.Run(in)
	for i := range made.Rows {
		row := outRow{from: from + i}
		if made.From != nil {
			row.from = from + int(made.From[i])
		}
		for _, c := range made.Columns {
			row.values = append(row.values, valueOf(c, i))
		}
		o.out = append(o.out, row)
	}
	for _, r := range made.Rejects {
		r.Row += from
		r.Reason = strings.TrimPrefix(r.Reason, "plugin "+runner.Plugin().String()+": ")
		o.rejects = append(o.rejects, r)
	}
	o.fuel += made.Fuel
	for _, c := range append(made.Columns, in.Columns...) {
		c.Release()
	}
	return nil
}

// Score runs rows through a score plugin and returns its numbers, one a row that was not refused; NaN where there is none.
func (r *Rig) Score(rows *Rows) ([]float64, error) {
	o, err := r.run(rows, trial{})
	if err != nil {
		return nil, err
	}
	var list []float64
	for _, row := range o.out {
		v, ok := row.values[0].(float64)
		if !ok {
			v = math.NaN()
		}
		list = append(list, v)
	}
	return list, nil
}
