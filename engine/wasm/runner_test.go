package wasm

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// feed gives rows to a runner in pieces of the sizes that cut says, and returns
// all that came out, a line a row.
func feed(t *testing.T, r *Runner, cols []arrow.Array, devices []string, cut func(left int) int) []string {
	t.Helper()
	n := cols[0].Len()
	keys := make([]uint32, n)
	for i, d := range devices {
		if len(r.o.Tables) > 1 {
			slot, _, err := r.o.Tables[1].Slot([]byte(d))
			if err != nil {
				t.Fatal(err)
			}
			keys[i] = slot
		}
	}
	lines := make([]string, n)
	for lo := 0; lo < n; {
		hi := lo + cut(n-lo)
		in := Input{Rows: hi - lo, Keys: keys[lo:hi], Offsets: make([]int64, hi-lo), Indexes: make([]int32, hi-lo), Received: make([]arrow.Timestamp, hi-lo)}
		for i := range hi - lo {
			in.Offsets[i] = int64(lo + i)
		}
		for _, c := range cols {
			in.Columns = append(in.Columns, array.NewSlice(c, int64(lo), int64(hi)))
		}
		out := r.Run(in)
		for i := range out.Rows {
			from := i
			if out.From != nil {
				from = int(out.From[i])
			}
			for _, c := range out.Columns {
				lines[lo+from] += c.ValueStr(i) + " "
			}
		}
		for _, x := range out.Rejects {
			_, reason, _ := strings.Cut(x.Reason, "): ")
			lines[lo+x.Row] += fmt.Sprintf("reject %v: %s", x.Failed, reason)
		}
		for _, c := range append(in.Columns, out.Columns...) {
			c.Release()
		}
		lo = hi
	}
	return lines
}

func whole(left int) int { return left }

// TestRowsDoNotDependOnCuts: refusals, traps, endless loops and state come out
// the same however rows are cut, and a row that fails costs itself alone.
func TestRowsDoNotDependOnCuts(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	const n = 500
	temps, setpoints, devices := make([]float64, n), make([]float64, n), make([]string, n)
	valid := make([]bool, n)
	for i := range n {
		temps[i], setpoints[i], devices[i], valid[i] = float64(i%17), 3, fmt.Sprint("d", i%7), i%31 != 4
	}
	temps[100], temps[101], temps[333], temps[499] = 666, 666, 777, 666
	cols := []arrow.Array{floats(temps, valid), floats(setpoints, nil)}
	p := load(t, module(t, "health"), Limits{FuelPerRow: 100_000})
	want := feed(t, runner(t, p, RunnerOptions{Alloc: mem}), cols, devices, func(int) int { return 1 })
	for i, line := range map[int]string{
		0: "-3 1 ", 4: "reject false: no temperature", 100: "reject true: it trapped: unreachable",
		333: "reject true: it used up its fuel of 100000", 499: "reject true: it trapped: unreachable",
	} {
		if want[i] != line {
			t.Errorf("row %d: %q; want %q", i, want[i], line)
		}
	}
	rejects := 0
	for _, l := range want {
		if strings.Contains(l, "reject") {
			rejects++
		}
	}
	if rejects != 4+16 {
		t.Errorf("%d rejects; want 20", rejects)
	}
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		cut := func(left int) int { return 1 + rnd.IntN(min(left, 1+int(seed)*20)) }
		if seed == 0 {
			cut = whole
		}
		got := feed(t, runner(t, p, RunnerOptions{Alloc: mem}), cols, devices, cut)
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("seed %d, row %d: %q; want %q", seed, i, got[i], want[i])
			}
		}
	}
}
