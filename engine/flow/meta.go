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

// MetaFields returns the metadata columns' fields, in order.
func MetaFields() []arrow.Field {
	return []arrow.Field{
		{Name: "_offset", Type: arrow.PrimitiveTypes.Int64},
		{Name: "_index", Type: arrow.PrimitiveTypes.Int32},
		{Name: "_received", Type: Timestamp},
		{Name: "_time", Type: Timestamp},
		{Name: "_slot", Type: arrow.PrimitiveTypes.Uint32},
		{Name: "_mark", Type: arrow.PrimitiveTypes.Int64},
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

// Marks returns the _mark column of rows, us, as a borrowed slice.
func Marks(rows arrow.RecordBatch) []int64 {
	return rows.Column(ColMark).(*array.Int64).Int64Values()
}
