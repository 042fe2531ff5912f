package window

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/stages/stagetest"
	"github.com/tidemill/tidemill/engine/state"
)

// TestRoom: refused rows may bring more new keys between two ticks than the table of groups holds, and what goes out, in which order, is
// the same however batches are cut.
func TestRoom(t *testing.T) {
	const every, gap = "every = \"1m\"", "gap = \"30s\""
	for _, c := range []struct{ kind, args string }{
		{"tumbling", every}, {"sliding", every + "\nsize = \"4m\""}, {"session", gap},
	} {
		for _, by := range []string{"tag", "device, seq"} {
			t.Run(c.kind+" by "+by, func(t *testing.T) {
				args := fmt.Sprintf("by = [%s]\n%s\nlate = \"drop\"\nemit = { n = count(), total = sum(seq) }\n", by, c.args)
				for seed := range uint64(5) {
					want := roomRun(t, c.kind, args, seed, 1)
					if n := strings.Count(want, "\n"); n < 10 {
						t.Fatalf("%d rows: this check cannot fail\n%s", n, want)
					}
					for _, cut := range []int{2, 7, 40, 1000} {
						if got := roomRun(t, c.kind, args, seed, cut); got != want {
							t.Fatalf("seed %d, batches of up to %d:\n%s\nwant\n%s", seed, cut, got, want)
						}
					}
				}
			})
		}
	}
}

// roomRun feeds a window that has room for ten groups with rows of six keys, and between each two with late rows of keys of their own.
func roomRun(t *testing.T, kind, args string, seed uint64, cut int) string {
	r := rand.New(rand.NewPCG(seed, 41))
	var lines []string
	for at := range 300 {
		seq, time, now := r.IntN(6), at, 3600+at
		if r.IntN(3) > 0 {
			seq, time = 100+at, -3000-at
		}
		lines = append(lines, fmt.Sprintf("%s %s %d %s 0 d x%d %d\n", roomTime(3600+time), roomTime(now), at, roomTime(now), seq, seq))
	}
	cuts, m := rand.New(rand.NewPCG(seed, uint64(cut))), newRoom(t, kind, args)
	for len(lines) > 0 {
		n := min(len(lines), 1+cuts.IntN(cut))
		m.feed(t, lines[:n])
		lines = lines[n:]
	}
	m.must(t, m.Advance(0, flow.Watermarks{Ended: true}, m))
	for more := true; more; {
		var err error
		more, err = m.More(m)
		m.must(t, err)
	}
	if m.most > 10 {
		t.Errorf("%d groups, which there is no room for", m.most)
	}
	return m.text.String()
}

func roomTime(s int) string { return string(flow.AppendTime(nil, int64(s)*1e6)) }

// roomWindow is a window whose table of groups is small.
type roomWindow struct {
	*window
	text strings.Builder
	most int
}

func newRoom(t *testing.T, kind, args string) *roomWindow {
	bound, diags := stagetest.Bind(specNamed(kind+"_"), []byte(args), roomRows(t, nil).Schema(), "device", 1)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	var tables []*state.Table
	for _, d := range bound.State {
		if d.Name == "groups" {
			d.MaxKeys = 10
		}
		tables = append(tables, state.New(d))
	}
	st, err := bound.OpenStage(stage.Opening{Alloc: memory.DefaultAllocator, Tables: tables, Address: "window.it", Count: func(string, int64) {}})
	if err != nil {
		t.Fatal(err)
	}
	return &roomWindow{window: st.(*window)}
}

func roomRows(t *testing.T, lines []string) arrow.RecordBatch {
	rows, err := flow.ParseRows(memory.DefaultAllocator, "_time _received _offset _mark _slot device:string tag:string seq:integer\n"+strings.Join(lines, ""))
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func (m *roomWindow) feed(t *testing.T, lines []string) {
	rows := roomRows(t, lines)
	defer rows.Release()
	m.must(t, m.Process(0, rows, m))
	m.most = max(m.most, m.groups.Len())
}

func (m *roomWindow) must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Emit notes rows as text, without the line of names.
func (m *roomWindow) Emit(rows arrow.RecordBatch) {
	_, text, _ := strings.Cut(flow.FormatRows(nil, rows), "\n")
	for line := range strings.Lines(text) {
		m.text.WriteString(strings.Join(strings.Fields(line), " ") + "\n")
	}
	rows.Release()
}

// TestRoomOfTheChannel: a window by the channel's key alone has room for all keys that the channel has. These may be more than its limit, which can be
// lowered while an engine runs.
func TestRoomOfTheChannel(t *testing.T) {
	bound, diags := stagetest.Bind(Tumbling(), []byte("by = [device]\nevery = \"1m\"\nemit = { n = count() }\n"), roomRows(t, nil).Schema(), "device", 4,
		func(at *stage.At) { at.Channel.MaxKeys = 5 })
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	for _, d := range bound.State {
		if d.Name == "groups" && d.MaxKeys < 1<<20 {
			t.Errorf("there is room for %d keys", d.MaxKeys)
		}
	}
}

// TestRoomTold: which rows find no room does not depend on when watermarks are told, on cuts, or on a restore in the middle.
func TestRoomTold(t *testing.T) {
	for _, args := range []string{
		"tumbling every = \"10s\"\nlate = \"side\"", "sliding every = \"10s\"\nsize = \"30s\"\nlate = \"drop\"", "session gap = \"5s\"\nlate = \"side\"",
		"tumbling every = \"10s\"\nkeep = \"20s\"", "session gap = \"5s\"\nkeep = \"20s\"", "state while = on", "count size = 3",
	} {
		kind, body, _ := strings.Cut(args, " ")
		t.Run(args, func(t *testing.T) {
			refused := 0
			for seed := range uint64(3) {
				for _, by := range []string{"device, tag", "tag"} {
					text := fmt.Sprintf("-- args --\nby = [%s]\n%s\nemit = { n = count(), total = sum(seq) }\n%s", by, body, roomStream(seed, by == "tag"))
					refused += strings.Count(string(stagetest.Run(t, specNamed(kind+"_"), []byte(text), 12)), "too many keys")
				}
			}
			if refused == 0 {
				t.Error("there was room for all: this check cannot fail")
			}
		})
	}
}

// roomStream is rows of four devices and six tags for tables with room for seven keys, in order for each device, with ticks between them.
func roomStream(seed uint64, one bool) string {
	r := rand.New(rand.NewPCG(seed, 43))
	var b strings.Builder
	b.WriteString("-- at --\nroom 7\n")
	room := "key device\npartitions 4\n"
	if one {
		room = "key device\npartitions 1\n"
		b.Reset()
		b.WriteString("-- at --\nroom 4\n")
	}
	b.WriteString(room)
	var clock [4]int
	for block := range 6 {
		b.WriteString("-- rows --\n_time device:string tag:string seq:integer on:bool\n")
		for i := range 25 {
			d := r.IntN(4)
			clock[d] += r.IntN(7)
			fmt.Fprintf(&b, "%s d%d t%d %d %t\n", roomTime(clock[d]), d, r.IntN(6), 100*block+i, r.IntN(3) > 0)
		}
		if r.IntN(2) == 0 {
			fmt.Fprintf(&b, "-- tick %s --\n", roomTime(60*(block+1)))
		}
	}
	b.WriteString("-- end --\n")
	return b.String()
}
