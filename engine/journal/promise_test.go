package journal

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/tidemill/tidemill/engine/env"
)

// atPoint does something once, when the log comes by a point.
func atPoint(e *env.Env, name string, do func()) {
	before := e.Point
	e.Point = func(at string) {
		before(at)
		if f := do; at == name && f != nil {
			do = nil
			f()
		}
	}
}

// TestAppendWhileFlushFails: what was appended while a sync was failing is told so as well; nobody waits for it.
func TestAppendWhileFlushFails(t *testing.T) {
	sim := env.NewSim(1)
	e := sim.Env()
	l, _ := mustOpen(t, e, Options{Partitions: 1})
	sim.Fail(env.Fault{Op: env.OpSync, Name: firstSegment, Err: syscall.EIO})
	var told []string
	batch := func(text string) Batch {
		return Batch{Records: []Record{{Payload: []byte(text)}}, Done: func(err error) { told = append(told, fmt.Sprint(text, errors.Is(err, syscall.EIO))) }}
	}
	atPoint(e, "journal.before-sync", func() { mustAppend(t, l, batch("beside")) })
	mustAppend(t, l, batch("first"))
	if err := l.Appender().Flush(); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	if got := fmt.Sprint(told); got != "[firsttrue besidetrue]" {
		t.Errorf("told %s", got)
	}
}

// TestFlushAfterFull: the Flush that writes what a full disk held back writes what came meanwhile, too.
func TestFlushAfterFull(t *testing.T) {
	sim := env.NewSim(1)
	e := sim.Env()
	l, _ := mustOpen(t, e, Options{Partitions: 1})
	var acked []string
	batch := func(text string) Batch {
		return Batch{Records: []Record{{Payload: []byte(text)}}, Done: func(error) { acked = append(acked, text) }}
	}
	atPoint(e, "journal.before-write", func() { mustAppend(t, l, batch("beside")) })
	mustAppend(t, l, batch("first"))
	sim.SetDisk(sim.Used() + 1)
	if err := l.Appender().Flush(); err == nil || len(acked) > 0 {
		t.Fatal("there was room", err)
	}
	sim.SetDisk(0)
	mustFlush(t, l)
	if got := strings.Join(acked, ","); got != "first,beside" {
		t.Errorf("acknowledged after one Flush: %s", got)
	}
}

// TestWriteFails: after a write that failed, and not for want of room, it is not known what the file holds: nothing more is taken.
func TestWriteFails(t *testing.T) {
	sim := env.NewSim(1)
	l, _ := mustOpen(t, sim.Env(), Options{Partitions: 1})
	sim.Fail(env.Fault{Op: env.OpWrite, Name: firstSegment, Err: syscall.EIO})
	var told error
	mustAppend(t, l, Batch{Records: []Record{{Payload: []byte("never")}}, Done: func(err error) { told = err }})
	if err := l.Appender().Flush(); !errors.Is(err, syscall.EIO) || !errors.Is(told, syscall.EIO) {
		t.Fatalf("flush: %v, the batch was told %v", err, told)
	}
	sim.Heal()
	if err := l.Appender().Append(Batch{}); !errors.Is(err, syscall.EIO) {
		t.Errorf("append: %v", err)
	}
}

// TestPositionStands: where a source stands is known from the Flush on, never goes back, and is the same after segments have
// come and gone and after a crash.
func TestPositionStands(t *testing.T) {
	sim := env.NewSim(1)
	l, _ := mustOpen(t, sim.Env(), Options{Partitions: 2, SegmentBytes: 300})
	for i, c := range []struct {
		partition int
		record    uint64
		batch     uint64
		want      Position
	}{
		{0, 7, 5, Position{5, []uint64{7, 0}}},
		{1, 9, 8, Position{8, []uint64{7, 9}}},
		{0, 3, 2, Position{8, []uint64{7, 9}}}, // sent again
		{1, 12, 11, Position{11, []uint64{7, 12}}},
	} {
		mustAppend(t, l, Batch{Source: "s", Pos: c.batch, Records: []Record{{Partition: c.partition, Pos: c.record, Payload: make([]byte, 100)}}})
		mustFlush(t, l)
		if got := l.Appender().Position("s"); !reflect.DeepEqual(got, c.want) {
			t.Errorf("step %d: %+v, want %+v", i, got, c.want)
		}
	}
	mustAppend(t, l, Batch{Source: "s", Pos: 12}) // these in one group
	mustAppend(t, l, Batch{Source: "s", Pos: 4})
	mustFlush(t, l)
	mustAppend(t, l, Batch{Records: []Record{{Payload: make([]byte, 600)}}}) // into a segment of its own
	mustFlush(t, l)
	mustAppend(t, l, Batch{})
	mustFlush(t, l)
	if n := len(l.(*disk).shown.segments); n < 3 {
		t.Fatalf("there are only %d segments", n)
	}
	sim.Crash(1)
	l, _ = mustOpen(t, sim.Env(), Options{})
	if got, want := l.Appender().Position("s"), (Position{12, []uint64{7, 12}}); !reflect.DeepEqual(got, want) {
		t.Errorf("after a crash %+v, want %+v", got, want)
	}
}

// TestNothingIsAnswered: a batch without records is answered by the next Flush, too.
func TestNothingIsAnswered(t *testing.T) {
	l, _ := mustOpen(t, env.NewSim(1).Env(), Options{Partitions: 1})
	told := 0
	mustAppend(t, l, Batch{Done: func(err error) {
		if told++; err != nil {
			t.Error(err)
		}
	}})
	mustFlush(t, l)
	if told != 1 {
		t.Errorf("it was told %d times", told)
	}
}

// TestRetainBytesAtOnce: the append after the Flush that passed the channel's limit is refused, whether anybody trims or not.
func TestRetainBytesAtOnce(t *testing.T) {
	l, _ := mustOpen(t, env.NewSim(1).Env(), Options{Partitions: 1, RetainBytes: 20_000})
	l.Hold("sink.out", []uint64{0})
	var err error
	for err == nil && l.(*disk).Bytes() < 40_000 {
		if err = l.Appender().Append(Batch{Records: []Record{{Payload: make([]byte, 1_000)}}}); err == nil {
			mustFlush(t, l)
		}
	}
	if full := (*ErrFull)(nil); !errors.As(err, &full) || l.(*disk).Bytes() > 21_500 {
		t.Errorf("with %d bytes: %v", l.(*disk).Bytes(), err)
	}
}

// TestTrimFails: a segment that could not be removed is there as before, and goes later.
func TestTrimFails(t *testing.T) {
	for _, op := range []env.Op{env.OpSyncDir, env.OpRemove} {
		sim := env.NewSim(1)
		l, _ := mustOpen(t, sim.Env(), Options{Partitions: 1, SegmentBytes: 300, RetainFor: 1})
		fillMinutes(t, sim, l, 10)
		was, bytes := len(readAll(t, l, 0)), l.(*disk).Bytes()
		sim.Fail(env.Fault{Op: op, Err: syscall.EIO})
		if freed, err := l.Trim(1 << 60); !errors.Is(err, syscall.EIO) || freed != 0 {
			t.Fatalf("%s: freed %d, %v", op, freed, err)
		}
		if now := len(readAll(t, l, 0)); now != was || l.(*disk).Bytes() != bytes {
			t.Errorf("%s: %d records in %d bytes, and %d in %d before", op, now, l.(*disk).Bytes(), was, bytes)
		}
		sim.Heal()
		if freed, err := l.Trim(1 << 60); err != nil || freed == 0 || l.(*disk).Bytes() != bytes-freed || len(readAll(t, l, 0)) >= was {
			t.Errorf("%s: then it freed %d, %v", op, freed, err)
		}
	}
}

// TestManySources: a channel remembers so many sources, and those of before as well.
func TestManySources(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine: the race detector would see nothing, and take ten times as long")
	}
	sim := env.NewSim(1)
	l, _ := mustOpen(t, sim.Env(), Options{Partitions: 1, PendingBytes: 1 << 30})
	for i := range maxSources {
		mustAppend(t, l, Batch{Source: fmt.Sprint("s", i), Pos: 1})
	}
	mustFlush(t, l)
	for life := range 2 {
		if err := l.Appender().Append(Batch{Source: "one more", Pos: 1}); err == nil || !strings.Contains(err.Error(), "100000 sources") {
			t.Errorf("life %d: %v", life, err)
		}
		mustAppend(t, l, Batch{Source: "s5", Pos: 2})
		l.Close()
		l, _ = mustOpen(t, sim.Env(), Options{})
	}
}

// TestManyRecords: a block ends with as many records as its header can count.
func TestManyRecords(t *testing.T) {
	sim := env.NewSim(1)
	l, _ := mustOpen(t, sim.Env(), Options{Partitions: 1, BlockBytes: 1 << 20})
	b := Batch{Lines: make([]Line, maxCount+5)}
	for i := range b.Lines {
		b.Lines[i].Payload = []byte{byte(i)}
	}
	mustAppend(t, l, b)
	mustFlush(t, l)
	l.Close()
	l, damage := mustOpen(t, sim.Env(), Options{})
	got := readAll(t, l, 0)
	if len(got) != maxCount+5 || len(*damage) > 0 {
		t.Fatalf("%d records, %v", len(got), *damage)
	}
	for i := range got {
		if got[i][0] != byte(i) {
			t.Fatalf("record %d is another one", i)
		}
	}
}

// TestHeadsForget: what a Head says of the segments before it the next Head does not say again, or the heads of a channel would grow with
// each crash that it has had; and groups go on to be counted, since two of one number side by side are one.
func TestHeadsForget(t *testing.T) {
	sim := env.NewSim(1)
	doubtful(t, sim.Env())
	l, _ := mustOpen(t, sim.Env(), Options{})
	mustAppend(t, l, Batch{Records: []Record{{Payload: []byte("x")}}})
	mustFlush(t, l)
	d := l.(*disk)
	if len(d.shown.at.voids)+len(d.shown.at.gaps) > 0 {
		t.Errorf("voids %v and gaps %v are written once more", d.shown.at.voids, d.shown.at.gaps)
	}
	was := d.groups
	l.Close()
	l, _ = mustOpen(t, sim.Env(), Options{})
	if now := l.(*disk).groups; now < was {
		t.Errorf("%d groups were written, and the next are counted from %d on", was, now)
	}
}
