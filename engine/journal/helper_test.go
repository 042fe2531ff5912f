package journal

import (
	"fmt"
	"testing"

	"github.com/tidemill/tidemill/engine/env"
)

// mustOpen opens a channel of a simulated machine and collects its damage.
func mustOpen(t testing.TB, e *env.Env, o Options) (Log, *[]Damage) {
	t.Helper()
	damage := &[]Damage{}
	o.Report = func(d Damage) { *damage = append(*damage, d) }
	l, err := Open(e, "/d", o)
	if err != nil {
		t.Fatal(err)
	}
	return l, damage
}

func mustAppend(t testing.TB, l Log, b Batch) {
	t.Helper()
	if err := l.Appender().Append(b); err != nil {
		t.Fatal(err)
	}
}

func mustFlush(t testing.TB, l Log) {
	t.Helper()
	if err := l.Appender().Flush(); err != nil {
		t.Fatal(err)
	}
}

// readAll returns one line for each offset of a partition from its start:
// the payload, or the kind of what stands there.
func readAll(t testing.TB, l Log, partition int) []string {
	t.Helper()
	from, end := l.Bounds(partition)
	r, err := l.Read(partition, from)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var out []string
	for {
		b, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			break
		}
		if b.Partition != partition || b.First > from || b.First+uint64(b.Count) <= from {
			t.Fatalf("partition %d: a block of partition %d from %d on with %d offsets, where %d was due", partition, b.Partition, b.First, b.Count, from)
		}
		for i := int(from - b.First); i < b.Count; i++ {
			out = append(out, line(b, i))
		}
		from = b.First + uint64(b.Count)
		b.Release()
	}
	if from != end {
		t.Fatalf("partition %d ends at %d and reading stopped at %d", partition, end, from)
	}
	return out
}

func line(b *Block, i int) string {
	switch b.Kind {
	case Records:
		return string(b.Record(i))
	case Lost:
		return "lost"
	case Void:
		return "void"
	case Note:
		return "note " + string(b.Control)
	}
	return fmt.Sprintf("control %d at %d", b.Kind, b.Time)
}

// patch changes bytes of a file as rot would: durably and behind everyone's back.
func patch(t testing.TB, e *env.Env, name string, at int64, change func(b []byte)) {
	t.Helper()
	f, err := e.FS.Open(name, env.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	change(b[:])
	if _, err := f.WriteAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
}

func fileSize(t testing.TB, e *env.Env, name string) int64 {
	t.Helper()
	f, err := e.FS.Open(name, env.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}
