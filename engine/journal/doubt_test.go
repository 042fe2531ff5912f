package journal

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/tidemill/tidemill/engine/env"
)

// doubtful leaves a channel of one partition whose last group, never
// synced, lacks its first block: records 1 to 4 of the source. Records 5 to 8
// and a tick are there. It returns where the hole is.
func doubtful(t testing.TB, e *env.Env) {
	l, _ := mustOpen(t, e, Options{Partitions: 1, BlockBytes: 8})
	sendFrom(t, l, 0, 8)
	if err := l.Appender().Control(Tick, 9, nil); err != nil {
		t.Fatal(err)
	}
	mustFlush(t, l)
	hole := l.(*disk).shown.cache.lists[0].blocks[0].mem.at
	l.Close()
	patch(t, e, firstSegment, hole, func(b []byte) { b[0]++ })
}

// sendFrom appends what the source has past a position, of two bytes each.
func sendFrom(t testing.TB, l Log, from, to uint64) {
	b := Batch{Source: "file", Pos: to}
	for n := from + 1; n <= to; n++ {
		if n > l.Appender().Position("file").Reached[0] {
			b.Records = append(b.Records, Record{Payload: fmt.Appendf(nil, "s%d", n), Pos: n})
		}
	}
	mustAppend(t, l, b)
}

// What recovery decides about a group in doubt stays decided, though the
// reader's checkpoint then covers the place, and though nothing was appended.
func TestDoubtIsDecidedOnce(t *testing.T) {
	sim := env.NewSim(1)
	doubtful(t, sim.Env())
	l, _ := mustOpen(t, sim.Env(), Options{})
	if got := trimmed(readAll(t, l, 0)); got != "void,void,void,void,void,void,void,void,control 2 at 9" {
		t.Fatal(got)
	}
	l.Close()
	sim.Crash(1)
	l, _ = mustOpen(t, sim.Env(), Options{Floor: []uint64{9}})
	pos := l.Appender().Position("file")
	if pos.Committed != 0 || pos.Reached[0] != 0 {
		t.Fatalf("what is void counts: %+v", pos)
	}
	sendFrom(t, l, pos.Committed, 8)
	mustFlush(t, l)
	if got := trimmed(readAll(t, l, 0)); !strings.HasSuffix(got, "control 2 at 9,s1,s2,s3,s4,s5,s6,s7,s8") {
		t.Fatal(got)
	}
}

// The same when the Head that says so rots: what came later is not taken for
// a proof that the group was synced.
func TestDoubtWithoutHead(t *testing.T) {
	sim := env.NewSim(1)
	doubtful(t, sim.Env())
	l, _ := mustOpen(t, sim.Env(), Options{})
	sendFrom(t, l, 0, 8)
	mustFlush(t, l)
	l.Close()
	patch(t, sim.Env(), "/d/0000000000000002.seg", 0, func(b []byte) { b[0]++ })
	for range 2 {
		l, _ = mustOpen(t, sim.Env(), Options{})
		if got := trimmed(readAll(t, l, 0)); got != strings.Repeat("void,", 8)+"control 2 at 9,s1,s2,s3,s4,s5,s6,s7,s8" {
			t.Fatal(got)
		}
		mustAppend(t, l, Batch{Source: "file", Pos: 8})
		mustFlush(t, l)
		l.Close()
	}
}

// A group that readers have had was synced: a hole in it has rotted, and what
// comes after the hole stays.
func TestFloorProvesGroup(t *testing.T) {
	sim := env.NewSim(1)
	doubtful(t, sim.Env())
	l, damage := mustOpen(t, sim.Env(), Options{Floor: []uint64{5}})
	if pos := l.Appender().Position("file"); pos.Committed != 8 {
		t.Fatalf("%+v", pos)
	}
	if got := trimmed(readAll(t, l, 0)); got != "lost,lost,lost,lost,s5,s6,s7,s8,control 2 at 9" {
		t.Fatal(got)
	}
	if len(*damage) != 1 || (*damage)[0].Tail {
		t.Fatal(*damage)
	}
}

// The same where readers have had nothing but what is missing.
func TestFloorProvesMissing(t *testing.T) {
	sim := env.NewSim(1)
	doubtful(t, sim.Env())
	l, _ := mustOpen(t, sim.Env(), Options{Floor: []uint64{4}})
	if got := trimmed(readAll(t, l, 0)); got != "lost,lost,lost,lost,s5,s6,s7,s8,control 2 at 9" {
		t.Fatal(got)
	}
}

// TestDoubt: what of a last group, or of the one before, counts when a part of it cannot be read. A source's records behind a hole do not: it sends
// them again, from where it is told that it stands.
func TestDoubt(t *testing.T) {
	for _, c := range []struct {
		groups string // blocks: n, the source's next four records, m, four of nobody, t, a tick; a group after a space
		rotten []int  // of those with records
		body   bool   // the header is whole
		floor  uint64 // readers have had so much
		want   string
		stands uint64 // the source
	}{
		{"nnt", []int{0}, false, 0, "void,void,void,void,void,void,void,void,tick", 0},
		{"nnt", []int{0}, true, 0, "void,void,void,void,void,void,void,void,tick", 0},
		{"nnt", []int{1}, true, 0, "s1,s2,s3,s4,void,void,void,void,tick", 0},
		{"nn", []int{1}, true, 0, "s1,s2,s3,s4", 0},
		{"ntn", []int{0}, false, 0, "void,void,void,void,tick", 0},
		{"ntn", []int{0}, true, 0, "void,void,void,void,tick", 0},
		{"tnn", []int{0}, false, 0, "tick", 0},
		{"tnn", []int{0}, false, 1, "tick,lost,lost,lost,lost,s5,s6,s7,s8", 8},
		{"m tnn", []int{0, 1}, false, 3, "lost,lost,lost,lost,tick", 0},
		{"m tnn", []int{0, 1}, false, 5, "lost,lost,lost,lost,tick,lost,lost,lost,lost,s5,s6,s7,s8", 8},
		{"m tnnn", []int{0, 2}, true, 0, "lost,lost,lost,lost,tick,s1,s2,s3,s4", 0},
		{"n tnn", []int{0, 1}, false, 5, "lost,lost,lost,lost,tick,lost,lost,lost,lost,s9,sa,sb,sc", 12},
	} {
		sim := env.NewSim(1)
		l, _ := mustOpen(t, sim.Env(), Options{Partitions: 1, BlockBytes: 8})
		var at []int64
		sent := uint64(0)
		for group := range strings.FieldsSeq(c.groups) {
			sent = writeGroup(t, l, group, sent)
		}
		for _, b := range l.(*disk).shown.cache.lists[0].blocks {
			if b.Kind == Records {
				at = append(at, b.mem.at)
			}
		}
		l.Close()
		for _, n := range c.rotten {
			place := at[n]
			if c.body {
				place += headerSize
			}
			patch(t, sim.Env(), firstSegment, place, func(b []byte) { b[0]++ })
		}
		l, _ = mustOpen(t, sim.Env(), Options{Floor: []uint64{c.floor}})
		got := strings.ReplaceAll(trimmed(readAll(t, l, 0)), "control 2 at 9", "tick")
		if pos := l.Appender().Position("file"); got != c.want || pos.Committed != c.stands {
			t.Errorf("%s without blocks %v, of which readers had %d: %s, the source at %d; want\n%s, %d", c.groups, c.rotten, c.floor, got, pos.Committed, c.want, c.stands)
		}
		l.Close()
	}
}

// writeGroup writes a group of TestDoubt and returns how many records the source has sent by then.
func writeGroup(t *testing.T, l Log, group string, sent uint64) uint64 {
	t.Helper()
	b := Batch{}
	if strings.Contains(group, "n") {
		b.Source = "file"
	}
	for _, kind := range group {
		if kind == 'm' {
			for range 4 {
				mustAppend(t, l, Batch{Records: []Record{{Payload: []byte("mm")}}})
			}
			continue
		}
		if kind == 't' {
			mustAppend(t, l, b)
			b.Records = nil
			if err := l.Appender().Control(Tick, 9, nil); err != nil {
				t.Fatal(err)
			}
			continue
		}
		for range 4 {
			sent++
			b.Records = append(b.Records, Record{Payload: fmt.Appendf(nil, "s%x", sent), Pos: sent})
		}
		b.Pos = sent
	}
	mustAppend(t, l, b)
	mustFlush(t, l)
	return sent
}

// What is missing before the last group was synced, and is lost; what is missing in it was told to nobody.
func TestLostEndsWhereGroupBegins(t *testing.T) {
	for _, c := range []struct {
		rotten []int // blocks, by the order in which they were written
		want   string
	}{
		{[]int{0}, "lost,lost,a3,a4,b1,b2,b3,b4"},
		{[]int{1}, "a1,a2,lost,lost,b1,b2,b3,b4"},
		{[]int{2}, "a1,a2,a3,a4,void,void,b3,b4"},
		{[]int{0, 2}, "lost,lost,a3,a4,void,void,b3,b4"},
		{[]int{1, 2}, "a1,a2,lost,lost,lost,lost,b3,b4"}, // which is which cannot be told: the worse is said
	} {
		sim := env.NewSim(1)
		l, _ := mustOpen(t, sim.Env(), Options{Partitions: 1, BlockBytes: 4})
		for _, text := range []string{"a", "b"} {
			for n := range 4 {
				mustAppend(t, l, Batch{Records: []Record{{Payload: fmt.Appendf(nil, "%s%d", text, n+1)}}})
			}
			mustFlush(t, l)
		}
		var at []int64
		for _, b := range l.(*disk).shown.cache.lists[0].blocks {
			at = append(at, b.mem.at)
		}
		l.Close()
		for _, n := range c.rotten {
			patch(t, sim.Env(), firstSegment, at[n], func(b []byte) { b[0]++ })
		}
		for range 2 { // and so it stays
			l, _ = mustOpen(t, sim.Env(), Options{})
			if got := trimmed(readAll(t, l, 0)); got != c.want {
				t.Errorf("without blocks %v: %s, not %s", c.rotten, got, c.want)
			}
			mustAppend(t, l, Batch{Source: "file", Pos: 1})
			mustFlush(t, l)
			l.Close()
		}
	}
}

// Rot just before a group that was given up does not bring the group back.
func TestRotBeforeFailedGroup(t *testing.T) {
	sim := env.NewSim(1)
	l, _ := mustOpen(t, sim.Env(), Options{Partitions: 1})
	var at int64
	for _, text := range []string{"a", "b", "never"} {
		if text == "never" {
			sim.Fail(env.Fault{Op: env.OpSync, Err: syscall.EIO})
		}
		mustAppend(t, l, Batch{Records: []Record{{Payload: []byte(text)}}})
		if text == "b" {
			at = l.(*disk).active.size
		}
		if err := l.Appender().Flush(); (err != nil) != (text == "never") {
			t.Fatal(err)
		}
	}
	sim.Kill()
	patch(t, sim.Env(), firstSegment, at, func(b []byte) { b[0]++ })
	l, _ = mustOpen(t, sim.Env(), Options{})
	mustAppend(t, l, Batch{Records: []Record{{Payload: []byte("c")}}})
	mustFlush(t, l)
	l.Close()
	l, _ = mustOpen(t, sim.Env(), Options{})
	if got := trimmed(readAll(t, l, 0)); got != "a,lost,c" {
		t.Fatal(got)
	}
}

// However Trim is interrupted, what is left is the end of the log without a gap.
func TestTrimInterrupted(t *testing.T) {
	for seed := range uint64(40) {
		sim := env.NewSim(seed)
		l, _ := mustOpen(t, sim.Env(), Options{Partitions: 1, SegmentBytes: 300, RetainFor: 1})
		fillMinutes(t, sim, l, 10)
		sim.Fail(env.Fault{Op: env.OpSyncDir, After: 1, Err: syscall.EIO})
		if _, err := l.Trim(1 << 60); err == nil {
			t.Fatal("a failed SyncDir is not told")
		}
		if there := int64(len(segments(t, sim.Env().FS))); l.(*disk).Bytes() != there {
			t.Fatalf("seed %d: %d bytes are counted, and %d are there", seed, l.(*disk).Bytes(), there)
		}
		sim.Heal()
		sim.Fail(env.Fault{Op: env.OpSyncDir, After: int(seed % 2), Crash: true})
		func() {
			defer func() { recover() }() // the crash
			l.Trim(1 << 60)
		}()
		sim.Crash(seed)
		sim.Heal()
		l, damage := mustOpen(t, sim.Env(), Options{})
		for _, got := range readAll(t, l, 0) {
			if got == "lost" {
				t.Fatalf("seed %d: a segment is missing between others", seed)
			}
		}
		if len(*damage) > 0 {
			t.Fatal(*damage)
		}
	}
}
