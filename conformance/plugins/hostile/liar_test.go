package hostile

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/state"
	"github.com/tidemill/tidemill/engine/wasm"
)

const poison = 666 // the row at which the liar shows what it is

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func liar(t testing.TB) []byte {
	t.Helper()
	m, err := wasm.Attach(read(t, "liar.wasm"), read(t, "liar.json"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func newHost(t testing.TB) *wasm.Host {
	t.Helper()
	h, err := wasm.NewHost(wasm.Options{Clock: env.Real().Clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

// scene is a liar that runs.
type scene struct {
	runner   *wasm.Runner
	tables   []*state.Table
	evidence []wasm.Evidence
	lines    int
	counts   map[string]int64
	mem      *memory.CheckedAllocator
	settings map[string]wasm.Setting
}

func newScene(t testing.TB, p *wasm.Plugin, offence int) *scene {
	t.Helper()
	settings, problems := p.Manifest.Settings(map[string]json.RawMessage{"offence": json.RawMessage(fmt.Sprint(offence))})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	s := &scene{settings: settings, counts: map[string]int64{}, mem: memory.NewCheckedAllocator(memory.DefaultAllocator)}
	for _, d := range p.Manifest.Tables("", 0) {
		s.tables = append(s.tables, state.New(d))
	}
	r, err := p.NewRunner(wasm.RunnerOptions{
		Alloc: s.mem, Settings: settings, Tables: s.tables,
		Log:        func(int, string) { s.lines++ },
		Quarantine: func(e wasm.Evidence) { s.evidence = append(s.evidence, e) },
		Count:      func(name string, n int64) { s.counts[name] += n },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	s.runner = r
	return s
}

// run gives rows to the liar, all of one key.
func (s *scene) run(t testing.TB, temps []float64) (outs map[int]float64, rejects map[int]string) {
	t.Helper()
	b := array.NewFloat64Builder(s.mem)
	defer b.Release()
	b.AppendValues(temps, nil)
	col := b.NewArray()
	defer col.Release()
	n := len(temps)
	in := wasm.Input{Rows: n, Columns: []arrow.Array{col}, Keys: make([]uint32, n), Offsets: make([]int64, n), Indexes: make([]int32, n), Received: make([]arrow.Timestamp, n)}
	slot, _, err := s.tables[1].Slot([]byte("truck"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		in.Keys[i], in.Offsets[i] = slot, int64(i)
	}
	out := s.runner.Run(in)
	outs, rejects = map[int]float64{}, map[int]string{}
	for i := range out.Rows {
		from := i
		if out.From != nil {
			from = int(out.From[i])
		}
		outs[from] = out.Columns[0].(*array.Float64).Value(i)
	}
	for _, r := range out.Rejects {
		rejects[r.Row] = r.Reason
	}
	for _, c := range out.Columns {
		c.Release()
	}
	return outs, rejects
}

// offence is what the liar does, and what its row is rejected for; "" where that is allowed.
type offence struct {
	number      int
	name, cause string
}

var offences = []offence{
	{1, "endless loop", "used up its fuel"},
	{2, "endless recursion", ""}, // see TestRecursion
	{3, "memory bomb", "trapped: unreachable"},
	{4, "memory.fill loop", "used up its fuel"},
	{5, "lying length", "length 1099511627776"},
	{6, "children out of memory", "children of rows is 8 bytes at 4294967280"},
	{7, "offsets that run backwards", "offsets of text fall"},
	{8, "huge row count", "rows has"},
	{9, "trap on a row", "trapped: unreachable"},
	{10, "buffers of another type", "out has 3 buffers; it takes 2"},
	{11, "data at the end of the address space", "data of out is"},
	{12, "negative length", "has length -1"},
	{13, "overlapping buffers", ""},
	{14, "text that is not UTF-8", "text is not UTF-8"},
	{15, "nulls that were not declared", "does not say nullable"},
	{16, "result out of memory", "the result is 16 bytes at 4294967288"},
	{17, "10 MB of log lines", ""},
	{18, "endless host calls", "host calls in one batch"},
	{19, "host call with a buffer out of memory", "gave the host 2147483647 bytes"},
	{20, "log line out of memory", "gave the host 4294967295 bytes"},
	{21, "all of its own memory overwritten", "broke the contract"},
	{22, "fail", "as it was told"},
	{23, "huge offset", "offset 1152921504606846976"},
	{24, "memory.copy loop", "used up its fuel"},
	{25, "too many bytes of state", "state note has 9 bytes; at most 8 fit"},
	{26, "memory.grow loop", "used up its fuel"},
	{27, "wrong count of nulls", "says that it has 1 nulls; it has 0"},
	{28, "text that is longer than memory", "data of text is 2147483647 bytes"},
	{29, "no result", "tidemill_run returned 0"},
	{30, "a column of columns", "text has 1 buffers"},
	{31, "negative offset of a text", "offsets of text fall"},
	{32, "rejects of another length", "rejects has"},
	{33, "eight billion children", "rows has 8589934592 children"},
}

// TestLiar: whatever the guest does at one row, that row alone is rejected, with
// the cause, and all other rows and the state of their key are as if it had not been there.
func TestLiar(t *testing.T) {
	p, err := newHost(t).Load(liar(t), wasm.Limits{FuelPerRow: 300_000, MemoryBytes: 4 << 20, HostCalls: 12_000})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for _, o := range offences {
		if o.number == 2 {
			continue
		}
		t.Run(o.name, func(t *testing.T) {
			s := newScene(t, p, o.number)
			defer s.mem.AssertSize(t, 0)
			const n, at = 300, 137
			temps := make([]float64, n)
			for i := range temps {
				temps[i] = float64(i)
			}
			temps[at] = poison
			outs, rejects := s.run(t, temps)
			bad := 0
			if o.cause != "" {
				bad = 1
				if why := rejects[at]; !strings.Contains(why, o.cause) || !strings.Contains(why, p.Digest) {
					t.Errorf("row %d: rejected for %q; want the digest and %q", at, why, o.cause)
				}
			}
			if len(rejects) != bad || len(outs) != n-bad {
				t.Fatalf("%d rows and %d rejects; want %d and %d: %v", len(outs), len(rejects), n-bad, bad, rejects)
			}
			sum := 0.0
			for i, temp := range temps {
				if v, ok := outs[i]; ok && v != 2*temp && o.number != 13 {
					t.Errorf("row %d gives %v", i, v)
				}
				if i != at || bad == 0 {
					sum += temp
				}
			}
			slot, _ := s.tables[1].Find([]byte("truck"))
			if got := s.tables[1].Bytes(1, slot); len(got) < 8 || !strings.HasPrefix(string(got), f64(sum)) {
				t.Errorf("state is %x; want the sum %v first", got, sum)
			}
			if s.lines > 512 {
				t.Errorf("%d log lines were kept of 10 MB", s.lines)
			}
		})
	}
}

// refusal is what the liar does that refuses all rows of a batch for one of them; what it wrote to the state stays.
const refusal = 34

// TestAllForOne: where a guest refuses a whole batch for one row, that row alone is rejected.
func TestAllForOne(t *testing.T) {
	p, err := newHost(t).Load(liar(t), wasm.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	s := newScene(t, p, refusal)
	defer s.mem.AssertSize(t, 0)
	temps := make([]float64, 100)
	temps[37], temps[38], temps[80] = poison, 1, poison
	outs, rejects := s.run(t, temps)
	if len(outs) != 98 || len(rejects) != 2 || !strings.HasSuffix(rejects[37], ": x") || !strings.HasSuffix(rejects[80], ": x") {
		t.Errorf("%d rows and rejects %v", len(outs), rejects)
	}
	slot, _ := s.tables[1].Find([]byte("truck"))
	if got := s.tables[1].Bytes(1, slot); !strings.HasPrefix(string(got), f64(2*poison+1)) {
		t.Errorf("state is %x", got)
	}
}

// TestQuarantine: a guest that fails at every row is given up after 64 of them, in bounded memory.
func TestQuarantine(t *testing.T) {
	p, err := newHost(t).Load(liar(t), wasm.Limits{FuelPerRow: 100_000, MemoryBytes: 4 << 20, HostCalls: 2_000})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	temps := make([]float64, 2000)
	for i := range temps {
		temps[i] = poison
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, o := range offences {
		if o.cause == "" {
			continue
		}
		s := newScene(t, p, o.number)
		outs, rejects := s.run(t, temps)
		if len(outs) != 0 || len(rejects) != len(temps) {
			t.Errorf("%s: %d rows and %d rejects", o.name, len(outs), len(rejects))
		}
		if s.counts["failed"] != 64 || !strings.Contains(rejects[1999], "quarantined") || !strings.Contains(rejects[1999], o.cause) {
			t.Errorf("%s: after %d failures the last row is rejected for %q", o.name, s.counts["failed"], rejects[1999])
		}
		if len(s.evidence) != 1 || !strings.Contains(s.evidence[0].Cause, o.cause) || s.evidence[0].Offset != 63 {
			t.Errorf("%s: evidence %+v", o.name, s.evidence)
		}
		s.runner.Close()
		s.mem.AssertSize(t, 0)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 64<<20 {
		t.Errorf("the heap has grown by %d MiB", grown>>20)
	}
}

// TestRecursion: too deep a call is a failure like others.
func TestRecursion(t *testing.T) {
	p, err := newHost(t).Load(liar(t), wasm.Limits{FuelPerRow: 100_000_000})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	s := newScene(t, p, 2)
	_, rejects := s.run(t, []float64{1, poison, 2})
	if len(rejects) != 1 || !strings.Contains(rejects[1], "trapped: ") {
		t.Errorf("rejects %v", rejects)
	}
}
