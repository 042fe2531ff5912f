package run

import (
	"encoding/hex"
	"fmt"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/decode"
	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/stage"
	"github.com/tidemill/tidemill/engine/state"
)

// payloads is the stage that makes a channel's rows of records as they came (decode.NewRaw). Unlike
// other stages it stands before all pipelines, so that a record is decoded once; what it emits
// gets its time and key afterwards.
type payloads struct {
	node
	made []arrow.RecordBatch // of the block under way
}

// newDecoder makes what reads the blocks of a channel.
func newDecoder(ch *plan.Channel, alloc memory.Allocator) (decode.Decoder, error) {
	c := decode.Config{Fields: ch.Fields, Topics: ch.Topics, Learn: ch.Config.Learn, Explode: ch.Config.Explode, Alloc: alloc}
	if ch.Decoder != nil {
		return decode.NewRaw(c)
	}
	return decode.NewJSON(c)
}

// openPlugin opens the stage that decodes the channel, if it has one, with the tables that there are.
func (t *task) openPlugin(have map[string]*state.Table) error {
	pn := t.channel.Decoder
	if pn == nil {
		return nil
	}
	p := &payloads{node: node{task: t, plan: pn, rows: t.engine.counterOf(pn.Address + " " + rowsCounter)}}
	for _, d := range pn.Bound.State {
		p.tables = append(p.tables, table(have, pn.Address, d))
	}
	o := t.opening(pn, nil, p.tables)
	o.Reject = t.rejectPayload
	st, err := pn.Bound.OpenStage(o)
	if err != nil {
		return fmt.Errorf("%s: %w", pn.Address, err)
	}
	p.stage, t.plugin = st, p
	return t.decide(pn, st)
}

// decode takes ownership of records and returns the rows that they make; nil when there are none.
func (p *payloads) decode(records arrow.RecordBatch) arrow.RecordBatch {
	defer records.Release()
	if err := p.stage.Process(0, records, p); err != nil {
		p.task.fail(&p.node, err)
	}
	made := p.made
	p.made = p.made[:0]
	switch len(made) {
	case 0:
		return nil
	case 1:
		return made[0]
	}
	panic("BUG: a stage that decodes emits the rows of a batch one by one")
}

// Emit keeps rows, with the columns that somebody reads. It takes ownership.
func (p *payloads) Emit(rows arrow.RecordBatch) {
	p.rows.Add(rows.NumRows())
	want := p.task.channel.Schema
	cols := make([]arrow.Array, 0, want.NumFields())
	for i, f := range want.Fields() {
		at := i
		if i >= flow.MetaColumns {
			at = rows.Schema().FieldIndices(f.Name)[0]
		}
		cols = append(cols, rows.Column(at))
	}
	p.made = append(p.made, array.NewRecordBatch(want, cols, rows.NumRows()))
	rows.Release()
}

// rejectPayload rejects a record that the plugin made no rows of. Its row is the payload: as it is
// where that is text, and else in hexadecimal digits, as tests take it.
func (t *task) rejectPayload(r stage.Reject) {
	payload := r.Rows.Column(r.Rows.Schema().FieldIndices(decode.RawPayload)[0]).(*array.Binary).Value(r.Row)
	row := rejectRow{
		stage: "channel." + t.name, reason: r.Reason, channel: t.name, partition: t.part,
		offset: flow.Offsets(r.Rows)[r.Row], received: flow.Received(r.Rows)[r.Row],
	}
	if utf8.Valid(payload) {
		row.row = append([]byte{}, payload[:min(len(payload), maxRejectRow)]...)
	} else {
		row.row = hex.AppendEncode([]byte("hex:"), payload[:min(len(payload), maxRejectRow/2-len("hex:"))])
	}
	t.rejectRow(row, "record")
}
