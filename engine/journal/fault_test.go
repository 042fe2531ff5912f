package journal

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/tidemill/tidemill/engine/env"
)

// After a sync has failed nothing of its group is acknowledged or ever shown,
// the segment is never written again, and opening again goes on cleanly.
func TestSyncFails(t *testing.T) {
	sim := env.NewSim(1)
	l, _ := mustOpen(t, sim.Env(), Options{Partitions: 1})
	mustAppend(t, l, Batch{Records: []Record{{Payload: []byte("good")}}})
	mustFlush(t, l)
	size := fileSize(t, sim.Env(), firstSegment)
	sim.Fail(env.Fault{Op: env.OpSync, Name: firstSegment, Err: syscall.EIO})
	var got []error
	done := func(err error) { got = append(got, err) }
	mustAppend(t, l, Batch{Records: []Record{{Payload: []byte("never")}}, Done: done})
	err := l.Appender().Flush()
	if !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), "until the channel is opened again") {
		t.Fatalf("flush: %v", err)
	}
	if len(got) != 1 || !errors.Is(got[0], syscall.EIO) {
		t.Fatalf("the batch was told %v", got)
	}
	if sim.Heal() != 1 {
		t.Fatal("the fault did not strike")
	}
	size, before := fileSize(t, sim.Env(), firstSegment), size
	for range 2 {
		if err := l.Appender().Append(Batch{Records: []Record{{Payload: []byte("no")}}, Done: done}); !errors.Is(err, syscall.EIO) {
			t.Fatalf("append: %v", err)
		}
		if err := l.Appender().Flush(); !errors.Is(err, syscall.EIO) {
			t.Fatalf("flush: %v", err)
		}
	}
	if after := fileSize(t, sim.Env(), firstSegment); after != size || size <= before {
		t.Fatalf("the failed segment went from %d to %d and %d bytes", before, size, after)
	}
	if got := trimmed(readAll(t, l, 0)); got != "good" {
		t.Fatalf("readers see %s", got)
	}
	sim.Kill() // the page cache still shows what was never written
	l, damage := mustOpen(t, sim.Env(), Options{})
	mustAppend(t, l, Batch{Records: []Record{{Payload: []byte("better")}}})
	mustFlush(t, l)
	if got := trimmed(readAll(t, l, 0)); got != "good,better" || len(*damage) != 0 {
		t.Fatalf("after opening again: %s %v", got, *damage)
	}
}

// A full disk refuses, acknowledges nothing, and goes on by itself.
func TestDiskFull(t *testing.T) {
	sim := env.NewSim(1)
	l, _ := mustOpen(t, sim.Env(), Options{Partitions: 2, BlockBytes: 500, SegmentBytes: 3000})
	want := []string{}
	acked := 0
	for i := range 200 {
		if i%20 == 10 {
			sim.SetDisk(sim.Used() + int64(i))
		}
		text := fmt.Sprintf("r%03d%s", i, strings.Repeat("~", 200))
		err := l.Appender().Append(Batch{Records: []Record{{Payload: []byte(text)}}, Done: func(err error) {
			if err != nil {
				t.Errorf("record %d: %v", i, err)
			}
			acked++
		}})
		var full *ErrFull
		if err != nil && !errors.As(err, &full) {
			t.Fatal(err)
		}
		if err == nil {
			want = append(want, strings.TrimRight(text, "~"))
		}
		if err := l.Appender().Flush(); err != nil {
			if !errors.As(err, &full) || !strings.Contains(err.Error(), "disk is full") {
				t.Fatal(err)
			}
			if err := l.Appender().Append(Batch{}); !errors.As(err, &full) {
				t.Fatalf("an append to a full disk: %v", err)
			}
		}
		if i%20 == 19 {
			before := acked
			sim.SetDisk(0)
			mustFlush(t, l)
			if acked == before {
				t.Fatal("nothing was acknowledged once there was room: was the disk ever full?")
			}
			if l.Appender().Pending() != 0 {
				t.Fatalf("%d bytes are still waiting", l.Appender().Pending())
			}
		}
	}
	if acked != len(want) {
		t.Fatalf("%d of %d were acknowledged", acked, len(want))
	}
	l.Close()
	sim.Crash(3)
	l, damage := mustOpen(t, sim.Env(), Options{})
	if got := trimmed(readAll(t, l, 0)); got != strings.Join(want, ",") || len(*damage) > 0 {
		t.Fatalf("%s\nnot\n%s\n%v", got, strings.Join(want, ","), *damage)
	}
}

// The i-th operation of the file system fails, for every i, with every error:
// whatever was acknowledged is there afterwards, once, and nothing panics.
// With -short it is every fifth operation.
func TestEveryOperationFails(t *testing.T) {
	every := 1
	if testing.Short() {
		every = 5
	}
	for _, cause := range []error{syscall.EIO, syscall.ENOSPC, syscall.EMFILE} {
		for i := 0; ; i += every {
			sim := env.NewSim(uint64(i))
			sim.Fail(env.Fault{After: i, Err: cause})
			acked := failing(t, sim)
			if sim.Heal() == 0 {
				if i < 30 {
					t.Fatalf("there were only %d operations", i)
				}
				break
			}
			sim.Crash(uint64(i))
			l, err := Open(sim.Env(), "/d", Options{})
			if err != nil {
				t.Fatalf("operation %d, %v: open again: %v", i, cause, err)
			}
			if missing(readAll(t, l, 0), acked) > 0 {
				t.Fatalf("operation %d, %v: of %v there is left %v", i, cause, acked, readAll(t, l, 0))
			}
			l.Close()
		}
	}
}

// failing writes, rolls, reads and trims, going on where it can, and returns
// what was acknowledged.
func failing(t *testing.T, sim *env.Sim) (acked []string) {
	n := 0
	for range 3 {
		l, err := Open(sim.Env(), "/d", Options{Partitions: 1, SegmentBytes: 400, CacheBytes: 1, RetainFor: 1})
		if err != nil {
			continue
		}
		l.Hold("all", []uint64{0})
		for range 6 {
			n++
			text := fmt.Sprintf("r%d", n)
			l.Appender().Append(Batch{Records: []Record{{Payload: []byte(text)}}, Done: func(err error) {
				if err == nil {
					acked = append(acked, text)
				}
			}})
			l.Appender().Flush()
			if r, err := l.Read(0, 0); err == nil {
				for {
					b, err := r.Next()
					if b == nil || err != nil {
						break
					}
					if b.Kind == Lost {
						t.Fatalf("lost: %v", b.Err)
					}
					b.Release()
				}
				r.Close()
			}
			l.Trim(1 << 60)
		}
		l.Appender().Flush() // what a full disk held back
		l.Close()
	}
	return acked
}

// A second owner in the same process displaces the first.
func TestFenced(t *testing.T) {
	sim := env.NewSim(1)
	old, _ := mustOpen(t, sim.Env(), Options{Partitions: 1})
	mustAppend(t, old, Batch{Records: []Record{{Payload: []byte("one")}}})
	mustFlush(t, old)
	mustAppend(t, old, Batch{Records: []Record{{Payload: []byte("lost")}}})
	l, _ := mustOpen(t, sim.Env(), Options{})
	var told error
	if err := old.Appender().Append(Batch{Records: []Record{{Payload: []byte("too late")}}, Done: func(err error) { told = err }}); err != nil && err != ErrFenced {
		t.Fatal(err)
	}
	if err := old.Appender().Flush(); err != ErrFenced || told != ErrFenced {
		t.Fatalf("the displaced owner's flush: %v, its batch: %v", err, told)
	}
	if err := old.Appender().Append(Batch{}); err != ErrFenced {
		t.Fatalf("the displaced owner's append: %v", err)
	}
	mustAppend(t, l, Batch{Records: []Record{{Payload: []byte("two")}}})
	mustFlush(t, l)
	if got := trimmed(readAll(t, l, 0)); got != "one,two" {
		t.Fatal(got)
	}
}

func TestRefusals(t *testing.T) {
	sim := env.NewSim(1)
	l, _ := mustOpen(t, sim.Env(), Options{Partitions: 2, PendingBytes: 1000})
	big := strings.Repeat("x", MaxName+1)
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"payload", l.Appender().Append(Batch{Records: []Record{{}, {Payload: make([]byte, MaxRecord+1)}}}), "record 1 of the batch has 67108865 bytes; 67108864 are the limit"},
		{"topic", l.Appender().Append(Batch{Records: []Record{{Topic: big}}}), "has 65536 bytes; 65535 are the limit"},
		{"source", l.Appender().Append(Batch{Source: big}), "source has 65536 bytes"},
		{"note", l.Appender().Control(Note, 0, make([]byte, MaxNote+1)), "a note has 1048577 bytes"},
		{"large batch alone", l.Appender().Append(Batch{Records: []Record{{Payload: make([]byte, 2000)}}}), ""},
		{"busy", l.Appender().Append(Batch{Records: []Record{{}}}), ErrBusy.Error()},
		{"flush", l.Appender().Flush(), ""},
		{"not busy", l.Appender().Append(Batch{Records: []Record{{}}}), ""},
		{"partitions", second(Open(sim.Env(), "/d", Options{Partitions: 3})), "made with 2 partitions; it cannot be opened with 3"},
		{"past the end", second(l.Read(0, 2)), "partition 0 holds offsets 0 to 1, not 2"},
		{"close", l.Close(), ""},
		{"after close", l.Appender().Append(Batch{}), "closed"},
	}
	for _, test := range tests {
		if got := fmt.Sprint(test.err); (test.err == nil) != (test.want == "") || !strings.Contains(got, test.want) {
			t.Errorf("%s: %v, not %q", test.name, test.err, test.want)
		}
	}
}

func second[T any](_ T, err error) error { return err }
