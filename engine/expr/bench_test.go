package expr

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"golang.org/x/sys/unix"
)

// benchBatch has trailers' rows; with nulls, one value in eight is null.
func benchBatch(n int, nulls bool) arrow.RecordBatch {
	rng := rand.New(rand.NewPCG(1, 2))
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "temp", Type: kNum.arrowType()}, {Name: "setpoint", Type: kNum.arrowType()},
		{Name: "door_open", Type: kBool.arrowType()}, {Name: "site", Type: kText.arrowType()},
		{Name: "n", Type: kInt.arrowType()}, {Name: "ts", Type: kTime.arrowType()},
	}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	for range n {
		for i := range schema.NumFields() {
			f := b.Field(i)
			if nulls && rng.IntN(8) == 0 {
				f.AppendNull()
				continue
			}
			switch f := f.(type) {
			case *array.Float64Builder:
				f.Append(rng.Float64()*60 - 20)
			case *array.BooleanBuilder:
				f.Append(rng.IntN(3) == 0)
			case *array.StringBuilder:
				f.Append(fmt.Sprintf("site-%d", rng.IntN(20)))
			case *array.Int64Builder:
				f.Append(rng.Int64N(1000))
			case *array.TimestampBuilder:
				f.Append(arrow.Timestamp(1.7e15 + rng.Int64N(1e12)))
			}
		}
	}
	return b.NewRecordBatch()
}

// reuse is an allocator that hands out again what was freed, so that kernels
// are measured and not the garbage collector.
type reuse struct{ free [][]byte }

func (r *reuse) Allocate(n int) []byte {
	for i, b := range r.free {
		if cap(b) >= n && cap(b) <= 2*n+64 {
			r.free[i] = r.free[len(r.free)-1]
			r.free = r.free[:len(r.free)-1]
			return b[:n]
		}
	}
	return make([]byte, n)
}

func (r *reuse) Free(b []byte) { r.free = append(r.free, b) }

func (r *reuse) Reallocate(n int, b []byte) []byte {
	if n <= cap(b) {
		return b[:n]
	}
	c := r.Allocate(n)
	copy(c, b)
	r.Free(b)
	return c
}

// cpuTime is the process's user and system time, ns.
func cpuTime() int64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

func BenchmarkEval(b *testing.B) {
	for _, src := range []string{
		`temp > setpoint + 3 && !door_open`,
		`(temp - 32) * 5 / 9`,
		`temp * 9 / 5 + 32`,
		`temp - setpoint`,
		`temp > -60 && temp < 80`,
		`n + 1`,
		`site == "site-7"`,
		`"alarms/${site}"`,
		`door_open ? temp : setpoint`,
		`coalesce(temp, 0)`,
		`trunc(ts, "5m")`,
		`format_time(ts, "%Y-%m-%d %H:%M:%S")`,
	} {
		for _, n := range []int{1024, 4096} {
			for _, nulls := range []bool{false, true} {
				b.Run(fmt.Sprintf("%s/%d/nulls=%v", src, n, nulls), func(b *testing.B) {
					rows := benchBatch(n, nulls)
					p := mustCompile(b, src, rows.Schema())
					var sel []int32
					alloc := &reuse{}
					b.ReportAllocs()
					start := cpuTime()
					for b.Loop() {
						if p.Type().ID() == arrow.BOOL {
							sel = p.Select(rows, sel[:0])
							continue
						}
						p.Eval(rows, alloc).Release()
					}
					b.ReportMetric(float64(cpuTime()-start)/float64(b.N*n), "cpu-ns/row")
				})
			}
		}
	}
}
