package run

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/env"
	"github.com/tidemill/tidemill/engine/journal"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/stage"
)

// spool is the sink that stands before a sink that cannot commit with the
// epoch: an internal channel of one partition, a record a batch.
//
//	record: | input, u32 | Arrow IPC stream of one batch |
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
	synced    uint64
}

// spoolToken tells where the committed part of a spool ends.
type spoolToken struct {
	End   uint64      `json:"end"`
	Voids [][2]uint64 `json:"voids,omitempty"` // offsets [from, to) that hold nothing
}

func openSpool(e *env.Env, dir string, report func(string)) (*spool, error) {
	log, err := journal.Open(e, dir, journal.Options{Partitions: 1, Report: func(d journal.Damage) {
		report(fmt.Sprintf("spool %s: %d bytes from byte %d: %s", d.File, d.Bytes, d.Offset, d.Reason))
	}})
	if err != nil {
		return nil, err
	}
	return &spool{log: log, appender: log.Appender()}, nil
}

func (s *spool) Write(_ context.Context, in int, rows arrow.RecordBatch) error {
	// What may fail comes before the rows are taken, so that they can come again.
	if s.bytes >= spoolPart {
		if err := s.flush(); err != nil {
			return err
		}
	}
	var buf bytes.Buffer
	_ = binary.Write(&buf, binary.LittleEndian, uint32(in)) // a bytes.Buffer does not fail
	w := ipc.NewWriter(&buf, ipc.WithSchema(rows.Schema()))
	if err := w.Write(rows); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	s.pending = append(s.pending, buf.Bytes())
	s.bytes += buf.Len()
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

func (s *spool) Recover(_ context.Context, token []byte) error {
	var t spoolToken
	if token != nil {
		if err := json.Unmarshal(token, &t); err != nil {
			return fmt.Errorf("the spool's token: %w", err)
		}
	}
	s.voids = t.Voids
	earliest, end := s.log.Bounds(0)
	if from := max(t.End, earliest); end > from {
		s.voids = append(s.voids, [2]uint64{from, end})
	}
	s.committed.Store(t.End)
	return nil
}

func (s *spool) Close() error { return s.log.Close() }

func (s *spool) void(offset uint64) bool {
	for _, v := range s.voids {
		if v[0] <= offset && offset < v[1] {
			return true
		}
	}
	return false
}

// deliverer reads a spool and writes to the sink behind it, at its own pace.
type deliverer struct {
	engine    *Engine
	node      *plan.Node
	key       string
	spool     *spool
	sink      stage.Sink
	reader    journal.Reader
	block     *journal.Block
	at        int // record of block
	delivered uint64
	done      atomic.Uint64 // delivered, for the coordinator
	retry     backoff
	rowsOut   *Counter
}

func (d *deliverer) Name() string { return "deliver " + d.node.Address }

func (d *deliverer) open() error {
	earliest, end := d.spool.log.Bounds(0)
	d.delivered = min(max(d.delivered, earliest), end)
	d.done.Store(d.delivered)
	if err := d.sink.Recover(d.engine.ctx, nil); err != nil {
		return err
	}
	var err error
	d.reader, err = d.spool.log.Read(0, d.delivered)
	return err
}

func (d *deliverer) Step() (bool, error) {
	now := d.engine.env.Clock.Now()
	if d.delivered >= d.spool.committed.Load() || d.retry.waiting(now) {
		return false, nil
	}
	if d.block == nil {
		b, err := d.reader.Next()
		if b == nil || err != nil {
			return false, err
		}
		d.block, d.at = b, 0
	}
	if err := d.deliver(); err != nil {
		d.engine.count(d.node.Address+" errors", 1)
		if d.retry.pause == 0 {
			d.engine.report(fmt.Sprintf("%s: %v; trying again", d.node.Address, err))
		}
		d.retry.fail(now)
		return false, nil
	}
	d.retry = backoff{}
	d.done.Store(d.delivered)
	d.engine.coordBell.ring()
	return true, nil
}

// deliver writes the next record of the block.
func (d *deliverer) deliver() error {
	b := d.block
	offset := b.First + uint64(d.at)
	if b.Kind == journal.Records && offset >= d.delivered && !d.spool.void(offset) {
		if err := d.write(b.Record(d.at)); err != nil {
			return err
		}
	}
	d.at++
	d.delivered = max(d.delivered, offset+1)
	if b.Kind != journal.Records {
		d.delivered = max(d.delivered, b.First+uint64(b.Count))
	}
	if b.Kind != journal.Records || d.at == b.Count {
		b.Release()
		d.block = nil
	}
	return nil
}

func (d *deliverer) write(record []byte) error {
	in := binary.LittleEndian.Uint32(record)
	r, err := ipc.NewReader(bytes.NewReader(record[4:]), ipc.WithAllocator(memory.DefaultAllocator))
	if err != nil {
		return fmt.Errorf("a batch in the spool cannot be read: %w", err)
	}
	defer r.Release()
	for r.Next() {
		if err := d.sink.Write(d.engine.ctx, int(in), r.RecordBatch()); err != nil {
			return err
		}
		d.rowsOut.Add(r.RecordBatch().NumRows())
	}
	return r.Err()
}

// drained tells that everything committed has been delivered.
func (d *deliverer) drained() bool { return d.done.Load() >= d.spool.committed.Load() }

func (d *deliverer) close() error {
	if d.block != nil {
		d.block.Release()
	}
	if d.reader != nil {
		_ = d.reader.Close() // only reads
	}
	return d.sink.Close()
}
