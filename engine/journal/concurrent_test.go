package journal

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/tidemill/tidemill/engine/env"
)

// Appenders, a flusher, readers, retention and positions at the same time, on
// the real file system: each appender's records come in its order, once.
func TestConcurrent(t *testing.T) {
	const appenders, batches, partitions = 4, 150, 3
	l, err := Open(env.Real(), t.TempDir(), Options{
		Partitions: partitions, BlockBytes: 700, SegmentBytes: 20_000, PendingBytes: 5000, CacheBytes: 10_000,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var all sync.WaitGroup
	stop := make(chan struct{})
	for a := range appenders {
		all.Go(func() { appendAll(t, l, a, batches, partitions) })
	}
	var flusher sync.WaitGroup
	flusher.Go(func() {
		for {
			if err := l.Appender().Flush(); err != nil {
				t.Error(err)
				return
			}
			l.Hold("reader", make([]uint64, partitions))
			if _, err := l.Trim(0); err != nil {
				t.Error(err)
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	var readers sync.WaitGroup
	for p := range partitions {
		for range 2 {
			readers.Go(func() { follow(t, l, p, appenders, batches) })
		}
	}
	all.Wait()
	readers.Wait()
	close(stop)
	flusher.Wait()
	for a := range appenders {
		if pos := l.Appender().Position(fmt.Sprint("source", a)); pos.Committed != batches {
			t.Errorf("source %d stands at %d", a, pos.Committed)
		}
	}
}

func appendAll(t *testing.T, l Log, a, batches, partitions int) {
	var done sync.WaitGroup
	for i := 0; i < batches; {
		b := Batch{Source: fmt.Sprint("source", a), Pos: uint64(i + 1)}
		for p := range partitions {
			b.Records = append(b.Records, Record{Partition: p, Payload: fmt.Appendf(nil, "%d %d", a, i), Pos: uint64(i + 1)})
		}
		done.Add(1)
		b.Done = func(err error) {
			if err != nil {
				t.Error(err)
			}
			done.Done()
		}
		switch err := l.Appender().Append(b); {
		case err == nil:
			i++
		case errors.Is(err, ErrBusy):
			done.Done()
		default:
			t.Error(err)
			return
		}
	}
	done.Wait()
}

// follow reads a partition until every appender's last record has come.
func follow(t *testing.T, l Log, p, appenders, batches int) {
	r, err := l.Read(p, 0)
	if err != nil {
		t.Error(err)
		return
	}
	defer r.Close()
	next := make([]int, appenders)
	for left := appenders * batches; left > 0; {
		b, err := r.Next()
		if err != nil {
			t.Error(err)
			return
		}
		if b == nil {
			continue
		}
		for i := range b.Count {
			var a, n int
			if _, err := fmt.Sscan(string(b.Record(i)), &a, &n); err != nil || next[a] != n {
				t.Errorf("partition %d: %q comes where %d of appender %d was due", p, b.Record(i), next[a], a)
				return
			}
			next[a]++
			left--
		}
		b.Release()
	}
}
