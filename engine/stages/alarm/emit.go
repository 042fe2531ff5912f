package alarm

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/engine/flow"
)

// ownColumns are those of a row beside its keys and the `with` values: metadata, and what ownNames lists.
const ownColumns = flow.MetaColumns + 5

// sheet is the memory of a batch's own columns, all in one piece: most batches have a row or two, and cost by their columns.
type sheet struct {
	flow.Shells
	rows  int
	room  []byte // what is free
	heads []memory.Buffer
}

// stateNames are the states as rows tell them.
func stateNames() [2]string { return [2]string{cleared: "cleared", raised: "raised"} }

// newSheet has room for the own columns of n rows.
func (a *alarm) newSheet(n int) *sheet {
	const eights, fours, texts, border = 6, 2, 3, 8 // columns by width, and what a column may lose at its border
	longest := len(a.name) + len(a.severity) + max(len(stateNames()[cleared]), len(stateNames()[raised]))
	bytes := n*(8*eights+4*fours+longest) + texts*4*(n+1) + border*(ownColumns+texts)
	return &sheet{Shells: flow.NewShells(ownColumns), rows: n, room: make([]byte, bytes), heads: make([]memory.Buffer, ownColumns+texts)}
}

// bytes cuts n bytes off, which begin at a whole word.
func (s *sheet) bytes(n int) []byte {
	whole := (n + 7) &^ 7
	b := s.room[:n:whole]
	s.room = s.room[whole:]
	return b
}

func (s *sheet) buffer(b []byte) *memory.Buffer {
	h := &s.heads[0]
	s.heads = s.heads[1:]
	h.Reset(b)
	return h
}

// words makes a column of eight bytes a row, of what value tells.
func (s *sheet) words(typ arrow.DataType, value func(i int) int64) arrow.Array {
	b := s.bytes(8 * s.rows)
	for i, v := 0, arrow.Int64Traits.CastFromBytes(b); i < s.rows; i++ {
		v[i] = value(i)
	}
	return s.Column(typ, s.rows, 0, nil, nil, s.buffer(b))
}

// halves makes a column of four bytes a row.
func (s *sheet) halves(typ arrow.DataType, value func(i int) uint32) arrow.Array {
	b := s.bytes(4 * s.rows)
	for i, v := 0, arrow.Uint32Traits.CastFromBytes(b); i < s.rows; i++ {
		v[i] = value(i)
	}
	return s.Column(typ, s.rows, 0, nil, nil, s.buffer(b))
}

// texts makes a column of strings.
func (s *sheet) texts(value func(i int) string) arrow.Array {
	b, total := s.bytes(4*(s.rows+1)), 0
	ends := arrow.Int32Traits.CastFromBytes(b)
	for i := range s.rows {
		total += len(value(i))
		ends[i+1] = int32(total)
	}
	text := s.bytes(total)
	for i := range s.rows {
		copy(text[ends[i]:], value(i))
	}
	return s.Column(arrow.BinaryTypes.String, s.rows, 0, nil, nil, s.buffer(b), s.buffer(text))
}

// batch makes rows of the queued events.
func (a *alarm) batch() arrow.RecordBatch {
	q, states := a.events, stateNames()
	s := a.newSheet(len(q))
	a.of = a.of[:0]
	for i := range q {
		a.of = append(a.of, q[i].key)
	}
	cols := append(make([]arrow.Array, 0, a.out.NumFields()),
		s.words(arrow.PrimitiveTypes.Int64, func(i int) int64 { return q[i].offset }),
		s.halves(arrow.PrimitiveTypes.Int32, func(i int) uint32 { return uint32(q[i].index) }),
		s.words(flow.Timestamp, func(i int) int64 { return q[i].received }),
		s.words(flow.Timestamp, func(i int) int64 { return q[i].at }),
		s.halves(arrow.PrimitiveTypes.Uint32, func(i int) uint32 { return a.links(q[i].key)[keySlot] }),
		s.words(arrow.PrimitiveTypes.Int64, func(i int) int64 { return q[i].at }))
	cols = append(cols, a.keys.Columns(a.table, a.of, a.o.Alloc)...)
	cols = append(cols,
		s.texts(func(int) string { return a.name }),
		s.texts(func(int) string { return a.severity }),
		s.texts(func(i int) string { return states[q[i].state] }),
		s.words(flow.Timestamp, func(i int) int64 { return q[i].since }),
		s.words(flow.Timestamp, func(i int) int64 { return q[i].at }))
	cols = append(cols, a.withColumns()...)
	defer func() {
		for _, c := range cols {
			c.Release()
		}
	}()
	return array.NewRecordBatch(a.out, cols, int64(len(q)))
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
