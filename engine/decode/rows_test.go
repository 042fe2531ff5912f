package decode

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// valueText writes a value so that different values give different texts.
func valueText(a arrow.Array, i int) string {
	if a.IsNull(i) {
		return "null"
	}
	switch a := a.(type) {
	case *array.Float64:
		return strconv.FormatFloat(a.Value(i), 'g', -1, 64)
	case *array.Int64:
		return strconv.FormatInt(a.Value(i), 10)
	case *array.Boolean:
		return strconv.FormatBool(a.Value(i))
	case *array.String:
		return strconv.QuoteToASCII(a.Value(i))
	case *array.Timestamp:
		return time.UnixMicro(int64(a.Value(i))).UTC().Format("2006-01-02T15:04:05.999999Z")
	case *array.List:
		start, end := a.ValueOffsets(i)
		var items []string
		for j := start; j < end; j++ {
			items = append(items, valueText(a.ListValues(), int(j)))
		}
		return "[" + strings.Join(items, ",") + "]"
	}
	panic(fmt.Sprintf("BUG: no text for %T", a))
}
