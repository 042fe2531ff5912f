package alarm

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
)

// batch makes rows of the queued events. Alarms are rare: builders do.
func (a *alarm) batch() arrow.RecordBatch {
	b := array.NewRecordBuilder(a.o.Alloc, arrow.NewSchema(flow.MetaFields(), nil))
	defer b.Release()
	n := len(a.events)
	var slots []uint32
	var states, names, severities [][]byte
	since, at := array.NewTimestampBuilder(a.o.Alloc, flow.Timestamp), array.NewTimestampBuilder(a.o.Alloc, flow.Timestamp)
	defer since.Release()
	defer at.Release()
	for _, e := range a.events {
		b.Field(flow.ColOffset).(*array.Int64Builder).Append(e.offset)
		b.Field(flow.ColIndex).(*array.Int32Builder).Append(int32(e.index))
		b.Field(flow.ColReceived).(*array.TimestampBuilder).Append(arrow.Timestamp(e.received))
		b.Field(flow.ColTime).(*array.TimestampBuilder).Append(arrow.Timestamp(e.at))
		b.Field(flow.ColSlot).(*array.Uint32Builder).Append(a.links(e.key)[keySlot])
		b.Field(flow.ColMark).(*array.Int64Builder).Append(e.at)
		since.Append(arrow.Timestamp(e.since))
		at.Append(arrow.Timestamp(e.at))
		slots = append(slots, e.key)
		names, severities = append(names, []byte(a.name)), append(severities, []byte(a.severity))
		states = append(states, []byte([...]string{"cleared", "raised"}[e.state]))
	}
	meta := b.NewRecordBatch()
	defer meta.Release()
	cols := a.keys.Columns(a.table, slots, a.o.Alloc)
	cols = append(cols, stage.Texts(names, a.o.Alloc), stage.Texts(severities, a.o.Alloc), stage.Texts(states, a.o.Alloc), since.NewArray(), at.NewArray())
	cols = append(cols, a.withColumns()...)
	defer func() {
		for _, c := range cols {
			c.Release()
		}
	}()
	return array.NewRecordBatch(a.out, append(append([]arrow.Array{}, meta.Columns()...), cols...), int64(n))
}

func (a *alarm) withColumns() []arrow.Array {
	if len(a.program.with) == 0 {
		return nil
	}
	types, values := make([]arrow.DataType, len(a.program.with)), make([][]byte, len(a.events))
	for i, c := range a.program.with {
		types[i] = c.Type
	}
	for i, e := range a.events {
		values[i] = e.with
	}
	cols, err := flow.KeyColumns(values, types, func(t arrow.DataType) array.Builder { return array.NewBuilder(a.o.Alloc, t) })
	if err != nil {
		panic(fmt.Sprintf("BUG: the kept values of an alarm are damaged: %v", err))
	}
	return cols
}
