package decode

import (
	"bytes"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
)

// token is a value that the record had, as a plan needs it.
type token struct {
	start, end int
	col        *column // nil: ignored and counted
	depth      int     // containers open around it
}

// undo remembers what a record that fails must not leave behind.
type undo struct{ cols, rej, ignored int }

// record decodes any record, member by member.
func (d *jsonDecoder) record(rec []byte) {
	d.s, d.at, d.fault = rec, 0, ""
	d.row = d.rows
	d.ensure(d.row)
	for _, c := range d.cols {
		c.noToken(d.row) // of a plan that did not fit
	}
	d.last++
	d.stamp, d.parent = d.last, d.last
	d.list, d.prev, d.path, d.trace = -1, &d.nodes.root, d.path[:0], d.trace[:0]
	d.plain = d.c.Explode == ""
	clear(d.valueless)
	u := undo{len(d.cols), len(d.rej), d.out.Stats.Ignored}
	end := -1
	if p := d.top(); p >= 0 {
		end = d.members(p, 1)
	}
	if end >= 0 {
		if p := d.space(end); p < len(d.s) {
			end = d.expected(p, "the end of the record")
		}
	}
	if end < 0 {
		d.abandon(u, d.row+1)
		return
	}
	if d.c.Explode != "" {
		d.explode(u)
		return
	}
	d.finish(d.row)
	d.rows++
	if d.plain && len(d.cols) == u.cols { // with a new field the same bytes may mean something else now
		d.plans.learn(d)
	}
}

// NoRecord begins the text that an ingest appends in place of what is no record; the reason follows.
const NoRecord = "no record: "

// maxTold is how much of that text becomes the reason of a reject, bytes. All of it is in the reject's row.
const maxTold = 1 << 10

// top finds the object that the record should be.
func (d *jsonDecoder) top() int {
	if len(d.s) >= 3 && string(d.s[:3]) == "\xef\xbb\xbf" {
		return d.fail(0, "found a byte order mark (EF BB BF) where the object should begin; send UTF-8 without one")
	}
	p := d.space(0)
	if p == len(d.s) {
		return d.fail(p, "the record is empty; it should be a JSON object {…}")
	}
	const object = "the object {…} that a record is"
	switch c := d.s[p]; {
	case c == '{':
		return p
	case bytes.HasPrefix(d.s, []byte(NoRecord)):
		return d.fail(-1, "%s", bytes.ToValidUTF8(cut(d.s[len(NoRecord):], maxTold), []byte("\ufffd")))
	case c != '[' && c != '"' && c != '-' && c-'0' > 9:
		return d.expected(p, object)
	case d.skip(p, 0) < 0:
		return -1
	}
	return d.fail(p, "found %s where "+object+" should be", d.glimpse(p))
}

// abandon takes back everything of a record of which a fault was found: rows
// up to end, learned columns, rejects of fields.
func (d *jsonDecoder) abandon(u undo, end int) {
	if len(d.cols) > u.cols {
		for _, c := range d.cols[u.cols:] {
			c.discard()
		}
		d.cols = d.cols[:u.cols]
		d.reset()
	}
	for _, c := range d.cols {
		c.back(d.rows, end)
	}
	d.rej, d.out.Stats.Ignored, d.index = d.rej[:u.rej], u.ignored, 0
	if d.at < 0 {
		d.rejectWhole(d.fault)
		return
	}
	d.rejectWhole(fmt.Sprintf("byte %d: %s", d.at+1, d.fault))
}

// finish makes the columns null that the record, or element, did not set.
func (d *jsonDecoder) finish(row int) {
	for _, c := range d.cols {
		if c.stamp != d.stamp && c.stamp != d.parent {
			c.setNull(row)
		}
	}
}

// members reads the object at p, the depth-th container. d.path is its name
// and a dot, or nothing.
func (d *jsonDecoder) members(p, depth int) int {
	if !d.enter(p, depth) {
		return -1
	}
	base := len(d.path)
	for first := true; ; first = false {
		p = d.space(p + 1)
		if first && p < len(d.s) && d.s[p] == '}' {
			return p + 1
		}
		var long bool
		if p, long = d.name(p); p < 0 {
			return -1
		}
		var end int
		if long {
			end = d.ignore(p, depth)
		} else {
			n := d.nodes.follow(d.prev, d.path)
			if n != nil {
				d.prev = n
			}
			end = d.value(p, n, depth)
		}
		d.path = d.path[:base]
		if end < 0 {
			return -1
		}
		if p = d.more(end, '}'); p < 0 || d.s[p] == '}' {
			return d.past(p)
		}
	}
}

// name reads a member's name, appends it to d.path and returns where the value
// begins. long says that it did not: no field has so long a name.
func (d *jsonDecoder) name(p int) (value int, long bool) {
	if p >= len(d.s) || d.s[p] != '"' {
		return d.key(p), false // which says what is wrong
	}
	end, plain := d.str(p)
	if end < 0 {
		return -1, false
	}
	if end-p > 6*maxName {
		long = true
	} else if raw := d.s[p+1 : end-1]; plain {
		d.path = append(d.path, raw...)
	} else {
		d.scratch = unescape(d.scratch[:0], raw)
		d.path = append(d.path, d.scratch...)
	}
	if end = d.byte(end, ':', `a ":" after the member's name`); end < 0 {
		return -1, false
	}
	return d.space(end), long || len(d.path) > maxName
}

// value reads the value at p of the member d.path, whose node is n or nil.
func (d *jsonDecoder) value(p int, n *node, depth int) int {
	switch {
	case p >= len(d.s):
		return d.expected(p, "a value")
	case n == nil:
		return d.unknown(p, depth)
	case n.split:
		return d.findList(p, n, depth)
	}
	return d.known(p, n, depth)
}

// known reads the value at p of a field, or of an object that has fields.
func (d *jsonDecoder) known(p int, n *node, depth int) int {
	c := d.s[p]
	switch {
	case c == 'n' && n.col == nil:
		return d.word(p, "null")
	case c == '{' && n.prefix:
		d.path = append(d.path, '.')
		return d.members(p, depth+1)
	case n.col == nil:
		end := d.skip(p, depth)
		if end >= 0 && n.blamed != d.stamp {
			d.blame(n, p, "found "+d.glimpse(p)+" where an object {…} should be")
		}
		return end
	case n.col.stamp == d.stamp || n.col.stamp == d.parent:
		end := d.skip(p, depth)
		if end >= 0 {
			d.blame(n, p, "found the name a second time; it should stand once")
			n.col.setNull(d.row)
		}
		return end
	}
	n.col.stamp = d.stamp
	end, why := d.set(n.col, d.row, p, depth)
	switch {
	case end < 0:
		return -1
	case why != "":
		n.col.setNull(d.row)
		d.blame(n, p, why)
	case c != 'n':
		d.trace = append(d.trace, token{p, end, n.col, depth})
	}
	return end
}

// blame rejects the field n for what stands at p, once a record or element.
func (d *jsonDecoder) blame(n *node, p int, why string) {
	if n.col != nil && n.col.below.gives(n.name, d.offset) { // nobody asks what the payload says
		d.plain = false
		d.out.Stats.Ignored++
		return
	}
	if n.blamed != d.stamp {
		n.blamed = d.stamp
		d.rejectField(n.name, "byte %d: %s", p+1, why)
	}
}

// unknown reads the value at p of d.path, of which nothing is known yet.
func (d *jsonDecoder) unknown(p, depth int) int {
	c := d.s[p]
	if !d.c.Learn {
		return d.ignore(p, depth)
	}
	name := string(d.path)
	if c == '{' {
		if len(d.valueless) < maxValueless {
			d.valueless[name] = true
		}
		d.path = append(d.path, '.')
		return d.members(p, depth+1)
	}
	t := d.typeAt(p, depth)
	switch {
	case d.fault != "":
		return -1
	case isMeta(name) || d.topics.has(name) || name == "" || len(d.cols) >= d.c.MaxFields:
		return d.ignore(p, depth)
	case t == nil && len(d.valueless) < maxValueless:
		d.valueless[name] = true
		d.plain = d.plain && c == 'n' // of a list the answer may be another in another record
		return d.ignore(p, depth)
	case t == nil || len(d.valueless) == maxValueless: // in another record the answer may be another
		d.plain = false
		return d.ignore(p, depth)
	}
	n := d.addField(Field{Name: name, Type: t})
	n.col.open(d.room, d.c.Alloc)
	n.col.openTokens(d.plans.tokens, d.room)
	for row := range d.row {
		n.col.setNull(row)
	}
	d.plans.drop()
	if d.valueless[name] {
		n.col.stamp = d.stamp // so that the name stands twice
	}
	d.prev.next, d.prev = n, n
	return d.known(p, n, depth)
}

// ignore reads a value that nobody asked for.
func (d *jsonDecoder) ignore(p, depth int) int {
	end := d.skip(p, depth)
	if end >= 0 && d.s[p] != 'n' {
		d.out.Stats.Ignored++
		d.trace = append(d.trace, token{p, end, nil, depth})
	}
	return end
}

// typeAt returns the type that a learned field with the value at p gets; nil
// when the value, such as null or a mixed list, decides nothing.
func (d *jsonDecoder) typeAt(p, depth int) arrow.DataType {
	switch c := d.s[p]; {
	case c == '"':
		return arrow.BinaryTypes.String
	case c == 't' || c == 'f':
		return arrow.FixedWidthTypes.Boolean
	case c == '-' || c-'0' <= 9:
		return arrow.PrimitiveTypes.Float64
	case c != '[' || d.skip(p, depth) < 0:
		return nil
	}
	var elem arrow.DataType
	for {
		p = d.space(p + 1)
		if d.s[p] == ']' { // an empty list
			return nil
		}
		if d.s[p] != 'n' {
			t := arrow.DataType(nil)
			if d.s[p] != '[' && d.s[p] != '{' {
				t = d.typeAt(p, depth)
			}
			if t == nil || elem != nil && elem != t {
				return nil
			}
			elem = t
		}
		if p = d.space(d.skip(p, depth+1)); d.s[p] == ']' {
			break
		}
	}
	if elem == nil {
		return nil
	}
	return arrow.ListOf(elem)
}
