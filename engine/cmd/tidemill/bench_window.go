package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/expr"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/stages"
	"github.com/tidemill/tidemill/engine/state"
)

const (
	windowsWork   = "WINDOWS"
	windowsPeriod = 30_000_000 // us between two rows of a device
	windowsRounds = 24         // rows of each device in a run
	windowsWarm   = 7          // runs that fill windows of an hour
	windowsBatch  = 4096
)

// windowKinds are the windows that are measured, and their arguments.
func windowKinds() [][2]string {
	return [][2]string{
		{"tumbling", `every = "5m"`},
		{"sliding", "size = \"1h\"\nevery = \"1m\"\nkeep = \"1m\""},
		{"session", `gap = "1m"`},
		{"count", `size = 10`},
		{"state", `while = temp > 40`},
	}
}

// windows measures each kind of window alone, in this process: a line each, with the
// memory of its tables. It returns the last.
func (b *bencher) windows(r *benchResult) (*benchResult, error) {
	r.Records = int64(windowsRounds * r.Devices)
	kinds := windowKinds()
	for i, k := range kinds {
		one := *r
		one.Workload = k[0]
		if err := b.window(&one, k[0], "by = [device]\nemit = { a = avg(temp) }\n"+k[1]+"\n"); err != nil {
			return nil, fmt.Errorf("%s: %w", k[0], err)
		}
		if i == len(kinds)-1 {
			return &one, nil
		}
		if err := b.print(&one); err != nil {
			return nil, err
		}
	}
	return nil, errors.New("there is nothing to measure")
}

func (b *bencher) window(r *benchResult, kind, body string) error {
	batches := windowRows(r.Devices)
	st, tables, err := openWindow(kind, body, batches[0].Schema())
	if err != nil {
		return err
	}
	var out forgetful
	pass := func() error {
		for _, rows := range batches {
			if err := st.Process(0, rows, &out); err != nil {
				return err
			}
		}
		for _, rows := range batches { // the same rows, later
			for i := range int(rows.NumRows()) {
				flow.Times(rows)[i] += windowsRounds * windowsPeriod
				flow.Marks(rows)[i] += windowsRounds * windowsPeriod
			}
		}
		return nil
	}
	for range windowsWarm {
		if err := pass(); err != nil {
			return err
		}
	}
	r.CPU, err = cpuPerRecord(int(r.Records), 2*b.runs+1, pass)
	for _, t := range tables {
		r.RSS += float64(t.MemoryBytes()) / 1e6
	}
	r.Wall = r.CPU
	return errors.Join(err, st.Close())
}

// forgetful takes rows and drops them.
type forgetful struct{}

func (*forgetful) Emit(rows arrow.RecordBatch) { rows.Release() }

// openWindow binds and opens a window as a pipeline would.
func openWindow(kind, body string, schema *arrow.Schema) (stage.Stage, []*state.Table, error) {
	all := stages.Builtin()
	spec := all[slices.IndexFunc(all, func(s stage.Spec) bool { return s.Kind == "window" && s.Type == kind })]
	file, diags := hclsyntax.ParseConfig([]byte(body), "bench", hcl.InitialPos)
	if diags.HasErrors() {
		return nil, nil, diags
	}
	args := spec.Args()
	if diags = config.DecodeBody(file.Body, args, nil); diags.HasErrors() {
		return nil, nil, diags
	}
	bound, diags := args.Bind([]*arrow.Schema{schema}, stage.At{
		Address: "window.bench", Inputs: []string{"channel.bench"}, Keys: []string{"device"},
		Channel: &config.Channel{Name: "bench", Key: "device", Partitions: 1},
		Scope:   func(int) *expr.Scope { return &expr.Scope{Schema: schema, What: "channel.bench"} },
	})
	if diags.HasErrors() {
		return nil, nil, diags
	}
	var tables []*state.Table
	for _, d := range bound.State {
		tables = append(tables, state.New(d))
	}
	st, err := bound.OpenStage(stage.Opening{Alloc: memory.DefaultAllocator, Address: "window.bench", Tables: tables,
		Reject: func(stage.Reject) {}, Count: func(string, int64) {}})
	return st, tables, err
}

// windowRows makes batches of devices that report in turn.
func windowRows(devices int) []arrow.RecordBatch {
	b := array.NewRecordBuilder(memory.DefaultAllocator, flow.NewSchema([]arrow.Field{
		{Name: "device", Type: arrow.BinaryTypes.String}, {Name: "temp", Type: arrow.PrimitiveTypes.Float64}}))
	defer b.Release()
	var out []arrow.RecordBatch
	for n := range windowsRounds * devices {
		slot, t := n%devices, int64(n/devices)*windowsPeriod
		b.Field(0).(*array.Int64Builder).Append(int64(n))
		b.Field(1).(*array.Int32Builder).Append(0)
		b.Field(2).(*array.TimestampBuilder).Append(arrow.Timestamp(t))
		b.Field(3).(*array.TimestampBuilder).Append(arrow.Timestamp(t))
		b.Field(4).(*array.Uint32Builder).Append(uint32(slot))
		b.Field(5).(*array.Int64Builder).Append(t)
		b.Field(6).(*array.StringBuilder).Append(fmt.Sprintf("trailer-%05d", slot))
		b.Field(7).(*array.Float64Builder).Append(float64(n%977) / 10)
		if n%windowsBatch == windowsBatch-1 || n == windowsRounds*devices-1 {
			out = append(out, b.NewRecordBatch())
		}
	}
	return out
}
