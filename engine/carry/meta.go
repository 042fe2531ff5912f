package carry

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/flow"
)

// Meta gathers the metadata columns of rows (flow.MetaColumns). Times are microseconds.
type Meta struct {
	offset, received, time, mark []int64
	index                        []int32
	slot                         []uint32
	room                         int // how many rows the batch before had

	alloc memory.Allocator                 // of what Make makes; nil: the garbage collector's
	made  [flow.MetaColumns]*memory.Buffer // that it made
}

// Use has Make take memory from an allocator, to which it comes back when the rows are released.
func (m *Meta) Use(alloc memory.Allocator) { m.alloc = alloc }

// Len is how many rows there are.
func (m *Meta) Len() int { return len(m.offset) }

// Add appends a row's.
func (m *Meta) Add(offset int64, index int32, received, time int64, slot uint32, mark int64) {
	if m.offset == nil {
		n := m.room + 1
		m.offset, m.received, m.time, m.mark = make([]int64, 0, n), make([]int64, 0, n), make([]int64, 0, n), make([]int64, 0, n)
		m.index, m.slot = make([]int32, 0, n), make([]uint32, 0, n)
	}
	m.offset, m.index = append(m.offset, offset), append(m.index, index)
	m.received, m.time = append(m.received, received), append(m.time, time)
	m.slot, m.mark = append(m.slot, slot), append(m.mark, mark)
}

// MetaSlices are the columns of rows, for a caller that fills them. Times are microseconds.
type MetaSlices struct {
	Offset, Received, Time, Mark []int64
	Index                        []int32
	Slot                         []uint32
}

// Make makes an empty Meta one of n rows, which the caller fills in.
func (m *Meta) Make(n int) MetaSlices {
	if len(m.offset) > 0 {
		panic("BUG: there are rows already")
	}
	for i, width := range [flow.MetaColumns]int{flow.ColOffset: 8, flow.ColIndex: 4, flow.ColReceived: 8, flow.ColTime: 8, flow.ColSlot: 4, flow.ColMark: 8} {
		m.made[i] = zeros(m.alloc, n*width)
	}
	i64 := func(col int) []int64 { return arrow.Int64Traits.CastFromBytes(m.made[col].Bytes()) }
	m.offset, m.received, m.time, m.mark = i64(flow.ColOffset), i64(flow.ColReceived), i64(flow.ColTime), i64(flow.ColMark)
	m.index, m.slot = arrow.Int32Traits.CastFromBytes(m.made[flow.ColIndex].Bytes()), arrow.Uint32Traits.CastFromBytes(m.made[flow.ColSlot].Bytes())
	return MetaSlices{m.offset, m.received, m.time, m.mark, m.index, m.slot}
}

// Rows returns the rows with these user columns, which it takes over, and starts anew. The caller
// releases the batch.
func (m *Meta) Rows(schema *arrow.Schema, user []arrow.Array) arrow.RecordBatch {
	n := len(m.offset)
	i64 := func(v []int64) []byte { return arrow.Int64Traits.CastToBytes(v) }
	parts := [flow.MetaColumns][]byte{
		flow.ColOffset: i64(m.offset), flow.ColIndex: arrow.Int32Traits.CastToBytes(m.index), flow.ColReceived: i64(m.received),
		flow.ColTime: i64(m.time), flow.ColSlot: arrow.Uint32Traits.CastToBytes(m.slot), flow.ColMark: i64(m.mark),
	}
	cols := make([]arrow.Array, 0, flow.MetaColumns+len(user))
	for i, part := range parts {
		buf := m.made[i]
		if buf == nil {
			buf = memory.NewBufferBytes(part)
		}
		data := array.NewData(schema.Field(i).Type, n, []*memory.Buffer{nil, buf}, nil, 0, 0)
		cols = append(cols, array.MakeFromData(data))
		data.Release()
		buf.Release()
	}
	cols = append(cols, user...)
	*m = Meta{room: n, alloc: m.alloc}
	defer Release(cols)
	return array.NewRecordBatch(schema, cols, int64(n))
}
