package hostile

import (
	"encoding/binary"
	"math"
)

func f64(v float64) string {
	return string(binary.LittleEndian.AppendUint64(nil, math.Float64bits(v)))
}
