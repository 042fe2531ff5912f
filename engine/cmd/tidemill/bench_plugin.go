package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/plugindev"
	"github.com/tidemill/tidemill/engine/wasm"
)

const (
	pluginWork = "W4" // what crossing into a plugin costs, and its metering
	// Rows of one round of one candidate. Candidates take turns, round by round, so that all of them
	// meet what else the machine does.
	pluginRound  = 200_000
	pluginBatch  = 1024
	pluginWarm   = 3
	messageCount = 50_000
)

// pluginResult is what W4 adds to a line: the boundary, and what metering costs.
type pluginResult struct {
	Native   float64        `json:"native_cpu_ns_per_row"` // the engine's own kernel, at the same batch
	Boundary []boundaryCost `json:"boundary"`
	Metering []meteringCost `json:"metering"`
	Missing  []string       `json:"missing,omitempty"` // what could not be built, and why
}

// boundaryCost is what a row costs through a guest, four numbers in and one out, in ns of CPU time.
type boundaryCost struct {
	Guest string  `json:"guest"`
	Batch int     `json:"batch_rows"`
	Whole float64 `json:"whole"`       // the call and all around it, metering on
	Alone float64 `json:"guest_alone"` // the guest over a batch that lies there, metering on
	// Boundary is the difference: columns copied in and out, checks, calls.
	Boundary float64 `json:"boundary"`
	Native   float64 `json:"native"`
}

// meteringCost is what a row costs with metering and without.
type meteringCost struct {
	Plugin    string  `json:"plugin"`
	Bytes     int     `json:"bytes"`
	Metered   float64 `json:"metered"`
	Unmetered float64 `json:"unmetered"`
	Percent   float64 `json:"percent"` // the middle one of the rounds' ratios, less 1
}

// candidate is one of several that take turns.
type candidate struct {
	rows  int // of one call
	once  func() error
	times []float64 // ns a row, by round
}

// turns lets candidates run by turns, so many rounds.
func turns(rounds, rowsPerRound int, list []*candidate) error {
	for round := range rounds + pluginWarm {
		for i := range list {
			c := list[(i+round)%len(list)]
			calls := max(1, rowsPerRound/c.rows)
			before := cpuTime()
			for range calls {
				if err := c.once(); err != nil {
					return err
				}
			}
			if round >= pluginWarm {
				c.times = append(c.times, float64(cpuTime()-before)/float64(calls*c.rows))
			}
		}
	}
	return nil
}

func (c *candidate) middle() float64 { return middle(c.times) }

func tenth(v float64) float64 { return math.Round(10*v) / 10 }

func middle(list []float64) float64 {
	list = slices.Clone(list)
	slices.Sort(list)
	return list[len(list)/2]
}

// plugins measures the boundary of guests in each language that can be built here, and the metering of
// those and of every plugin of the repository.
func (b *bencher) plugins(r *benchResult) error {
	ctx := context.Background()
	p := &pluginResult{}
	r.pluginResult = p
	if err := findCompiler(); err != nil {
		return err
	}
	modules := map[string][]byte{}
	for _, language := range plugindev.Languages() {
		module, err := plugindev.Boundary(ctx, b.app.env, language)
		var missing *plugindev.Missing
		if errors.As(err, &missing) {
			p.Missing = append(p.Missing, language+": "+missing.Error())
			continue
		}
		if err != nil {
			return err
		}
		modules[language] = module
	}
	for _, batch := range []int{pluginBatch, 4 * pluginBatch, 16 * pluginBatch} {
		if err := b.boundary(p, modules, batch); err != nil {
			return err
		}
	}
	for _, c := range p.Boundary {
		if c.Batch == pluginBatch && (r.CPU == 0 || c.Guest == "c") {
			p.Native, r.CPU = c.Native, c.Whole
		}
	}
	r.Records, r.Wall = int64(pluginRound*(2*b.runs+1)), r.CPU
	if err := b.messages(ctx, r, modules["c"]); err != nil {
		return err
	}
	for _, language := range plugindev.Languages() {
		if modules[language] == nil {
			continue
		}
		sample := plugindev.Sample{Rows: plugindev.BoundaryRows(pluginBatch)}
		if err := b.metering(p, plugindev.BoundaryName+" ("+language+")", modules[language], wasm.Limits{}, func(*plugindev.Rig) (plugindev.Sample, error) { return sample, nil }); err != nil {
			return err
		}
	}
	return b.ownPlugins(ctx, p)
}

// findCompiler adds the AssemblyScript compiler that .ci/needs installs in the repository's folder to those that are found.
func findCompiler() error {
	bin, err := filepath.Abs("conformance/plugins/node_modules/.bin")
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(bin, "asc")); err != nil {
		return nil // what cannot be built is named in the result
	}
	return os.Setenv("PATH", os.Getenv("PATH")+string(os.PathListSeparator)+bin)
}

// boundary measures guests and the engine's kernel over the same batch.
func (b *bencher) boundary(p *pluginResult, modules map[string][]byte, n int) error {
	type pair struct {
		language     string
		whole, alone *candidate
	}
	var pairs []pair
	alloc := &keeper{map[int][][]byte{}}
	var in wasm.Input
	native := &candidate{rows: n, once: func() error { overKernel(in, alloc).Release(); return nil }}
	list := []*candidate{native}
	for _, language := range plugindev.Languages() {
		if modules[language] == nil {
			continue
		}
		rig, err := plugindev.Load(b.app.env, modules[language], wasm.Limits{})
		if err != nil {
			return err
		}
		defer rig.Close()
		t, err := rig.Treadmill(plugindev.Sample{}, plugindev.BoundaryRows(n), n, alloc)
		if err != nil {
			return err
		}
		defer t.Close()
		beside, err := rig.Treadmill(plugindev.Sample{}, plugindev.BoundaryRows(n), n, alloc)
		if err != nil {
			return err
		}
		defer beside.Close()
		if in = t.In; !sameAsKernel(t, alloc) {
			return fmt.Errorf("the plugin in %s computes something else than the kernel", language)
		}
		for range 20 {
			beside.Once()
		}
		alone, err := beside.Runner.Alone(beside.In)
		if err != nil {
			return err
		}
		x := pair{language, &candidate{rows: n, once: func() error { t.Once(); return nil }}, &candidate{rows: n, once: alone}}
		pairs, list = append(pairs, x), append(list, x.whole, x.alone)
	}
	if len(pairs) == 0 {
		return errors.New("no compiler for plugins is here")
	}
	if err := turns(2*b.runs+1, pluginRound, list); err != nil {
		return err
	}
	for _, x := range pairs {
		p.Boundary = append(p.Boundary, boundaryCost{x.language, n, tenth(x.whole.middle()), tenth(x.alone.middle()),
			tenth(x.whole.middle() - x.alone.middle()), tenth(native.middle())})
	}
	return nil
}

// overKernel is what the plugin does, as a kernel of the engine would.
func overKernel(in wasm.Input, alloc memory.Allocator) arrow.Array {
	var v [4][]float64
	for i := range v {
		v[i] = in.Columns[i].(*array.Float64).Float64Values()[:in.Rows]
	}
	buf := memory.NewResizableBuffer(alloc)
	defer buf.Release()
	buf.Resize(8 * in.Rows)
	out := arrow.Float64Traits.CastFromBytes(buf.Bytes())
	for i := range out {
		out[i] = (v[0][i]-v[1][i])*v[2][i] + v[3][i]
	}
	d := array.NewData(arrow.PrimitiveTypes.Float64, in.Rows, []*memory.Buffer{nil, buf}, nil, 0, 0)
	defer d.Release()
	return array.NewFloat64Data(d)
}

func sameAsKernel(t *plugindev.Treadmill, alloc memory.Allocator) bool {
	want := overKernel(t.In, alloc).(*array.Float64)
	defer want.Release()
	for range 3 {
		made := t.Runner.Run(t.In)
		same := len(made.Columns) == 1 && slices.Equal(made.Columns[0].(*array.Float64).Float64Values(), want.Float64Values())
		for _, c := range made.Columns {
			c.Release()
		}
		if !same {
			return false
		}
	}
	return true
}

// messages measures the same plugin with a call for each message in JSON.
func (b *bencher) messages(ctx context.Context, r *benchResult, module []byte) error {
	if module == nil {
		return nil
	}
	m, err := plugindev.NewMessenger(ctx, module)
	if err != nil {
		return err
	}
	defer m.Close(ctx)
	var out []byte
	list := make([][]byte, 977)
	for i := range list {
		list[i] = fmt.Appendf(nil, `{"device":"trailer-%04d","temp":%.1f,"setpoint":%.1f,"gain":1.5,"offset":-0.5}`, i, float64(i)/10-20, -18.0)
	}
	if out, err = m.Message(ctx, []byte(`{"temp":-17.5,"setpoint":-18,"gain":1.5,"offset":-0.5}`), nil); err != nil {
		return err
	}
	if !bytes.HasSuffix(out, []byte(`,"over":0.250}`)) {
		return fmt.Errorf("a message became %s", out)
	}
	c := &candidate{rows: len(list), once: func() error {
		for _, message := range list {
			if out, err = m.Message(ctx, message, out[:0]); err != nil {
				return err
			}
		}
		return nil
	}}
	if err := turns(2*b.runs+1, messageCount, []*candidate{c}); err != nil {
		return err
	}
	r.Peer, r.PeerCPU = "JSON a message", c.middle()
	r.Ratio = r.PeerCPU / r.CPU
	return nil
}

// metering measures a module as it is and with fuel in it, by turns.
func (b *bencher) metering(p *pluginResult, name string, module []byte, l wasm.Limits, sample func(*plugindev.Rig) (plugindev.Sample, error)) error {
	var pair []*candidate
	for _, metered := range []bool{true, false} {
		rig, err := plugindev.LoadMeasured(b.app.env, module, l, metered)
		if err != nil {
			return err
		}
		defer rig.Close()
		s, err := sample(rig)
		if err != nil {
			return err
		}
		t, err := rig.Treadmill(s, rig.SampleRows(s, 1), pluginBatch, &keeper{map[int][][]byte{}})
		if err != nil {
			return err
		}
		defer t.Close()
		pair = append(pair, &candidate{rows: pluginBatch, once: func() error { t.Once(); return nil }})
	}
	began := time.Now()
	if err := pair[0].once(); err != nil { // a plugin with much to do gets shorter rounds
		return err
	}
	calls := int(20 * time.Millisecond / max(time.Since(began), time.Microsecond))
	if err := turns(4*b.runs+1, max(1, min(calls, pluginRound/pluginBatch))*pluginBatch, pair); err != nil {
		return err
	}
	ratios := make([]float64, len(pair[0].times))
	for i := range ratios {
		ratios[i] = pair[0].times[i] / pair[1].times[i]
	}
	p.Metering = append(p.Metering, meteringCost{name, len(module), tenth(pair[0].middle()), tenth(pair[1].middle()), tenth(100 * (middle(ratios) - 1))})
	return nil
}

// ownPlugins measures the plugins of the repository, where that is the working directory.
func (b *bencher) ownPlugins(ctx context.Context, p *pluginResult) error {
	files, err := filepath.Glob(filepath.Join("plugins", "*", plugindev.FileName))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		p.Missing = append(p.Missing, "plugins: they are measured in the repository's folder only")
	}
	for _, file := range files {
		dir := filepath.Dir(file)
		t, err := b.app.target(ctx, dir)
		var missing *plugindev.Missing
		if errors.As(err, &missing) {
			p.Missing = append(p.Missing, dir+": "+missing.Error())
			continue
		}
		if err != nil {
			return err
		}
		if err := b.metering(p, filepath.Base(dir), t.module, t.limits, t.sample); err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
	}
	return nil
}

// print tells it in lines.
func (p *pluginResult) print(b *bencher) {
	out := b.app.out
	fmt.Fprintf(out, "%14s%-16s %6s %14s %12s %10s %14s\n", "", "guest", "batch", "whole ns/row", "guest alone", "boundary", "native kernel")
	for _, c := range p.Boundary {
		fmt.Fprintf(out, "%14s%-16s %6d %14.1f %12.1f %10.1f %14.1f\n", "", c.Guest, c.Batch, c.Whole, c.Alone, c.Boundary, c.Native)
	}
	fmt.Fprintf(out, "%14s%-28s %10s %10s %10s\n", "", "plugin", "metered", "without", "costs")
	for _, c := range p.Metering {
		fmt.Fprintf(out, "%14s%-28s %10.1f %10.1f %9.1f%%\n", "", c.Plugin, c.Metered, c.Unmetered, c.Percent)
	}
	for _, m := range p.Missing {
		fmt.Fprintf(out, "%14snot measured: %s\n", "", m)
	}
}
