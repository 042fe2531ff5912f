package lineproto

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/engine/flow"
)

// Precision is the unit of the timestamps.
type Precision uint8

const (
	// Micros is what the engine's times have; nothing is rounded.
	Micros Precision = iota
	// Nanos are micros with three zeros.
	Nanos
	// Millis and Seconds round down, so that points of one unit become one.
	Millis
	Seconds
)

// Times outside these, us since 1970, do not fit 64 bits of nanoseconds. The lowest two
// and the highest nanosecond have other meanings to InfluxDB.
const (
	MinTime = math.MinInt64/1000 + 1
	MaxTime = math.MaxInt64/1000 - 1
)

// Layout says what stands in a line. Names are as they shall be read back.
type Layout struct {
	Measurement string   // "": each row has its own, in Rows.Measurement
	Tags        []string // written sorted by name, as InfluxDB likes them best
	Fields      []string
	Precision   Precision
}

// Rows are the columns of a layout, borrowed. Tags, fields and
// measurements are of the types that travel, lists excepted.
type Rows struct {
	Measurement *array.String
	Tags        []arrow.Array // as Layout.Tags
	Fields      []arrow.Array // as Layout.Fields
	Times       *array.Timestamp
}

// Lines is what Append has written of a batch. Row i is Text[Ends[i-1]:Ends[i]], with its
// line end, and empty when a Problem tells why. Its first Heads[i] bytes name its series.
type Lines struct {
	Text  []byte
	Ends  []int
	Heads []int32
}

// Reset empties l and keeps its memory.
func (l *Lines) Reset() { l.Text, l.Ends, l.Heads = l.Text[:0], l.Ends[:0], l.Heads[:0] }

// Problem is a value, or a whole row, that cannot be written.
type Problem struct {
	Row    int
	Field  string // "": the row is not written
	Reason string
}

// Encoder writes the rows of one layout. It belongs to one goroutine: it remembers guesses
// about the columns.
type Encoder struct {
	layout   Layout
	head     []byte // the measurement, escaped; nil: each row has its own
	tags     []column
	fields   []column
	order    []int // tags of the layout, sorted by name
	room     int   // the most bytes that a row takes, texts apart
	problems []Problem
}

// NewEncoder checks the names of a layout.
func NewEncoder(l Layout) (*Encoder, error) {
	e := &Encoder{layout: l}
	if l.Measurement != "" {
		if p := badMeasurement([]byte(l.Measurement)); p != "" {
			return nil, fmt.Errorf("the measurement %q %s", l.Measurement, p)
		}
		e.head = appendEscaped(nil, []byte(l.Measurement), " ,")
	}
	for i := range l.Tags {
		e.order = append(e.order, i)
	}
	slices.SortStableFunc(e.order, func(a, b int) int { return strings.Compare(l.Tags[a], l.Tags[b]) })
	seen := map[string]bool{}
	for _, i := range e.order {
		if err := checkName(l.Tags[i], seen); err != nil {
			return nil, err
		}
		e.tags = append(e.tags, newColumn(l.Tags[i]))
	}
	for _, name := range l.Fields {
		if err := checkName(name, seen); err != nil {
			return nil, err
		}
		e.fields = append(e.fields, newColumn(name))
	}
	e.room = len(e.head) + 64
	for _, c := range slices.Concat(e.tags, e.fields) {
		e.room += len(c.prefix) + 16 + flow.NumberRoom + 2
	}
	return e, nil
}

// checkName says what is wrong with the name of a tag or a field.
func checkName(name string, seen map[string]bool) error {
	switch {
	case name == "":
		return fmt.Errorf("a tag or a field has no name")
	case name == "time":
		return fmt.Errorf("InfluxDB keeps the name time for itself")
	case strings.HasSuffix(name, `\`):
		return fmt.Errorf("the name %q ends in a backslash, which line protocol cannot say", name)
	case seen[name]:
		return fmt.Errorf("there are two of the name %q", name)
	}
	seen[name] = true
	return nil
}

func badMeasurement(m []byte) string {
	switch {
	case len(m) == 0:
		return "is empty"
	case m[0] == '#':
		return "begins with #, which makes a line a comment"
	case m[len(m)-1] == '\\':
		return "ends in a backslash, which line protocol cannot say"
	}
	for i, c := range m[1:] {
		if m[i] == '\\' && (c == ',' || c == ' ' || c == '=') {
			return "has a backslash before a comma, a space or an equals sign, which servers read otherwise"
		}
	}
	return ""
}

// Append writes n rows to out. The problems are valid until the next Append.
func (e *Encoder) Append(out *Lines, rows *Rows, n int) []Problem {
	e.problems = e.problems[:0]
	if len(rows.Tags) != len(e.tags) || len(rows.Fields) != len(e.fields) {
		panic("BUG: a batch of another layout")
	}
	for i := range e.tags {
		e.tags[i].bind(rows.Tags[e.order[i]])
	}
	for i := range e.fields {
		e.fields[i].bind(rows.Fields[i])
	}
	times := rows.Times.TimestampValues()
	var noTime arrow.Array
	if rows.Times.NullN() > 0 {
		noTime = rows.Times
	}
	for row := range n {
		from := len(out.Text)
		head := 0
		switch {
		case noTime != nil && noTime.IsNull(row):
			e.problem(row, "", "the row has no time")
		case e.unit(int64(times[row])) < MinTime || times[row] > MaxTime:
			e.problem(row, "", "its time is outside of what InfluxDB can hold, 1677-09-21 to 2262-04-11")
		default:
			out.Text, head = e.row(out.Text, rows, row, int64(times[row]))
		}
		if head == 0 {
			out.Text = out.Text[:from]
		}
		out.Ends = append(out.Ends, len(out.Text))
		out.Heads = append(out.Heads, int32(head))
	}
	return e.problems
}

func (e *Encoder) problem(row int, field, reason string) {
	e.problems = append(e.problems, Problem{row, field, reason})
}

// row appends one line; head is 0 when there is none.
func (e *Encoder) row(dst []byte, rows *Rows, row int, us int64) (line []byte, head int) {
	from := len(dst)
	dst = flow.Grow(dst, e.room)
	if e.head != nil {
		dst = append(dst, e.head...)
	} else {
		if rows.Measurement.IsNull(row) {
			e.problem(row, "", "its measurement is null")
			return dst, 0
		}
		m := []byte(rows.Measurement.Value(row))
		if p := badMeasurement(m); p != "" {
			e.problem(row, "", "its measurement "+p)
			return dst, 0
		}
		dst = flow.Grow(appendEscaped(dst, m, " ,"), e.room)
	}
	for i := range e.tags {
		c := &e.tags[i]
		if c.valid != nil && c.valid.IsNull(row) {
			continue
		}
		var ok bool
		if dst, ok = c.tag(dst, row, e.room); !ok {
			e.problem(row, "", "the tag "+c.name+" ends in a backslash, which line protocol cannot say")
			return dst, 0
		}
	}
	head = len(dst)
	for i := range e.fields {
		c := &e.fields[i]
		if c.valid != nil && c.valid.IsNull(row) {
			continue
		}
		var reason string
		if dst, reason = c.field(dst, row, e.room); reason != "" {
			e.problem(row, c.name, reason)
		}
	}
	if len(dst) == head {
		e.problem(row, "", "no field of it has a value that InfluxDB can hold")
		return dst, 0
	}
	dst[head] = ' ' // in place of the first field's comma
	return e.time(dst, us), head - from
}

// unit rounds a time down to the precision, us.
func (e *Encoder) unit(us int64) int64 {
	switch e.layout.Precision {
	case Millis:
		return us - mod(us, 1000)
	case Seconds:
		return us - mod(us, 1e6)
	}
	return us
}

// time appends a timestamp and the line's end.
func (e *Encoder) time(dst []byte, us int64) []byte {
	switch us = e.unit(us); e.layout.Precision {
	case Nanos:
		us *= 1000
	case Millis:
		us /= 1000
	case Seconds:
		us /= 1e6
	}
	n := len(dst)
	b := dst[:cap(dst)]
	b[n] = ' '
	n += 1 + flow.PutInt(b[n+1:], us)
	b[n] = '\n'
	return b[:n+1]
}

// mod is the remainder that is not negative.
func mod(v, unit int64) int64 { return (v%unit + unit) % unit }

// appendEscaped appends a name with backslashes before the characters of special.
func appendEscaped(dst, name []byte, special string) []byte {
	if !utf8.Valid(name) {
		name = bytes.ToValidUTF8(name, []byte("\ufffd"))
	}
	for _, c := range name {
		switch {
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c == 0:
			dst = append(dst, '\\', '0')
		case strings.IndexByte(special, c) >= 0:
			dst = append(dst, '\\', c)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
