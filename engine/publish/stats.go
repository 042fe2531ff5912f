package publish

import (
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

// Stats are what a crowd has done.
type Stats struct {
	Published    int64 // messages given to connections, each counted once
	Acknowledged int64 // messages that the broker has taken
	Refused      int64 // messages that it has not; they are not sent again
	SentAgain    int64 // messages sent again because a connection was lost
	Connected    int64 // connections that there are
	Connects     int64 // connections that there have been
	Denied       int64 // attempts that the broker has answered with a refusal
	Failed       int64 // attempts that failed otherwise, and connections that were lost
	Waiting      int64 // messages that are not done
	// Trouble is why a connection failed or a message was refused last; "" when nothing has.
	Trouble string
}

type counters struct {
	published, acknowledged, refused, again atomic.Int64
	connected, connects, denied, failed     atomic.Int64
	latency                                 [64 << fine]atomic.Int64
	mu                                      sync.Mutex
	trouble                                 string
}

// Stats counts.
func (c *Crowd) Stats() Stats {
	s := &c.stats
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{
		Published: s.published.Load(), Acknowledged: s.acknowledged.Load(), Refused: s.refused.Load(), SentAgain: s.again.Load(),
		Connected: s.connected.Load(), Connects: s.connects.Load(), Denied: s.denied.Load(), Failed: s.failed.Load(),
		Waiting: c.waiting.Load(), Trouble: s.trouble,
	}
}

func (s *counters) note(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble = err.Error()
}

// fine is how many bits behind the leading one a bucket of latencies keeps: an
// error of 6 % at most.
const fine = 4

// took counts how long a message was in flight, ns.
func (s *counters) took(ns int64) { s.latency[bucket(uint64(max(ns, 0)))].Add(1) }

func bucket(v uint64) int {
	if v < 1<<fine {
		return int(v)
	}
	shift := bits.Len64(v) - 1 - fine
	return (shift+1)<<fine | int(v>>shift&(1<<fine-1))
}

// upper is the least value above a bucket.
func upper(b int) uint64 {
	if b < 1<<fine {
		return uint64(b) + 1
	}
	shift := b>>fine - 1
	return (1<<fine | uint64(b&(1<<fine-1)) + 1) << shift
}

// Latencies gives for each share, in rising order, how long that share of the messages took
// at most from being given to a connection to the acknowledgement; 0 when there are none.
func (c *Crowd) Latencies(shares ...float64) []time.Duration {
	out := make([]time.Duration, len(shares))
	var total, seen int64
	for i := range c.stats.latency {
		total += c.stats.latency[i].Load()
	}
	next := 0
	for b := 0; b < len(c.stats.latency) && total > 0; b++ {
		seen += c.stats.latency[b].Load()
		for next < len(shares) && float64(seen) >= shares[next]*float64(total) {
			out[next] = time.Duration(upper(b))
			next++
		}
	}
	return out
}
