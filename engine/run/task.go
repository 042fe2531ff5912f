package run

import (
	"fmt"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/decode"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/journal"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/state"
)

// task runs everything that reads one partition of one channel: it decodes
// once and feeds all pipelines of the channel. It knows of no other partition,
// and all of its state is its tables, its offset and the fields it has learned.
type task struct {
	engine  *Engine
	name    string        // of the channel
	channel *plan.Channel // as this partition has learned it: only the task looks
	part    int
	alloc   memory.Allocator

	log     journal.Log
	reader  journal.Reader
	decoder decode.Decoder
	plugin  *payloads       // what makes rows of what decoder gives; nil: these are the rows
	keepers []*timekeeper   // by side of the channel
	schemas []*arrow.Schema // likewise; only where pipelines feed the channel
	merge   *merger         // of a channel that pipelines feed, instead of reader and decoder
	keys    *state.Table
	figures *state.Table // of keys; nil: the channel has no key, or this is a rebuild
	sent    *senders     // nil until a sender has a session
	seen    *seen        // nil without a dedupe
	repeats *repeats     // nil while neither of them is there
	// verdicts are nil but in a rebuild, up to its checkpoint.
	verdicts *verdicts
	clocks   *clocks // nil where clocks are not corrected
	control  control
	pipes    []*pipe
	result   decode.Result
	encoder  *flow.JSONEncoder // of rejected rows
	encoded  *arrow.Schema

	next   atomic.Uint64 // offset after the last record that went through
	ended  atomic.Bool   // an End, and no record since
	tick   int64         // us, of the latest tick
	label  int64         // us, of the latest cut that was told to feeds; never less than one before
	record atomic.Int64  // receive time of the latest record, us
	mark   atomic.Int64  // watermark of the key of the latest row, us

	asked  uint64      // the last epoch whose barrier went out
	copies copies      // for the next barrier
	paused atomic.Bool // it stands still, for a swap or at the end

	progress progress // what is being told to the stages
	err      error

	counters *taskCounters
	tap      *tapPoint // of the channel's rows
}

// pipe is a pipeline within a task.
type pipe struct {
	plan    *plan.Pipeline
	nodes   []*node      // stages, inputs first
	source  [][]consumer // who reads the channel itself, by its side
	lanes   []*lane      // to sinks, each once
	feeds   []*lane      // those of lanes that lead to channels
	rejects []rejectRow
	outlet  consumer  // of rejects
	marks   bool      // some stage wants watermarks of filtered rows
	tap     *tapPoint // of rejects
	gathers bool      // some stage wants to hear of the end of every block
	lagging []flow.KeyMark
}

// taskCounters count what a task did. Shared with whoever looks on.
type taskCounters struct {
	records, fast, rows, rejects, ignored, lost, blocks Counter
	resent, repeated                                    Counter // duplicates by packet, and by the channel's dedupe
	unnoted                                             Counter // no duplicates of it can be told by packet
	devices                                             devices
	state                                               atomic.Pointer[[]StateStatus] // see measure
}

func (t *task) Name() string { return fmt.Sprintf("task %s/%d", t.name, t.part) }

// Step goes on with what the stages say, answers a checkpoint request, or takes one block through the graph. Where much is to be
// copied for a request, it does so by and by, beside the blocks.
func (t *task) Step() (bool, error) {
	if t.err != nil {
		return false, t.err
	}
	if t.progress.on {
		if !t.room() {
			return false, nil
		}
		t.goOn()
		return true, t.err
	}
	if req := t.engine.request.Load(); req != nil && req.epoch > t.asked {
		if !t.copyAhead(req) {
			t.barrier(req)
			return true, nil
		}
		_, err := t.block()
		return true, err
	}
	return t.block()
}

// block takes one block through the graph.
func (t *task) block() (bool, error) {
	if t.paused.Load() || !t.room() {
		return false, nil
	}
	if t.merge != nil {
		return t.mergeStep()
	}
	b, err := t.reader.Next()
	if err != nil {
		return false, fmt.Errorf("%s: %w", t.Name(), err)
	}
	if b == nil {
		return false, nil
	}
	t.take(b)
	b.Release()
	t.engine.sourceBell.ring() // a source may wait for the lag to go down
	return true, t.err
}

// room tells that every lane can take what a block gives.
func (t *task) room() bool {
	for _, p := range t.pipes {
		for _, l := range p.lanes {
			if l.full() {
				return false
			}
		}
	}
	return true
}

// take takes a block through the graph, which is done when progress is off.
func (t *task) take(b *journal.Block) {
	t.counters.blocks.Add(1)
	marks := flow.Watermarks{Tick: t.tick}
	switch b.Kind {
	case journal.Records:
		t.ended.Store(false)
		marks.Keys = t.records(b)
	case journal.Tick:
		t.tick = b.Time
		marks.Tick, marks.Ticked = b.Time, true
		if t.sent != nil {
			t.sent.sweep(b.Time)
		}
	case journal.End:
		marks.Ended = true
	case journal.Note:
		t.err = t.note(b)
	case journal.Lost:
		t.lost(b)
	}
	time, next := b.Time, b.First+uint64(b.Count)
	t.advance(marks, func() {
		if marks.Ended {
			t.ended.Store(true)
		}
		if marks.Ticked || marks.Ended {
			t.cut(time)
		}
		t.next.Store(next)
	})
}

func (t *task) flushRejects() {
	for _, p := range t.pipes {
		p.flushRejects(t)
	}
}

// cut tells the channels that the task feeds how far it has come.
func (t *task) cut(time int64) {
	t.label = max(t.label, time)
	for _, p := range t.pipes {
		for _, l := range p.feeds {
			l.push(parcel{item: flow.Item{Kind: flow.Progress, Marks: flow.Watermarks{Tick: t.label, Ticked: true, Ended: t.ended.Load()}}})
		}
	}
}

// records decodes a block and passes its rows on. It returns the keys that moved.
func (t *task) records(b *journal.Block) []flow.KeyMark {
	t.leaveVerdicts(b.First)
	t.decoder.Decode(b, t.next.Load(), &t.result)
	r := &t.result
	t.counters.records.Add(int64(r.Stats.Records))
	t.counters.fast.Add(int64(r.Stats.Fast))
	t.counters.ignored.Add(int64(r.Stats.Ignored))
	if n := len(b.Received); n > 0 {
		t.record.Store(b.Received[n-1])
	}
	if r.Learned {
		if err := t.rebind(); err != nil { // before anything is noted in the pipes that it replaces
			if t.err = err; r.Rows != nil {
				r.Rows.Release()
			}
			return nil
		}
	}
	t.withoutResent(b, r)
	for i := range r.Rejects {
		t.rejectRecord(&r.Rejects[i], b)
	}
	if r.Rows != nil && t.plugin != nil {
		r.Rows = t.plugin.decode(r.Rows)
	}
	if r.Rows == nil {
		return nil
	}
	rows, repeated := t.withoutRepeated(r.Rows, b.First)
	r.Rows = nil
	t.counters.repeated.Add(repeated)
	return t.passRows(rows, 0)
}

// passRows gives rows of a side of the channel their time, key and watermark and passes them
// on. It takes ownership, and returns the keys that moved.
func (t *task) passRows(rows arrow.RecordBatch, side int) []flow.KeyMark {
	t.counters.devices.mu.Lock()
	rows, marks := t.keepers[side].fill(rows)
	t.counters.devices.mu.Unlock()
	t.counters.rows.Add(rows.NumRows())
	t.tap.show(t.part, rows)
	if n := rows.NumRows(); n > 0 {
		t.mark.Store(flow.Marks(rows)[n-1])
	}
	for _, p := range t.pipes {
		rows.Retain()
		t.pass(rows, p.source[side])
	}
	rows.Release()
	return marks
}

func (t *task) rejectRecord(r *decode.Reject, b *journal.Block) {
	row := rejectRow{
		stage: "channel." + t.channel.Config.Name, reason: r.Reason, field: r.Field, channel: t.channel.Config.Name,
		partition: t.part, offset: r.Offset, index: r.Index, row: append([]byte(nil), r.Payload...),
		received: arrow.Timestamp(b.Received[uint64(r.Offset)-b.First]),
	}
	kind := "field"
	if r.Whole {
		kind = "record"
	} else {
		t.counters.devices.rejected = append(t.counters.devices.rejected, r.Offset)
	}
	t.rejectRow(row, kind)
}

// rejectRow rejects a row for all pipelines. kind is for those who count: one of a few words.
func (t *task) rejectRow(row rejectRow, kind string) {
	for _, p := range t.pipes {
		p.rejects = append(p.rejects, row)
	}
	t.counters.rejects.Add(1)
	t.engine.count("channel."+t.name+" "+rejectsPrefix+kind, 1)
}

// rejectEverywhere rejects a row before any pipeline saw it.
func (t *task) rejectEverywhere(r stage.Reject) {
	t.rejectRow(t.rejectedRow("channel."+t.channel.Config.Name, r), "row")
}

// rejectedRow is the reject row of a reject.
func (t *task) rejectedRow(address string, r stage.Reject) rejectRow {
	row := rejectRow{stage: address, reason: r.Reason, field: r.Field, channel: t.channel.Config.Name, partition: t.part}
	if r.Rows != nil {
		row.offset = flow.Offsets(r.Rows)[r.Row]
		row.index = flow.Indexes(r.Rows)[r.Row]
		row.received = flow.Received(r.Rows)[r.Row]
		if row.row = r.Text; r.Text == nil {
			row.row = t.rowText(r.Rows, r.Row)
		}
	}
	return row
}

// lost reports records that the journal could not read.
func (t *task) lost(b *journal.Block) {
	t.counters.lost.Add(int64(b.Count))
	row := rejectRow{
		stage: "journal", reason: fmt.Sprintf("%d records from offset %d are lost: %v", b.Count, b.First, b.Err),
		channel: t.channel.Config.Name, partition: t.part, offset: int64(b.First), received: arrow.Timestamp(b.Time),
	}
	t.rejectRow(row, "lost")
	t.engine.report(row.reason)
}

func (p *pipe) flushRejects(t *task) {
	if len(p.rejects) == 0 {
		return
	}
	if p.outlet.lane == nil && p.outlet.node == nil { // a rebuild: they were there before
		p.rejects = p.rejects[:0]
		return
	}
	rows := rejectBatch(p.rejects, t.alloc)
	p.tap.show(t.part, rows)
	t.pass(rows, []consumer{p.outlet})
	p.rejects = p.rejects[:0]
}

// rowText is a row as JSON, for a reject.
func (t *task) rowText(rows arrow.RecordBatch, i int) []byte {
	if t.encoded == nil || !t.encoded.Equal(rows.Schema()) {
		t.encoder, t.encoded = flow.NewJSONEncoder(rows.Schema(), false), rows.Schema()
	}
	return t.encoder.AppendRow(nil, rows, i)
}

// barrier answers a checkpoint request: copies of the tables' changes, and a
// barrier on every lane.
func (t *task) barrier(req *request) {
	t.asked = req.epoch
	part := partState{Channel: t.channel.Config.Name, Partition: t.part, Next: t.next.Load(), Ended: t.ended.Load(), Tick: t.tick, Label: t.label, Fields: t.learned()}
	if t.merge != nil {
		part.Lanes = t.merge.states()
	}
	t.eachTable(func(address string, table *state.Table) { part.snapshot(address, table, req) })
	for _, p := range t.pipes {
		for _, l := range p.lanes {
			l.push(parcel{item: flow.Item{Kind: flow.Barrier, Epoch: req.epoch, Marks: flow.Watermarks{Tick: t.tick, Ended: t.ended.Load()}}})
		}
	}
	t.paused.Store(req.pause)
	t.engine.taskDone(req.epoch, part)
}

// learned returns the decoder's fields in the form of a checkpoint.
func (t *task) learned() []fieldState {
	if !t.channel.Config.Learn {
		return nil
	}
	return fieldStates(t.decoder.Fields())
}

// rebind takes what the decoder has learned into the graph; tables are kept.
func (t *task) rebind() error {
	have := t.have()
	p, err := t.engine.planFor(t.channel, t.decoder.Fields())
	if err != nil {
		return err
	}
	t.closeStages()
	return t.openPipes(p, have)
}

// closeStages closes the stages and lets go of the pipes.
func (t *task) closeStages() {
	for _, p := range t.pipes {
		for _, n := range p.nodes {
			if err := n.stage.Close(); err != nil {
				t.fail(n, err)
			}
		}
	}
	t.pipes = nil
	if t.plugin != nil {
		if err := t.plugin.stage.Close(); err != nil {
			t.fail(&t.plugin.node, err)
		}
		t.plugin = nil
	}
}

func (t *task) close() {
	t.closeStages()
	if t.merge != nil {
		t.merge.close()
	}
	if t.reader != nil {
		_ = t.reader.Close() // only reads; nothing can be lost
	}
}

func takeZero(rows arrow.RecordBatch, col int, alloc memory.Allocator) arrow.RecordBatch {
	revision, ok := rows.Column(col).(*array.Int64)
	if !ok { // some other column took the name
		rows.Retain()
		return rows
	}
	var sel []int32
	for i := range revision.Len() {
		if revision.Value(i) == 0 {
			sel = append(sel, int32(i))
		}
	}
	return flow.Take(rows, sel, alloc)
}

// opening is what a stage of this task gets.
func (t *task) opening(n *plan.Node, p *pipe, tables []*state.Table) stage.Opening {
	tap := t.engine.tapOf(n.Address)
	return stage.Opening{
		Read: func(column string) bool { return n.Reads(column) || tap.watch != nil || tap.taps.Load() != nil },
		Env:  t.engine.env, DataDir: t.engine.o.Data, Alloc: t.alloc, Address: n.Address, Partition: t.part, Tables: tables, Report: t.engine.report, Ask: t.engine.o.Ask,
		Modules: t.engine.rollouts.store.Get, Trials: t.engine.rollouts.meters, Own: t.engine.o.Own,
		Reject: func(r stage.Reject) {
			p.rejects = append(p.rejects, t.rejectedRow(n.Address, r))
			t.counters.devices.reject(&r)
			t.counters.rejects.Add(1)
			t.engine.count(n.Address+" "+rejectsPrefix+"row", 1)
		},
		Count: t.engine.counter(n.Address),
	}
}
