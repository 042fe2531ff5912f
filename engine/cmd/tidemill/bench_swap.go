package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/expr"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/plugindev"
	"github.com/tidemill/tidemill/engine/rollout"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/stages"
	"github.com/tidemill/tidemill/engine/state"
	"github.com/tidemill/tidemill/engine/wasm"
)

const (
	swapWork  = "SWAP" // how long rows wait when the version of a plugin changes
	swapRate  = 200_000
	swapBatch = 1024
	swaps     = 20
	swapEvery = 100 // batches, half a second, from one swap to when the next version is asked for
	swapMost  = 40_000
)

// swapResult is what SWAP adds to a line, of each guest.
type swapResult struct {
	Swaps []swapCost `json:"swaps"`
}

// swapCost is how long batches waited, in ms: from when a batch was due until a stage began with it.
type swapCost struct {
	Guest string  `json:"guest"`
	Rate  int     `json:"rows_per_second"`
	N     int     `json:"swaps"`
	Swap  spread  `json:"swap_ms"`          // what changing the version took of the data path
	After spread  `json:"wait_behind_swap"` // of the batch that was next
	Other spread  `json:"wait_otherwise"`   // of all others: the machine, and nothing else
	Ready float64 `json:"ready_ms"`         // compiling and bringing to life, beside the data path; the middle one
}

type spread struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

func spreadOf(list []time.Duration) (s spread) {
	if len(list) == 0 {
		return s
	}
	slices.Sort(list)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return spread{ms(list[len(list)/2]), ms(list[len(list)*99/100]), ms(list[len(list)-1])}
}

// swap changes the version of a plugin while rows flow, by turns of two: each version is a module that has not been
// compiled before. What the engine does on its own goroutine before the journal names a version (Bound.Try) is done on one
// here; what a task does when it meets that record (Decide) is done between two batches.
func (b *bencher) swap(r *benchResult) error {
	r.swapResult = &swapResult{}
	r.Records, r.Devices = swaps*swapEvery*swapBatch, 257
	for _, language := range []string{"c", "rust", "go"} {
		module, err := plugindev.Boundary(context.Background(), b.app.env, language)
		var missing *plugindev.Missing
		if errors.As(err, &missing) {
			fmt.Fprintln(b.app.err, missing)
			continue
		}
		if err != nil {
			return err
		}
		cost, err := b.swapGuest(language, module)
		if err != nil {
			return fmt.Errorf("%s: %w", language, err)
		}
		r.Swaps = append(r.Swaps, *cost)
	}
	return nil
}

// swapModules are versions of a module, by digest.
type swapModules struct {
	mu   sync.Mutex
	list map[string][]byte
}

func (m *swapModules) get(digest string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if module := m.list[digest]; module != nil {
		return module, nil
	}
	return nil, fmt.Errorf("there is no module %s", digest)
}

// ready is a version that every stage can run.
type ready struct {
	digest string
	took   time.Duration
	err    error
}

// make makes another version of a module.
func (m *swapModules) make(module []byte, n int) ([]byte, string) {
	next := bytes.Replace(module, []byte(`"version":"1.0.0"`), fmt.Appendf(nil, `"version":"2.%d.%d"`, n/10, n%10), 1) // as long
	digest := wasm.Digest(next)
	m.mu.Lock()
	m.list[digest] = next
	m.mu.Unlock()
	return next, digest
}

func (b *bencher) swapGuest(language string, module []byte) (*swapCost, error) {
	mods := &swapModules{list: map[string][]byte{}}
	rows := swapRows()
	bound, err := swapStage(module, rows.Schema())
	if err != nil {
		return nil, err
	}
	o := stage.Opening{Env: b.app.env, Alloc: &keeper{map[int][][]byte{}}, Address: "transform.bench", Trials: rollout.NewMeters(), Modules: mods.get,
		Reject: func(stage.Reject) {}, Count: func(string, int64) {}}
	for _, d := range bound.State {
		o.Tables = append(o.Tables, state.New(d))
	}
	st, err := bound.OpenStage(o)
	if err != nil {
		return nil, err
	}
	runtime.GC()
	cost, err := swapFlow(st, rows, func(n int) ready {
		next, digest := mods.make(module, n)
		began := time.Now()
		err := bound.Try(o, next, "")
		return ready{digest, time.Since(began), err}
	})
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	cost.Guest = language
	return cost, st.Close()
}

// swapFlow gives the stage a batch whenever one is due, and a new version every so many.
func swapFlow(st stage.Stage, rows arrow.RecordBatch, get func(n int) ready) (*swapCost, error) {
	var out forgetful
	var swap, after, other, took []time.Duration
	comes := make(chan ready, 1)
	period := time.Second * swapBatch / swapRate
	due, behind, next, asked := time.Now(), false, swapEvery, 0
	for i := 0; len(swap) < swaps || len(after) < swaps; i++ {
		if i == swapMost {
			return nil, fmt.Errorf("%d versions were ready in %d batches", len(swap), i)
		}
		due = due.Add(period)
		time.Sleep(time.Until(due))
		if i == next && asked < swaps {
			asked++
			go func(n int) { comes <- get(n) }(asked)
		}
		select {
		case v := <-comes:
			if v.err != nil {
				return nil, v.err
			}
			book := &rollout.Book{Seq: uint64(asked)}
			book.Put(rollout.Rollout{Name: "r", Plugin: plugindev.BoundaryName, Trial: &rollout.Trial{N: uint64(asked), Canary: v.digest, Share: rollout.Whole}})
			began := time.Now()
			if err := st.(stage.Decider).Decide(book, nil); err != nil {
				return nil, err
			}
			swap, took, behind, next = append(swap, time.Since(began)), append(took, v.took), true, i+swapEvery
		default:
		}
		if waited := time.Since(due); behind {
			after = append(after, waited)
		} else {
			other = append(other, waited)
		}
		behind = false
		if err := st.Process(0, rows, &out); err != nil {
			return nil, err
		}
	}
	return &swapCost{Rate: swapRate, N: len(swap), Swap: spreadOf(swap), After: spreadOf(after), Other: spreadOf(other), Ready: spreadOf(took).P50}, nil
}

// swapStage binds transform "wasm" over a module.
func swapStage(module []byte, schema *arrow.Schema) (stage.Bound, error) {
	all := stages.Builtin()
	spec := all[slices.IndexFunc(all, func(s stage.Spec) bool { return s.Kind == "transform" && s.Type == "wasm" })]
	file, diags := hclsyntax.ParseConfig([]byte("plugin = plugin."+plugindev.BoundaryName+"\n"), "bench", hcl.InitialPos)
	if diags.HasErrors() {
		return stage.Bound{}, diags
	}
	args := spec.Args()
	if diags = config.DecodeBody(file.Body, args, nil); diags.HasErrors() {
		return stage.Bound{}, diags
	}
	bound, diags := args.Bind([]*arrow.Schema{schema}, stage.At{
		Address: "transform.bench", Inputs: []string{"channel.bench"}, Keys: []string{"device"},
		Channel: &config.Channel{Name: "bench", Key: "device", Partitions: 1},
		Scope:   func(int) *expr.Scope { return &expr.Scope{Schema: schema, What: "channel.bench"} },
		Plugins: []*config.Plugin{{Name: plugindev.BoundaryName, Module: module, Digest: wasm.Digest(module)}},
	})
	if diags.HasErrors() {
		return stage.Bound{}, diags
	}
	return bound, nil
}

// swapRows is a batch of devices that report in turn.
func swapRows() arrow.RecordBatch {
	fields := []arrow.Field{{Name: "device", Type: arrow.BinaryTypes.String}}
	for _, name := range []string{"temp", "setpoint", "gain", "offset"} {
		fields = append(fields, arrow.Field{Name: name, Type: arrow.PrimitiveTypes.Float64})
	}
	b := array.NewRecordBuilder(memory.DefaultAllocator, flow.NewSchema(fields))
	defer b.Release()
	for n := range swapBatch {
		b.Field(0).(*array.Int64Builder).Append(int64(n))
		b.Field(1).(*array.Int32Builder).Append(0)
		b.Field(2).(*array.TimestampBuilder).Append(arrow.Timestamp(n))
		b.Field(3).(*array.TimestampBuilder).Append(arrow.Timestamp(n))
		b.Field(4).(*array.Uint32Builder).Append(uint32(n % 257))
		b.Field(5).(*array.Int64Builder).Append(int64(n))
		b.Field(6).(*array.StringBuilder).Append(fmt.Sprintf("trailer-%05d", n%257))
		for c := range 4 {
			b.Field(7 + c).(*array.Float64Builder).Append(float64(n%977)/10 + float64(c))
		}
	}
	return b.NewRecordBatch()
}

func (s *swapResult) print(b *bencher) {
	fmt.Fprintf(b.app.out, "%14s%-6s %6s %28s %28s %28s %10s\n", "", "guest", "swaps", "swap ms p50/p99/max", "wait behind it", "wait otherwise", "ready ms")
	for _, c := range s.Swaps {
		three := func(x spread) string { return fmt.Sprintf("%.2f / %.2f / %.2f", x.P50, x.P99, x.Max) }
		fmt.Fprintf(b.app.out, "%14s%-6s %6d %28s %28s %28s %10.1f\n", "", c.Guest, c.N, three(c.Swap), three(c.After), three(c.Other), c.Ready)
	}
}
