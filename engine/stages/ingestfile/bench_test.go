package ingestfile

import (
	"bytes"
	"testing"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/journal"
	"github.com/tidemill/tidemill/engine/stage"
)

// noLog takes appends and forgets them.
type noLog struct {
	fakeLog
	records int
}

func (l *noLog) Append(b journal.Batch) error { l.records += len(b.Lines); return nil }

// BenchmarkLines reads NDJSON of 225 bytes a record from a real file: read(2),
// line ends and the records of an append, without the key.
func BenchmarkLines(b *testing.B) {
	line := append(bytes.Repeat([]byte("x"), 224), '\n')
	const n = 1 << 17
	dir := b.TempDir()
	e := env.Real()
	put(b, e, dir+"/in.ndjson", bytes.Repeat(line, n))
	bound, _ := bound(b, `path = "`+dir+`/in.ndjson"`, nil)
	b.SetBytes(int64(len(line)))
	b.ResetTimer()
	for done := 0; done < b.N; done += n {
		log := &noLog{fakeLog: *newFakeLog(4)}
		src, err := bound.OpenSource(stage.Opening{Env: e, Count: func(string, int64) {}}, stage.SourceEnv{Journal: log, Partition: func(p []byte) int { return int(p[0] & 3) }})
		if err != nil {
			b.Fatal(err)
		}
		for status := stage.Busy; status != stage.Ended; {
			if status, err = src.Step(); err != nil {
				b.Fatal(err)
			}
		}
		if log.records != n {
			b.Fatalf("%d records", log.records)
		}
	}
}
