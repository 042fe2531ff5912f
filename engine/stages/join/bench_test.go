package join

import (
	"fmt"
	"math/bits"
	"runtime"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"golang.org/x/sys/unix"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/state"
)

// benchRows makes batches of both inputs that visit keys in turn, seconds apart.
func benchRows(b *testing.B, keys, batches int, in func(i int) int) (out []arrow.RecordBatch, ins []int) {
	h := &bench{t: b, slots: map[string]uint32{}, marks: map[uint32]*[2]int64{}}
	at := 0
	for k := range batches {
		var events []row
		for range 1024 {
			events = append(events, row{in: in(k), key: fmt.Sprint("device-", at%keys), time: int64(1000 + at/keys), value: int64(at), received: 1000, offset: int64(at)})
			at++
		}
		h.fill(events)
		out, ins = append(out, h.batch(events)), append(ins, in(k))
	}
	return out, ins
}

type nobody struct{}

func (nobody) Emit(rows arrow.RecordBatch) { rows.Release() }

func open(b *testing.B, spec stage.Spec, body string) stage.Stage {
	bound, diags := bindText(spec, body, nil)
	if diags.HasErrors() {
		b.Fatal(diags)
	}
	o := stage.Opening{Alloc: again{}, Reject: func(r stage.Reject) { b.Fatal(r.Reason) }, Count: func(string, int64) {}}
	for _, d := range bound.State {
		o.Tables = append(o.Tables, state.New(d))
	}
	st, err := bound.OpenStage(o)
	if err != nil {
		b.Fatal(err)
	}
	return st
}

const benchInterval = "by = [device]\nwith = [dev]\nkeep = [device, value]\ntake = { limit = lim }\nbefore = \"1s\"\nafter = \"1s\"\n"

// BenchmarkInterval: rows of both inputs in turn, about one partner each.
func BenchmarkInterval(b *testing.B) {
	for _, keys := range []int{8_000, 1_000_000} {
		b.Run(fmt.Sprint(keys), func(b *testing.B) {
			n := max(2*keys/1024+2, 200)
			batches, ins := benchRows(b, keys, n, func(i int) int { return i / (keys/1024 + 1) % 2 })
			st := open(b, Interval(), benchInterval)
			spent, rows := int64(0), 0
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			for pass := range b.N + 1 { // the first makes the keys
				before := threadTime(b)
				for k, r := range batches {
					if err := st.Process(ins[k], r, nobody{}); err != nil {
						b.Fatal(err)
					}
				}
				if pass > 0 {
					spent += threadTime(b) - before
					rows += n * 1024
				}
				for _, r := range batches { // the same rows, later
					for i := range int(r.NumRows()) {
						flow.Times(r)[i] += arrow.Timestamp(n*1024/keys+1) * second
						flow.Marks(r)[i] += int64(n*1024/keys+1) * second
					}
				}
			}
			b.ReportMetric(float64(spent)/float64(rows), "cpu-ns/row")
		})
	}
}

// threadTime is the CPU time of this thread, ns.
func threadTime(tb testing.TB) int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now); err != nil {
		tb.Fatal(err)
	}
	return now.Nano()
}

// again is an allocator that gives out once more what was freed, as the engine's does.
type again map[int][][]byte

func (a again) Allocate(n int) []byte {
	class := bits.Len(uint(max(n, 64) - 1))
	free := a[class]
	if len(free) == 0 {
		return make([]byte, 1<<class)[:n]
	}
	a[class] = free[:len(free)-1]
	return free[len(free)-1][:n]
}

func (a again) Free(b []byte) {
	class := bits.Len(uint(cap(b) - 1))
	a[class] = append(a[class], b)
}

func (a again) Reallocate(n int, b []byte) []byte {
	if n <= cap(b) {
		return b[:n]
	}
	more := a.Allocate(n)
	copy(more, b)
	a.Free(b)
	return more
}

// BenchmarkLatest: rows that find two values in the view.
func BenchmarkLatest(b *testing.B) {
	for _, keys := range []int{8_000, 1_000_000} {
		b.Run(fmt.Sprint(keys), func(b *testing.B) {
			n := keys/1024 + 1
			view, _ := benchRows(b, keys, n, func(int) int { return 1 })
			rows, _ := benchRows(b, keys, n, func(int) int { return 0 })
			st := open(b, Latest(), "by = [device]\nwith = [dev]\ntake = { limit = lim, double = lim * 2 }\n")
			for _, v := range view {
				if err := st.Process(1, v, nobody{}); err != nil {
					b.Fatal(err)
				}
			}
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			before, done := threadTime(b), 0
			for range b.N {
				for _, r := range rows {
					if err := st.Process(0, r, nobody{}); err != nil {
						b.Fatal(err)
					}
				}
				done += n * 1024
			}
			b.ReportMetric(float64(threadTime(b)-before)/float64(done), "cpu-ns/row")
		})
	}
}
