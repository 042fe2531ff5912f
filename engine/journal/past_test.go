package journal

import (
	"fmt"
	"slices"
	"testing"

	"github.com/tidemill/tidemill/engine/env"
)

// TestPast reads a channel beside its owner: whatever the owner does, what was there is
// read, nothing is changed, and the owner goes on.
func TestPast(t *testing.T) {
	machine := env.NewSim(1)
	owner, err := Open(machine.Env(), "/j", Options{Partitions: 2, BlockBytes: 64, SegmentBytes: 512})
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	put := func(n int) {
		for range n {
			text := fmt.Sprintf("record %d", len(want))
			want = append(want, text)
			err := owner.Appender().Append(Batch{Source: "s", Pos: uint64(len(want)), Records: []Record{{Partition: 1, Payload: []byte(text), Received: int64(len(want)), Pos: uint64(len(want))}}})
			if err == nil && len(want)%3 == 0 {
				err = owner.Appender().Flush()
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for round := range 10 {
		put(3 * (round + 1))
		before := listing(t, machine)
		past, err := OpenPast(machine.Env(), "/j", Options{})
		if err != nil {
			t.Fatal(err)
		}
		there := len(want)
		put(30) // not seen
		if got := readPast(t, past); !slices.Equal(got, want[:there]) {
			t.Fatalf("round %d: got %d records, want %d: %v", round, len(got), there, got)
		}
		if err := past.Appender().Append(Batch{Records: []Record{{Payload: []byte("x")}}}); err == nil {
			t.Fatal("the past took a record")
		}
		if err := past.Appender().Control(Tick, 1, nil); err == nil {
			t.Fatal("the past took a tick")
		}
		if err := past.Close(); err != nil {
			t.Fatal(err)
		}
		if now := listing(t, machine); len(now) < len(before) || !slices.Equal(now[:len(before)], before) {
			t.Fatalf("files were %v and are %v", before, now)
		}
	}
	if err := owner.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenPast(machine.Env(), "/none", Options{}); err == nil {
		t.Error("a channel that does not exist was opened")
	}
}

func listing(t *testing.T, machine *env.Sim) (names []string) {
	entries, err := machine.Env().FS.ReadDir("/j")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// readPast reads partition 1, each block whole and as the slices of it.
func readPast(t *testing.T, l Log) (out []string) {
	r, err := l.Read(1, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for {
		b, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			return out
		}
		for i := range b.Count {
			for j := i; j <= b.Count; j++ {
				s := b.Slice(i, j)
				for k := range s.Count {
					if string(s.Record(k)) != string(b.Record(i+k)) || s.Received[k] != b.Received[i+k] || s.First != b.First+uint64(i) {
						t.Fatalf("slice %d:%d holds %q at %d", i, j, s.Record(k), k)
					}
				}
				if cap(s.Payload) < len(s.Payload)+Slack {
					t.Fatalf("slice %d:%d has no slack", i, j)
				}
				s.Release()
			}
			out = append(out, string(b.Record(i)))
		}
		b.Release()
	}
}
