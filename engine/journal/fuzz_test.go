package journal

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/engine/env"
)

// FuzzOpen gives any bytes for a segment: nothing panics, memory stays within a
// few times the input, and the channel either says what is wrong or works.
// With mend set, header checksums are made right first, to get behind them.
func FuzzOpen(f *testing.F) {
	sim := env.NewSim(1)
	groups(f, sim.Env(), 3, 5)
	whole := segmentBytes(f, sim.Env(), firstSegment)
	f.Add(whole, false)
	f.Add(whole[:len(whole)-7], true)
	f.Add([]byte{}, false)
	f.Add(bytes.Repeat([]byte("TMJ1"), 100), true)
	f.Fuzz(func(t *testing.T, segment []byte, mend bool) {
		if len(segment) > 1<<20 {
			return
		}
		if mend {
			segment = mended(segment)
		}
		e := env.NewSim(1).Env()
		if err := e.FS.MkdirAll("/d"); err != nil {
			t.Fatal(err)
		}
		put(t, e, firstSegment, segment)
		for range 2 {
			l, err := Open(e, "/d", Options{})
			if err != nil {
				return
			}
			for p := range l.Partitions() {
				from, end := l.Bounds(p)
				if end-from < 1<<20 {
					drain(t, l, p)
				}
			}
			if end := highest(l); end < 1<<60 {
				mustAppend(t, l, Batch{Records: []Record{{Payload: []byte("after")}}})
				mustFlush(t, l)
			}
			l.Close()
		}
	})
}

func highest(l Log) (most uint64) {
	for p := range l.Partitions() {
		_, end := l.Bounds(p)
		most = max(most, end)
	}
	return most
}

func drain(t *testing.T, l Log, p int) {
	from, end := l.Bounds(p)
	r, err := l.Read(p, from)
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
			break
		}
		from = b.First + uint64(b.Count)
		b.Release()
	}
	if from != end {
		t.Fatalf("reading stopped at %d of %d", from, end)
	}
}

// mended makes the checksums of everything that looks like a block right.
func mended(b []byte) []byte {
	b = bytes.Clone(b)
	for at := 0; at+headerSize <= len(b); at++ {
		if binary.LittleEndian.Uint32(b[at:]) != magic {
			continue
		}
		size := uint64(binary.LittleEndian.Uint32(b[at+12:])) + uint64(binary.LittleEndian.Uint32(b[at+16:]))
		body := b[at+headerSize:]
		if size <= uint64(len(body)) {
			binary.LittleEndian.PutUint32(b[at+8:], bodyCRC(body[:size]))
		}
		binary.LittleEndian.PutUint32(b[at+4:], headerCRC(b[at:], 1, int64(at)))
	}
	return b
}

func segmentBytes(t testing.TB, e *env.Env, name string) []byte {
	b := make([]byte, fileSize(t, e, name))
	f, err := e.FS.Open(name, env.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	return b
}

// FuzzRoundTrip cuts script into records of all shapes and reads them back:
// from the cache, from disk, and after opening again.
func FuzzRoundTrip(f *testing.F) {
	for _, seed := range []string{"", "a", "hello, world", strings.Repeat("0123456789abcdef", 40), "\x00\xff\x00\xff\x80\x01"} {
		f.Add([]byte(seed), uint16(100))
	}
	for seed := range uint64(4) {
		f.Add(recordsOfAll(seed), uint16(50<<(3*seed)))
	}
	f.Fuzz(func(t *testing.T, script []byte, blockBytes uint16) {
		if len(script) > 1<<16 {
			return
		}
		records := recordsOf(script)
		for _, cache := range []int{1, 1 << 30} {
			sim := env.NewSim(1)
			o := Options{Partitions: 3, BlockBytes: 1 + int(blockBytes), CacheBytes: cache}
			l, _ := mustOpen(t, sim.Env(), o)
			mustAppend(t, l, Batch{Records: records})
			mustFlush(t, l)
			same(t, l, records)
			l.Close()
			sim.Crash(1)
			l, damage := mustOpen(t, sim.Env(), o)
			same(t, l, records)
			if len(*damage) > 0 {
				t.Fatal(*damage)
			}
		}
	})
}

// recordsOfAll makes scripts for FuzzRoundTrip in which every shape of a record comes.
func recordsOfAll(seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 3))
	out := make([]byte, 900)
	for i := range out {
		out[i] = byte(r.Uint32())
	}
	return out
}

// recordsOf makes records of a script: three bytes of each choose its shape.
func recordsOf(script []byte) (out []Record) {
	for total := 0; len(script) >= 3 && total < 1<<20; total += len(out[len(out)-1].Payload) {
		shape, size := script[0], int(script[1])<<(script[2]&7)
		r := Record{Partition: int(shape) % 3, Received: int64(shape) << (script[2] >> 3 & 31), Pos: uint64(len(out) + 1)}
		script = script[3:]
		if shape&8 != 0 {
			r.Received = -r.Received
		}
		r.Payload = bytes.Repeat([]byte{shape}, size)
		if n := min(len(script), int(shape)); shape&16 != 0 {
			r.Payload, script = script[:n], script[n:]
		}
		if shape&32 != 0 {
			r.Topic = fmt.Sprint("t", size%5)
		}
		if shape&64 != 0 {
			r.Principal = fmt.Sprint("p", size%3)
		}
		if shape&128 != 0 {
			r.Envelope = bytes.Repeat([]byte{byte(size)}, size%300)
		}
		out = append(out, r)
	}
	return out
}

// same checks that the log holds these records and nothing else.
func same(t *testing.T, l Log, records []Record) {
	t.Helper()
	for p := range l.Partitions() {
		r, err := l.Read(p, 0)
		if err != nil {
			t.Fatal(err)
		}
		var b *Block
		i := 0
		for n, want := range records {
			if want.Partition != p {
				continue
			}
			if b == nil || i == b.Count {
				if b != nil {
					b.Release()
				}
				if b, err = r.Next(); err != nil || b == nil {
					t.Fatalf("record %d: %v %v", n, b, err)
				}
				i = 0
			}
			if msg := differs(b, i, &want); msg != "" {
				t.Fatalf("record %d: %s", n, msg)
			}
			i++
		}
		if b != nil && i != b.Count {
			t.Fatalf("partition %d holds more than was appended", p)
		}
		if b != nil {
			b.Release()
		}
		if b, err := r.Next(); b != nil || err != nil {
			t.Fatalf("partition %d goes on: %v %v", p, b, err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func differs(b *Block, i int, want *Record) string {
	topic, principal := 0, 0
	if b.TopicOf != nil {
		topic = int(b.TopicOf[i])
	}
	if b.PrincipalOf != nil {
		principal = int(b.PrincipalOf[i])
	}
	switch {
	case b.Kind != Records || b.Partition != want.Partition:
		return fmt.Sprintf("kind %d, partition %d", b.Kind, b.Partition)
	case !bytes.Equal(b.Record(i), want.Payload):
		return fmt.Sprintf("payload %.50q, not %.50q", b.Record(i), want.Payload)
	case b.Received[i] != want.Received:
		return fmt.Sprintf("received %d, not %d", b.Received[i], want.Received)
	case b.Topics[topic] != want.Topic || b.Principals[principal] != want.Principal:
		return fmt.Sprintf("topic %q, principal %q, not %q and %q", b.Topics[topic], b.Principals[principal], want.Topic, want.Principal)
	case !bytes.Equal(b.Envelope(i), want.Envelope):
		return fmt.Sprintf("envelope %x, not %x", b.Envelope(i), want.Envelope)
	case cap(b.Payload)-len(b.Payload) < Slack:
		return "too little slack after the payload"
	}
	return ""
}

// The bytes on disk are a promise to those who wrote files with them:
// testdata/segment.hex changes only with the number of the format.
func TestGolden(t *testing.T) {
	sim := env.NewSim(1)
	l, _ := mustOpen(t, sim.Env(), Options{Partitions: 2})
	mustAppend(t, l, Batch{Source: "file:a.ndjson", Pos: 9, Records: []Record{
		{Partition: 1, Payload: []byte("first"), Topic: "dt/a", Received: 1000, Pos: 5},
		{Partition: 1, Payload: []byte("second"), Topic: "dt/b", Principal: "dev1", Received: 1003, Pos: 9},
	}})
	if err := l.Appender().Control(Note, 77, []byte("schema 2")); err != nil {
		t.Fatal(err)
	}
	mustFlush(t, l)
	got := hex.Dump(segmentBytes(t, sim.Env(), firstSegment))
	file := filepath.Join("testdata", "segment.hex")
	if os.Getenv("UPDATE") != "" {
		if err := errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(file, []byte(got), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the format has changed:\n%s\nnot\n%s", got, want)
	}
}

// Files of before blocks told their place in their group, and of before formats
// had numbers, are read as ever.
func TestGoldenOfBefore(t *testing.T) {
	for _, name := range []string{"segment_without_nth.hex", "segment_unnumbered.hex"} {
		sim := env.NewSim(1)
		replaceSegment(t, sim.Env(), undump(t, name))
		l, damage := mustOpen(t, sim.Env(), Options{})
		if got := trimmed(readAll(t, l, 1)); got != "first,second,note schema 2" || len(*damage) != 0 {
			t.Fatal(name, got, *damage)
		}
		if pos := l.Appender().Position("file:a.ndjson"); pos.Committed != 9 {
			t.Fatalf("%s: %+v", name, pos)
		}
	}
}

// What a later version wrote is refused, and left as it is: it would look damaged.
func TestLaterFormat(t *testing.T) {
	file := undump(t, "segment.hex")
	binary.LittleEndian.PutUint32(file[20:], format+1)
	binary.LittleEndian.PutUint32(file[4:], headerCRC(file, 1, 0))
	sim := env.NewSim(1)
	replaceSegment(t, sim.Env(), file)
	for _, open := range []func(*env.Env, string, Options) (Log, error){Open, OpenPast} {
		_, err := open(sim.Env(), "/d", Options{})
		if err == nil || !strings.Contains(err.Error(), "in format 2 by a later version of tidemill") {
			t.Fatalf("opened with error %v", err)
		}
	}
	if got := segmentBytes(t, sim.Env(), firstSegment); !bytes.Equal(got, file) {
		t.Fatal("the segment has changed")
	}
}

// undump returns the bytes of a file of testdata that hex.Dump wrote.
func undump(t *testing.T, name string) []byte {
	t.Helper()
	dump, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var file []byte
	for line := range strings.Lines(string(dump)) {
		columns, _, _ := strings.Cut(line[8:], "|")
		b, err := hex.DecodeString(strings.Join(strings.Fields(columns), ""))
		if err != nil {
			t.Fatal(err)
		}
		file = append(file, b...)
	}
	return file
}

// replaceSegment makes a channel whose only segment holds these bytes.
func replaceSegment(t *testing.T, e *env.Env, file []byte) {
	t.Helper()
	l, _ := mustOpen(t, e, Options{Partitions: 2})
	l.Close()
	f, err := e.FS.Open(firstSegment, env.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(file, 0); err != nil {
		t.Fatal(err)
	}
	f.Close()
}

func TestLargeRecords(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine: the race detector would see nothing, and take ten times as long")
	}
	sim := env.NewSim(1)
	l, _ := mustOpen(t, sim.Env(), Options{Partitions: 3, PendingBytes: 1 << 30})
	var records []Record
	for i, size := range []int{300 << 10, 1, MaxRecord, 0, 70_000, 256 << 10} {
		records = append(records, Record{Payload: bytes.Repeat([]byte{byte(i)}, size), Topic: strings.Repeat("t", size%MaxName)})
	}
	mustAppend(t, l, Batch{Records: records})
	mustFlush(t, l)
	same(t, l, records)
	l.Close()
	l, _ = mustOpen(t, sim.Env(), Options{})
	same(t, l, records)
}
