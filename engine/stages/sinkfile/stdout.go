package sinkfile

import (
	"context"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/engine/flow"
	"github.com/tidemill/tidemill/engine/stage"
)

// stdoutSink writes whole lines, a batch in one write, so that several of
// them do not tear each other's lines.
type stdoutSink struct {
	to   io.Writer
	buf  []byte
	enc  encoder
	view table
}

func openStdout(o stage.Opening, opts options) stage.Sink {
	_, plain := o.Env.Var("NO_COLOR")
	info, err := os.Stdout.Stat()
	colour := !plain && err == nil && info.Mode()&os.ModeCharDevice != 0
	return newStdout(os.Stdout, opts, colour)
}

func newStdout(to io.Writer, opts options, colour bool) *stdoutSink {
	return &stdoutSink{to: to, enc: encoder{opts: opts, empty: true}, view: table{opts: opts, colour: colour, last: -1}}
}

func (s *stdoutSink) Write(_ context.Context, in int, rows arrow.RecordBatch) error {
	if s.enc.opts.table {
		s.buf = s.view.rows(s.buf[:0], in, rows)
	} else {
		s.buf = s.enc.rows(s.buf[:0], in, rows)
	}
	_, err := s.to.Write(s.buf)
	return err
}

func (s *stdoutSink) Prepare(context.Context, uint64) ([]byte, error) {
	return []byte{tokenVersion}, nil
}
func (s *stdoutSink) Commit(context.Context, []byte) error  { return nil }
func (s *stdoutSink) Recover(context.Context, []byte) error { return nil }
func (s *stdoutSink) Close() error                          { return nil }

// table lays rows out for people: a header where the columns change, columns
// as wide as what has been seen, numbers to the right.
type table struct {
	opts   options
	colour bool
	last   int      // input whose header was written last
	header []string // that header
	width  []int
}

// maxCell is how many characters of a cell are shown.
const maxCell = 48

func (t *table) rows(dst []byte, in int, rows arrow.RecordBatch) []byte {
	if rows.NumRows() == 0 {
		return dst
	}
	cols := t.opts.columns(rows.Schema())
	var head []string
	for _, c := range cols {
		head = append(head, rows.Schema().Field(c).Name)
	}
	lines := make([][]string, rows.NumRows())
	for row := range lines {
		for _, c := range cols {
			lines[row] = append(lines[row], cell(rows.Column(c), row))
		}
	}
	same := in == t.last && strings.Join(head, "\n") == strings.Join(t.header, "\n")
	if !same {
		t.width = make([]int, len(cols))
	}
	for _, line := range append(lines, head) {
		for i, w := range line {
			t.width[i] = max(t.width[i], utf8.RuneCountInString(w))
		}
	}
	if !same {
		dst = t.head(dst, in, head)
		t.last, t.header = in, head
	}
	for _, line := range lines {
		for i, w := range line {
			right := rightAligned(rows.Schema().Field(cols[i]).Type)
			dst = pad(dst, w, t.width[i], right, i == len(line)-1)
		}
		dst = append(dst, '\n')
	}
	return dst
}

func (t *table) head(dst []byte, in int, head []string) []byte {
	if t.last >= 0 {
		dst = append(dst, '\n')
	}
	if t.colour {
		dst = append(dst, "\x1b[2m"...)
	}
	if len(t.opts.inputs) > 1 && in < len(t.opts.inputs) {
		dst = append(append(dst, t.opts.inputs[in]...), '\n')
	}
	for i, w := range head {
		dst = pad(dst, w, t.width[i], false, i == len(head)-1)
	}
	if t.colour {
		dst = append(dst, "\x1b[0m"...)
	}
	return append(dst, '\n')
}

func pad(dst []byte, w string, width int, right, last bool) []byte {
	gap := width - utf8.RuneCountInString(w)
	if right {
		dst = append(dst, strings.Repeat(" ", gap)...)
	}
	dst = append(dst, w...)
	if last {
		return dst
	}
	if !right {
		dst = append(dst, strings.Repeat(" ", gap)...)
	}
	return append(dst, "  "...)
}

func rightAligned(t arrow.DataType) bool {
	return t.ID() == arrow.FLOAT64 || t.ID() == arrow.INT64 || t.ID() == arrow.INT32 || t.ID() == arrow.UINT32
}

// digits is how many significant digits of a number are shown. The others are mostly
// what rounding leaves: -0.10999999999999943 of 1.7 - 1.81.
const digits = 12

// cell is a value as a person wants it: no line breaks, not too long.
func cell(a arrow.Array, row int) string {
	if a.IsNull(row) {
		return "-"
	}
	if a, ok := a.(*array.Float64); ok {
		short, _ := strconv.ParseFloat(strconv.FormatFloat(a.Value(row), 'g', digits, 64), 64) // always a number: the greatest rounds down
		return string(flow.AppendFloat(nil, short))
	}
	s := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '\u00b7' // control characters would move the cursor about
		}
		return r
	}, string(appendBare(nil, a, row)))
	if utf8.RuneCountInString(s) > maxCell {
		s = string([]rune(s)[:maxCell-1]) + "\u2026"
	}
	return s
}

var _ stage.Sink = (*stdoutSink)(nil)
