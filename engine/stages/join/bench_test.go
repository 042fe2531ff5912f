package join

import (
	"fmt"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

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
	o := stage.Opening{Alloc: memory.DefaultAllocator, Reject: func(r stage.Reject) { b.Fatal(r.Reason) }, Count: func(string, int64) {}}
	for _, d := range bound.State {
		o.Tables = append(o.Tables, state.New(d))
	}
	st, err := bound.OpenStage(o)
	if err != nil {
		b.Fatal(err)
	}
	return st
}

// BenchmarkInterval: rows of both inputs in turn, about one partner each.
func BenchmarkInterval(b *testing.B) {
	for _, keys := range []int{8_000, 1_000_000} {
		b.Run(fmt.Sprint(keys), func(b *testing.B) {
			n := max(2*keys/1024+2, 200)
			batches, ins := benchRows(b, keys, n, func(i int) int { return i / (keys/1024 + 1) % 2 })
			st := open(b, Interval(), "by = [device]\nwith = [dev]\nkeep = [device, value]\ntake = { limit = lim }\nbefore = \"1s\"\nafter = \"1s\"\n")
			b.ResetTimer()
			rows := 0
			for rows < b.N {
				k := rows / 1024 % n
				if k == 0 && rows > 0 { // times would begin anew
					b.StopTimer()
					st = open(b, Interval(), "by = [device]\nwith = [dev]\nkeep = [device, value]\ntake = { limit = lim }\nbefore = \"1s\"\nafter = \"1s\"\n")
					b.StartTimer()
				}
				if err := st.Process(ins[k], batches[k], nobody{}); err != nil {
					b.Fatal(err)
				}
				rows += 1024
			}
		})
	}
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
			b.ResetTimer()
			for done := 0; done < b.N; done += 1024 {
				if err := st.Process(0, rows[done/1024%n], nobody{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
