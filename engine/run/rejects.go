package run

import (
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/plan"
	"github.com/tidemill/tidemill/engine/stage"
)

// rejectRow is a reject on its way to a batch.
type rejectRow struct {
	stage, reason, field, channel string
	partition                     int
	offset                        int64
	index                         int32
	received                      arrow.Timestamp
	row                           []byte
}

// maxRejectRow is how much of a rejected record is kept, bytes.
const maxRejectRow = 64 << 10

// sinkRejects tells of a row that a sink does not want and that has no way into the rejects of
// its pipeline, since that is where it was going, or since the sink has no
// spool: it is reported with the row, and counted.
func (e *Engine) sinkRejects(address string, r stage.Reject) {
	const most = 1 << 10 // bytes of the row
	e.count(address+" "+rejectsPrefix+"row", 1)
	line := address + ": a row is rejected: " + r.Reason
	if r.Rows != nil {
		row := flow.NewJSONEncoder(r.Rows.Schema(), false).AppendRow(nil, r.Rows, r.Row)
		line += "; the row: " + strings.ToValidUTF8(string(row[:min(len(row), most)]), "")
	}
	e.report(line)
}

// rejectBatch makes reject rows into a batch of plan.RejectSchema. Rejects are
// rare, so this may be slow.
func rejectBatch(rows []rejectRow, alloc memory.Allocator) arrow.RecordBatch {
	b := array.NewRecordBuilder(alloc, plan.RejectSchema)
	defer b.Release()
	for i := range rows {
		r := &rows[i]
		b.Field(flow.ColOffset).(*array.Int64Builder).Append(r.offset)
		b.Field(flow.ColIndex).(*array.Int32Builder).Append(r.index)
		b.Field(flow.ColReceived).(*array.TimestampBuilder).Append(r.received)
		b.Field(flow.ColTime).(*array.TimestampBuilder).Append(r.received)
		b.Field(flow.ColSlot).(*array.Uint32Builder).Append(0)
		b.Field(flow.ColMark).(*array.Int64Builder).Append(flow.NoMark)
		col := func(i int) array.Builder { return b.Field(flow.MetaColumns + i) }
		text := func(i int, s string) {
			if s == "" {
				col(i).AppendNull()
				return
			}
			col(i).(*array.StringBuilder).Append(s)
		}
		text(0, r.stage)
		text(1, r.reason)
		text(2, r.field)
		text(3, r.channel)
		if r.partition < 0 { // not known behind a spool, which all partitions share
			col(4).AppendNull()
		} else {
			col(4).(*array.Int64Builder).Append(int64(r.partition))
		}
		col(5).(*array.Int64Builder).Append(r.offset)
		col(6).(*array.Int64Builder).Append(int64(r.index))
		col(7).(*array.TimestampBuilder).Append(r.received)
		text(8, strings.ToValidUTF8(string(r.row[:min(len(r.row), maxRejectRow)]), "\uFFFD"))
	}
	return b.NewRecordBatch()
}
