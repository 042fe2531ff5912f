package window

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/stages/stagetest"
	"github.com/tidemill/tidemill/engine/state"
)

// fullParts is a first phase whose table of groups is small.
type fullParts struct {
	*parts
	text    strings.Builder // what goes out, in order
	reasons []string        // for what is refused
	rows    int64           // in parts that went out
	refused map[string]int64
	most    int // of groups
}

func newFullParts(t *testing.T, kind, args string, groups int) *fullParts {
	bound, diags := stagetest.Bind(specNamed(kind+"_"), []byte(args), roomRows(t, nil).Schema(), "device", 4, func(at *stage.At) { at.Regroup = func([]string) {} })
	if diags.HasErrors() || bound.First == nil {
		t.Fatal(diags, bound.Whole)
	}
	var tables []*state.Table
	for _, d := range bound.First.State {
		if d.Name == "groups" {
			d.MaxKeys = groups
		}
		tables = append(tables, state.New(d))
	}
	f := &fullParts{refused: map[string]int64{}}
	st, err := bound.First.OpenStage(stage.Opening{Alloc: memory.DefaultAllocator, Tables: tables, Address: "window.it",
		Count: func(name string, n int64) { f.refused[name] += n },
		Reject: func(r stage.Reject) {
			f.refused["rejects"]++
			f.refused[strings.Join(strings.Fields(r.Reason)[:2], " ")]++
			f.reasons = append(f.reasons, fmt.Sprintf("%d: %s\n", flow.Offsets(r.Rows)[r.Row], r.Reason))
		}})
	if err != nil {
		t.Fatal(err)
	}
	f.parts = st.(*parts)
	return f
}

// Emit notes rows as text, and counts those that are in them.
func (f *fullParts) Emit(rows arrow.RecordBatch) {
	defer rows.Release()
	_, text, _ := strings.Cut(flow.FormatRows(nil, rows), "\n")
	for line := range strings.Lines(text) {
		f.text.WriteString(strings.Join(strings.Fields(line), " ") + "\n")
	}
	blobs := rows.Column(rows.Schema().FieldIndices(f.layout)[0]).(*array.String)
	f.blobs, f.window.parts = blobs, true
	for i := range blobs.Len() {
		if blobs.IsValid(i) {
			f.rows += f.rowsOf(i)
		}
	}
	f.window.parts = false
}

func (f *fullParts) feed(t *testing.T, lines []string) {
	rows := roomRows(t, lines)
	defer rows.Release()
	if err := f.Process(0, rows, f); err != nil {
		t.Fatal(err)
	}
	f.most = max(f.most, f.groups.Len())
}

// TestPartsFull: where keys explode in the first phase, rows of those that there is no room for are rejected with the reason and counted, every other
// row is in a part, and which is which does not depend on where batches end.
func TestPartsFull(t *testing.T) {
	reasons := map[string]int64{}
	for _, c := range []struct{ kind, args string }{
		{"tumbling", "every = \"1m\"\ngrace = \"1m\""}, {"tumbling", "every = \"1m\"\nlate = \"side\""},
		{"sliding", "every = \"1m\"\nsize = \"4m\""}, {"session", "gap = \"30s\"\ngrace = \"20s\"\nphases = 2\nlate = \"drop\""},
	} {
		for _, by := range []string{"tag", "tag, seq"} {
			args := fmt.Sprintf("by = [%s]\n%s\nemit = { n = count(), d = distinct(seq) }\n", by, c.args)
			for seed := range uint64(6) {
				want := fullRun(t, c.kind, args, seed, 1, reasons)
				for _, cut := range []int{3, 50, 1000} {
					if got := fullRun(t, c.kind, args, seed, cut, map[string]int64{}); got != want {
						t.Fatalf("%s by %s, seed %d, batches of up to %d:\n%s\nwant\n%s", c.kind, by, seed, cut, got, want)
					}
				}
			}
		}
	}
	t.Log(reasons)
	if reasons["no window"] < 50 || reasons["keys"] < 1000 {
		t.Error("hardly a row is refused: this check cannot fail")
	}
}

func fullRun(t *testing.T, kind, args string, seed uint64, cut int, reasons map[string]int64) string {
	r, cuts := rand.New(rand.NewPCG(seed, 43)), rand.New(rand.NewPCG(seed, uint64(cut)))
	f, fed := newFullParts(t, kind, args, 8), int64(0)
	for at := 3600; at < 3900; at += 20 {
		var lines []string
		for range r.IntN(80) {
			tag := fmt.Sprint("x", r.IntN(6+r.IntN(2)*r.IntN(30)))
			if r.IntN(90) == 0 {
				tag = strings.Repeat("long", 1<<14+1)
			}
			back := r.IntN(30) + r.IntN(2)*r.IntN(1200)
			lines = append(lines, fmt.Sprintf("%s %s %d %s 0 d %s %d\n", roomTime(at-back), roomTime(at), fed, roomTime(at), tag, r.IntN(2)))
			fed++
		}
		for len(lines) > 0 {
			n := min(len(lines), 1+cuts.IntN(cut))
			f.feed(t, lines[:n])
			lines = lines[n:]
		}
		if err := stage.AdvanceWhole(f.parts, 0, flow.Watermarks{Tick: int64(at) * 1e6, Ticked: true}, f); err != nil {
			t.Fatal(err)
		}
	}
	if err := stage.AdvanceWhole(f.parts, 0, flow.Watermarks{Tick: 4000e6, Ticked: true, Ended: true}, f); err != nil {
		t.Fatal(err)
	}
	if f.rows+f.refused["rejects"] != fed || f.refused["refused"] != f.refused["rejects"] {
		t.Fatalf("%d rows: %d went out, and %v", fed, f.rows, f.refused)
	}
	if f.most > 8 || f.groups.Len() > 0 || f.panes.Len() > 0 {
		t.Fatalf("%d groups at most; %d and %d in the end", f.most, f.groups.Len(), f.panes.Len())
	}
	slices.Sort(f.reasons)
	text := f.text.String() + strings.Join(f.reasons, "")
	for name, n := range f.refused {
		reasons[name] += n
	}
	reasons["keys"] += int64(strings.Count(text, "too many keys"))
	return text
}

// TestLongKey: a row whose key is longer than a table takes is rejected, by a window of any kind, and the others are as if it had not come.
func TestLongKey(t *testing.T) {
	for kind, args := range map[string]string{"tumbling": "every = \"1m\"", "sliding": "every = \"1m\"\nsize = \"2m\"", "session": "gap = \"1m\"", "count": "size = 2", "state": "while = seq < 5"} {
		for _, by := range []string{"tag", "device, tag"} {
			m := newRoom(t, kind, fmt.Sprintf("by = [%s]\n%s\nemit = { n = count() }\n", by, args))
			var rejects []string
			m.o.Reject = func(r stage.Reject) { rejects = append(rejects, r.Reason) }
			line := func(at int, tag string) string {
				return fmt.Sprintf("%s %s %d %s 0 d %s %d\n", roomTime(at), roomTime(at), at, roomTime(at), tag, at)
			}
			m.feed(t, []string{line(1, "a"), line(2, strings.Repeat("long", 1<<15)), line(3, "a")})
			if err := stage.AdvanceWhole(m.window, 0, flow.Watermarks{Ended: true}, m); err != nil {
				t.Fatal(err)
			}
			if len(rejects) != 1 || !strings.Contains(rejects[0], "no window for its key: ") || strings.Count(m.text.String(), " 2 ") == 0 {
				t.Errorf("%s by %s: %q\n%s", kind, by, rejects, m.text.String())
			}
		}
	}
}

// TestPartsPlanned: the plan counts the groups and parts of the first phase, and its keys may be as many as the channel's.
func TestPartsPlanned(t *testing.T) {
	bound, diags := stagetest.Bind(Tumbling(), []byte("by = [tag]\nevery = \"1m\"\nemit = { n = count() }"), roomRows(t, nil).Schema(), "device", 4, func(at *stage.At) {
		at.Regroup, at.Channel = func([]string) {}, &config.Channel{Key: "device", Partitions: 4, MaxKeys: 5_000_000}
	})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	names := []string{}
	for _, d := range bound.First.State {
		names = append(names, d.Name)
		if d.Name == "groups" && (d.MaxKeys != 5_000_000 || d.Beside == 0) || d.MaxKeys == 0 || d.PlannedBytes(4) < 1000 {
			t.Errorf("%s: %d at most, %d bytes", d.Name, d.MaxKeys, d.PlannedBytes(4))
		}
	}
	if !slices.Contains(names, "groups") || !slices.Contains(names, "parts") {
		t.Errorf("tables %v", names)
	}
}
