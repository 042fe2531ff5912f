package backtest

import (
	"errors"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/hashicorp/hcl/v2"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/journal"
	"github.com/tidemill/tidemill/engine/stage"
)

// seedOf is the seed of a key's model, as the stage has it.
func seedOf(key []byte, seed uint64) uint64 { return flow.Hash(key) ^ seed }

// replayArgs are the arguments, none, of the ingest that replays a journal.
type replayArgs struct{ h *history }

// Bind accepts where it stands: it was put there.
func (a *replayArgs) Bind([]*arrow.Schema, stage.At) (stage.Bound, hcl.Diagnostics) {
	return stage.Bound{OpenSource: func(_ stage.Opening, to stage.SourceEnv) (stage.Source, error) { return a.h.replay(to) }}, nil
}

// replay is a source that copies a journal, records and control records in the order
// that they have in it: partitions wait for each other at every control record.
type replay struct {
	log     journal.Log
	to      journal.Appender
	readers []journal.Reader
	held    []*journal.Block // read and not appended yet, by partition
	records []journal.Record
}

var _ stage.Source = (*replay)(nil)

func (h *history) replay(to stage.SourceEnv) (stage.Source, error) {
	log, err := journal.Open(h.Env, h.journal(to.Channel.Name), journal.Options{})
	if err != nil {
		return nil, err
	}
	r := &replay{log: log, to: to.Journal, held: make([]*journal.Block, log.Partitions())}
	for p := range log.Partitions() {
		from, _ := log.Bounds(p)
		reader, err := log.Read(p, from)
		if err != nil {
			return nil, errors.Join(err, r.Close())
		}
		r.readers = append(r.readers, reader)
	}
	return r, nil
}

// Step copies one block.
func (r *replay) Step() (stage.Status, error) {
	control := -1
	for p := range r.readers {
		if err := r.fill(p); err != nil {
			return stage.Idle, err
		}
		switch b := r.held[p]; {
		case b == nil:
		case b.Kind == journal.Records:
			return r.append(p, b)
		default:
			control = p
		}
	}
	if control < 0 {
		return stage.Ended, nil
	}
	b := r.held[control]
	if err := r.to.Control(b.Kind, b.Time, b.Control); err != nil {
		return waits(err)
	}
	for p := range r.held {
		r.drop(p)
	}
	return stage.Busy, nil
}

// waits tells a full journal from one that is broken.
func waits(err error) (stage.Status, error) {
	if errors.Is(err, journal.ErrBusy) {
		return stage.Idle, nil
	}
	return stage.Idle, err
}

// fill reads a partition's next block of records, tick or note.
func (r *replay) fill(p int) error {
	for r.held[p] == nil {
		b, err := r.readers[p].Next()
		if b == nil || err != nil {
			return err
		}
		if b.Kind == journal.End || b.Kind == journal.Lost || b.Kind == journal.Void {
			b.Release()
			continue
		}
		r.held[p] = b
	}
	return nil
}

func (r *replay) append(p int, b *journal.Block) (stage.Status, error) {
	pick := func(names []string, of []uint16, i int) string {
		switch {
		case len(names) == 0:
			return ""
		case of == nil:
			return names[0]
		}
		return names[of[i]]
	}
	r.records = r.records[:0]
	for i := range b.Ends {
		r.records = append(r.records, journal.Record{Partition: p, Payload: b.Record(i), Received: b.Received[i], Envelope: b.Envelope(i),
			Topic: pick(b.Topics, b.TopicOf, i), Principal: pick(b.Principals, b.PrincipalOf, i)})
	}
	if err := r.to.Append(journal.Batch{Records: r.records}); err != nil {
		return waits(err)
	}
	r.drop(p)
	return stage.Busy, nil
}

func (r *replay) drop(p int) {
	if r.held[p] != nil {
		r.held[p].Release()
		r.held[p] = nil
	}
}

// Close gives blocks and files back.
func (r *replay) Close() error {
	var errs []error
	for p := range r.held {
		r.drop(p)
	}
	for _, x := range r.readers {
		errs = append(errs, x.Close())
	}
	return errors.Join(append(errs, r.log.Close())...)
}
