package journal

import (
	"fmt"
	"testing"

	"github.com/tidemill/tidemill/engine/env"
)

// TestOnlyReader: what the only reader of a partition has had leaves the cache at once, and what another may still want
// stays; and the cache's own lists stay short, whoever reads.
func TestOnlyReader(t *testing.T) {
	l, _ := mustOpen(t, env.NewSim(1).Env(), Options{Partitions: 3, CacheBytes: 100_000})
	defer l.Close()
	open := func(p int) Reader {
		r, err := l.Read(p, 0)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	alone, one, other := open(0), open(1), open(1)
	next := func(r Reader, want string) {
		t.Helper()
		b, err := r.Next()
		if err != nil || b == nil || string(b.Record(0)) != want {
			t.Fatalf("%v: not %q", err, want)
		}
		b.Release()
	}
	c := &l.(*disk).shown.cache
	held := func(p int) int { return len(c.lists[p].blocks) - c.lists[p].from }
	const groups = 3000
	for g := range groups {
		var b Batch
		for p := range 3 {
			b.Lines = append(b.Lines, Line{Partition: p, Payload: fmt.Appendf(nil, "group %d of %d", g, p), Pos: uint64(g + 1)})
		}
		mustAppend(t, l, b)
		mustFlush(t, l)
		next(alone, fmt.Sprintf("group %d of 0", g))
		next(one, fmt.Sprintf("group %d of 1", g))
		if g < groups/2 {
			next(other, fmt.Sprintf("group %d of 1", g))
		} else if g == groups/2 {
			other.Close()
			other.Close()
		}
		if held(0) != 0 || g < groups/2 && held(1) == 0 || g > groups/2 && held(1) != 0 || held(2) == 0 {
			t.Fatalf("after group %d the cache holds %d, %d and %d blocks", g, held(0), held(1), held(2))
		}
		if live := held(0) + held(1) + held(2); len(c.order) > 2*live+600 {
			t.Fatalf("after group %d there are %d entries for %d blocks", g, len(c.order), live)
		}
	}
	next(open(0), "group 0 of 0") // from the disk
}

// TestOnlyReaderOfMuchRoom: a cache that is never full forgets what its only reader has had all the same.
func TestOnlyReaderOfMuchRoom(t *testing.T) {
	l, _ := mustOpen(t, env.NewSim(1).Env(), Options{Partitions: 1})
	defer l.Close()
	r, err := l.Read(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	c := &l.(*disk).shown.cache
	for range 2000 {
		mustAppend(t, l, Batch{Lines: []Line{{Payload: []byte("a line")}}})
		mustFlush(t, l)
		b, err := r.Next()
		if err != nil || b == nil {
			t.Fatal(b, err)
		}
		b.Release()
	}
	if len(c.order) > 600 || len(c.lists[0].blocks) > 200 || c.bytes != 0 {
		t.Errorf("the cache has %d entries, %d blocks and %d bytes of nothing", len(c.order), len(c.lists[0].blocks), c.bytes)
	}
}
