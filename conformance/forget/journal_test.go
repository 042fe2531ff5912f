package forget_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/journal"
)

// TestJournal cuts the power under the journal alone: whatever Flush has
// acknowledged is there afterwards, in order, and nothing that was never sent.
func TestJournal(t *testing.T) {
	lost := 0
	for seed := uint64(0); seed < 40; seed++ {
		m := mount(t)
		rng := rand.New(rand.NewPCG(seed, 2))
		sent, acked := 0, 0
		for range 4 {
			log, err := journal.Open(env.Real(), filepath.Join(m.Dir, "journal"), journal.Options{Partitions: 1, SegmentBytes: 1 << 14})
			must(t, err)
			if _, end := log.Bounds(0); end < uint64(acked) {
				t.Fatalf("seed %d: the journal ends at %d, and %d records were acknowledged", seed, end, acked)
			}
			kept := readBack(t, log)
			if kept < acked || kept > sent {
				t.Fatalf("seed %d: %d records are there; %d were acknowledged and %d sent", seed, kept, acked, sent)
			}
			lost += sent - kept
			sent, acked = kept, kept
			for range 1 + rng.IntN(30) {
				sent += send(t, log, sent, 1+rng.IntN(20))
				if rng.IntN(3) > 0 {
					must(t, log.Appender().Flush())
					acked = sent
				}
			}
			if rng.IntN(2) == 0 { // the power goes in the middle of a flush
				flush := make(chan error, 1)
				sent += send(t, log, sent, 2000)
				go func() { flush <- log.Appender().Flush() }()
				m.Off()
				if err := <-flush; err == nil {
					acked = sent
				}
			}
			m.Off()
			_ = log.Close() // without power it cannot be well
			must(t, m.Cut((seed%2)*rng.Uint64()))
		}
		must(t, m.Unmount())
	}
	t.Logf("160 cuts; %d records were not acknowledged and are gone", lost)
}

// send appends n records that say which they are.
func send(t *testing.T, log journal.Log, from, n int) int {
	t.Helper()
	var b journal.Batch
	for i := range n {
		b.Records = append(b.Records, journal.Record{Payload: fmt.Appendf(nil, "record %d", from+i)})
	}
	must(t, log.Appender().Append(b))
	return n
}

// readBack reads everything and returns how many records there are.
func readBack(t *testing.T, log journal.Log) int {
	t.Helper()
	earliest, _ := log.Bounds(0)
	r, err := log.Read(0, earliest)
	must(t, err)
	n := 0
	for {
		b, err := r.Next()
		must(t, err)
		if b == nil {
			break
		}
		if b.Kind != journal.Records {
			t.Fatalf("there is a block of kind %d at %d: %v", b.Kind, b.First, b.Err)
		}
		for i := range b.Count {
			if got, want := string(b.Record(i)), fmt.Sprintf("record %d", n); got != want {
				t.Fatalf("%q where %q should be", got, want)
			}
			n++
		}
		b.Release()
	}
	must(t, r.Close())
	return n
}
