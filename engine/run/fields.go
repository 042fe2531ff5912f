package run

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/engine/decode"
	"github.com/tidemill/tidemill/engine/expr"
	"github.com/tidemill/tidemill/engine/flow"
)

// fieldState is a learned field in a checkpoint, its type by its name in HCL.
type fieldState struct {
	Name string `json:"name"`
	Type string `json:"type"`
	Unit string `json:"unit,omitempty"`
}

func fieldStates(fields []decode.Field) []fieldState {
	out := make([]fieldState, len(fields))
	for i, f := range fields {
		out[i] = fieldState{f.Name, expr.TypeName(f.Type), f.Unit}
	}
	return out
}

func fieldsOf(states []fieldState) []decode.Field {
	scalars := []arrow.DataType{
		arrow.PrimitiveTypes.Float64, arrow.PrimitiveTypes.Int64, arrow.FixedWidthTypes.Boolean,
		arrow.BinaryTypes.String, flow.Timestamp,
	}
	byName := map[string]arrow.DataType{}
	for _, t := range scalars {
		list := arrow.ListOf(t)
		byName[expr.TypeName(t)], byName[expr.TypeName(list)] = t, list
	}
	var out []decode.Field
	for _, s := range states {
		t, ok := byName[s.Type]
		if !ok {
			panic(fmt.Sprintf("BUG: a checkpoint holds a field of type %q", s.Type))
		}
		out = append(out, decode.Field{Name: s.Name, Type: t, Unit: s.Unit})
	}
	return out
}
