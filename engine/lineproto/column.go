package lineproto

import (
	"encoding/binary"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/engine/flow"
)

// nameSpecial are the characters that have a backslash before them in tags and in names of fields.
const nameSpecial = " ,="

// column is a tag or a field: what stands before its value, and its values in
// the batch that is being written.
type column struct {
	name    string
	prefix  []byte // `,name=`, escaped, padded to 16 bytes
	length  int    // of prefix, without the padding
	decimal int    // guess: decimals of the column's numbers

	kind    arrow.Type
	valid   arrow.Array // nil when the column holds no nulls
	f64     []float64
	i64     []int64
	stamps  []arrow.Timestamp
	bools   *array.Boolean
	offsets []int32
	base    int32
	bytes   []byte
	other   arrow.Array
}

func newColumn(name string) column {
	p := append(appendEscaped([]byte{','}, []byte(name), nameSpecial), '=')
	c := column{name: name, length: len(p), prefix: make([]byte, max(16, len(p)))}
	copy(c.prefix, p)
	return c
}

func (c *column) bind(a arrow.Array) {
	c.kind, c.valid, c.other = a.DataType().ID(), nil, a
	if a.NullN() > 0 {
		c.valid = a
	}
	switch a := a.(type) {
	case *array.Float64:
		c.f64 = a.Float64Values()
	case *array.Int64:
		c.i64 = a.Int64Values()
	case *array.Timestamp:
		c.stamps = a.TimestampValues()
	case *array.Boolean:
		c.bools = a
	case *array.String:
		c.offsets, c.bytes = a.ValueOffsets(), a.ValueBytes()
		if len(c.offsets) > 0 {
			c.base = c.offsets[0] // of a sliced column; its bytes start there
		}
	}
}

// start writes what stands before the value; dst has room for it.
func (c *column) start(dst []byte) []byte {
	n := len(dst)
	if c.length <= 16 {
		to, from := dst[n:n+16], c.prefix[:16]
		binary.LittleEndian.PutUint64(to, binary.LittleEndian.Uint64(from))
		binary.LittleEndian.PutUint64(to[8:], binary.LittleEndian.Uint64(from[8:]))
		return dst[:n+c.length]
	}
	return append(dst, c.prefix...)
}

// tag appends a tag unless its value is empty, and leaves room bytes behind it. ok is false
// when the value cannot be written.
func (c *column) tag(dst []byte, row, room int) (out []byte, ok bool) {
	if c.kind != arrow.STRING {
		text := c.text(row)
		return flow.Grow(appendEscaped(c.start(dst), []byte(text), nameSpecial), room), true
	}
	s := c.bytes[c.offsets[row]-c.base : c.offsets[row+1]-c.base]
	if len(s) == 0 {
		return dst, true // to InfluxDB, a tag without a value is no tag
	}
	if s[len(s)-1] == '\\' {
		return dst, false
	}
	dst = flow.Grow(c.start(dst), len(s)+8+room)
	n := len(dst)
	b := dst[:cap(dst)]
	i := 0
	for ; i+8 <= len(s); i += 8 {
		w := binary.LittleEndian.Uint64(s[i:])
		if unsafeInName(w) {
			return flow.Grow(appendEscaped(b[:n], s[i:], nameSpecial), room), true
		}
		binary.LittleEndian.PutUint64(b[n:], w)
		n += 8
	}
	for ; i < len(s); i++ {
		if c := s[i]; c <= 0x20 || c >= 0x80 || c == ',' || c == '=' {
			return flow.Grow(appendEscaped(b[:n], s[i:], nameSpecial), room), true
		}
		b[n] = s[i]
		n++
	}
	return b[:n], true
}

// text is the value of a tag that is no text.
func (c *column) text(row int) string {
	switch c.kind {
	case arrow.FLOAT64:
		return strconv.FormatFloat(c.f64[row], 'g', -1, 64)
	case arrow.INT64:
		return strconv.FormatInt(c.i64[row], 10)
	case arrow.BOOL:
		return strconv.FormatBool(c.bools.Value(row))
	case arrow.TIMESTAMP:
		return string(flow.AppendTime(nil, int64(c.stamps[row])))
	}
	return string(flow.AppendJSONValue(nil, c.other, row))
}

// field appends a field and leaves room bytes behind it; reason says why it could not be written.
func (c *column) field(dst []byte, row, room int) (out []byte, reason string) {
	switch c.kind {
	case arrow.FLOAT64:
		v := c.f64[row]
		if math.Float64bits(v)>>52&0x7ff == 0x7ff {
			return dst, "InfluxDB has no " + strconv.FormatFloat(v, 'g', -1, 64)
		}
		dst = c.start(dst)
		n := len(dst)
		return dst[:n+flow.PutFloat(dst[n:cap(dst)], v, &c.decimal)], ""
	case arrow.INT64:
		dst = c.start(dst)
		n := len(dst)
		n += flow.PutInt(dst[n:cap(dst)], c.i64[row])
		dst = dst[:n+1]
		dst[n] = 'i'
		return dst, ""
	case arrow.BOOL:
		if c.bools.Value(row) {
			return append(c.start(dst), "true"...), ""
		}
		return append(c.start(dst), "false"...), ""
	case arrow.TIMESTAMP:
		us := int64(c.stamps[row])
		if us < MinTime || us > MaxTime {
			return dst, "it is outside of what InfluxDB can hold, 1677-09-21 to 2262-04-11"
		}
		return append(flow.AppendInt(c.start(dst), us*1000), 'i'), ""
	case arrow.STRING:
		s := c.bytes[c.offsets[row]-c.base : c.offsets[row+1]-c.base]
		return flow.Grow(appendText(flow.Grow(c.start(dst), len(s)+10), s), room), ""
	}
	return flow.Grow(appendText(c.start(dst), flow.AppendJSONValue(nil, c.other, row)), room), ""
}

// appendText appends a text between quotes. dst has room for it if nothing
// need be escaped.
func appendText(dst, s []byte) []byte {
	n := len(dst)
	dst = flow.Grow(dst, len(s)+10)
	b := dst[:cap(dst)]
	b[n] = '"'
	n++
	i := 0
	for ; i+8 <= len(s); i += 8 {
		w := binary.LittleEndian.Uint64(s[i:])
		if unsafeInText(w) {
			return appendTextRest(b[:n], s[i:])
		}
		binary.LittleEndian.PutUint64(b[n:], w)
		n += 8
	}
	for ; i < len(s); i++ {
		if c := s[i]; c >= 0x80 || c == '"' || c == '\\' {
			return appendTextRest(b[:n], s[i:])
		}
		b[n] = s[i]
		n++
	}
	b[n] = '"'
	return b[:n+1]
}

func appendTextRest(dst, s []byte) []byte {
	for len(s) > 0 {
		c := s[0]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRune(s)
			dst, s = utf8.AppendRune(dst, r), s[size:]
			continue
		}
		if c == '"' || c == '\\' {
			dst = append(dst, '\\')
		}
		dst, s = append(dst, c), s[1:]
	}
	return append(dst, '"')
}

const ones, high = 0x0101010101010101, 0x8080808080808080

// unsafeInName reports whether one of eight bytes is a space, a control character, a comma,
// an equals sign or not ASCII. A byte below x sets its high bit in w - x*ones unless a borrow
// reaches it, and a borrow only comes from a byte that set its own; so the
// answer for the word is exact (Warren, Hacker's Delight, 6-1).
func unsafeInName(w uint64) bool {
	comma, equals := w^','*ones, w^'='*ones
	return (w|(w-0x21*ones)|(comma-ones)&^comma|(equals-ones)&^equals)&high != 0
}

// unsafeInText reports whether one of eight bytes is a quote, a backslash or not ASCII.
func unsafeInText(w uint64) bool {
	quote, slash := w^'"'*ones, w^'\\'*ones
	return (w|(quote-ones)&^quote|(slash-ones)&^slash)&high != 0
}
