package wasm

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow/bitutil"
)

// guest reads what a guest has written. Nothing that it says is believed before
// it was checked; the first mistake stays.
type guest struct {
	mem []byte
	err error
}

func (g *guest) fail(format string, args ...any) {
	if g.err == nil {
		g.err = &failure{"it broke the contract: " + fmt.Sprintf(format, args...)}
	}
}

// span returns n bytes at a place. part and what name it in a message.
func (g *guest) span(at uint32, n int64, part, what string) []byte {
	if g.err != nil {
		return nil
	}
	if n < 0 || n > int64(len(g.mem)) || int64(at)+n > int64(len(g.mem)) {
		g.fail("%s%s is %d bytes at %d, in a memory of %d", part, what, n, at, len(g.mem))
		return nil
	}
	return g.mem[at : int64(at)+n : int64(at)+n]
}

// column is a column of a guest's, checked; its slices point into the guest's memory.
type column struct {
	typ      columnType
	n        int
	offset   int
	validity []byte // nil: no nulls
	nulls    int
	data     []byte // of numbers: from the first value on
	offsets  []byte // of texts: from the first offset on
}

// header is an ArrowArray as it stands.
type header struct {
	length, nulls, offset int64
	buffers, children     []byte // pointers
}

func (g *guest) header(at uint32, what string, buffers, children int) (h header) {
	b := g.span(at, arrayBytes, "", what)
	if b == nil {
		return h
	}
	i64 := func(i int) int64 { return int64(binary.LittleEndian.Uint64(b[i:])) }
	h = header{length: i64(0), nulls: i64(8), offset: i64(16)}
	switch {
	case at == 0:
		g.fail("%s is missing", what)
	case h.length < 0 || h.offset < 0 || h.length > 1<<31 || h.offset > 1<<31:
		g.fail("%s has length %d and offset %d", what, h.length, h.offset)
	case h.nulls < -1 || h.nulls > h.length:
		g.fail("%s has %d nulls among %d values", what, h.nulls, h.length)
	case i64(24) != int64(buffers):
		g.fail("%s has %d buffers; it takes %d", what, i64(24), buffers)
	case i64(32) != int64(children):
		g.fail("%s has %d children; it takes %d", what, i64(32), children)
	}
	h.buffers = g.span(binary.LittleEndian.Uint32(b[40:]), int64(4*buffers), "the buffers of ", what)
	if children > 0 {
		h.children = g.span(binary.LittleEndian.Uint32(b[44:]), int64(4*children), "the children of ", what)
	}
	return h
}

func pointer(b []byte, i int) uint32 { return binary.LittleEndian.Uint32(b[4*i:]) }

// column reads a column of n values.
func (g *guest) column(at uint32, what string, t columnType, n int, nullable bool) (c column) {
	buffers := 2
	if t == text || t == raw {
		buffers = 3
	}
	h := g.header(at, what, buffers, 0)
	if g.err == nil && h.length != int64(n) {
		g.fail("%s has %d values; there are %d rows", what, h.length, n)
	}
	if g.err != nil {
		return c
	}
	c = column{typ: t, n: n, offset: int(h.offset)}
	end := h.offset + h.length
	if v := pointer(h.buffers, 0); v != 0 {
		c.validity = g.span(v, (end+7)/8, "the validity of ", what)
	}
	if g.err == nil {
		g.nulls(&c, h.nulls, what, nullable)
	}
	switch t {
	case boolean:
		c.data = g.span(pointer(h.buffers, 1), (end+7)/8, "the data of ", what)
	case text, raw:
		g.texts(&c, h, what)
	case rowNumber:
		c.data = g.values(h, 4, what)
	default:
		c.data = g.values(h, 8, what)
	}
	return c
}

// values returns the data of fixed width, from the first value on.
func (g *guest) values(h header, width int64, what string) []byte {
	b := g.span(pointer(h.buffers, 1), (h.offset+h.length)*width, "the data of ", what)
	if b == nil {
		return nil
	}
	return b[h.offset*width:]
}

func (g *guest) nulls(c *column, said int64, what string, nullable bool) {
	if c.validity != nil {
		c.nulls = c.n - bitutil.CountSetBits(c.validity, c.offset, c.n)
		if c.nulls == 0 {
			c.validity = nil
		}
	}
	if said >= 0 && said != int64(c.nulls) {
		g.fail("%s says that it has %d nulls; it has %d", what, said, c.nulls)
	}
	if c.nulls > 0 && !nullable {
		g.fail("%s has %d nulls; its manifest does not say nullable", what, c.nulls)
	}
}

// texts checks offsets and data of strings.
func (g *guest) texts(c *column, h header, what string) {
	b := g.span(pointer(h.buffers, 1), 4*(h.offset+h.length+1), "the offsets of ", what)
	if b == nil {
		return
	}
	c.offsets = b[4*h.offset:]
	last := int32(0)
	for i := range c.n + 1 {
		o := int32(binary.LittleEndian.Uint32(c.offsets[4*i:]))
		if o < last {
			g.fail("the offsets of %s fall from %d to %d", what, last, o)
			return
		}
		last = o
	}
	c.data = g.span(pointer(h.buffers, 2), int64(last), "the data of ", what)
	if g.err != nil || c.typ == raw {
		return
	}
	first := c.at(0)
	if !utf8.Valid(c.data[first:]) {
		g.fail("%s is not UTF-8", what)
	}
	for i := range c.n {
		if o := c.at(i); int(o) < len(c.data) && !utf8.RuneStart(c.data[o]) {
			g.fail("%s is not UTF-8: a character is split between two values", what)
			return
		}
	}
}

// at is an offset of a column of texts.
func (c *column) at(i int) int32 { return int32(binary.LittleEndian.Uint32(c.offsets[4*i:])) }

func (c *column) valid(i int) bool {
	return c.validity == nil || c.validity[(c.offset+i)>>3]>>((c.offset+i)&7)&1 != 0
}

func (c *column) bytes(i int) []byte { return c.data[c.at(i):c.at(i+1)] }

// rowNumber is the type of _row and of keys.
const rowNumber columnType = 100

// answer is a result that was checked.
type answer struct {
	rows    int
	from    column // _row, of transform and decode
	columns []column
	rejects *column
	size    int
}

// maxResultBytes limits what one batch may come to. Columns can point to the same
// bytes, so the memory's limit is none for them.
const maxResultBytes = 64 << 20

// answer reads the result of a batch of n rows. room is for its columns.
func (g *guest) answer(at uint32, m *Manifest, n int, room []column) (a answer) {
	a.columns = room[:0]
	b := g.span(at, resultBytes, "", "the result")
	if g.err != nil {
		return a
	}
	rows, rejects := pointer(b, 0), pointer(b, 1)
	if rejects != 0 {
		c := g.column(rejects, "rejects", text, n, true)
		a.rejects = &c
	}
	many := m.Kind == Transform || m.Kind == Decode
	children := len(m.Writes)
	if many {
		children++
	}
	h := g.header(rows, "rows", 1, children)
	if g.err != nil {
		return a
	}
	a.rows = int(h.length)
	switch {
	case h.offset != 0 || h.nulls > 0 || pointer(h.buffers, 0) != 0:
		g.fail("rows has an offset or nulls")
	case !many && a.rows != n:
		g.fail("rows has %d rows; the batch has %d", a.rows, n)
	case a.rows > n*m.MaxRows:
		g.fail("rows has %d rows; %d rows in and max_rows %d allow %d", a.rows, n, m.MaxRows, n*m.MaxRows)
	}
	first := 0
	if many && g.err == nil {
		first = 1
		a.from = g.column(pointer(h.children, 0), "_row", rowNumber, a.rows, false)
		g.from(&a, m, n)
	}
	for i, w := range m.Writes {
		if g.err != nil {
			break
		}
		t, _ := typeOf(w.Type)
		c := g.column(pointer(h.children, first+i), w.Name, t, a.rows, w.Nullable)
		a.columns = append(a.columns, c)
		if a.size += len(c.data) + len(c.offsets); a.size > maxResultBytes {
			g.fail("the result has more than %d bytes; columns may overlap, but not so often", maxResultBytes)
		}
	}
	return a
}

// from checks _row.
func (g *guest) from(a *answer, m *Manifest, n int) {
	last, run := uint32(0), 0
	for i := range a.rows {
		if g.err != nil {
			return
		}
		r := a.row(i)
		run++
		if i == 0 || r != last {
			run = 1
		}
		switch {
		case r < last:
			g.fail("_row falls from %d to %d", last, r)
		case int64(r) >= int64(n):
			g.fail("_row is %d; the batch has %d rows", r, n)
		case run > m.MaxRows:
			g.fail("row %d has %d rows and more; max_rows is %d", r, run, m.MaxRows)
		case a.rejects != nil && a.rejects.valid(int(r)):
			g.fail("row %d is refused and has rows too", r)
		}
		last = r
	}
}

// row is the input row of an output row of a transform.
func (a *answer) row(i int) uint32 { return binary.LittleEndian.Uint32(a.from.data[4*i:]) }
