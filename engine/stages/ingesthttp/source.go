package ingesthttp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidemill/tidemill/engine/journal"
	"github.com/tidemill/tidemill/engine/stage"
)

// Limits that no file needs to change.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 16 << 10
	// bodyBudget is how many bytes of bodies may be in memory at a time.
	bodyBudget = 64 << 20
	// partitioners is how many requests take their records apart at a time.
	partitioners = 8
	// closeGrace is how long Close lets answers reach their clients.
	closeGrace = time.Second
	// lookBackSlack covers clocks that were set back a little, and blocks that stood open.
	lookBackSlack = time.Minute
)

// source listens. Open does not: when a graph is exchanged, the listener of the
// old one has to go first. So the first Step does, and is tried again.
type source struct {
	op   stage.Opening
	to   stage.SourceEnv
	opts options
	tls  *tls.Config

	keys  *keys
	ready chan struct{} // closed when the keys of the journal are known
	parts chan func([]byte) int
	body  budget

	server  *http.Server
	address atomic.Pointer[net.Addr]
	running sync.WaitGroup
	closing chan struct{} // closed when nothing more will become durable
	broken  atomic.Pointer[error]

	appending sync.Mutex // positions rise in the order of appends
	pos       uint64
	stopped   bool // no more appends
}

func open(op stage.Opening, to stage.SourceEnv, o options) (stage.Source, error) {
	s := &source{op: op, to: to, opts: o, ready: make(chan struct{}), closing: make(chan struct{}), parts: make(chan func([]byte) int, partitioners)}
	s.body.free.Store(bodyBudget)
	s.keys = newKeys(o.keysFor.Microseconds(), maxKeys, func() { op.Count("keys_forgotten", 1) })
	for range partitioners {
		s.parts <- to.NewPartition()
	}
	if o.tls != nil {
		var err error
		if s.tls, err = tlsConfig(op.Env, o.tls, len(o.secrets) > 0); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Step begins to listen, and reports when listening has ended for no reason of ours.
func (s *source) Step() (stage.Status, error) {
	if s.to.Once {
		return stage.Ended, nil
	}
	if err := s.broken.Swap(nil); err != nil {
		s.server = nil
		return stage.Idle, *err
	}
	if s.server != nil {
		return stage.Idle, nil
	}
	l, err := net.Listen("tcp", s.opts.listen)
	if err != nil {
		return stage.Idle, err
	}
	addr := l.Addr()
	s.address.Store(&addr)
	s.serve(newLimited(l, s.opts.connections, func() { s.op.Count("connections_refused", 1) }))
	return stage.Idle, nil
}

// serve answers on l until Close.
func (s *source) serve(l net.Listener) {
	if s.tls != nil {
		l = tls.NewListener(l, s.tls)
	}
	s.server = &http.Server{
		Handler: s, ReadHeaderTimeout: min(headerTimeout, s.opts.timeout), ReadTimeout: s.opts.timeout,
		WriteTimeout: s.opts.timeout + s.opts.wait + headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog: log.New(io.Discard, "", 0), // of clients that hang up and handshakes that fail
	}
	server := s.server
	s.running.Go(func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			err = fmt.Errorf("listening on %s has ended: %w", s.opts.listen, err)
			s.broken.Store(&err)
		}
	})
	select {
	case <-s.ready:
	default:
		s.begin()
	}
}

// begin finds out where the journal stands, once, and which keys it holds.
func (s *source) begin() {
	at := s.to.Journal.Position(s.opts.address)
	s.pos = at.Committed
	for _, r := range at.Reached {
		s.pos = max(s.pos, r)
	}
	// What the journal holds by now is looked through; what comes later is noted as it comes.
	ends := []uint64{}
	if s.to.Past != nil {
		for p := range s.to.Past.Partitions() {
			_, end := s.to.Past.Bounds(p)
			ends = append(ends, end)
		}
	}
	s.running.Go(func() {
		defer close(s.ready)
		m := &recall{ingest: s.opts.address, partitions: len(ends), found: map[string]*keyed{},
			since: s.op.Env.Clock.Now().Add(-s.opts.keysFor).UnixMicro()}
		for p, end := range ends {
			if err := s.lookBack(m, p, end); err != nil {
				s.op.Reject(stage.Reject{Reason: fmt.Sprintf("looking back for Idempotency-Keys in partition %d: %v; requests of before may be taken again", p, err)})
			}
		}
		s.keys.learn(m)
	})
}

// lookBack reads the newest part of a partition.
func (s *source) lookBack(m *recall, partition int, end uint64) error {
	from := s.to.Past.Seek(partition, m.since-lookBackSlack.Microseconds())
	if earliest, _ := s.to.Past.Bounds(partition); from < earliest {
		from = earliest
	}
	if from >= end {
		return nil
	}
	r, err := s.to.Past.Read(partition, from)
	if err != nil {
		return err
	}
	defer r.Close()
	for {
		select {
		case <-s.closing:
			return nil
		default:
		}
		b, err := r.Next()
		if b == nil || err != nil {
			return err
		}
		past := b.First >= end
		if !past {
			m.block(b)
		}
		b.Release()
		if past {
			return nil
		}
	}
}

// append hands a batch to the journal, under the next positions.
func (s *source) append(b journal.Batch) error {
	s.appending.Lock()
	defer s.appending.Unlock()
	if s.stopped {
		return errStopping
	}
	b.Source = s.opts.address
	for i := range b.Records {
		b.Records[i].Pos = s.pos + uint64(i) + 1
	}
	b.Pos = s.pos + uint64(len(b.Records))
	if err := s.to.Journal.Append(b); err != nil {
		return err
	}
	s.pos = b.Pos
	return nil
}

var errStopping = errors.New("the engine is stopping")

// Close takes no more, makes durable what was taken, lets the answers go out, and ends.
func (s *source) Close() error {
	s.appending.Lock()
	s.stopped = true
	s.appending.Unlock()
	if s.server == nil {
		close(s.closing)
		s.running.Wait()
		return nil
	}
	err := s.to.Journal.Flush() // nobody else does any more
	close(s.closing)
	ctx, cancel := context.WithTimeout(context.Background(), closeGrace)
	defer cancel()
	if s.server.Shutdown(ctx) != nil {
		_ = s.server.Close() // cuts clients that have not read their answer
	}
	s.running.Wait()
	var full *journal.ErrFull
	if errors.As(err, &full) {
		return nil // those who wait were told so
	}
	return err
}

// budget is how much memory bodies may still take, bytes.
type budget struct{ free atomic.Int64 }

func (b *budget) take(n int64) bool {
	if b.free.Add(-n) >= 0 {
		return true
	}
	b.free.Add(n)
	return false
}

func (b *budget) give(n int64) { b.free.Add(n) }

var _ stage.Source = (*source)(nil)
