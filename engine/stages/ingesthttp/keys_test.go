package ingesthttp

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/journal"
)

const open0 = "listen = \"127.0.0.1:0\"\n"

// TestKey: the same key gives the same answer and appends nothing, also from
// another process; another sender's key is another key.
func TestKey(t *testing.T) {
	dir := t.TempDir()
	args := open0 + "tokens = { a = \"secret-a\", b = \"secret-b\" }\n"
	body := `[{"n":1},{"n":2},{"n":3}]`
	send := func(r *rig, token, key, body string, code int, says string) {
		t.Helper()
		a := mustPost(t, r.url(), body, "Authorization", "Bearer "+token, "Idempotency-Key", key)
		if a.code != code || !strings.Contains(a.text, says) {
			t.Errorf("%s %s: %d %s, want %d %s", token, key, a.code, a.text, code, says)
		}
	}
	r := start(t, env.Real(), dir, args, journal.Options{})
	send(r, "secret-a", "k/1", body, 200, `{"accepted":3}`)
	send(r, "secret-a", "k/1", body, 200, `{"accepted":3}`)
	send(r, "secret-a", "k/1", `{"n":9}`, 422, "another body")
	send(r, "secret-a", "k/1", body+" ", 422, "another body")
	send(r, "secret-b", "k/1", `{"n":4}`, 200, `{"accepted":1}`)
	if n := r.count("repeated"); n != 1 {
		t.Errorf("%d repeated", n)
	}
	r.close()
	r = start(t, env.Real(), dir, args, journal.Options{})
	send(r, "secret-a", "k/1", body, 200, `{"accepted":3}`)
	send(r, "secret-a", "k/1", `{"n":9}`, 422, "another body")
	send(r, "secret-b", "k/1", `{"n":4}`, 200, `{"accepted":1}`)
	send(r, "secret-b", "k/2", `{"n":5}`, 200, `{"accepted":1}`)
	r.close2(func() {
		got := r.records()
		slices.Sort(got)
		if want := []string{`{"n":1}`, `{"n":2}`, `{"n":3}`, `{"n":4}`, `{"n":5}`}; !slices.Equal(got, want) {
			t.Errorf("in the journal: %q", got)
		}
	})
}

// TestKeyAtOnce: of requests with one key at the same time one appends.
func TestKeyAtOnce(t *testing.T) {
	r := start(t, env.Real(), t.TempDir(), open0, journal.Options{})
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if a := mustPost(t, r.url(), `[1,2]`, "Idempotency-Key", "one"); a.code != 200 || a.accepted != 2 {
				t.Errorf("%d %s", a.code, a.text)
			}
		})
	}
	wg.Wait()
	r.close2(func() {
		if got := r.records(); len(got) != 2 {
			t.Errorf("in the journal: %q", got)
		}
	})
}

// TestKeyFailed: a request that was refused may come again under its key.
func TestKeyFailed(t *testing.T) {
	r := start(t, env.Real(), t.TempDir(), open0, journal.Options{})
	defer r.close()
	r.gate().set(&journal.ErrFull{Reason: "the disk is full"})
	if a := mustPost(t, r.url(), `1`, "Idempotency-Key", "one"); a.code != 507 || !strings.Contains(a.text, "disk is full") || a.header.Get("Retry-After") == "" {
		t.Errorf("%d %s", a.code, a.text)
	}
	r.gate().set(nil)
	if a := mustPost(t, r.url(), `1`, "Idempotency-Key", "one"); a.code != 200 {
		t.Errorf("%d %s", a.code, a.text)
	}
}

// TestTakenAndLost: a request that the journal has taken and could not keep is not answered as if it had, with a key and without, nor is one of the
// same key that waits for it; and it counts once when it comes again.
func TestTakenAndLost(t *testing.T) {
	r := start(t, env.Real(), t.TempDir(), open0, journal.Options{})
	r.gate().lose(errors.New("a sector cannot be written"))
	var wg sync.WaitGroup
	for _, headers := range [][]string{nil, {"Idempotency-Key", "one"}, {"Idempotency-Key", "one"}, {"Idempotency-Key", "two"}} {
		wg.Go(func() {
			if a := mustPost(t, r.url(), `1`, headers...); a.code != 503 || !strings.Contains(a.text, "could not be kept") {
				t.Errorf("%v: %d %s", headers, a.code, a.text)
			}
		})
	}
	wg.Wait()
	r.gate().lose(nil)
	for range 2 {
		if a := mustPost(t, r.url(), `1`, "Idempotency-Key", "one"); a.code != 200 || a.accepted != 1 {
			t.Errorf("again: %d %s", a.code, a.text)
		}
	}
	r.close2(func() {
		if got := r.records(); len(got) != 1 {
			t.Errorf("in the journal: %q", got)
		}
	})
}

// TestTorn: of a request whose beginning a crash has kept, the rest is appended.
func TestTorn(t *testing.T) {
	dir := t.TempDir()
	log, err := journal.Open(env.Real(), dir, journal.Options{Partitions: testPartitions})
	if err != nil {
		t.Fatal(err)
	}
	body := "[1,2,3,4,5,6,7,8]"
	payloads, err := split([]byte(body), false)
	if err != nil {
		t.Fatal(err)
	}
	now := env.Real().Clock.Now().UnixMicro()
	topic := topicOf("ingest.t", "torn", len(payloads), sumOf([]byte(body)))
	records := func(p []byte, pos int) journal.Record {
		return journal.Record{Partition: flow.PartitionOf(flow.Hash(p), testPartitions), Payload: p, Topic: topic, Received: now, Pos: uint64(pos)}
	}
	var kept []journal.Record
	for i, p := range payloads[:3] {
		kept = append(kept, records(p, i+1))
	}
	if err := log.Appender().Append(journal.Batch{Records: kept, Source: "ingest.t", Pos: 8}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(log.Appender().Flush(), log.Close()); err != nil {
		t.Fatal(err)
	}
	r := start(t, env.Real(), dir, open0, journal.Options{})
	// As lines the same body is another request, with one record.
	if a := mustPost(t, r.url(), body, "Idempotency-Key", "torn", "Content-Type", "application/x-ndjson"); a.code != 422 {
		t.Errorf("as lines: %d %s", a.code, a.text)
	}
	for range 2 {
		if a := mustPost(t, r.url(), body, "Idempotency-Key", "torn"); a.code != 200 || a.accepted != 8 {
			t.Errorf("%d %s", a.code, a.text)
		}
	}
	r.close2(func() {
		got := r.records()
		slices.Sort(got)
		if strings.Join(got, "") != "12345678" {
			t.Errorf("in the journal: %q", got)
		}
	})
}

func TestKeysForget(t *testing.T) {
	forgot := 0
	k := newKeys(100, 3, func() { forgot++ })
	claim := func(id string, now int64) bool {
		q, mine := k.claim(id, 1, 1, now)
		if mine {
			k.settle(q, nil)
		}
		return mine
	}
	for i, c := range []struct {
		id   string
		now  int64
		mine bool
	}{
		{"a", 0, true}, {"a", 100, false}, {"a", 101, true}, // by age
		{"b", 102, true}, {"c", 103, true}, {"d", 104, true}, // a goes
		{"b", 105, false}, {"a", 106, true}, {"b", 107, true},
	} {
		if claim(c.id, c.now) != c.mine {
			t.Errorf("step %d: %s is not as it should be", i, c.id)
		}
	}
	if forgot != 3 || len(k.byID) != 3 || len(k.order) != 3 {
		t.Errorf("%d forgotten, %d kept, %d in order", forgot, len(k.byID), len(k.order))
	}
	for range 50 {
		q, _ := k.claim("x", 1, 1, 107)
		k.settle(q, errors.New("no"))
	}
	if n := len(k.order); n > 2*k.limit+1 {
		t.Errorf("%d that failed are remembered", n)
	}
	q, _ := k.claim("x", 1, 1, 108)
	k.settle(q, errors.New("no"))
	if q2, mine := k.claim("x", 1, 1, 109); !mine || q2 == q {
		t.Error("a request that failed cannot come again")
	}
}

// TestTopics: what topicOf writes parseTopic reads; nothing else is taken for it.
func TestTopics(t *testing.T) {
	for _, key := range []string{"a", "a/b/c", "$http/x", strings.Repeat("k", maxKey)} {
		got, n, sum, ok := parseTopic("ingest.t", topicOf("ingest.t", key, 7, 0xabc))
		if got != key || n != 7 || sum != 0xabc || !ok {
			t.Errorf("%s: %q %d %x %v", key, got, n, sum, ok)
		}
	}
	for _, topic := range []string{"", "dt/x", "$http/ingest.t", "$http/ingest.t/1", "$http/ingest.t/0/0000000000000abc/k", "$http/ingest.t/x/0000000000000abc/k",
		"$http/ingest.t/1/abc/k", "$http/ingest.u/1/0000000000000abc/k", "$http/ingest.t/1/000000000000zabc/k", topicOf("ingest.t", strings.Repeat("k", 256), 1, 1)} {
		if _, _, _, ok := parseTopic("ingest.t", topic); ok {
			t.Errorf("%q is taken", topic)
		}
	}
}

// TestPowerCuts: clients post over HTTP, each request under its key until it is
// acknowledged, while the power goes again and again. In the end every record is in
// the journal once, and what was acknowledged never went away.
func TestPowerCuts(t *testing.T) {
	lives, requests := 40, 25
	if testing.Short() {
		lives = 8
	}
	sim := env.NewSim(7)
	whole, torn := 0, 0
	want := map[string]bool{}
	type request struct {
		key, body string
		acked     bool
	}
	var waiting []*request
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	var r *rig
	var armed atomic.Bool
	world := func(life int) (*env.Env, chan struct{}) {
		e, cut := sim.Env(), make(chan struct{})
		e.Clock = env.Real().Clock
		syncs := 0
		e.Point = func(name string) { // only the flusher comes by while it is armed
			if name == "journal.before-sync" && armed.Load() {
				if syncs++; syncs == 3+life%5 && life < lives {
					sim.Crash(uint64(life))
					close(cut)
					panic(env.ErrCrashed)
				}
			}
		}
		return e, cut
	}
	for life := range lives + 1 {
		armed.Store(false)
		e, cut := world(life)
		r = start(t, e, "/journal", open0+"wait = \"200ms\"\n", journal.Options{BlockBytes: 300, SegmentBytes: 20_000})
		armed.Store(true)
		<-r.src.ready
		for _, q := range waiting {
			switch k := r.src.keys.byID[idOf("", q.key)]; {
			case k != nil && k.have == nil:
				whole++
			case k != nil:
				torn++
			}
		}
		for i := range requests {
			body := ""
			for k := range 1 + (life+i)%9 {
				record := fmt.Sprintf(`{"life":%d,"request":%d,"n":%d,"pad":"%s"}`, life, i, k, strings.Repeat("x", 40))
				want[record] = true
				body += record + "\n"
			}
			waiting = append(waiting, &request{key: fmt.Sprintf("%d-%d", life, i), body: body})
		}
		last := life == lives
		var wg sync.WaitGroup
		gate := make(chan struct{}, 4)
		for _, q := range waiting {
			wg.Go(func() {
				gate <- struct{}{}
				defer func() { <-gate }()
				for range 50 {
					a, err := post(client, r.url(), q.body, "Idempotency-Key", q.key)
					if q.acked = err == nil && a.code == 200; q.acked || !last {
						return
					}
				}
			})
		}
		if last {
			wg.Wait()
			break
		}
		<-cut
		r.gate().set(env.ErrCrashed)
		r.halt()
		_ = r.src.Close() // its disk is gone
		wg.Wait()
		waiting = slices.DeleteFunc(waiting, func(q *request) bool { return q.acked })
	}
	for _, q := range waiting {
		if !q.acked {
			t.Errorf("request %s was never acknowledged", q.key)
		}
	}
	r.close2(func() {
		seen := map[string]int{}
		for _, record := range r.records() {
			seen[record]++
		}
		for record := range want {
			if seen[record] != 1 {
				t.Errorf("%s is there %d times", record, seen[record])
			}
		}
		if len(seen) != len(want) {
			t.Errorf("%d records, want %d", len(seen), len(want))
		}
	})
	if whole == 0 || torn == 0 {
		t.Error("no request survived unacknowledged, in part and whole: the test tests nothing")
	}
	t.Logf("%d records; of requests not acknowledged %d survived whole, %d in part", len(want), whole, torn)
}
