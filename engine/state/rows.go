package state

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Rows is the snapshot as a record batch, for tools: slot, state ("deleted",
// "key", "null key", "no key"), key, and the value columns, wide ones as
// fixed-size lists. It shares the snapshot's memory; the caller releases it.
func (s *Snapshot) Rows() arrow.RecordBatch {
	s.whole()
	n := len(s.slots)
	names := [rowKinds]string{"deleted", "key", "null key", "no key"}
	words := blob{offs: []int64{0}}
	for _, k := range s.kinds {
		words.add([]byte(names[k]))
	}
	fields := []arrow.Field{
		{Name: "slot", Type: arrow.PrimitiveTypes.Uint32},
		{Name: "state", Type: arrow.BinaryTypes.LargeString},
		{Name: "key", Type: arrow.BinaryTypes.LargeBinary},
	}
	cols := []arrow.ArrayData{
		plainData(arrow.PrimitiveTypes.Uint32, n, 1, arrow.Uint32Traits.CastToBytes(s.slots)),
		words.arrowData(arrow.BinaryTypes.LargeString),
		s.keys.arrowData(arrow.BinaryTypes.LargeBinary),
	}
	for i, c := range s.decl.Columns {
		var d arrow.ArrayData
		switch v, w := &s.cols[i], c.width(); c.Type {
		case F64:
			d = plainData(arrow.PrimitiveTypes.Float64, n, w, arrow.Float64Traits.CastToBytes(v.f64))
		case I64:
			d = plainData(arrow.PrimitiveTypes.Int64, n, w, arrow.Int64Traits.CastToBytes(v.i64))
		case U32:
			d = plainData(arrow.PrimitiveTypes.Uint32, n, w, arrow.Uint32Traits.CastToBytes(v.u32))
		default:
			d = v.raw.arrowData(arrow.BinaryTypes.LargeBinary)
		}
		fields = append(fields, arrow.Field{Name: c.Name, Type: d.DataType()})
		cols = append(cols, d)
	}
	arrs := make([]arrow.Array, len(cols))
	for i, d := range cols {
		arrs[i] = array.MakeFromData(d)
		d.Release()
	}
	rec := array.NewRecordBatch(arrow.NewSchema(fields, nil), arrs, int64(n))
	for _, a := range arrs {
		a.Release()
	}
	return rec
}

func plainData(typ arrow.DataType, n, w int, raw []byte) arrow.ArrayData {
	flat := array.NewData(typ, n*w, []*memory.Buffer{nil, memory.NewBufferBytes(raw)}, nil, 0, 0)
	if w == 1 {
		return flat
	}
	defer flat.Release()
	list := arrow.FixedSizeListOf(int32(w), typ)
	return array.NewData(list, n, []*memory.Buffer{nil}, []arrow.ArrayData{flat}, 0, 0)
}

func (b *blob) arrowData(typ arrow.DataType) arrow.ArrayData {
	offs := memory.NewBufferBytes(arrow.Int64Traits.CastToBytes(b.offs))
	return array.NewData(typ, len(b.offs)-1, []*memory.Buffer{nil, offs, memory.NewBufferBytes(b.data)}, nil, 0, 0)
}
