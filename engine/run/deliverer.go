package run

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/engine/journal"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/stage"
)

// deliverer reads a spool and writes to the sink behind it, at its own pace.
type deliverer struct {
	engine    *Engine
	node      *plan.Node
	key       string
	channel   string // that its pipeline reads
	spool     *spool
	sink      stage.Sink
	reader    journal.Reader // nil: what comes next is to be looked for again
	block     *journal.Block
	at        int           // record of block
	since     int           // bytes that came from memory since the sink was last settled
	delivered uint64        // before it everything has been written, or is void
	settled   atomic.Uint64 // delivered, when the sink last had nothing to do; a sink that keeps rows may still need them
	written   bool          // something, since the sink last prepared
	done      atomic.Uint64 // before it everything is safe with the sink; changed under Engine.refusing
	marked    atomic.Uint64 // done, as of the latest barrier
	rejects   []rejectRow   // of what is not settled
	told      bool          // of a reject, to a person
	retry     backoff
	trouble   atomic.Pointer[string] // of the latest attempt; nil: none, for onlookers
	said      string                 // trouble that a person was told of last
	saidAt    time.Time
	rowsOut   *Counter
}

func (d *deliverer) Name() string { return "deliver " + d.node.Address }

func (d *deliverer) open() error {
	earliest, end := d.spool.log.Bounds(0)
	// The log lets go of nothing that the checkpoint does not call delivered.
	d.loses(d.delivered, min(earliest, d.spool.committed.Load()), "are not there any more: what it has not had of them is lost")
	d.delivered = min(max(d.delivered, earliest), end)
	d.done.Store(d.delivered)
	d.settled.Store(d.delivered)
	d.marked.Store(d.delivered)
	d.spool.tail.cool(false)
	return d.sink.Recover(d.engine.working, nil)
}

// settleBytes is how much is written from memory before the sink is settled, unless it
// gathers; from disk it is a block.
const settleBytes = 256 << 10

// between tells that a part is through: a block, or as much from memory.
func (d *deliverer) between() bool {
	return d.block == nil && (d.since == 0 || d.since >= settleBytes)
}

func (d *deliverer) Step() (bool, error) {
	now := d.engine.env.Clock.Now()
	if d.retry.waiting(now) {
		return false, nil
	}
	committed := d.spool.committed.Load()
	caughtUp := d.delivered >= committed
	if (caughtUp || d.between()) && d.delivered != d.settled.Load() && !d.gathers(now) {
		if d.holdsBack() {
			return false, nil
		}
		return d.tried(now, d.settle())
	}
	if caughtUp {
		return false, nil
	}
	if d.block == nil {
		if r, ok := d.spool.tail.find(d.delivered); ok {
			return d.tried(now, d.remember(&r))
		}
		if found, err := d.look(committed); !found || err != nil {
			return err == nil, err
		}
	}
	return d.tried(now, d.deliver())
}

// loses counts batches [from, to) of the spool, which the sink will never have, and tells of them; what was taken back anyway is no loss.
func (d *deliverer) loses(from, to uint64, how string) {
	n := int64(0)
	for at := from; at < to; at++ {
		if !d.spool.void(at) {
			n++
		}
	}
	if n > 0 {
		d.engine.count(d.node.Address+" batches_lost", n)
		d.engine.report(fmt.Sprintf("%s: batches %d to %d of its spool %s", d.node.Address, from, to-1, how))
	}
}

// look takes the next block from disk; found is false when there is none.
func (d *deliverer) look(committed uint64) (found bool, err error) {
	if d.reader == nil {
		d.reader, err = d.spool.log.Read(0, d.delivered)
	}
	var b *journal.Block
	if err == nil {
		b, err = d.reader.Next()
	}
	if err != nil {
		return false, fmt.Errorf("%s: its spool: %w", d.node.Address, err)
	}
	if b == nil { // a damaged tail: the log has told what was there
		d.loses(d.delivered, committed, "are lost: the end of its log is damaged")
		d.delivered = committed
		return false, nil
	}
	d.block, d.at = b, 0
	return true, nil
}

// tried looks at how an attempt went.
func (d *deliverer) tried(now time.Time, err error) (bool, error) {
	var trouble *string
	if err != nil {
		why := err.Error()
		trouble = &why
	}
	if (d.trouble.Swap(trouble) != nil) != (err != nil) {
		d.spool.tail.cool(err != nil)
	}
	if err == nil {
		d.retry = backoff{}
		return true, nil
	}
	if d.engine.working.Err() != nil {
		return false, nil // told to stop
	}
	d.engine.count(d.node.Address+" errors", 1)
	if d.retry.pause == 0 {
		d.tell(now, *trouble)
	}
	d.retry.fail(now)
	var later *stage.Later
	if errors.As(err, &later) {
		d.retry = backoff{retryFirst, later.Until}
	}
	return false, nil
}

// sayAgain is how often a person is told of the same trouble: a server that refuses every other request is told of as one that is down is.
const sayAgain = time.Minute

// tell reports that the sink has begun to fail.
func (d *deliverer) tell(now time.Time, trouble string) {
	if trouble == d.said && now.Sub(d.saidAt) < sayAgain {
		return
	}
	d.said, d.saidAt = trouble, now
	d.engine.report(fmt.Sprintf("%s: %s; trying again", d.node.Address, trouble))
}

// settle makes sure that the sink has let go of nothing that was written; only
// then may the spool forget it.
func (d *deliverer) settle() error {
	if d.written {
		token, err := d.sink.Prepare(d.engine.working, d.delivered)
		if err == nil {
			err = d.sink.Commit(d.engine.working, token)
		}
		if err != nil {
			return err
		}
		d.written = false
	}
	d.since = 0
	d.letGo()
	d.settled.Store(d.delivered)
	d.engine.coordBell.ring()
	return nil
}

// gathers tells that the sink would rather have more rows before it sends what it has.
func (d *deliverer) gathers(now time.Time) bool {
	g, ok := d.sink.(stage.Gatherer)
	return ok && len(d.rejects) < maxHeldRejects && now.Before(g.Due()) && !d.engine.ending()
}

// remember writes a record that is in memory still.
func (d *deliverer) remember(r *spooled) error {
	if d.reader != nil {
		_ = d.reader.Close() // only reads
		d.reader = nil
	}
	if p, ok := d.sink.(stage.Placed); ok {
		p.Place(r.offset)
	}
	err := error(nil)
	if r.rows == nil {
		err = d.tick(r.mark)
	} else {
		err = d.give(r.in, r.from, r.rows)
	}
	if err != nil {
		return err
	}
	d.since += max(r.bytes, 1)
	d.delivered = r.offset + 1
	return nil
}

// deliver writes the next record of the block.
func (d *deliverer) deliver() error {
	b := d.block
	offset := b.First + uint64(d.at)
	if b.Kind == journal.Records && offset >= d.delivered && !d.spool.void(offset) {
		if p, ok := d.sink.(stage.Placed); ok {
			p.Place(offset)
		}
		if err := d.write(b.Record(d.at)); err != nil {
			return err
		}
	}
	d.at++
	if b.Kind == journal.Lost {
		d.loses(max(d.delivered, b.First), b.First+uint64(b.Count), "are lost: its log is damaged")
	}
	d.delivered = max(d.delivered, offset+1)
	if b.Kind != journal.Records {
		d.delivered = max(d.delivered, b.First+uint64(b.Count))
	}
	if b.Kind != journal.Records || d.at == b.Count {
		b.Release()
		d.block, d.since = nil, 0
	}
	return nil
}

func (d *deliverer) write(record []byte) error {
	if len(record) < spoolHead {
		return fmt.Errorf("a batch in the spool cannot be read: %w", errFeed)
	}
	head := binary.LittleEndian.Uint32(record)
	if head == markInput {
		if len(record) < markSize {
			return fmt.Errorf("a mark in the spool has %d bytes", len(record))
		}
		return d.tick(markOf(record))
	}
	rows, err := d.spool.decode(record, d.engine.alloc)
	if err != nil {
		return fmt.Errorf("a batch in the spool cannot be read: %w", err)
	}
	defer rows.Release()
	return d.give(int(head&0xffff), int(head>>16), rows)
}

// give gives rows to the sink.
func (d *deliverer) give(in, from int, rows arrow.RecordBatch) error {
	if k := keeper(d.sink); k != nil {
		k.From(from)
	}
	d.written = true
	if err := d.sink.Write(d.engine.working, in, rows); err != nil {
		return err
	}
	d.rowsOut.Add(rows.NumRows())
	return nil
}

// drained tells that everything committed has been delivered, if not let go of.
func (d *deliverer) drained() bool { return d.settled.Load() >= d.spool.committed.Load() }

func (d *deliverer) close() error {
	if d.block != nil {
		d.block.Release()
	}
	if d.reader != nil {
		_ = d.reader.Close() // only reads
	}
	return d.sink.Close()
}
