package pipetest

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/engine/config"
	"github.com/tidemill/tidemill/engine/flow"
)

// tolerance is how far a number may be from what is expected, relative to it.
const tolerance = 1e-9

// cellOf writes row i of a column as a cell of a table.
func cellOf(c arrow.Array, i int, start time.Time) string {
	if c.IsNull(i) {
		return "-"
	}
	switch c := c.(type) {
	case *array.Timestamp:
		return timeCell(int64(c.Value(i)), start)
	case *array.Float64:
		return strconv.FormatFloat(c.Value(i), 'g', -1, 64)
	case *array.String:
		return textCell(c.Value(i))
	case *array.Int64:
		return strconv.FormatInt(c.Value(i), 10)
	case *array.Boolean:
		return strconv.FormatBool(c.Value(i))
	}
	out, err := json.Marshal(c.GetOneForMarshal(i))
	if err != nil {
		return textCell(c.ValueStr(i))
	}
	return strings.ReplaceAll(string(out), " ", "")
}

func timeCell(us int64, start time.Time) string {
	if us == flow.NoMark {
		return "-"
	}
	d := time.UnixMicro(us).Sub(start)
	if d < 0 {
		return strconv.Quote(time.UnixMicro(us).UTC().Format(time.RFC3339Nano))
	}
	return "+" + config.FormatDuration(d)
}

// textCell writes a text so that it reads as one cell, and as no other value.
func textCell(s string) string {
	if s == "" || s == "-" || strings.HasPrefix(s, "+") || strings.HasPrefix(s, "#") || strings.ContainsAny(s, " \t\n\"[]{}\\") || json.Valid([]byte(s)) {
		out, err := json.Marshal(s)
		if err != nil {
			panic("BUG: a text that is no JSON: " + err.Error())
		}
		return string(out)
	}
	return s
}

// same tells whether a cell that came is the one expected, both as cellOf writes them; numbers may differ by within.
func same(want, got string, start time.Time, within float64) bool {
	if want == got {
		return true
	}
	if want == "-" || got == "-" {
		return false
	}
	if w, g, ok := numbers(want, got); ok {
		return w == g || math.Abs(w-g) <= max(within, tolerance*max(math.Abs(w), math.Abs(g)))
	}
	return canonical(want, start) == canonical(got, start)
}

func numbers(a, b string) (x, y float64, ok bool) {
	if strings.HasPrefix(a, "+") || strings.HasPrefix(b, "+") {
		return 0, 0, false // times
	}
	x, err1 := strconv.ParseFloat(a, 64)
	y, err2 := strconv.ParseFloat(b, 64)
	return x, y, err1 == nil && err2 == nil
}

// canonical writes equal texts, and equal times, alike.
func canonical(cell string, start time.Time) string {
	if strings.HasPrefix(cell, "+") {
		if d, ok := offset(cell); ok {
			return start.Add(d).UTC().Format(time.RFC3339Nano)
		}
	}
	var s string
	if json.Unmarshal([]byte(cell), &s) == nil {
		cell = s
	}
	if t, err := time.Parse(time.RFC3339Nano, cell); err == nil {
		return t.UTC().Format(time.RFC3339Nano)
	}
	return cell
}

// diff is the rows that differ.
type diff struct {
	columns []string
	missing [][]string
	extra   [][]string
	order   string // "" or what is wrong with the order
	came    int
}

func (d *diff) empty() bool { return len(d.missing)+len(d.extra) == 0 && d.order == "" }

// compare holds rows that came against the expected ones.
func compare(want *table, got [][]string, x *expectBlock, start time.Time) *diff {
	d := &diff{columns: want.columns, came: len(got)}
	equal := func(a, b []string) bool {
		return slices.EqualFunc(a, b, func(w, g string) bool { return same(w, g, start, x.Tolerance) })
	}
	if x.Ordered && !x.Contains && len(got) == len(want.rows) {
		for i := range got {
			if !equal(want.rows[i], got[i]) {
				d.order = fmt.Sprintf("row %d is another one", i+1)
				d.missing, d.extra = append(d.missing, want.rows[i]), append(d.extra, got[i])
			}
		}
		return d
	}
	left := slices.Clone(want.rows)
	for _, row := range got {
		at := slices.IndexFunc(left, func(w []string) bool { return equal(w, row) })
		if at >= 0 {
			left = slices.Delete(left, at, at+1)
		} else if !x.Contains {
			d.extra = append(d.extra, row)
		}
	}
	d.missing = left
	return d
}

// mostShown is how many rows of each kind a message shows.
const mostShown = 12

// String writes the differences as a table with - before what is missing and
// + before what came instead.
func (d *diff) String() string {
	rows := [][]string{append([]string{" "}, d.columns...)}
	add := func(mark string, list [][]string) {
		for i, r := range list {
			if i == mostShown {
				rows = append(rows, []string{mark, fmt.Sprintf("... and %d more", len(list)-i)})
				return
			}
			rows = append(rows, append([]string{mark}, r...))
		}
	}
	add("-", d.missing)
	add("+", d.extra)
	return aligned(rows, "      ")
}

// aligned writes rows in columns.
func aligned(rows [][]string, indent string) string {
	var widths []int
	for _, r := range rows {
		for i, c := range r {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			if len(r) > 2 || i == 0 {
				widths[i] = max(widths[i], len(c))
			}
		}
	}
	var b strings.Builder
	for _, r := range rows {
		line := indent
		for i, c := range r {
			line += c
			if i < len(r)-1 {
				line += strings.Repeat(" ", max(0, widths[i]-len(c))+2)
			}
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return b.String()
}
