package run

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/journal"
	"github.com/tidemill/tidemill/engine/stage"
)

// spool is the sink that stands before a sink that cannot commit with the
// epoch: an internal channel of one partition, a record a batch.
//
//	record: | input, u16 | channel partition, u16 | Arrow IPC stream of one batch |
//	        | 0xffffffff | tick, us, i64 | 1 if the input has ended |   for sinks that keep rows (keeping.go)
//
// Rows are appended at Prepare and may be read once the checkpoint that holds
// the token is durable. What a crash leaves behind the token is void: it stays
// in the log and is skipped, since the same records will make it again.
type spool struct {
	log       journal.Log
	appender  journal.Appender
	pending   [][]byte
	bytes     int
	voids     [][2]uint64
	committed atomic.Uint64

	from   int       // partition of the next Write
	usual  int       // bytes of the latest record, and so about those of the next
	marks  bool      // the sink wants marks
	mark   spoolMark // the latest
	unsaid bool      // rows have come since
}

// spoolToken tells where the committed part of a spool ends.
type spoolToken struct {
	End   uint64      `json:"end"`
	Voids [][2]uint64 `json:"voids,omitempty"` // offsets [from, to) that hold nothing
}

// spoolSegment is the size at which a spool begins a new file, bytes: a file goes
// once all in it is delivered.
const spoolSegment int64 = 16 << 20

// openSpool opens a spool as the last checkpoint knows it.
func openSpool(e *env.Env, dir string, token []byte, o *Options) (*spool, error) {
	var t spoolToken
	if token != nil {
		if err := json.Unmarshal(token, &t); err != nil {
			return nil, fmt.Errorf("the spool's token: %w", err)
		}
	}
	log, err := journal.Open(e, dir, journal.Options{Partitions: 1, SegmentBytes: cmp.Or(o.SegmentBytes, spoolSegment),
		RetainFor: time.Microsecond, // no longer than the deliverer holds it
		Floor:     []uint64{t.End},  // what was committed is not given out again, though a damaged tail may have lost it
		Report: func(d journal.Damage) {
			o.Report(fmt.Sprintf("spool %s: %d bytes from byte %d: %s", d.File, d.Bytes, d.Offset, d.Reason))
		}})
	if err != nil {
		return nil, err
	}
	s := &spool{log: log, appender: log.Appender()}
	s.takeBack(t)
	return s, nil
}

// takeBack makes void what came after the token.
func (s *spool) takeBack(t spoolToken) {
	earliest, end := s.log.Bounds(0)
	for _, v := range t.Voids {
		if v[1] > earliest {
			s.voids = append(s.voids, v)
		}
	}
	if from := max(t.End, earliest); end > from {
		s.voids = append(s.voids, [2]uint64{from, end})
	}
	s.committed.Store(t.End)
}

func (s *spool) Write(_ context.Context, in int, rows arrow.RecordBatch) error {
	// What may fail comes before the rows are taken, so that they can come again.
	if s.bytes >= spoolPart {
		if err := s.flush(); err != nil {
			return err
		}
	}
	var buf bytes.Buffer
	buf.Grow(s.usual + s.usual/8)
	_ = binary.Write(&buf, binary.LittleEndian, uint32(in)|uint32(s.from)<<16) // a bytes.Buffer does not fail
	s.unsaid = true
	w := ipc.NewWriter(&buf, ipc.WithSchema(rows.Schema()))
	if err := w.Write(rows); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	s.pending = append(s.pending, buf.Bytes())
	s.bytes += buf.Len()
	s.usual = buf.Len()
	return nil
}

// spoolPart is how many bytes wait in memory before they are appended.
const spoolPart = 4 << 20

func (s *spool) flush() error {
	if len(s.pending) > 0 {
		records := make([]journal.Record, len(s.pending))
		for i, p := range s.pending {
			records[i] = journal.Record{Payload: p}
		}
		if err := s.appender.Append(journal.Batch{Records: records}); err != nil {
			return spoolError(err)
		}
		s.pending, s.bytes = nil, 0
	}
	return spoolError(s.appender.Flush())
}

// spoolError tells what another try can mend from what only a new start can.
func spoolError(err error) error {
	var full *journal.ErrFull
	if err == nil || errors.Is(err, journal.ErrBusy) || errors.As(err, &full) {
		return err
	}
	return fmt.Errorf("%w; %w", err, stage.ErrBroken)
}

func (s *spool) Prepare(context.Context, uint64) ([]byte, error) {
	if err := s.flush(); err != nil {
		return nil, err
	}
	_, end := s.log.Bounds(0)
	return json.Marshal(spoolToken{end, s.voids})
}

func (s *spool) Commit(_ context.Context, token []byte) error {
	var t spoolToken
	if err := json.Unmarshal(token, &t); err != nil {
		return fmt.Errorf("the spool's token: %w", err)
	}
	s.committed.Store(t.End)
	return nil
}

// Recover has nothing to do: openSpool has done it.
func (s *spool) Recover(context.Context, []byte) error { return nil }

func (s *spool) Close() error { return s.log.Close() }

func (s *spool) void(offset uint64) bool {
	for _, v := range s.voids {
		if v[0] <= offset && offset < v[1] {
			return true
		}
	}
	return false
}
