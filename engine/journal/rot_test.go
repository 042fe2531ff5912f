package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine/env"
)

// copyOf returns a machine that has the same files.
func copyOf(t testing.TB, from *env.Env) (*env.Sim, *env.Env) {
	t.Helper()
	sim := env.NewSim(7)
	to := sim.Env()
	if err := to.FS.MkdirAll("/d"); err != nil {
		t.Fatal(err)
	}
	entries, err := from.FS.ReadDir("/d")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		name := "/d/" + entry.Name()
		b := make([]byte, fileSize(t, from, name))
		f, err := from.FS.Open(name, env.ReadOnly)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.ReadAt(b, 0); err != nil && len(b) > 0 {
			t.Fatal(err)
		}
		f.Close()
		put(t, to, name, b)
	}
	return sim, to
}

func put(t testing.TB, e *env.Env, name string, b []byte) {
	t.Helper()
	f, err := e.FS.Open(name, env.Create)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt(b, 0)
	if err := errors.Join(err, f.Sync(), f.Close(), e.FS.SyncDir("/d")); err != nil {
		t.Fatal(err)
	}
}

// groups writes n groups with one block each to partition 0, and a tick now and
// then to both, and returns where each block of records ends in the file.
func groups(t testing.TB, e *env.Env, n, payload int) (ends []int64) {
	l, _ := mustOpen(t, e, Options{Partitions: 2})
	defer l.Close()
	for i := range n {
		mustAppend(t, l, Batch{Records: []Record{
			{Payload: []byte(fmt.Sprintf("a%d%s", i, strings.Repeat("~", payload))), Topic: "x"},
			{Payload: []byte(fmt.Sprintf("b%d", i)), Topic: "y"},
		}})
		if i == 1 {
			if err := l.Appender().Control(Note, 5, []byte("hello")); err != nil {
				t.Fatal(err)
			}
		}
		mustFlush(t, l)
		ends = append(ends, l.(*disk).active.size)
	}
	return ends
}

// trimmed makes the lines of readAll short enough to read.
func trimmed(lines []string) string {
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], "~")
	}
	return strings.Join(lines, ",")
}

const firstSegment = "/d/0000000000000001.seg"

// A segment that is cut anywhere in its last block loses that block, says so,
// and goes on; what is appended afterwards follows at once.
func TestCutAnywhere(t *testing.T) {
	sim := env.NewSim(1)
	ends := groups(t, sim.Env(), 4, 40)
	for size := ends[2]; size < ends[3]; size++ {
		_, e := copyOf(t, sim.Env())
		f, err := e.FS.Open(firstSegment, env.ReadWrite)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(f.Truncate(size), f.Sync(), f.Close()); err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second time, what the first appended is there too
			l, damage := mustOpen(t, e, Options{})
			want := 0
			if size > ends[2] {
				want = 1
			}
			if len(*damage) != want && fileSize(t, e, "/d/0000000000000002.seg") == 0 {
				t.Fatalf("cut at %d: %d reports of damage, not %d: %v", size, len(*damage), want, *damage)
			}
			for _, d := range *damage {
				if !d.Tail || d.File != firstSegment || d.Offset != ends[2] || d.Offset+d.Bytes != size {
					t.Fatalf("cut at %d after %d: %+v", size, ends[2], d)
				}
			}
			mustAppend(t, l, Batch{Records: []Record{{Payload: []byte("more")}}})
			mustFlush(t, l)
			l.Close()
		}
		l, _ := mustOpen(t, e, Options{})
		if got, want := trimmed(readAll(t, l, 0)), "a0,b0,a1,b1,note hello,a2,b2,more,more"; got != want {
			t.Fatalf("cut at %d:\n%s, not\n%s", size, got, want)
		}
		if got, want := trimmed(readAll(t, l, 1)), "note hello"; got != want {
			t.Fatalf("cut at %d: %s, not %s", size, got, want)
		}
	}
}

// Every bit of a 4 KiB block is flipped: it is always detected, that block
// alone is lost, the place is reported, and nothing after it is lost. The
// block is the third of five, then the last. With -short it is every 29th bit.
func TestFlipEveryBit(t *testing.T) {
	every := int64(1)
	if testing.Short() {
		every = 29
	}
	sim := env.NewSim(1)
	ends := groups(t, sim.Env(), 5, 4096-headerSize-40)
	tests := []struct {
		name     string
		from, to int64
		step     int64
		want     string
	}{
		{"middle", ends[1], ends[2], 1, "a0,b0,a1,b1,note hello,lost,lost,a3,b3,a4,b4"},
		{"last", ends[3], ends[4], 5, "a0,b0,a1,b1,note hello,a2,b2,a3,b3"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if n := test.to - test.from; n < 4000 || n > 4096 {
				t.Fatalf("the block has %d bytes, not 4 KiB", n)
			}
			_, e := copyOf(t, sim.Env())
			for bit := test.from * 8; bit < test.to*8; bit += test.step * every {
				flip(t, e, bit)
				checkFlip(t, e, bit, test.from, test.to, test.want)
				flip(t, e, bit)
			}
		})
	}
}

func flip(t testing.TB, e *env.Env, bit int64) {
	patch(t, e, firstSegment, bit/8, func(b []byte) { b[0] ^= 1 << (bit % 8) })
}

func checkFlip(t testing.TB, e *env.Env, bit, from, to int64, want string) {
	t.Helper()
	l, damage := mustOpen(t, e, Options{})
	if got := trimmed(readAll(t, l, 0)); got != want {
		t.Fatalf("bit %d:\n%s, not\n%s", bit-from*8, got, want)
	}
	if got := trimmed(readAll(t, l, 1)); got != "note hello" {
		t.Fatalf("bit %d: partition 1 holds %s", bit-from*8, got)
	}
	if len(*damage) != 1 {
		t.Fatalf("bit %d: %d reports: %v", bit-from*8, len(*damage), *damage)
	}
	if d := (*damage)[0]; d.File != firstSegment || d.Offset != from || d.Offset+d.Bytes != to {
		t.Fatalf("bit %d of the block from %d to %d: %+v", bit-from*8, from, to, d)
	}
	l.Close()
	// Each Open has made an empty segment: away with it.
	if err := e.FS.Remove("/d/0000000000000002.seg"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
}

// Rot in each byte of a segment with several groups, sources and partitions,
// read by the process that comes after and by the one after that: nothing is
// lost but the one block, and never anything that a source sends again.
func TestRotWithSources(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine: the race detector would see nothing, and take ten times as long")
	}
	sim := env.NewSim(1)
	l, _ := mustOpen(t, sim.Env(), Options{Partitions: 2, BlockBytes: 30})
	var sent [2][]string
	for i := range 4 {
		var records []Record
		for j := range 8 {
			n := i*8 + j + 1
			records = append(records, Record{Partition: n % 3 % 2, Payload: []byte(fmt.Sprintf("s%02d", n)), Pos: uint64(n)})
			sent[n%3%2] = append(sent[n%3%2], fmt.Sprintf("s%02d", n))
		}
		mustAppend(t, l, Batch{Records: records, Source: "file", Pos: uint64(i*8 + 8)})
		mustFlush(t, l)
	}
	l.Close()
	for at := range fileSize(t, sim.Env(), firstSegment) {
		_, e := copyOf(t, sim.Env())
		patch(t, e, firstSegment, at, func(b []byte) { b[0] ^= 0x20 })
		for life := range 2 {
			resend(t, e, at, life == 0)
			for p := range sent {
				l, _ := mustOpen(t, e, Options{})
				got := readAll(t, l, p)
				l.Close()
				if lost := missing(got, sent[p]); lost > 6 { // what one block holds
					t.Fatalf("byte %d, life %d: partition %d: %d records missing: %v", at, life, p, lost, got)
				}
			}
		}
	}
}

// resend is a source that sends again what the journal says it has not.
func resend(t testing.TB, e *env.Env, at int64, first bool) {
	t.Helper()
	l, damage := mustOpen(t, e, Options{})
	defer l.Close()
	for p := range 2 {
		readAll(t, l, p)
	}
	if first && len(*damage) == 0 {
		t.Fatalf("byte %d: no damage was reported", at)
	}
	pos := l.Appender().Position("file")
	var records []Record
	for n := pos.Committed + 1; n <= 32; n++ {
		if p := int(n % 3 % 2); n > pos.Reached[p] {
			records = append(records, Record{Partition: p, Payload: []byte(fmt.Sprintf("s%02d", n)), Pos: n})
		}
	}
	mustAppend(t, l, Batch{Records: records, Source: "file", Pos: 32})
	mustFlush(t, l)
}

// missing counts what of want is not in got; what is there twice counts a thousand.
func missing(got, want []string) int {
	have := map[string]int{}
	for _, s := range got {
		have[s]++
	}
	n := 0
	for _, s := range want {
		switch {
		case have[s] == 0:
			n++
		case have[s] > 1:
			n += 1000
		}
	}
	return n
}

// A payload may hold a copy of a segment, and rot may strike before it: what
// is copied is still not taken for blocks, because it lies elsewhere.
func TestPayloadHoldsSegment(t *testing.T) {
	sim := env.NewSim(1)
	l, _ := mustOpen(t, sim.Env(), Options{Partitions: 1})
	mustAppend(t, l, Batch{Records: []Record{{Payload: []byte("forged")}}})
	mustFlush(t, l)
	start := l.(*disk).active.size
	copied := segmentBytes(t, sim.Env(), firstSegment)
	for at := 0; at+headerSize < len(copied); at++ {
		if h, ok := decodeHeader(copied[at:], 1, int64(at)); ok {
			h.seq += 100 // as if it came later
			h.encode(copied[at:], 1, int64(at))
		}
	}
	mustAppend(t, l, Batch{Records: []Record{{Payload: copied}}})
	mustFlush(t, l)
	mustAppend(t, l, Batch{Records: []Record{{Payload: []byte("after")}}})
	mustFlush(t, l)
	l.Close()
	patch(t, sim.Env(), firstSegment, start, func(b []byte) { b[0]++ })
	l, damage := mustOpen(t, sim.Env(), Options{})
	if got := trimmed(readAll(t, l, 0)); got != "forged,lost,after" || len(*damage) != 1 {
		t.Fatalf("%q %v", got, *damage)
	}
}
