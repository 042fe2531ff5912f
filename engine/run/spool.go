package run

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/journal"
	"github.com/tidemill/tidemill/engine/stage"
)

// spool is the sink that stands before a sink that cannot commit with the
// epoch: an internal channel of one partition, a record a batch. spool_rows.go draws its records.
//
// Rows may be read once the checkpoint that holds the token is durable. What a crash
// leaves behind the token is void: it stays in the log and is skipped, since the same records will make it again.
type spool struct {
	log       journal.Log
	appender  journal.Appender
	buf       []byte   // the record that is being made
	pending   [][]byte // marks that are not appended
	bytes     int      // appended since the last flush
	next      uint64   // offset of the next record
	voids     [][2]uint64
	committed atomic.Uint64
	schemas   atomic.Pointer[[]*arrow.Schema] // by number; only ever longer
	listed    [][]byte                        // of schemas, as tokens have them
	tail      tail

	from   int       // partition of the next Write
	marks  bool      // the sink wants marks
	mark   spoolMark // the latest
	unsaid bool      // rows have come since
}

// spoolToken tells where the committed part of a spool ends.
type spoolToken struct {
	End     uint64      `json:"end"`
	Voids   [][2]uint64 `json:"voids,omitempty"`   // offsets [from, to) that hold nothing
	Schemas [][]byte    `json:"schemas,omitempty"` // each as an Arrow IPC stream without rows
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
		RetainFor:  time.Microsecond, // no longer than the deliverer holds it
		CacheBytes: 1 << 20,          // the tail has what is read soon
		Floor:      []uint64{t.End},  // what was committed is not given out again, though a damaged tail may have lost it
		Report: func(d journal.Damage) {
			o.Report(fmt.Sprintf("spool %s: %d bytes from byte %d: %s", d.File, d.Bytes, d.Offset, d.Reason))
		}})
	if err != nil {
		return nil, err
	}
	s := &spool{log: log, appender: log.Appender(), listed: t.Schemas}
	var schemas []*arrow.Schema
	for _, b := range t.Schemas {
		schema, err := schemaOfBytes(b)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("a schema of the spool's token: %w", err), log.Close())
		}
		schemas = append(schemas, schema)
	}
	s.schemas.Store(&schemas)
	s.takeBack(t)
	return s, nil
}

// takeBack makes void what came after the token.
func (s *spool) takeBack(t spoolToken) {
	earliest, end := s.log.Bounds(0)
	s.next = end
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
	if err := s.encode(in, rows); err != nil {
		return err
	}
	if err := s.append(s.buf, spooled{in: in, from: s.from, rows: rows}); err != nil {
		return err
	}
	s.unsaid = true
	return nil
}

// append appends a record, which r is in memory.
func (s *spool) append(record []byte, r spooled) error {
	batch := journal.Batch{Records: []journal.Record{{Payload: record}}}
	err := s.appender.Append(batch)
	if errors.Is(err, journal.ErrBusy) {
		if err = s.appender.Flush(); err == nil {
			s.bytes = 0
			err = s.appender.Append(batch)
		}
	}
	if err != nil {
		return spoolError(err)
	}
	r.offset = s.next
	s.tail.add(r)
	s.next++
	s.bytes += len(record)
	return nil
}

// spoolPart is how many bytes are appended before they are flushed.
const spoolPart = 4 << 20

func (s *spool) flush() error {
	for len(s.pending) > 0 {
		p := s.pending[0]
		if err := s.append(p, spooled{mark: markOf(p)}); err != nil {
			return err
		}
		s.pending = s.pending[1:]
	}
	if err := s.appender.Flush(); err != nil {
		return spoolError(err)
	}
	s.bytes = 0
	return nil
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
	if end != s.next {
		panic(fmt.Sprintf("BUG: a spool ends at %d and not at %d", end, s.next))
	}
	for _, schema := range (*s.schemas.Load())[len(s.listed):] {
		b, err := schemaBytes(schema)
		if err != nil {
			return nil, err
		}
		s.listed = append(s.listed, b)
	}
	return json.Marshal(spoolToken{end, s.voids, s.listed})
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

func (s *spool) Close() error {
	s.tail.cool(true)
	return s.log.Close()
}

func (s *spool) void(offset uint64) bool {
	for _, v := range s.voids {
		if v[0] <= offset && offset < v[1] {
			return true
		}
	}
	return false
}
