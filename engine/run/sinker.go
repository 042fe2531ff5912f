package run

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/stage"
)

// Pauses between attempts of a source, a sink or a checkpoint that fails. The
// longest lets a disk that has room again be used within five seconds.
const (
	retryFirst = 50 * time.Millisecond
	retryMost  = 4 * time.Second
)

// sinker moves rows from its lanes into a sink and aligns barriers: a lane
// whose barrier has come waits until all lanes have theirs.
type sinker struct {
	env     *env.Env
	node    *plan.Node
	key     string // of its token: address and digest
	sink    stage.Sink
	lanes   []*lane
	bases   map[string]int // by channel: the number of the lane of its first partition
	feed    *feed          // the sink, where it feeds a channel
	router  *router        // to it
	parked  []bool
	turn    int
	epoch   uint64      // the barrier that parked lanes wait for
	held    parcel      // taken off a lane and not yet written
	from    int         // lane of held, which is a partition but for rejects' lane
	tasks   int         // lanes that come from tasks
	clock   spoolMark   // what the barriers of parked lanes say
	holding atomic.Bool // there is a held parcel; the coordinator looks
	retry   backoff
	answer  func(epoch uint64, token []byte)
	report  func(line string)
	ctx     func() context.Context
	wake    *bells

	rowsOut  *Counter
	failures *Counter

	mu      sync.Mutex
	commits [][]byte // tokens whose checkpoint is durable
	lastErr error
}

// backoff is when a failed attempt is made again.
type backoff struct {
	pause time.Duration
	until time.Time
}

func (b *backoff) fail(now time.Time) {
	b.pause = min(max(retryFirst, 2*b.pause), retryMost)
	b.until = now.Add(b.pause)
}

func (b *backoff) waiting(now time.Time) bool { return b.pause > 0 && now.Before(b.until) }

func (s *sinker) Name() string { return "sink " + s.node.Address }

func (s *sinker) Step() (bool, error) {
	if s.retry.waiting(s.env.Clock.Now()) {
		return false, nil
	}
	moved, err := s.step()
	if errors.Is(err, stage.ErrBroken) {
		return false, fmt.Errorf("%s: %w", s.node.Address, err)
	}
	switch {
	case err != nil && s.ctx().Err() != nil: // told to stop
		return false, nil
	case err != nil:
		if s.retry.pause == 0 {
			s.report(fmt.Sprintf("%s: %v; trying again", s.node.Address, err))
		}
		s.failures.Add(1)
		s.retry.fail(s.env.Clock.Now())
	case moved && s.retry.pause > 0:
		s.report(s.node.Address + ": works again")
		s.retry = backoff{}
	}
	s.mu.Lock()
	s.lastErr = err
	s.mu.Unlock()
	return moved, nil
}

// Err returns why the last attempt failed, or nil.
func (s *sinker) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lastErr
}

func (s *sinker) step() (bool, error) {
	if moved, err := s.commitOne(); moved || err != nil {
		return moved, err
	}
	if s.holding.Load() {
		return s.write()
	}
	if s.aligned() {
		s.mark()
		token, err := s.sink.Prepare(s.ctx(), s.epoch)
		if err != nil {
			return false, err
		}
		s.env.Point("sink.prepared")
		clear(s.parked)
		s.clock = spoolMark{}
		s.answer(s.epoch, token)
		return true, nil
	}
	for range s.lanes {
		i := s.turn
		s.turn = (s.turn + 1) % len(s.lanes)
		if s.parked[i] {
			continue
		}
		p, ok := s.lanes[i].pop()
		if !ok {
			continue
		}
		if p.item.Kind == flow.Barrier {
			s.parked[i], s.epoch = true, p.item.Epoch
			s.noteBarrier(i, p.item.Marks)
			return true, nil
		}
		s.held, s.from = p, i
		s.holding.Store(true)
		return s.write()
	}
	return false, nil
}

func (s *sinker) write() (bool, error) {
	rows := s.held.item.Rows
	if sp, ok := s.sink.(*spool); ok {
		sp.from = s.from
	}
	var err error
	switch {
	case s.held.item.Kind == flow.Progress:
		m := s.held.item.Marks
		err = s.feed.cut(s.from, m.Tick, m.Ended)
	case s.feed != nil:
		err = s.router.write(s.from, s.held.in, rows)
	default:
		err = s.sink.Write(s.ctx(), s.held.in, rows)
	}
	if err != nil {
		return false, err
	}
	if rows != nil {
		s.rowsOut.Add(rows.NumRows())
		rows.Release()
	}
	s.held = parcel{}
	s.holding.Store(false)
	return true, nil
}

// feedTo makes a feed the sink.
func (s *sinker) feedTo(f *feed, ch *plan.Channel) {
	s.sink, s.feed, s.router = f, f, newRouter(f, ch)
}

func (s *sinker) aligned() bool {
	for _, p := range s.parked {
		if !p {
			return false
		}
	}
	return len(s.parked) > 0
}

// commit hands over a token whose checkpoint is durable.
func (s *sinker) commit(token []byte) {
	s.mu.Lock()
	s.commits = append(s.commits, token)
	s.mu.Unlock()
	s.wake.ring()
}

func (s *sinker) commitOne() (bool, error) {
	s.mu.Lock()
	if len(s.commits) == 0 {
		s.mu.Unlock()
		return false, nil
	}
	token := s.commits[0]
	s.mu.Unlock()
	s.env.Point("sink.before-commit")
	if err := s.sink.Commit(s.ctx(), token); err != nil {
		return false, err
	}
	s.mu.Lock()
	s.commits = s.commits[1:]
	s.mu.Unlock()
	return true, nil
}

// drained tells that nothing waits in or before the sink.
func (s *sinker) drained() bool {
	s.mu.Lock()
	waiting := len(s.commits) > 0
	s.mu.Unlock()
	if waiting {
		return false
	}
	for _, l := range s.lanes {
		if !l.empty() {
			return false
		}
	}
	return !s.holding.Load()
}

// drop lets go of what waits before the sink.
func (s *sinker) drop() {
	for _, l := range s.lanes {
		l.drop()
	}
	if s.holding.Swap(false) && s.held.item.Rows != nil {
		s.held.item.Rows.Release()
	}
}

func (s *sinker) close() error {
	s.drop()
	return s.sink.Close()
}
