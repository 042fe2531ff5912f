package decode

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/flow"
)

// metaColumns are the metadata columns of the batch that is being made.
type metaColumns struct {
	offset   []int64
	index    []int32
	received []int64
	bufs     [flow.MetaColumns]*memory.Buffer
}

func (m *metaColumns) open(rows int, a memory.Allocator) {
	for i := range m.bufs {
		m.bufs[i] = memory.NewResizableBuffer(a)
	}
	m.reserve(rows)
}

// reserve makes room for rows rows in the columns that are filled row by row.
func (m *metaColumns) reserve(rows int) {
	m.offset = arrow.Int64Traits.CastFromBytes(reserved(m.bufs[flow.ColOffset], 8*rows))
	m.index = arrow.Int32Traits.CastFromBytes(reserved(m.bufs[flow.ColIndex], 4*rows))
	m.received = arrow.Int64Traits.CastFromBytes(reserved(m.bufs[flow.ColReceived], 8*rows))
}

// set sets a row of a record that gives only this one.
func (m *metaColumns) set(row int, offset, received int64) {
	m.offset[row], m.index[row], m.received[row] = offset, 0, received
}

// setStrip sets rows from row on, of as many records that give one each, the first of them at offset.
func (m *metaColumns) setStrip(row int, offset int64, received []int64) {
	rows := m.offset[row : row+len(received)]
	for i := range rows {
		rows[i] = offset + int64(i)
	}
	clear(m.index[row : row+len(received)])
	copy(m.received[row:], received)
}

// setMany sets the rows from row to end of one exploded record.
func (m *metaColumns) setMany(row, end int, offset, received int64) {
	for i := row; i < end; i++ {
		m.offset[i], m.index[i], m.received[i] = offset, int32(i-row), received
	}
}

// close gives the first rows rows away as arrays to the first of to, the other columns filled as
// Result.Rows says.
func (m *metaColumns) close(to []arrow.Array, rows int, shells *flow.Shells) {
	copy(arrow.Int64Traits.CastFromBytes(reserved(m.bufs[flow.ColTime], 8*rows)), m.received[:rows])
	clear(reserved(m.bufs[flow.ColSlot], 4*rows))
	marks := arrow.Int64Traits.CastFromBytes(reserved(m.bufs[flow.ColMark], 8*rows))
	for i := range marks[:rows] {
		marks[i] = flow.NoMark
	}
	for i, b := range m.bufs {
		typ := flow.MetaType(i)
		b.ResizeNoShrink(rows * typ.Bytes())
		to[i], m.bufs[i] = shells.Column(typ, rows, 0, nil, nil, b), nil
	}
	m.drop()
}

// discard lets go of the buffers.
func (m *metaColumns) discard() {
	for i, b := range m.bufs {
		b.Release()
		m.bufs[i] = nil
	}
	m.drop()
}

func (m *metaColumns) drop() { m.offset, m.index, m.received = nil, nil, nil }
