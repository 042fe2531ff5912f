package ingesthttp

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"

	"github.com/tidemill/tidemill/engine/journal"
)

// maxKeys is how many keys are remembered, and maxKey how long one may be, bytes.
const (
	maxKeys = 100_000
	maxKey  = 255
)

// keyed is a request with an Idempotency-Key.
type keyed struct {
	id       string // sender and key
	sum      uint64 // of the unpacked body
	count    int    // its records
	received int64  // us
	settled  bool   // its fate is known
	// done is closed once the fate of this attempt is known, which err tells: nil when it is durable.
	done chan struct{}
	err  error
	// have is how many records each partition holds of a request that a crash
	// has torn; nil when it is whole.
	have []int
}

// keys remembers requests. Safe for concurrent use.
type keys struct {
	horizon int64 // us
	limit   int
	forgot  func() // a key was forgotten before its time

	mu    sync.Mutex
	byID  map[string]*keyed
	order []*keyed // by received
}

func newKeys(horizonUS int64, limit int, forgot func()) *keys {
	return &keys{horizon: horizonUS, limit: limit, forgot: forgot, byID: map[string]*keyed{}}
}

// claim returns the request of this id: a new one for the caller to settle
// (mine), or the earlier one, whose fate comes with done.
func (k *keys) claim(id string, sum uint64, count int, now int64) (q *keyed, mine bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.expire(now)
	if q := k.byID[id]; q != nil {
		if q.have == nil || !q.settled || q.sum != sum || q.count != count {
			return q, false
		}
		q.settled, q.done = false, make(chan struct{})
		return q, true
	}
	q = &keyed{id: id, sum: sum, count: count, received: now, done: make(chan struct{})}
	k.add(q)
	return q, true
}

func (k *keys) add(q *keyed) {
	if len(k.byID) >= k.limit {
		k.forgot()
		k.pop()
	}
	if len(k.order) > 2*k.limit { // of requests that failed there may be any number
		k.order = slices.DeleteFunc(k.order, func(q *keyed) bool { return k.byID[q.id] != q })
	}
	k.byID[q.id] = q
	k.order = append(k.order, q)
}

// expire forgets what is older than the horizon.
func (k *keys) expire(now int64) {
	for len(k.order) > 0 && k.order[0].received < now-k.horizon {
		k.pop()
	}
}

// pop forgets the oldest.
func (k *keys) pop() {
	for len(k.order) > 0 {
		q := k.order[0]
		k.order[0] = nil
		k.order = k.order[1:]
		if k.byID[q.id] == q {
			delete(k.byID, q.id)
			return
		}
	}
}

// settle notes a claimed request's fate. One that failed may be tried anew.
func (k *keys) settle(q *keyed, err error) {
	k.mu.Lock()
	q.err, q.settled = err, true
	switch {
	case err == nil:
		q.have = nil
	case q.have == nil && k.byID[q.id] == q:
		delete(k.byID, q.id)
	}
	done := q.done
	k.mu.Unlock()
	close(done)
}

// doneOf is closed once the fate of the current attempt is known.
func (k *keys) doneOf(q *keyed) <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	return q.done
}

// fate tells what has become of a request after its done was closed.
func (k *keys) fate(q *keyed) (whole bool, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return q.settled && q.err == nil && q.have == nil, q.err
}

// sumOf is the beginning of a body's SHA-256.
func sumOf(body []byte) uint64 {
	sum := sha256.Sum256(body)
	return binary.BigEndian.Uint64(sum[:])
}

const topicPrefix = "$http/"

// topicOf is the topic of the records of a request with a key; see doc.go.
func topicOf(ingest, key string, count int, sum uint64) string {
	return fmt.Sprintf("%s%s/%d/%016x/%s", topicPrefix, ingest, count, sum, key)
}

// parseTopic reads such a topic back.
func parseTopic(ingest, topic string) (key string, count int, sum uint64, ok bool) {
	rest, ok := strings.CutPrefix(topic, topicPrefix+ingest+"/")
	if !ok {
		return "", 0, 0, false
	}
	parts := strings.SplitN(rest, "/", 3)
	if len(parts) != 3 || len(parts[1]) != 16 || len(parts[2]) > maxKey {
		return "", 0, 0, false
	}
	count, err := strconv.Atoi(parts[0])
	if err != nil || count < 1 || count > maxRecords {
		return "", 0, 0, false
	}
	sum, err = strconv.ParseUint(parts[1], 16, 64)
	return parts[2], count, sum, err == nil
}

// idOf is the identity of a request: keys of different senders do not meet.
func idOf(sender, key string) string { return sender + "\x00" + key }

// recall gathers from the journal what requests it holds.
type recall struct {
	ingest     string
	partitions int
	since      int64 // us
	found      map[string]*keyed
}

// block notes the requests whose records b holds.
func (m *recall) block(b *journal.Block) {
	interesting := false
	for _, t := range b.Topics {
		interesting = interesting || strings.HasPrefix(t, topicPrefix)
	}
	if b.Kind != journal.Records || !interesting {
		return
	}
	for i := range b.Count {
		topic, sender := nameOf(b.Topics, b.TopicOf, i), nameOf(b.Principals, b.PrincipalOf, i)
		key, count, sum, ok := parseTopic(m.ingest, topic)
		if !ok || b.Received[i] < m.since {
			continue
		}
		id := idOf(sender, key)
		q := m.found[id]
		if q == nil || q.sum != sum || q.count != count {
			if q != nil && q.received > b.Received[i] {
				continue // a key that was used again after its time: the later one counts
			}
			q = &keyed{id: id, sum: sum, count: count, have: make([]int, m.partitions), settled: true}
			m.found[id] = q
		}
		q.received = max(q.received, b.Received[i])
		q.have[b.Partition]++
	}
}

func nameOf(names []string, of []uint16, i int) string {
	switch {
	case len(of) > 0:
		return names[of[i]]
	case len(names) > 0:
		return names[0]
	}
	return ""
}

// learn takes what was found.
func (k *keys) learn(m *recall) {
	all := make([]*keyed, 0, len(m.found))
	for _, q := range m.found {
		n := 0
		for _, have := range q.have {
			n += have
		}
		if n >= q.count {
			q.have = nil
		}
		q.done = make(chan struct{})
		close(q.done)
		all = append(all, q)
	}
	sort.Slice(all, func(i, j int) bool {
		return all[i].received < all[j].received || all[i].received == all[j].received && all[i].id < all[j].id
	})
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, q := range all {
		k.add(q)
	}
}
