package flow

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// FormatRows writes batches of one schema as one text table, aligned, with the
// named metadata columns first and then all user columns. ParseRows reads it back.
func FormatRows(meta []string, batches ...arrow.RecordBatch) string {
	if len(batches) == 0 {
		return ""
	}
	schema := batches[0].Schema()
	var cols []int
	for _, name := range meta {
		at := metaColumn(name)
		if at < 0 {
			panic("BUG: there is no metadata column " + name)
		}
		cols = append(cols, at)
	}
	head := append([]string{}, meta...)
	for i, f := range UserFields(schema) {
		cols = append(cols, MetaColumns+i)
		head = append(head, quoteText(f.Name, true)+":"+textTypeName(f.Type))
	}
	lines := [][]string{head}
	for _, b := range batches {
		for row := range int(b.NumRows()) {
			line := make([]string, len(cols))
			for i, c := range cols {
				line[i] = formatCell(b.Column(c), c, row)
			}
			lines = append(lines, line)
		}
	}
	return alignText(lines)
}

func alignText(lines [][]string) string {
	width := make([]int, len(lines[0]))
	for _, l := range lines {
		for i, w := range l {
			width[i] = max(width[i], utf8.RuneCountInString(w))
		}
	}
	var out bytes.Buffer
	for _, l := range lines {
		for i, w := range l {
			out.WriteString(w)
			if i < len(l)-1 {
				out.WriteString(strings.Repeat(" ", width[i]-utf8.RuneCountInString(w)+1))
			}
		}
		out.WriteByte('\n')
	}
	return out.String()
}

func formatCell(a arrow.Array, col, row int) string {
	if col == ColMark {
		switch v := a.(*array.Int64).Value(row); v {
		case NoMark:
			return "-"
		case EndMark:
			return "end"
		default:
			return formatTextTime(v)
		}
	}
	return formatValue(a, row)
}

func formatValue(a arrow.Array, row int) string {
	if a.IsNull(row) {
		return "-"
	}
	switch a := a.(type) {
	case *array.Float64:
		return strconv.FormatFloat(a.Value(row), 'g', -1, 64)
	case *array.Int64:
		return strconv.FormatInt(a.Value(row), 10)
	case *array.Int32:
		return strconv.Itoa(int(a.Value(row)))
	case *array.Uint32:
		return strconv.Itoa(int(a.Value(row)))
	case *array.Boolean:
		return strconv.FormatBool(a.Value(row))
	case *array.String:
		return quoteText(a.Value(row), false)
	case *array.Timestamp:
		return formatTextTime(int64(a.Value(row)))
	case *array.List:
		from, to := a.ValueOffsets(row)
		items := make([]string, 0, to-from)
		for i := from; i < to; i++ {
			items = append(items, formatValue(a.ListValues(), int(i)))
		}
		return "[" + strings.Join(items, ",") + "]"
	}
	panic("BUG: a column of type " + a.DataType().String() + " travels")
}

// quoteText leaves a plain word alone and writes anything else as a JSON string.
func quoteText(s string, name bool) string {
	plain := s != "" && s != "-" && !(name && strings.Contains(s, ":"))
	for _, r := range s {
		if r <= ' ' || r == 0x7f || r == 0xfffd || strings.ContainsRune(`"[],#`, r) {
			plain = false
		}
	}
	if plain {
		return s
	}
	return string(AppendJSONString(nil, s))
}

func formatTextTime(us int64) string {
	t := time.UnixMicro(us).UTC()
	if us >= 0 && us < int64(24*time.Hour/time.Microsecond) {
		return t.Format("15:04:05.999999")
	}
	if us > math.MaxInt64/1000 || t.Year() > 9999 || t.Year() < 0 {
		return strconv.FormatInt(us, 10)
	}
	return t.Format(time.RFC3339Nano)
}
