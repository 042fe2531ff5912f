package window

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stages/stagetest"
)

// stats is a window as a person would compute it.
type stats struct {
	n, known    int64
	sum, lo, hi float64
	values      map[string]bool
}

// generate writes a case of random rows: gaps, rows out of order, rows that a
// filter dropped, ticks. It also computes what each window holds in the end.
func generate(r *rand.Rand, args, by string, key func(device, site string) string) (string, map[string]*stats) {
	var b strings.Builder
	want := map[string]*stats{}
	fmt.Fprintf(&b, "-- args --\n%s\n-- at --\nkey device\n", args)
	now, times := 0, map[string]int{}
	for range 2 + r.IntN(6) {
		b.WriteString("-- rows --\n_time device:string site:string temp:number\n")
		for range 1 + r.IntN(40) {
			now += r.IntN(3)
			device, site := fmt.Sprint("d", r.IntN(4)), fmt.Sprint("s", r.IntN(3))
			if r.IntN(20) == 0 {
				times[device] += r.IntN(400)
			}
			times[device] += r.IntN(15)
			t := max(0, times[device]-r.IntN(2)*r.IntN(90))
			temp := "-"
			if r.IntN(5) > 0 {
				temp = fmt.Sprint(float64(r.IntN(2000)-1000) / 10)
			}
			fmt.Fprintf(&b, "%s %s %s %s\n", clock(t), device, site, temp)
			w := fmt.Sprint(key(device, site), " ", t/60*60)
			if want[w] == nil {
				want[w] = &stats{lo: math.Inf(1), hi: math.Inf(-1), values: map[string]bool{}}
			}
			want[w].add(temp)
		}
		if r.IntN(2) == 0 {
			device := fmt.Sprint("d", r.IntN(4))
			times[device] += r.IntN(200)
			fmt.Fprintf(&b, "-- hidden --\n_time device:string\n%s %s\n", clock(times[device]), device)
		}
		if r.IntN(2) == 0 {
			now += 1 + r.IntN(30)
			fmt.Fprintf(&b, "-- tick %s --\n", clock(now))
		}
	}
	b.WriteString("-- end --\n")
	return b.String(), want
}

func clock(s int) string { return fmt.Sprintf("%02d:%02d:%02d", s/3600, s/60%60, s%60) }

func (s *stats) add(temp string) {
	s.n++
	var v float64
	if _, err := fmt.Sscan(temp, &v); err != nil {
		return
	}
	s.known, s.sum, s.lo, s.hi = s.known+1, s.sum+v, min(s.lo, v), max(s.hi, v)
	s.values[temp] = true
}

// TestRandomStreams compares the last revision of every window with what a
// person would compute, over random streams, each run in several ways.
func TestRandomStreams(t *testing.T) {
	emit := "emit = { n = count(), known = count(temp), total = sum(temp), lo = min(temp), hi = max(temp), d = distinct(temp) }"
	for _, c := range []struct {
		by  string
		key func(device, site string) string
	}{
		{"[device]", func(d, s string) string { return d }},
		{"[site, device]", func(d, s string) string { return s + " " + d }},
		{"[site]", func(d, s string) string { return s }},
	} {
		for seed := range uint64(25) {
			r := rand.New(rand.NewPCG(seed, 3))
			idle := ""
			if r.IntN(2) == 0 {
				idle = "idle = \"20s\"\n"
			}
			args := fmt.Sprintf("by = %s\nevery = \"1m\"\nkeep = \"100h\"\n%s%s", c.by, idle, emit)
			text, want := generate(r, args, c.by, c.key)
			got := stagetest.Run(t, Tumbling(), []byte(text), 4)
			compare(t, fmt.Sprintf("by %s, seed %d", c.by, seed), got, len(strings.Split(c.by, ",")), want)
			if t.Failed() {
				return
			}
		}
	}
}

func compare(t *testing.T, name string, archive []byte, keys int, want map[string]*stats) {
	for _, f := range txtar.Parse(archive).Files {
		if f.Name != "out" {
			continue
		}
		rows, err := flow.ParseRows(memory.DefaultAllocator, string(f.Data))
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Release()
		last, revisions := map[string]int{}, map[string]int64{}
		revision := rows.Column(int(rows.NumCols()) - 2).(*array.Int64)
		for i := range int(rows.NumRows()) {
			w := ""
			for k := range keys {
				w += rows.Column(flow.MetaColumns+k).ValueStr(i) + " "
			}
			w += fmt.Sprint(int64(rows.Column(flow.MetaColumns+keys).(*array.Timestamp).Value(i)) / 1_000_000)
			if revision.Value(i) != revisions[w] {
				t.Errorf("%s: window %s has revision %d after %d", name, w, revision.Value(i), revisions[w]-1)
			}
			revisions[w]++
			last[w] = i
		}
		if len(last) != len(want) {
			t.Errorf("%s: %d windows, want %d", name, len(last), len(want))
		}
		for w, s := range want {
			i, ok := last[w]
			if !ok {
				t.Errorf("%s: window %s is missing", name, w)
				continue
			}
			at := flow.MetaColumns + keys + 2
			got := fmt.Sprint(rows.Column(at).ValueStr(i), rows.Column(at+1).ValueStr(i), rows.Column(at+3).ValueStr(i), rows.Column(at+4).ValueStr(i), rows.Column(at+5).ValueStr(i))
			lo, hi := "(null)", "(null)"
			if s.known > 0 {
				lo, hi = fmt.Sprint(s.lo), fmt.Sprint(s.hi)
			}
			if w2 := fmt.Sprint(fmt.Sprint(s.n), fmt.Sprint(s.known), lo, hi, fmt.Sprint(len(s.values))); got != w2 {
				t.Errorf("%s: window %s is %s, want %s", name, w, got, w2)
			}
			if total := rows.Column(at + 2).(*array.Float64); s.known > 0 && math.Abs(total.Value(i)-s.sum) > 1e-9 {
				t.Errorf("%s: window %s sums up to %v, want %v", name, w, total.Value(i), s.sum)
			}
		}
	}
}
