package decode

import (
	"unsafe"

	"github.com/tidemill/tidemill/engine/journal"
)

// This file decodes many records of one layout at once, a column at a time, where the
// processor has vectors of 64 bytes. What one record after the other cannot avoid is that each
// value's place is known only when the value before it has been read. Here all commas and
// closing braces outside of texts are found first, 64 bytes at a time, as simdjson does
// (G. Langdale, D. Lemire, Parsing Gigabytes of JSON per Second, 2019):
//
//	{"device":"t1","temp":-17.5,"open":true}{"device":"t22","temp":8,"open":false}
//	              ^            ^           ^               ^        ^            ^
//	delims        0            1           2               3        4            5
//
// When a record of the plan has three of them, the end of each record's value k is known, and so
// is where the literal before value k+1 begins. What was true for records one by one
// (fast.go) is true here: the literals are compared, and values are checked as they are read. A
// strip in which anything is otherwise is taken back, and goes one by one.

const (
	// stripRows is how many records a strip has: their bytes stay in the nearest cache.
	stripRows = 64
	// leastStrip is how many are worth it.
	leastStrip = 8
	// maxRest limits for how many strips nothing is tried after one that was otherwise.
	maxRest = 64
	// maxDelims is how many delimiters of a record are worth it.
	maxDelims = 256
	// stripLiteral is how long a literal may be: one vector compares it, and eight bytes behind
	// it are in the block's slack even if it begins at the last byte.
	stripLiteral = 48
)

// stripPlan is what a plan says of the delimiters of its records.
type stripPlan struct {
	delims   int // of a record; the last ends it. 0: the layout is not for strips
	literals []stripLit
}

// stripLit is the literal before a value, or at the end, and which delimiter ends the value.
type stripLit struct {
	text [64]byte
	mask uint64 // bits, by byte of text: those that count
	at   int
}

// strips is what a decoder needs for them.
type strips struct {
	delims []uint32             // positions in the block's payload, by record
	places [2][stripRows]uint32 // where the literals before a value begin, and those before the next
	spare  spareText
	rest   int // strips for which nothing is tried
	failed int // how many of the latest were otherwise
}

// stripPlanOf returns what the record s with the values in trace is for strips.
func stripPlanOf(s []byte, trace []token) (p stripPlan) {
	at := delimitersIn(s, nil)
	if len(at) == 0 || len(at) > maxDelims || int(at[len(at)-1]) != len(s)-1 {
		return stripPlan{}
	}
	pos, k := 0, 0
	add := func(literal []byte, end int) bool {
		for k < len(at) && int(at[k]) < end {
			k++
		}
		if len(literal) > stripLiteral || k == len(at) || int(at[k]) != end {
			return false
		}
		l := stripLit{at: k, mask: 1<<len(literal) - 1}
		copy(l.text[:], literal)
		p.literals = append(p.literals, l)
		return true
	}
	for _, t := range trace {
		from := t.start
		if k := stepOf(t.col, s[from]); k == stepText || k == stepTextTime {
			from++
		}
		if !add(s[pos:from], t.end) {
			return stripPlan{}
		}
		pos = t.end
	}
	k = len(at) - 1
	if !add(s[pos:], len(s)-1) {
		return stripPlan{}
	}
	p.delims = len(at)
	return p
}

// delimitersIn appends the positions of commas and closing braces outside of texts, if no text has an escaped
// quote. It says what delimiters, which is quick, has to give.
func delimitersIn(s []byte, out []uint32) []uint32 {
	inside := false
	for i, c := range s {
		if c == '"' {
			inside = !inside
		} else if (c == ',' || c == '}') && !inside {
			out = append(out, uint32(i))
		}
	}
	return out
}

// strip decodes records from number i on and returns how many; 0 when they have to go one by one.
func (d *jsonDecoder) strip(b *journal.Block, i int) int {
	p := &d.plans
	rows := min(stripRows, b.Count-i)
	if !d.stripped || !p.tokens || d.noPlans || p.n == 0 || rows < leastStrip {
		return 0
	}
	pl := &p.list[p.order[0]]
	if pl.strip.delims == 0 {
		return 0
	}
	if d.strips.rest > 0 {
		d.strips.rest--
		return 0
	}
	if d.fitStrip(pl, b, i, rows) {
		d.strips.failed = 0
		p.credit = min(p.credit+rows, maxCredit)
		d.out.Stats.Ignored += d.feed.ignored
		d.out.Stats.Fast += rows
		d.index = 0
		d.meta.setStrip(d.rows, int64(b.First)+int64(i), b.Received[i:i+rows])
		d.rows += rows
		return rows
	}
	for _, c := range d.cols {
		c.back(d.rows, d.rows+rows)
		for r := range rows {
			c.noToken(d.rows + r)
		}
	}
	d.strips.failed = min(2*d.strips.failed+1, maxRest)
	d.strips.rest = d.strips.failed
	return 0
}

// fitStrip is strip for a plan; false when a record fits it not, and then columns have to be taken back.
func (d *jsonDecoder) fitStrip(pl *plan, b *journal.Block, i, rows int) bool {
	st, n := &d.strips, pl.strip.delims
	if need := rows*n + 16; cap(st.delims) < need {
		st.delims = make([]uint32, max(need, stripRows*n+16))
	}
	base := unsafe.Pointer(unsafe.SliceData(b.Payload))
	begin := start(b, i)
	delims := st.delims[:rows*n]
	if delimiters((*byte)(unsafe.Add(base, begin)), int(b.Ends[i+rows-1])-begin, begin, &delims[0], len(delims)) != len(delims) {
		return false
	}
	v := stripValues{d: d, base: base, rows: rows, stride: n, ends: b.Ends[i : i+rows]}
	from, to := st.places[0][:rows], st.places[1][:rows]
	from[0] = uint32(begin)
	copy(from[1:], v.ends)
	for r, end := range v.ends { // so that all of a record's delimiters are its own
		if delims[r*n+n-1]+1 != end {
			return false
		}
	}
	v.first, d.feed.base, d.feed.ignored = uint32(begin), base, 0
	for k := range pl.steps {
		s, l := &pl.steps[k], &pl.strip.literals[k]
		if s.kind != stepToken && s.kind != stepText && !sameBytes(base, &from[0], rows, l) {
			return false
		}
		if s.kind == stepEnd {
			break
		}
		if !v.read(s, l, from, to, delims[l.at:]) {
			return false
		}
		from, to = to, from
	}
	for _, c := range pl.null {
		for r := range rows {
			c.setNull(d.rows + r)
		}
	}
	return true
}

// stripValues reads the values of a strip.
type stripValues struct {
	d      *jsonDecoder
	base   unsafe.Pointer
	rows   int
	stride int      // from a record's delimiter to the next record's
	ends   []uint32 // of the records
	first  uint32   // where the first record begins
}

// read reads the values of a step behind the literals in from. They end at every stride-th of ends, which it copies to to.
func (v *stripValues) read(s *step, l *stripLit, from, to, ends []uint32) bool {
	switch s.kind {
	case stepToken:
		return v.tokens(s, l, from, to, ends)
	case stepText:
		return v.texts(s, l, from, to, ends)
	}
	for r := range to {
		to[r] = ends[r*v.stride]
	}
	if s.col != nil && !s.col.skip {
		switch s.kind {
		case stepTextTime:
			return v.times(s, from, to)
		case stepBool:
			return v.bools(s, from, to)
		case stepInt:
			return v.ints(s, from, to)
		}
	}
	for r := range to {
		if !v.one(s, r, int(from[r])+s.n, int(to[r])) {
			return false
		}
	}
	return true
}

// one reads one value in the ways of fast.go.
func (v *stripValues) one(s *step, r, at, end int) bool {
	if at >= end {
		return false
	}
	d := v.d
	f := &d.feed
	f.start, f.end, f.row = int(v.first), int(v.ends[r]), d.rows+r
	if r > 0 {
		f.start = int(v.ends[r-1])
	}
	switch s.kind {
	case stepTextTime:
		return d.fastTime(s, f, at) == end
	case stepBool:
		return d.fastBool(s, f, at) == end
	case stepToken:
		s.col.noToken(f.row)
		return d.number16(s, f, at) == end
	case stepFloat, stepInt:
		return d.number8(s, f, at) == end
	}
	return d.other(s, f, at) == end
}

// tokens leaves short numbers to be converted later.
func (v *stripValues) tokens(s *step, l *stripLit, from, to, ends []uint32) bool {
	row := v.d.rows
	words, spans := s.col.words[row:row+v.rows], s.col.spans[row:row+v.rows]
	same, short := tokenRows(v.base, &from[0], &to[0], v.rows, &ends[0], v.stride, l, s.n, &words[0], &spans[0])
	if !same || short {
		return same
	}
	for r := range to {
		at, end := int(from[r])+s.n, int(to[r])
		if uint(end-at-1) > 7 && !v.one(s, r, at, end) {
			return false
		}
	}
	return true
}
