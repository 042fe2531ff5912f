package ingestfile

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/journal"
	"github.com/tidemill/tidemill/engine/stage"
)

// TestExactlyOnceInTheJournal does what TestExactlyOnce does with the journal
// itself, on a disk that forgets what was not synced.
func TestExactlyOnceInTheJournal(t *testing.T) {
	for seed := range uint64(150) {
		r := rand.New(rand.NewPCG(seed, 2))
		sim := env.NewSim(seed)
		e := sim.Env()
		must(t, e.FS.MkdirAll("/conf"))
		kind := []string{"ndjson", "json", "csv"}[seed%3]
		var content []byte
		for len(content) < 60 {
			content = randomFile(r, kind)
		}
		put(t, e, "/conf/in."+kind, content)
		f, err := e.FS.Open("/conf/in."+kind, env.ReadWrite)
		must(t, err)
		must(t, f.Sync())
		must(t, e.FS.SyncDir("/conf"))
		must(t, e.FS.SyncDir("/"))
		args := fmt.Sprintf("path = \"in.%s\"", kind)

		want := newRig(t, e, newFakeLog(3), args, nil)
		must(t, want.open())
		want.drain()

		for run := range 8 {
			log := openLog(t, e)
			src := openOn(t, e, log, args)
			steps := r.IntN(8)
			if run == 7 {
				steps = 1 << 20
			}
			src.(*source).batch.limit = 1 + r.IntN(5)
			for i, status := 0, stage.Busy; i < steps && status != stage.Ended; i++ {
				status, err = src.Step()
				must(t, err)
				if r.IntN(3) == 0 {
					must(t, log.Appender().Flush())
				}
			}
			if run < 7 {
				sim.Crash(seed*31 + uint64(run))
				e = sim.Env()
				continue
			}
			must(t, log.Appender().Flush())
			if got := shown(recordsOf(t, log)); got != shown(want.log.all()) {
				t.Fatalf("%s, seed %d:\n%s\nwant\n%s", kind, seed, got, shown(want.log.all()))
			}
		}
	}
}

func openLog(t *testing.T, e *env.Env) journal.Log {
	t.Helper()
	log, err := journal.Open(e, "/journal", journal.Options{Partitions: 3, BlockBytes: 64})
	must(t, err)
	return log
}

func openOn(t *testing.T, e *env.Env, log journal.Log, args string) stage.Source {
	t.Helper()
	b, diags := bound(t, args, nil)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	src, err := b.OpenSource(stage.Opening{Env: e, Count: func(string, int64) {}}, stage.SourceEnv{
		Journal:   log.Appender(),
		Partition: func(p []byte) int { return flow.PartitionOf(flow.Hash(p), 3) },
	})
	must(t, err)
	return src
}

// recordsOf returns all payloads, in order of partition.
func recordsOf(t *testing.T, log journal.Log) []string {
	t.Helper()
	var out []string
	for p := range log.Partitions() {
		from, _ := log.Bounds(p)
		reader, err := log.Read(p, from)
		must(t, err)
		for {
			b, err := reader.Next()
			must(t, err)
			if b == nil {
				break
			}
			if b.Kind == journal.Lost {
				t.Fatalf("lost: %v", b.Err)
			}
			for i := range b.Ends {
				out = append(out, string(b.Record(i)))
			}
			b.Release()
		}
		must(t, reader.Close())
	}
	return out
}
