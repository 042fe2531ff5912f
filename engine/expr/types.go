package expr

import (
	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/engine/flow"
)

// kind is the type of a value while an expression is checked.
type kind uint8

const (
	kBad   kind = iota // a problem was reported already; silences what follows from it
	kNull              // the literal null, whose type its surroundings give
	kOpen              // a name of an open scope of which nothing is known yet
	kNum               // float64
	kInt               // int64
	kBool              // a bit
	kText              // UTF-8
	kTime              // int64, us since 1970
	kList              // a column of lists; elem says of what
	kTuple             // [a, b] as written, or a list in a variable
)

func (k kind) String() string {
	switch k {
	case kNull:
		return "null"
	case kOpen:
		return "a value of unknown type"
	case kNum:
		return "number"
	case kInt:
		return "integer"
	case kBool:
		return "bool"
	case kText:
		return "string"
	case kTime:
		return "timestamp"
	case kList, kTuple:
		return "list"
	}
	return "nothing"
}

// numeric says whether k takes part in arithmetic.
func (k kind) numeric() bool { return k == kNum || k == kInt }

// arrowType is the type of a result column of kind k, which is not a list.
func (k kind) arrowType() arrow.DataType {
	switch k {
	case kNum:
		return arrow.PrimitiveTypes.Float64
	case kInt:
		return arrow.PrimitiveTypes.Int64
	case kBool:
		return arrow.FixedWidthTypes.Boolean
	case kText:
		return arrow.BinaryTypes.String
	case kTime:
		return flow.Timestamp
	}
	panic("BUG: no column type for " + k.String())
}

// kindOf is the kind of a column of type t, and of its elements when it is a
// list; kBad when expressions cannot use such a column.
func kindOf(t arrow.DataType) (k, elem kind) {
	switch t.ID() {
	case arrow.FLOAT64, arrow.FLOAT32:
		return kNum, kBad
	case arrow.INT64, arrow.INT32, arrow.INT16, arrow.INT8, arrow.UINT32, arrow.UINT16, arrow.UINT8:
		return kInt, kBad
	case arrow.BOOL:
		return kBool, kBad
	case arrow.STRING:
		return kText, kBad
	case arrow.TIMESTAMP:
		if t.(*arrow.TimestampType).Unit == arrow.Microsecond {
			return kTime, kBad
		}
	case arrow.LIST:
		elem := t.(*arrow.ListType).Elem()
		if e, _ := kindOf(elem); e != kBad && e != kList && arrow.TypeEqual(elem, e.arrowType()) {
			return kList, e
		}
	}
	return kBad, kBad
}

func typeName(t arrow.DataType) string {
	if l, ok := t.(*arrow.ListType); ok {
		return "list(" + typeName(l.Elem()) + ")"
	}
	if k, _ := kindOf(t); k != kBad {
		return k.String()
	}
	switch t.ID() {
	case arrow.BINARY:
		return "bytes"
	case arrow.STRUCT:
		return "object"
	}
	return t.Name()
}
