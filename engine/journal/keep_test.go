package journal

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/env"
)

// fillMinutes appends one record a minute, of 100 bytes, to partition 0.
func fillMinutes(t testing.TB, sim *env.Sim, l Log, n int) {
	for range n {
		sim.Advance(time.Minute)
		mustAppend(t, l, Batch{Records: []Record{{Payload: make([]byte, 100)}}, Source: "file", Pos: 7})
		mustFlush(t, l)
	}
}

func TestRetainFor(t *testing.T) {
	sim := env.NewSim(1)
	start := sim.Env().Clock.Now()
	l, _ := mustOpen(t, sim.Env(), Options{Partitions: 2, SegmentBytes: 2000, RetainFor: time.Hour})
	fillMinutes(t, sim, l, 300)
	l.Hold("slow", []uint64{30, 0})
	now := func() int64 { return sim.Env().Clock.Now().UnixMicro() }
	if _, err := l.Trim(now()); err != nil {
		t.Fatal(err)
	}
	if earliest, end := l.Bounds(0); earliest == 0 || earliest > 30 || end != 300 {
		t.Fatalf("held at 30: %d to %d", earliest, end)
	}
	l.Hold("slow", nil)
	before := sim.Used()
	freed, err := l.Trim(now())
	if err != nil || freed == 0 || before-sim.Used() != freed {
		t.Fatalf("freed %d: %v", freed, err)
	}
	earliest, _ := l.Bounds(0)
	if earliest < 200 || earliest > 240 {
		t.Fatalf("the last hour begins at 240, kept is from %d", earliest)
	}
	var gone *ErrOutOfRange
	if _, err := l.Read(0, 30); !errors.As(err, &gone) {
		t.Fatal(err)
	}
	sim.Crash(1)
	l, damage := mustOpen(t, sim.Env(), Options{})
	if again, end := l.Bounds(0); again != earliest || end != 300 || len(*damage) != 0 {
		t.Fatalf("after a crash %d to %d, before from %d; %v", again, end, earliest, *damage)
	}
	if n := len(readAll(t, l, 0)); n != int(300-earliest) {
		t.Fatalf("%d records are left of %d", n, 300-earliest)
	}
	if pos := l.Appender().Position("file"); pos.Committed != 7 {
		t.Fatalf("the source's position has gone with old segments: %+v", pos)
	}
	for _, minute := range []int{290, 250, 100} {
		at := start.Add(time.Duration(minute) * time.Minute).UnixMicro()
		if got, want := l.Seek(0, at), max(uint64(minute-1), earliest); got != want {
			t.Errorf("seek to minute %d: offset %d, not %d", minute, got, want)
		}
	}
	if got := l.Seek(0, now()+1); got != 300 {
		t.Errorf("seek past the end: %d", got)
	}
	if got := l.Seek(1, 0); got != 0 {
		t.Errorf("seek in an empty partition: %d", got)
	}
}

// TestTrimBeforeHead: what is old goes after a start only once something newer is durable, since the Head of the last segment
// tells where sources stand and which offsets were given out.
func TestTrimBeforeHead(t *testing.T) {
	sim := env.NewSim(1)
	l, _ := mustOpen(t, sim.Env(), Options{Partitions: 2, RetainFor: time.Hour})
	fillMinutes(t, sim, l, 5)
	stands := func(what string) {
		t.Helper()
		if pos := l.Appender().Position("file"); pos.Committed != 7 {
			t.Errorf("%s: the source stands at %d, not at 7: it would begin again", what, pos.Committed)
		}
		if _, end := l.Bounds(0); end < 5 {
			t.Errorf("%s: the log ends at %d, not at 5: offsets would be given out again", what, end)
		}
	}
	for range 3 {
		sim.Advance(24 * time.Hour)
		sim.Crash(1)
		l, _ = mustOpen(t, sim.Env(), Options{RetainFor: time.Hour})
		stands("opened")
		if _, err := l.Trim(sim.Env().Clock.Now().UnixMicro()); err != nil {
			t.Fatal(err)
		}
	}
	stands("trimmed")
	fillMinutes(t, sim, l, 1)
	if freed, err := l.Trim(sim.Env().Clock.Now().UnixMicro()); err != nil || freed == 0 {
		t.Fatalf("freed %d: %v", freed, err)
	}
	sim.Crash(1)
	l, _ = mustOpen(t, sim.Env(), Options{})
	stands("trimmed behind a newer one")
	if earliest, _ := l.Bounds(0); earliest != 5 {
		t.Errorf("the log begins at %d, not at 5", earliest)
	}
}

// What a reader holds is spared up to RetainBytes; then appends are refused
// until it has moved on.
func TestRetainBytes(t *testing.T) {
	sim := env.NewSim(1)
	l, _ := mustOpen(t, sim.Env(), Options{Partitions: 1, RetainBytes: 20_000})
	l.Hold("sink.influxdb", []uint64{0})
	n := 0
	var err error
	for err == nil && n < 1000 {
		if err = l.Appender().Append(Batch{Records: []Record{{Payload: make([]byte, 100)}}}); err == nil {
			mustFlush(t, l)
			n++
		}
		l.Trim(0)
	}
	var full *ErrFull
	if !errors.As(err, &full) || !strings.Contains(err.Error(), "sink.influxdb") {
		t.Fatalf("after %d records: %v", n, err)
	}
	if used := sim.Used(); used < 20_000 || used > 21_000 {
		t.Fatalf("%d bytes are used at a limit of 20,000", used)
	}
	if got := len(readAll(t, l, 0)); got != n {
		t.Fatalf("%d of %d records are there", got, n)
	}
	l.Hold("sink.influxdb", []uint64{uint64(n)})
	mustAppend(t, l, Batch{Records: []Record{{Payload: make([]byte, 100)}}})
	if freed, err := l.Trim(0); err != nil || freed == 0 || sim.Used() > 20_000 {
		t.Fatalf("freed %d, used %d: %v", freed, sim.Used(), err)
	}
}

// A reader whose segment is trimmed under it is told so; one that has read
// it goes on.
func TestTrimUnderReader(t *testing.T) {
	sim := env.NewSim(1)
	l, _ := mustOpen(t, sim.Env(), Options{Partitions: 1, SegmentBytes: 1000, RetainFor: time.Minute, CacheBytes: 1})
	fillMinutes(t, sim, l, 20)
	behind, err := l.Read(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := behind.Next(); err != nil || b.First != 0 {
		t.Fatal(b, err)
	}
	ahead, _ := l.Read(0, 20)
	if b, err := ahead.Next(); b != nil || err != nil {
		t.Fatal(b, err)
	}
	fillMinutes(t, sim, l, 20)
	if _, err := l.Trim(sim.Env().Clock.Now().UnixMicro()); err != nil {
		t.Fatal(err)
	}
	earliest, _ := l.Bounds(0)
	var gone *ErrOutOfRange
	if _, err := behind.Next(); !errors.As(err, &gone) || gone.Earliest != earliest {
		t.Fatal(err)
	}
	l.Hold("x", []uint64{0}) // harmless: what is gone is gone
	if _, err := ahead.Next(); !errors.As(err, &gone) && err != nil {
		t.Fatal(err)
	}
}

// What a checkpoint covers is never given again, even if the log has lost it.
func TestFloor(t *testing.T) {
	sim := env.NewSim(1)
	groups(t, sim.Env(), 2, 10)
	for life := range 3 {
		l, _ := mustOpen(t, sim.Env(), Options{Floor: []uint64{10, 0}})
		mustAppend(t, l, Batch{Records: []Record{{Payload: []byte(fmt.Sprint("new", life))}}})
		mustFlush(t, l)
		if _, end := l.Bounds(0); end != uint64(11+life) {
			t.Fatalf("life %d: the end is %d", life, end)
		}
		want := "a0,b0,a1,b1,note hello,lost,lost,lost,lost,lost,new0"
		if got := trimmed(readAll(t, l, 0)); !strings.HasPrefix(got, want) {
			t.Fatalf("life %d: %s", life, got)
		}
		l.Close()
	}
}
