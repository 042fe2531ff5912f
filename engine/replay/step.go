package replay

import (
	"bytes"
	"context"

	"github.com/tidemill/tidemill/engine/journal"
)

// Step is what came of one record of the device, or of one tick of the clock.
type Step struct {
	Record *Record // nil: a tick, or the end
	Time   int64   // of the tick, us
	Rows   []Row   // in the order of the graph
}

// Steps goes through history a record of the device at a time. The replay was opened with
// Device and Every, and without Together. Ticks of which no row comes are passed over.
func (r *Replay) Steps(ctx context.Context, show func(Step) error) error {
	h := r.pieces[r.o.Channel]
	if h.only < 0 {
		h.only = 0
		if h.Partitions() > 1 {
			return errKey
		}
	}
	h.gate = &gate{}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		h.gate.open = true
		rows, err := r.still()
		if err != nil {
			return err
		}
		if h.gate.open { // nothing went through: history is over
			break
		}
		s, ok := r.stepOf(h.gate.passed, rows)
		r.mine = false
		if ok {
			if err := show(s); err != nil {
				return err
			}
		}
	}
	if !r.o.End {
		return nil
	}
	r.end()
	h.gate.open = true
	rows, err := r.still()
	if err != nil || len(rows) == 0 {
		return err
	}
	at, _ := h.atEnd()
	return show(Step{Time: at, Rows: rows})
}

// still lets the engine move until nothing does, and returns what came.
func (r *Replay) still() (all []Row, err error) {
	r.quiet = 0
	for {
		moved, err := r.round()
		if err != nil {
			return nil, err
		}
		rows := r.take()
		all = append(all, rows...)
		if r.feeds > 0 {
			r.machine.Advance(r.plan.Config.Engine.Checkpoint)
		}
		if len(rows) > 0 {
			r.quiet = 0
		} else {
			r.quiet++
		}
		if !moved && r.feeds == 0 || r.feeds > 0 && r.quiet > 8*r.feeds {
			return all, nil
		}
	}
}

// stepOf tells whether what went through is to be shown: a record of the device, or anything that had an effect.
func (r *Replay) stepOf(b *journal.Block, rows []Row) (Step, bool) {
	if b.Kind != journal.Records {
		return Step{Time: b.Time, Rows: rows}, len(rows) > 0
	}
	payload := b.Record(0)
	names := b.Topics
	mine := bytes.Contains(payload, []byte(r.o.Device))
	if len(b.TopicOf) > 0 {
		names = b.Topics[b.TopicOf[0]:][:1]
	}
	mine = mine || len(names) > 0 && bytes.Contains([]byte(names[0]), []byte(r.o.Device))
	passed := r.mine
	for i := range rows {
		passed = passed || !bytes.HasSuffix([]byte(rows[i].Edge), []byte(".rejects"))
	}
	if !passed && !(mine && len(rows) > 0) {
		return Step{}, false // another device's, of the same partition
	}
	return Step{Record: &Record{Channel: r.o.Channel, Partition: b.Partition, Offset: int64(b.First), Received: b.Received[0],
		Payload: bytes.Clone(payload)}, Rows: rows}, true
}
