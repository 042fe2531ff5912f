package flow

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// JSONEncoder writes the rows of one schema as JSON objects: columns in the
// schema's order, the column "a.b" as member b of an object a that stands where
// the first column of a stands, nulls as null, numbers as the shortest decimal
// that reads back as the same value, times in RFC 3339 with at most six
// decimals. NaN and infinities, which JSON lacks, are null. It belongs to one
// goroutine: it remembers guesses about the columns.
type JSONEncoder struct {
	schema *arrow.Schema
	cols   []jsonColumn
	tail   []byte // what closes the object
	room   int    // the most bytes that a row takes, strings and lists apart
}

// A jsonColumn is a leaf of the object, with everything that stands between
// the value before it and its own.
type jsonColumn struct {
	at      int // in the schema
	kind    arrow.Type
	prefix  []byte // such as `,"name":`, padded to 16 bytes
	length  int    // of prefix, without the padding
	decimal int    // guess: decimals of the column's numbers
	clock   clockCache
	mark    bool // the _mark column

	// Of the batch that is being written.
	valid   arrow.Array // nil when the column holds no nulls
	f64     []float64
	i64     []int64
	stamps  []arrow.Timestamp
	offsets []int32
	base    int32
	bytes   []byte
	other   arrow.Array
}

// Every value other than a string, a list or a time outside RFC 3339 fits in this many bytes.
const jsonScalarRoom = 40

// NewJSONEncoder returns an encoder of batches with this schema. The metadata
// columns are left out unless meta is set.
func NewJSONEncoder(schema *arrow.Schema, meta bool) *JSONEncoder {
	e := &JSONEncoder{schema: schema}
	root := &jsonNode{}
	for i, f := range schema.Fields() {
		if i >= MetaColumns || meta {
			root.add(f.Name, i)
		}
	}
	pending := e.flatten(root, nil)
	if len(e.cols) == 0 {
		pending = []byte("{}")
	}
	e.tail = pending
	e.room = len(e.tail) + 16
	for i := range e.cols {
		e.room += e.cols[i].length + 16 + jsonScalarRoom
	}
	return e
}

// jsonNode is a member of the object that a schema describes.
type jsonNode struct {
	name string
	at   int // column, for a leaf
	leaf bool
	kids []*jsonNode
}

// add puts a column into the tree. A column whose path is blocked by another
// column, such as a.b beside a, keeps its dotted name as one member.
func (n *jsonNode) add(name string, at int) {
	path := strings.Split(name, ".")
	if slices.Contains(path, "") {
		path = []string{name}
	}
	node := n
	for i, part := range path {
		kid := node.kid(part)
		last := i == len(path)-1
		if kid != nil && (kid.leaf || last) {
			n.kids = append(n.kids, &jsonNode{name: name, at: at, leaf: true})
			return
		}
		if kid == nil {
			kid = &jsonNode{name: part, at: at, leaf: last}
			node.kids = append(node.kids, kid)
		}
		node = kid
	}
}

func (n *jsonNode) kid(name string) *jsonNode {
	for _, k := range n.kids {
		if k.name == name {
			return k
		}
	}
	return nil
}

// flatten appends the leaves below n to e.cols, and returns what has to be
// written after the last of them. pending is what has to be written before n.
func (e *JSONEncoder) flatten(n *jsonNode, pending []byte) []byte {
	pending = append(pending, '{')
	for i, kid := range n.kids {
		if i > 0 {
			pending = append(pending, ',')
		}
		pending = append(AppendJSONString(pending, kid.name), ':')
		if !kid.leaf {
			pending = e.flatten(kid, pending)
			continue
		}
		c := jsonColumn{
			at: kid.at, kind: e.schema.Field(kid.at).Type.ID(), mark: kid.at == ColMark,
			prefix: make([]byte, max(16, len(pending))), length: len(pending),
		}
		copy(c.prefix, pending)
		e.cols = append(e.cols, c)
		pending = pending[:0]
	}
	return append(pending, '}')
}

// AppendRows appends all rows of a batch to dst as lines (NDJSON).
func (e *JSONEncoder) AppendRows(dst []byte, rows arrow.RecordBatch) []byte {
	e.bind(rows)
	for row := range int(rows.NumRows()) {
		dst = append(e.appendRow(dst, row), '\n')
	}
	return dst
}

// AppendRow appends one row of a batch to dst, without a line end.
func (e *JSONEncoder) AppendRow(dst []byte, rows arrow.RecordBatch, row int) []byte {
	e.bind(rows)
	return e.appendRow(dst, row)
}

func (e *JSONEncoder) bind(rows arrow.RecordBatch) {
	if rows.Schema() != e.schema && !rows.Schema().Equal(e.schema) {
		panic("BUG: a JSON encoder got a batch of another schema")
	}
	for i := range e.cols {
		c := &e.cols[i]
		a := rows.Column(c.at)
		c.valid = nil
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
		case *array.String:
			// ValueOffsets of an empty array may be empty; no row asks for them then.
			c.offsets, c.bytes = a.ValueOffsets(), a.ValueBytes()
			if len(c.offsets) > 0 {
				c.base = c.offsets[0] // of a sliced column; its bytes start there
			}
		default:
			c.other = a
		}
	}
}

func (e *JSONEncoder) appendRow(dst []byte, row int) []byte {
	n := len(dst)
	if cap(dst)-n < e.room {
		dst = grow(dst, e.room)
	}
	b := dst[:cap(dst)]
	for i := range e.cols {
		c := &e.cols[i]
		if c.length <= 16 {
			to := b[n : n+16]
			from := c.prefix[:16]
			binary.LittleEndian.PutUint64(to, binary.LittleEndian.Uint64(from))
			binary.LittleEndian.PutUint64(to[8:], binary.LittleEndian.Uint64(from[8:]))
		} else {
			copy(b[n:], c.prefix)
		}
		n += c.length
		if c.valid != nil && c.valid.IsNull(row) {
			n += copy(b[n:], "null")
			continue
		}
		switch c.kind {
		case arrow.FLOAT64:
			n += putFloat(b[n:], c.f64[row], &c.decimal)
		case arrow.INT64:
			if v := c.i64[row]; c.mark && (v == NoMark || v == EndMark) {
				n += copy(b[n:], "null")
			} else {
				n += putInt(b[n:], v)
			}
		case arrow.TIMESTAMP:
			b[n] = '"'
			n += 1 + c.clock.put(b[n+1:], int64(c.stamps[row]))
			b[n] = '"'
			n++
		case arrow.BOOL:
			if c.other.(*array.Boolean).Value(row) {
				n += copy(b[n:], "true")
			} else {
				n += copy(b[n:], "false")
			}
		case arrow.STRING:
			s := c.bytes[c.offsets[row]-c.base : c.offsets[row+1]-c.base]
			dst = appendString(b[:n], s, e.room)
			n, b = len(dst), dst[:cap(dst)]
		default:
			dst = grow(c.appendOther(b[:n], row), e.room)
			n, b = len(dst), dst[:cap(dst)]
		}
	}
	n += copy(b[n:], e.tail)
	return b[:n]
}

// appendOther writes values of the types that are rare.
func (c *jsonColumn) appendOther(dst []byte, row int) []byte {
	switch a := c.other.(type) {
	case *array.Boolean:
		if a.Value(row) {
			return append(dst, "true"...)
		}
		return append(dst, "false"...)
	case *array.List:
		from, to := a.ValueOffsets(row)
		elem := jsonColumn{other: a.ListValues()}
		dst = append(dst, '[')
		for i := from; i < to; i++ {
			if i > from {
				dst = append(dst, ',')
			}
			if elem.other.IsNull(int(i)) {
				dst = append(dst, "null"...)
				continue
			}
			dst = elem.appendOther(dst, int(i))
		}
		return append(dst, ']')
	case *array.String:
		return appendString(dst, []byte(a.Value(row)), 0)
	case *array.Float64:
		return AppendFloat(dst, a.Value(row))
	case *array.Int64:
		return AppendInt(dst, a.Value(row))
	case *array.Int32:
		return AppendInt(dst, int64(a.Value(row)))
	case *array.Uint32:
		return AppendInt(dst, int64(a.Value(row)))
	case *array.Timestamp:
		return append(AppendTime(append(dst, '"'), int64(a.Value(row))), '"')
	}
	panic("BUG: a column of type " + c.other.DataType().String() + " travels")
}

// AppendJSONValue appends value i of a column as JSON. It is not for hot paths.
func AppendJSONValue(dst []byte, a arrow.Array, i int) []byte {
	if a.IsNull(i) {
		return append(dst, "null"...)
	}
	c := jsonColumn{other: a}
	return c.appendOther(dst, i)
}

// AppendJSONString appends s as a JSON string. Bytes that are not UTF-8 become U+FFFD.
func AppendJSONString(dst []byte, s string) []byte { return appendString(dst, []byte(s), 0) }

// appendString appends a JSON string and leaves room bytes of capacity behind it.
func appendString(dst, s []byte, room int) []byte {
	dst = grow(dst, len(s)+2+room)
	n := len(dst)
	b := dst[:cap(dst)]
	b[n] = '"'
	n++
	i := 0
	for ; i+8 <= len(s); i += 8 {
		w := binary.LittleEndian.Uint64(s[i:])
		if unsafeInJSON(w) {
			return grow(appendEscaped(b[:n], s[i:]), room)
		}
		binary.LittleEndian.PutUint64(b[n:], w)
		n += 8
	}
	for ; i < len(s); i++ {
		if c := s[i]; c < 0x20 || c >= 0x80 || c == '"' || c == '\\' {
			return grow(appendEscaped(b[:n], s[i:]), room)
		}
		b[n] = s[i]
		n++
	}
	b[n] = '"'
	return b[:n+1]
}

// unsafeInJSON reports whether one of eight bytes is a control character, a
// quote, a backslash or not ASCII. A byte below x sets its high bit in
// w - x*ones unless a borrow reaches it, and a borrow only comes from a byte
// that set its own; so the answer for the word is exact.
func unsafeInJSON(w uint64) bool {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	quote := w ^ '"'*ones
	slash := w ^ '\\'*ones
	return (w|(w-0x20*ones)|(quote-ones)&^quote|(slash-ones)&^slash)&high != 0
}

// grow makes sure that dst has n bytes of spare capacity.
func grow(dst []byte, n int) []byte {
	if cap(dst)-len(dst) >= n {
		return dst
	}
	to := make([]byte, len(dst), max(2*cap(dst), len(dst)+n, 512))
	copy(to, dst)
	return to
}

// AppendFloat appends v as a JSON number, or null for NaN and infinities.
func AppendFloat(dst []byte, v float64) []byte {
	dst = grow(dst, jsonScalarRoom)
	guess := 2
	return dst[:len(dst)+putFloat(dst[len(dst):cap(dst)], v, &guess)]
}

// AppendInt appends v in decimal.
func AppendInt(dst []byte, v int64) []byte {
	dst = grow(dst, jsonScalarRoom)
	return dst[:len(dst)+putInt(dst[len(dst):cap(dst)], v)]
}

// AppendTime appends a time, us since 1970, in RFC 3339, UTC, with at most six
// decimals. Years outside 0 to 9999 have a sign and six digits, as in ISO 8601.
func AppendTime(dst []byte, us int64) []byte {
	dst = grow(dst, jsonScalarRoom)
	cache := clockCache{}
	return dst[:len(dst)+cache.put(dst[len(dst):cap(dst)], us)]
}

// NumberRoom is how many bytes PutFloat and PutInt may need.
const NumberRoom = jsonScalarRoom

// PutFloat writes a number that is finite into b, as AppendFloat would, and returns how many bytes
// it took. guess, 0 at first, is what one column's numbers have taught about their decimals.
func PutFloat(b []byte, v float64, guess *int) int { return putFloat(b, v, guess) }

// PutInt writes v in decimal into b and returns how many bytes it took.
func PutInt(b []byte, v int64) int { return putInt(b, v) }

// Grow makes sure that dst has n bytes of spare capacity.
func Grow(dst []byte, n int) []byte { return grow(dst, n) }

func putInt(b []byte, v int64) int {
	n := 0
	u := uint64(v)
	if v < 0 {
		b[0] = '-'
		n, u = 1, -u
	}
	if u < 1e8 {
		x := digits8(u)
		first := min(bits.TrailingZeros64(x)/8, 7)
		binary.LittleEndian.PutUint64(b[n:], (x|asciiZeros)>>(8*first&63))
		return n + 8 - first
	}
	d := digitCount(u)
	putDigits(b[n:n+d], u)
	return n + d
}

// isPlain reports whether v is a number that JSON can write.
func isPlain(v float64) bool { return math.Float64bits(v)>>52&0x7ff != 0x7ff }
