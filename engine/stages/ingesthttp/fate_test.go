package ingesthttp

import (
	"errors"
	"slices"
	"testing"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/journal"
)

// TestFates: who may try a request, and what is said of it, after every way that a try of it can go.
func TestFates(t *testing.T) {
	lost := errors.New("it could not be kept")
	k := newKeys(1000, 10, func() {})
	torn := &keyed{id: "torn", sum: 1, count: 3, have: []int{1, 0}, settled: true, received: 5}
	k.learn(&recall{found: map[string]*keyed{"torn": torn}})
	claim := func(id string, sum uint64, count int, want bool) *keyed {
		t.Helper()
		q, mine := k.claim(id, sum, count, 10)
		if mine != want {
			t.Errorf("%s with sum %d and %d records: mine is %v", id, sum, count, mine)
		}
		return q
	}
	fate := func(q *keyed, whole bool, err error) {
		t.Helper()
		if w, e := k.fate(q); w != whole || e != err {
			t.Errorf("%s: whole %v, %v; want %v, %v", q.id, w, e, whole, err)
		}
	}
	fate(torn, false, nil)
	claim("torn", 2, 3, false) // another body
	claim("torn", 1, 4, false) // the same as another number of records
	q := claim("torn", 1, 3, true)
	claim("torn", 1, 3, false) // one try at a time
	fate(q, false, nil)
	k.settle(q, lost)
	fate(q, false, lost)
	if again := claim("torn", 1, 3, true); again != torn || !slices.Equal(again.have, []int{1, 0}) {
		t.Errorf("what the journal has of it is forgotten: %v", again.have)
	}
	k.settle(q, nil)
	fate(q, true, nil)
	claim("torn", 1, 3, false)

	q = claim("new", 1, 1, true)
	fate(q, false, nil)
	k.settle(q, lost)
	fate(q, false, lost)
	if again := claim("new", 2, 1, true); again == q {
		t.Error("one that failed is remembered")
	}
}

// TestRecall: of a key that was used for two requests the later one counts, in whichever order they are read, and none that is too old.
func TestRecall(t *testing.T) {
	early, late, old := topicOf("ingest.t", "k", 2, 0xa), topicOf("ingest.t", "k", 1, 0xb), topicOf("ingest.t", "old", 1, 0xc)
	blocks := []*journal.Block{
		{Kind: journal.Records, Partition: 0, Count: 2, Topics: []string{early, old}, TopicOf: []uint16{0, 1}, Received: []int64{100, 49}},
		{Kind: journal.Records, Partition: 1, Count: 2, Topics: []string{late, old}, TopicOf: []uint16{0, 1}, Received: []int64{200, 48}},
	}
	for range 2 {
		m := &recall{ingest: "ingest.t", partitions: 2, since: 50, found: map[string]*keyed{}}
		for _, b := range blocks {
			m.block(b)
		}
		q := m.found[idOf("", "k")]
		if len(m.found) != 1 || q == nil || q.sum != 0xb || q.count != 1 || q.received != 200 || !slices.Equal(q.have, []int{0, 1}) {
			t.Errorf("%d keys; %+v", len(m.found), q)
		}
		slices.Reverse(blocks)
	}
}

// TestPositions: positions rise from append to append, and go on behind a restart.
func TestPositions(t *testing.T) {
	dir := t.TempDir()
	want := uint64(0)
	for range 2 {
		r := start(t, env.Real(), dir, open0, journal.Options{})
		for range 3 {
			if a := mustPost(t, r.url(), `[1,2]`); a.code != 200 {
				t.Fatalf("%d %s", a.code, a.text)
			}
			want += 2
			if at := r.log.Appender().Position("ingest.t"); at.Committed != want {
				t.Errorf("the journal has position %d, want %d", at.Committed, want)
			}
		}
		r.close()
	}
}

// TestLookBackOpenBlocks: a block that stood open holds requests that are younger than it is, and they are found.
func TestLookBackOpenBlocks(t *testing.T) {
	r := start(t, env.Real(), t.TempDir(), open0, journal.Options{})
	defer r.close()
	later := env.Real().Clock.Now().Add(lookBackSlack / 2).UnixMicro()
	rec := journal.Record{Payload: []byte("1"), Topic: topicOf("ingest.t", "k", 1, 0xa), Received: later}
	if err := errors.Join(r.log.Appender().Append(journal.Batch{Records: []journal.Record{rec}}), r.log.Appender().Flush()); err != nil {
		t.Fatal(err)
	}
	_, end := r.log.Bounds(0)
	m := &recall{ingest: "ingest.t", partitions: testPartitions, since: later, found: map[string]*keyed{}}
	if err := r.src.lookBack(m, 0, end); err != nil || len(m.found) != 1 {
		t.Errorf("%d keys are found, %v", len(m.found), err)
	}
}

// TestClosed: who still waits when the source closes is told that nobody knows; what comes then is not taken.
func TestClosed(t *testing.T) {
	r := start(t, env.Real(), t.TempDir(), open0, journal.Options{})
	q, _ := r.src.keys.claim("k", 1, 1, 1)
	r.halt()
	if err := r.src.Close(); err != nil {
		t.Fatal(err)
	}
	if a := r.src.outcome(t.Context(), q, nil); a != unknown() {
		t.Errorf("whose fate is open: %+v", a)
	}
	if err := r.src.append(journal.Batch{Records: []journal.Record{{Payload: []byte("1")}}}); err != errStopping {
		t.Errorf("after the end: %v", err)
	}
	if err := r.log.Close(); err != nil {
		t.Fatal(err)
	}
}
