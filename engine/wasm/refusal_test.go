package wasm

import (
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// refusing runs temperatures of one key through the leaky guest, cut into batches of so many rows. It returns the
// rejected rows and the sums that came out.
func refusing(t *testing.T, p *Plugin, temps []float64, cut int, counts map[string]int64, evidence func(Evidence)) (rejects map[int]string, sums []float64) {
	t.Helper()
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	r := runner(t, p, RunnerOptions{Alloc: mem, Count: func(name string, n int64) { counts[name] += n }, Quarantine: evidence})
	slot := uint32(0)
	if p.Manifest.State != nil {
		var err error
		if slot, _, err = r.o.Tables[1].Slot([]byte("truck")); err != nil {
			t.Fatal(err)
		}
	}
	rejects = map[int]string{}
	for lo := 0; lo < len(temps); lo += cut {
		hi := min(lo+cut, len(temps))
		in := Input{Rows: hi - lo, Columns: []arrow.Array{floats(temps[lo:hi], nil)}}
		for i := lo; i < hi; i++ {
			in.Keys, in.Offsets, in.Indexes, in.Received = append(in.Keys, slot), append(in.Offsets, int64(i)), append(in.Indexes, 0), append(in.Received, 0)
		}
		out := r.Run(in)
		sums = append(sums, out.Columns[0].(*array.Float64).Float64Values()...)
		for _, x := range out.Rejects {
			rejects[lo+x.Row] = x.Reason
		}
		for _, c := range out.Columns {
			c.Release()
		}
	}
	return rejects, sums
}

// TestRefusalsAreTried: a row is not rejected for what the guest remembers of another, however rows are cut.
func TestRefusalsAreTried(t *testing.T) {
	p := load(t, module(t, "leaky"), Limits{})
	temps := make([]float64, 700)
	for i := range temps {
		temps[i] = 1
	}
	for _, at := range []int{5, 130, 131, 611} {
		temps[at] = 101
	}
	for _, cut := range []int{1, 7, 64, 700} {
		counts := map[string]int64{}
		rejects, sums := refusing(t, p, temps, cut, counts, nil)
		if len(rejects) != 4 || len(sums) != 696 || sums[695] != 696 {
			t.Fatalf("by %d: rejects %v, %d rows", cut, rejects, len(sums))
		}
		for _, at := range []int{5, 130, 131, 611} {
			if !strings.Contains(rejects[at], "too warm") {
				t.Errorf("by %d: row %d is rejected for %q", cut, at, rejects[at])
			}
		}
		if counts["unfounded"] < 3 || counts["unfounded"] > 40 || counts["failed"] != 0 {
			t.Errorf("by %d: counts %v", cut, counts)
		}
	}
}

// TestUnfoundedRefusals: somebody is told, once, of a guest that refuses without ground too often; its rows are as they
// would be alone.
func TestUnfoundedRefusals(t *testing.T) {
	p := load(t, module(t, "leaky"), Limits{})
	temps := make([]float64, 400)
	for i := range temps {
		temps[i] = float64(1 + 100*(i%2))
	}
	var told []Evidence
	counts := map[string]int64{}
	rejects, sums := refusing(t, p, temps, 100, counts, func(e Evidence) { told = append(told, e) })
	if len(rejects) != 200 || len(sums) != 200 || sums[199] != 200 {
		t.Errorf("%d rejects, %d rows; counts %v", len(rejects), len(sums), counts)
	}
	if len(told) != 1 || !told[0].ByClock || !strings.Contains(told[0].Cause, "a fresh instance takes") {
		t.Errorf("told %v", told)
	}
}

// TestHonestRefusals: every one is tried, in one instance that is made as it was each time.
func TestHonestRefusals(t *testing.T) {
	p := load(t, module(t, "leaky"), Limits{})
	temps := make([]float64, 2000)
	for i := range temps {
		temps[i] = 101
	}
	counts := map[string]int64{}
	if rejects, _ := refusing(t, p, temps, 1000, counts, nil); len(rejects) != len(temps) {
		t.Errorf("%d rejects", len(rejects))
	}
	if counts["cost_tried"] != 2000 || counts["cost_instances"] != 1 || counts["unfounded"] != 0 {
		t.Errorf("counts %v", counts)
	}
}

// TestMoods: a guest that takes one row in its life, whatever it remembers that in. All rows are taken, but for those that it
// refuses alone too; its calls do not come to much more than the rows' number times its logarithm.
func TestMoods(t *testing.T) {
	p := load(t, module(t, "moody"), Limits{})
	if len(p.kept) == 0 {
		t.Fatalf("globals %v are kept", p.kept)
	}
	for _, mood := range []struct {
		name string
		temp float64
	}{{"memory", -1}, {"global", 0.5}, {"growth", 1.5}, {"chance", 2.5}} {
		temps := make([]float64, 300)
		for i := range temps {
			temps[i] = mood.temp
			if i%10 == 9 {
				temps[i] = 101
			}
		}
		for _, cut := range []int{1, 7, 300} {
			counts := map[string]int64{}
			rejects, more := refusing(t, p, temps, cut, counts, nil)
			if len(rejects) != 30 || len(more) != 270 || slices.ContainsFunc(more, func(v float64) bool { return v != mood.temp+1 }) {
				t.Errorf("%s, by %d: %d rows, %d rejects: %v", mood.name, cut, len(more), len(rejects), counts)
			}
			for row, reason := range rejects {
				if row%10 != 9 || !strings.HasSuffix(reason, ": too warm") {
					t.Errorf("%s, by %d: row %d is rejected for %q", mood.name, cut, row, reason)
				}
			}
			if counts["failed"] != 0 || counts["unfounded"] == 0 || counts["cost_tried"] > 300*16 || mood.name != "growth" && counts["cost_instances"] > 2 {
				t.Errorf("%s, by %d: counts %v", mood.name, cut, counts)
			}
		}
	}
}

// BenchmarkRefused measures what a refused row costs, all in all.
func BenchmarkRefused(b *testing.B) {
	p := load(b, module(b, "leaky"), Limits{})
	r := runner(b, p, RunnerOptions{})
	slot, _, err := r.o.Tables[1].Slot([]byte("truck"))
	if err != nil {
		b.Fatal(err)
	}
	const rows = 1000
	temps := make([]float64, rows)
	in := Input{Rows: rows, Received: make([]arrow.Timestamp, rows), Indexes: make([]int32, rows), Offsets: make([]int64, rows), Keys: make([]uint32, rows)}
	for i := range temps {
		temps[i], in.Keys[i] = 101, slot
	}
	in.Columns = []arrow.Array{floats(temps, nil)}
	for b.Loop() {
		if out := r.Run(in); len(out.Rejects) != rows {
			b.Fatal(len(out.Rejects))
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
	b.ReportMetric(float64(r.trial.memory.Size()), "memory")
}
