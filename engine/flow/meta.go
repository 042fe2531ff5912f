package flow

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// Positions of the metadata columns in every batch.
const (
	ColOffset = iota
	ColIndex
	ColReceived
	ColTime
	ColSlot
	ColMark
	// MetaColumns is how many metadata columns there are; user columns start here.
	MetaColumns
)

// Timestamp is the one type of times: microseconds since 1970, UTC.
var Timestamp = &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}

// MetaType returns the type of a metadata column.
func MetaType(col int) arrow.FixedWidthDataType {
	switch col {
	case ColOffset, ColMark:
		return arrow.PrimitiveTypes.Int64.(*arrow.Int64Type)
	case ColIndex:
		return arrow.PrimitiveTypes.Int32.(*arrow.Int32Type)
	case ColReceived, ColTime:
		return Timestamp
	case ColSlot:
		return arrow.PrimitiveTypes.Uint32.(*arrow.Uint32Type)
	}
	panic("BUG: no metadata column has this number")
}

// MetaFields returns the metadata columns' fields, in order.
func MetaFields() []arrow.Field {
	return []arrow.Field{
		{Name: "_offset", Type: MetaType(ColOffset)},
		{Name: "_index", Type: MetaType(ColIndex)},
		{Name: "_received", Type: MetaType(ColReceived)},
		{Name: "_time", Type: MetaType(ColTime)},
		{Name: "_slot", Type: MetaType(ColSlot)},
		{Name: "_mark", Type: MetaType(ColMark)},
	}
}

// NewSchema returns the schema of an edge: the metadata columns and then fields.
func NewSchema(fields []arrow.Field) *arrow.Schema {
	return arrow.NewSchema(append(MetaFields(), fields...), nil)
}

// UserFields returns the fields of an edge's schema that are not metadata.
func UserFields(s *arrow.Schema) []arrow.Field { return s.Fields()[MetaColumns:] }

// Offsets returns the _offset column of rows as a borrowed slice.
func Offsets(rows arrow.RecordBatch) []int64 {
	return rows.Column(ColOffset).(*array.Int64).Int64Values()
}

// Indexes returns the _index column of rows as a borrowed slice.
func Indexes(rows arrow.RecordBatch) []int32 {
	return rows.Column(ColIndex).(*array.Int32).Int32Values()
}

// Received returns the _received column of rows, us, as a borrowed slice.
func Received(rows arrow.RecordBatch) []arrow.Timestamp {
	return rows.Column(ColReceived).(*array.Timestamp).TimestampValues()
}

// Times returns the _time column of rows, us, as a borrowed slice.
func Times(rows arrow.RecordBatch) []arrow.Timestamp {
	return rows.Column(ColTime).(*array.Timestamp).TimestampValues()
}

// Slots returns the _slot column of rows as a borrowed slice.
func Slots(rows arrow.RecordBatch) []uint32 {
	return rows.Column(ColSlot).(*array.Uint32).Uint32Values()
}

// Believed is the event time up to which a row moves what is known of its key: its own, but no further than its watermark or, where that
// lags, its receipt. A clock that is far ahead moves a watermark by what its channel allows; so it must be with all that tells old rows
// from new ones, or a single row from 2099 would make all later ones old.
func Believed(t, mark, received int64) int64 { return min(t, max(mark, received)) }

// Marks returns the _mark column of rows, us, as a borrowed slice.
func Marks(rows arrow.RecordBatch) []int64 {
	return rows.Column(ColMark).(*array.Int64).Int64Values()
}
