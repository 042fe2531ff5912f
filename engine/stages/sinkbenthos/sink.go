package sinkbenthos

import (
	"context"
	"errors"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/engine/benthos"
	"github.com/tidemill/tidemill/engine/stage"
)

// sink writes one batch at a time. An output's confirmation cannot be waited for with an
// end, so it is waited for elsewhere.
type sink struct {
	op      stage.Opening
	bodies  *stage.Bodies
	timeout time.Duration
	output  *benthos.Component
	ctx     context.Context // of what is being written
	stop    context.CancelFunc

	place   uint64
	writing uint64     // the place of what is being written
	result  chan error // of that; nil: nothing is
}

func open(op stage.Opening, text string, bodies *stage.Bodies, timeout time.Duration) (stage.Sink, error) {
	output, err := benthos.Open(text, benthos.Output, func(line string) { op.Count("complaints", 1) })
	if err != nil {
		return nil, err
	}
	s := &sink{op: op, bodies: bodies, timeout: timeout, output: output}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s, nil
}

// Place tells where the rows of the next Write stand; see stage.Placed.
func (s *sink) Place(place uint64) { s.place = place }

func (s *sink) Write(ctx context.Context, in int, rows arrow.RecordBatch) error {
	if s.result == nil || s.writing != s.place {
		messages := s.messages(in, rows)
		if len(messages) == 0 {
			return nil
		}
		result := make(chan error, 1)
		s.result, s.writing = result, s.place
		go func() { result <- s.output.Write(s.ctx, messages) }()
	}
	late := make(chan struct{})
	defer s.op.Env.Clock.After(s.timeout, func() { close(late) })()
	select {
	case err := <-s.result:
		s.result = nil
		if err == nil {
			s.op.Count("batches", 1)
		}
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-late:
		return errors.New("the output has not confirmed the batch in time")
	}
}

// messages leaves rows out whose body is null, and rejects them.
func (s *sink) messages(in int, rows arrow.RecordBatch) [][]byte {
	var out [][]byte
	for i, b := range s.bodies.Rows(in, rows, s.op.Alloc) {
		if b == nil {
			s.op.Count("rejected", 1)
			s.op.Reject(stage.Reject{Rows: rows, Row: i, Reason: "the body is null for this row"})
			continue
		}
		out = append(out, b)
	}
	return out
}

// Prepare has nothing to make durable: the spool before the sink is.
func (s *sink) Prepare(context.Context, uint64) ([]byte, error) { return []byte{1}, nil }
func (s *sink) Commit(context.Context, []byte) error            { return nil }
func (s *sink) Recover(context.Context, []byte) error           { return nil }

// patience is how long an output may take to end.
const patience = 5 * time.Second

// grace is how long it may wait for what is on its way.
const grace = 500 * time.Millisecond

func (s *sink) Close() error {
	s.stop()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	polite, over := context.WithTimeout(ctx, grace)
	defer over()
	return s.output.Close(polite, ctx)
}

var (
	_ stage.Sink   = (*sink)(nil)
	_ stage.Placed = (*sink)(nil)
)
