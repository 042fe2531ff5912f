package ingestbenthos

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tidemill/tidemill/engine/benthos"
	"github.com/tidemill/tidemill/engine/journal"
	"github.com/tidemill/tidemill/engine/stage"
)

// source reads an input on a goroutine of its own.
type source struct {
	op      stage.Opening
	to      stage.SourceEnv
	text    string
	find    func([]byte) int
	input   *benthos.Component // nil before the first Step
	places  chan struct{}      // one taken for each batch that is not acknowledged
	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup

	mu      sync.Mutex
	some    sync.Cond
	acks    []ack
	ended   bool
	trouble error
}

// ack acknowledges one batch.
type ack struct {
	done func(context.Context, error) error
	err  error
}

func open(op stage.Opening, to stage.SourceEnv, text string, inflight int) (stage.Source, error) {
	s := &source{op: op, to: to, text: text, find: to.NewPartition(), places: make(chan struct{}, inflight)}
	s.some.L = &s.mu
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s, nil
}

// Step starts the input the first time, and not Open: the one before it may still hold a
// port that it wants.
func (s *source) Step() (stage.Status, error) {
	if s.input == nil {
		input, err := benthos.Open(s.text, benthos.Input, func(line string) { s.op.Reject(stage.Reject{Reason: line}) })
		if err != nil {
			return stage.Idle, err
		}
		s.input = input
		s.running.Go(s.read)
		s.running.Go(s.acknowledge)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended && s.trouble == nil && len(s.places) == 0 {
		return stage.Ended, nil
	}
	return stage.Idle, s.trouble
}

func (s *source) read() {
	for {
		select {
		case s.places <- struct{}{}:
		case <-s.ctx.Done():
			return
		}
		payloads, done, err := s.input.Read(s.ctx)
		if err == nil {
			err = s.append(payloads, done)
		}
		if err != nil {
			s.mu.Lock()
			s.ended = errors.Is(err, benthos.ErrEnd)
			if !s.ended && s.ctx.Err() == nil {
				s.trouble = err
			}
			s.mu.Unlock()
			<-s.places
			return
		}
	}
}

// append hands a batch to the journal, and waits for room there.
func (s *source) append(payloads [][]byte, done func(context.Context, error) error) error {
	b := journal.Batch{Done: func(err error) { s.durable(ack{done, err}) }}
	now := s.op.Env.Clock.Now().UnixMicro()
	for _, p := range payloads {
		if len(p) > journal.MaxRecord {
			s.op.Count("too_large", 1)
			s.op.Reject(stage.Reject{Reason: fmt.Sprintf("a message of %d bytes is left out; a record has at most %d", len(p), journal.MaxRecord)})
			continue
		}
		b.Records = append(b.Records, journal.Record{Partition: s.find(p), Payload: p, Received: now})
	}
	if len(b.Records) == 0 {
		b.Done(nil)
		return nil
	}
	const longest = 200 * time.Millisecond
	for pause := time.Millisecond; ; pause = min(2*pause, longest) {
		err := s.to.Journal.Append(b)
		var full *journal.ErrFull
		switch {
		case errors.As(err, &full):
			s.op.Count("waits_for_disk", 1)
		case errors.Is(err, journal.ErrBusy):
			s.op.Count("waits_for_journal", 1)
		default:
			return err
		}
		over := make(chan struct{})
		stop := s.op.Env.Clock.After(pause, func() { close(over) })
		select {
		case <-over:
		case <-s.ctx.Done():
			stop()
			return s.ctx.Err()
		}
	}
}

// durable is told by the journal, which must not wait.
func (s *source) durable(a ack) {
	s.mu.Lock()
	s.acks = append(s.acks, a)
	s.mu.Unlock()
	s.some.Signal()
}

// acknowledge tells the input, which may wait.
func (s *source) acknowledge() {
	for {
		s.mu.Lock()
		for len(s.acks) == 0 && s.ctx.Err() == nil {
			s.some.Wait()
		}
		acks := s.acks
		s.acks = nil
		s.mu.Unlock()
		if len(acks) == 0 {
			return
		}
		for _, a := range acks {
			s.tell(a)
			<-s.places
		}
	}
}

// tell acknowledges one batch, also while the input is being ended: it waits
// for what it has given out.
func (s *source) tell(a ack) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), patience)
	defer cancel()
	if err := a.done(ctx, a.err); err != nil {
		s.op.Count("not_acknowledged", 1) // it may come again
	}
}

// patience is how long an input may take to end.
const patience = 5 * time.Second

// grace is how long it may wait for what is on its way.
const grace = 500 * time.Millisecond

// Close ends the input.
func (s *source) Close() error {
	s.stop()
	s.mu.Lock()
	s.some.Broadcast()
	s.mu.Unlock()
	s.running.Wait()
	if s.input == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	polite, over := context.WithTimeout(ctx, grace)
	defer over()
	err := s.input.Close(polite, ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		// It waits for acknowledgements of what the journal has not confirmed:
		// those messages come again.
		s.op.Count("ended_unclean", 1)
		return nil
	}
	return err
}

var _ stage.Source = (*source)(nil)
