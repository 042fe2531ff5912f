package wasm

import (
	"context"
	"fmt"
	"syscall"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// fourColumns are n rows of four numbers.
func fourColumns(n int) Input {
	in := Input{Rows: n, Offsets: make([]int64, n), Indexes: make([]int32, n), Received: make([]arrow.Timestamp, n), Keys: make([]uint32, n)}
	for c := range 4 {
		v := make([]float64, n)
		for i := range v {
			v[i] = float64(i%977) + float64(c)*0.37
		}
		in.Columns = append(in.Columns, floats(v, nil))
	}
	return in
}

// BenchmarkBoundary is what a row costs through the whole boundary, four
// columns in and one out, metering on.
func BenchmarkBoundary(b *testing.B) {
	guests := []struct {
		name string
		code []byte
	}{{"C", module(b, "over")}, {"Go", goGuest(b)}}
	for _, n := range []int{1, 1024, 4096, 16384} {
		in := fourColumns(n)
		b.Run(fmt.Sprint("native/", n), func(b *testing.B) {
			start := cpu()
			for b.Loop() {
				native(in, memory.DefaultAllocator).Release()
			}
			b.ReportMetric(float64(cpu()-start)/float64(b.N*n), "cpu-ns/row")
		})
		for _, g := range guests {
			b.Run(fmt.Sprint(g.name, "/", n), func(b *testing.B) {
				r := runner(b, load(b, g.code, Limits{}), RunnerOptions{Alloc: memory.DefaultAllocator})
				for range 20 {
					r.Run(in)
				}
				start := cpu()
				for b.Loop() {
					for _, c := range r.Run(in).Columns {
						c.Release()
					}
				}
				b.ReportMetric(float64(cpu()-start)/float64(b.N*n), "cpu-ns/row")
			})
		}
	}
}

// native is what the guest does, as a kernel of the engine would.
func native(in Input, alloc memory.Allocator) arrow.Array {
	t, s := in.Columns[0].(*array.Float64).Float64Values(), in.Columns[1].(*array.Float64).Float64Values()
	a, f := in.Columns[2].(*array.Float64).Float64Values(), in.Columns[3].(*array.Float64).Float64Values()
	buf := memory.NewResizableBuffer(alloc)
	defer buf.Release()
	buf.Resize(8 * in.Rows)
	out := arrow.Float64Traits.CastFromBytes(buf.Bytes())
	for i := range out {
		out[i] = (t[i]-s[i])*a[i] + f[i]
	}
	d := array.NewData(arrow.PrimitiveTypes.Float64, in.Rows, []*memory.Buffer{nil, buf}, nil, 0, 0)
	defer d.Release()
	return array.NewFloat64Data(d)
}

// BenchmarkMetering calls the same guest over the same batch, rewritten and as it was.
func BenchmarkMetering(b *testing.B) {
	const n = 4096
	for _, name := range []string{"over"} {
		code := module(b, name)
		p := load(b, code, Limits{})
		r := runner(b, p, RunnerOptions{})
		r.rowFuel = 1
		in := fourColumns(n)
		r.Run(in)
		memory := append([]byte(nil), r.instance.view()...)
		batch := (r.instance.region + bufferAlign - 1) &^ (bufferAlign - 1)
		b.Run(name+"/metered", func(b *testing.B) {
			start := cpu()
			for b.Loop() {
				r.instance.begin(1e9)
				if _, err := r.instance.call(r.instance.run, batch); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(cpu()-start)/float64(b.N*n), "cpu-ns/row")
		})
		b.Run(name+"/plain", func(b *testing.B) {
			m, run := plain(b, code)
			m.Memory().Grow(uint32(len(memory))/pageBytes - m.Memory().Size()/pageBytes)
			m.Memory().Write(0, memory)
			stack := []uint64{0}
			start := cpu()
			for b.Loop() {
				stack[0] = uint64(batch)
				if err := run.CallWithStack(context.Background(), stack); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(cpu()-start)/float64(b.N*n), "cpu-ns/row")
		})
	}
}

// cpu is the processor time of the process, ns: other processes share the machine.
func cpu() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// plain makes an instance of a module without metering and imports.
func plain(b *testing.B, code []byte) (api.Module, api.Function) {
	ctx := context.Background()
	rt := wazero.NewRuntime(ctx)
	b.Cleanup(func() { _ = rt.Close(ctx) })
	m, err := rt.Instantiate(ctx, code)
	if err != nil {
		b.Fatal(err)
	}
	return m, m.ExportedFunction("tidemill_run")
}
