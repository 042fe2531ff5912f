package parquet

import (
	"bytes"
	"encoding/binary"
	"math"
)

// form is how the values of a chunk are written.
type form struct {
	encoding int
	width    int      // bits of a number in the dictionary
	ids      []uint32 // each value's number in it
	dict     []byte   // its values, PLAIN
	entries  int
}

// Limits of a dictionary of texts.
const (
	dictEntries = 1 << 16
	dictBytes   = 1 << 20
)

// choose chooses how a chunk's values are written.
func (e *Encoder) choose(c *column, v *values) form {
	f := form{encoding: encPlain}
	switch c.physical {
	case typeInt32, typeInt64:
		f.encoding = encDelta
	case typeDouble:
		f.encoding = encStreamSplit
		dict, ids, ok := e.decimals.dictionary(v.doubles, e.ids)
		e.ids = ids
		if ok {
			f = form{encoding: encDictionary, ids: ids, entries: len(dict)}
			for _, x := range dict {
				f.dict = binary.LittleEndian.AppendUint64(f.dict, math.Float64bits(x))
			}
		}
	case typeByteArray:
		f = e.textForm(v.texts)
	}
	if f.encoding == encDictionary {
		f.width = bitWidth(uint64(f.entries - 1))
	}
	return f
}

// textForm makes a dictionary of texts in the order in which they first come.
func (e *Encoder) textForm(texts [][]byte) form {
	plain := form{encoding: encDeltaLength}
	if len(texts) == 0 {
		return plain
	}
	numbers := map[string]uint32{}
	f := form{encoding: encDictionary}
	e.ids = grow(e.ids, len(texts))
	before, id := []byte(nil), uint32(0)
	for i, t := range texts {
		if i == 0 || !bytes.Equal(t, before) {
			known := false
			if id, known = numbers[string(t)]; !known {
				id = uint32(len(numbers))
				numbers[string(t)] = id
				f.dict = binary.LittleEndian.AppendUint32(f.dict, uint32(len(t)))
				f.dict = append(f.dict, t...)
			}
			// A dictionary that hardly repeats anything is given up early.
			if n := len(numbers); n > dictEntries || len(f.dict) > dictBytes || n > 1024 && n > (i+1)/2 {
				return plain
			}
			before = t
		}
		e.ids[i] = id
	}
	f.ids, f.entries = e.ids, len(numbers)
	return f
}

// chunk writes a column of a row group.
func (e *Encoder) chunk(c *column, v *values) {
	f := e.choose(c, v)
	m := chunkMeta{column: c, encoding: f.encoding, dictionary: -1, bounds: bounds{ok: true}}
	m.start = int64(len(e.out))
	if f.encoding == encDictionary {
		m.dictionary = m.start
		m.raw += e.page(f.dict, func(t *thrift) {
			t.structure(7)
			t.i32(1, f.entries)
			t.i32(2, encPlain)
			t.end()
		}, pageDictionary)
	}
	m.data = int64(len(e.out))
	p := pager{v: v, c: c, f: &f}
	for p.next() {
		e.dataPage(&p, &m)
	}
	m.entries, m.nulls = p.entries(), v.nulls
	m.size = int64(len(e.out)) - m.start
	g := &e.groups[len(e.groups)-1]
	g.chunks = append(g.chunks, m)
	g.raw += m.raw
}

// dataPage writes a page and notes where it is and what is in it.
func (e *Encoder) dataPage(p *pager, m *chunkMeta) {
	at := int64(len(e.out))
	e.raw = p.appendTo(e.raw[:0])
	m.raw += e.page(e.raw, func(t *thrift) {
		t.structure(5)
		t.i32(1, p.toEntry-p.fromEntry)
		t.i32(2, m.encoding)
		t.i32(3, encRLE)
		t.i32(4, encRLE)
		t.end()
	}, pageData)
	b := p.bounds()
	m.pages = append(m.pages, pageMeta{
		offset: at, size: len(e.out) - int(at), row: int64(p.fromRow), nulls: (p.toEntry - p.fromEntry) - (p.to - p.from), bounds: b,
	})
	m.bounds.widen(m.column.physical, &b)
}

// pager cuts a chunk into pages of whole rows.
type pager struct {
	v                  *values
	c                  *column
	f                  *form
	fromRow, toRow     int
	fromEntry, toEntry int // levels
	from, to           int // values
}

// entries is how many levels the chunk has.
func (p *pager) entries() int {
	if p.c.list {
		return len(p.v.defs)
	}
	return p.v.rows
}

func (p *pager) next() bool {
	p.fromRow, p.fromEntry, p.from = p.toRow, p.toEntry, p.to
	if p.fromRow == p.v.rows {
		return false
	}
	p.toRow = min(p.fromRow+PageRows, p.v.rows)
	switch {
	case p.c.list:
		rows := p.toRow - p.fromRow
		for p.toEntry < len(p.v.defs) {
			if p.v.reps[p.toEntry] == 0 {
				if rows == 0 {
					break
				}
				rows--
			}
			if p.v.defs[p.toEntry] == 3 {
				p.to++
			}
			p.toEntry++
		}
	case p.v.valid != nil:
		for _, ok := range p.v.valid[p.fromRow:p.toRow] {
			if ok {
				p.to++
			}
		}
		p.toEntry = p.toRow
	default:
		p.toEntry, p.to = p.toRow, p.toRow
	}
	return true
}

// appendTo appends levels and values.
func (p *pager) appendTo(dst []byte) []byte {
	switch {
	case p.c.list:
		dst = appendLevels(dst, p.v.reps[p.fromEntry:p.toEntry], 1)
		dst = appendLevels(dst, p.v.defs[p.fromEntry:p.toEntry], 2)
	case p.c.optional:
		n := p.toRow - p.fromRow
		if p.v.valid == nil {
			dst = append(dst, 0, 0, 0, 0)
			at := len(dst)
			dst = appendRun(dst, 1, n, 1)
			binary.LittleEndian.PutUint32(dst[at-4:], uint32(len(dst)-at))
			break
		}
		levels := make([]uint32, n)
		for i, ok := range p.v.valid[p.fromRow:p.toRow] {
			if ok {
				levels[i] = 1
			}
		}
		dst = appendLevels(dst, levels, 1)
	}
	return p.appendValues(dst)
}

// appendLevels appends levels, their length in bytes before them.
func appendLevels(dst []byte, levels []uint32, width int) []byte {
	dst = append(dst, 0, 0, 0, 0)
	at := len(dst)
	dst = appendHybrid(dst, levels, width)
	binary.LittleEndian.PutUint32(dst[at-4:], uint32(len(dst)-at))
	return dst
}

func (p *pager) appendValues(dst []byte) []byte {
	switch p.f.encoding {
	case encDictionary:
		return appendHybrid(append(dst, byte(p.f.width)), p.f.ids[p.from:p.to], p.f.width)
	case encDelta:
		return appendDelta(dst, p.v.ints[p.from:p.to], p.c.physical == typeInt32)
	case encStreamSplit:
		return appendStreamSplit(dst, p.v.doubles[p.from:p.to])
	case encDeltaLength:
		texts := p.v.texts[p.from:p.to]
		lengths := make([]int64, len(texts))
		for i, t := range texts {
			lengths[i] = int64(len(t))
		}
		dst = appendDelta(dst, lengths, true)
		for _, t := range texts {
			dst = append(dst, t...)
		}
		return dst
	}
	return appendBools(dst, p.v.bools[p.from:p.to])
}

func appendBools(dst []byte, bools []bool) []byte {
	at := len(dst)
	dst = append(dst, make([]byte, (len(bools)+7)/8)...)
	for i, b := range bools {
		if b {
			dst[at+i>>3] |= 1 << (i & 7)
		}
	}
	return dst
}

// doubleBounds is bounds of doubles. The dictionary of decimals rises, so that there numbers in it will do.
func (p *pager) doubleBounds() bounds {
	if p.f.encoding == encDictionary {
		ids := p.f.ids[p.from:p.to]
		least, most := ids[0], ids[0]
		for _, x := range ids {
			least, most = min(least, x), max(most, x)
		}
		at := func(id uint32) []byte { return append([]byte{}, p.f.dict[8*id:8*id+8]...) }
		return ordered(at(least), at(most))
	}
	vals := p.v.doubles[p.from:p.to]
	least, most := vals[0], vals[0]
	for _, x := range vals {
		if x < least {
			least = x
		}
		if x > most {
			most = x
		}
		if x != x {
			return bounds{}
		}
	}
	return ordered(doubleBytes(least), doubleBytes(most))
}

// bounds returns the least and the greatest value of the page.
func (p *pager) bounds() bounds {
	if p.from == p.to {
		return bounds{ok: true}
	}
	switch p.c.physical {
	case typeInt32, typeInt64:
		vals := p.v.ints[p.from:p.to]
		least, most := vals[0], vals[0]
		for _, x := range vals {
			least, most = min(least, x), max(most, x)
		}
		return ordered(intBytes(least, p.c.physical), intBytes(most, p.c.physical))
	case typeDouble:
		return p.doubleBounds()
	case typeBool:
		all, some := true, false
		for _, x := range p.v.bools[p.from:p.to] {
			all, some = all && x, some || x
		}
		return ordered(boolByte(all), boolByte(some))
	}
	vals := p.v.texts[p.from:p.to]
	least, most := vals[0], vals[0]
	for i, x := range vals {
		if i > 0 && p.f.ids != nil && p.f.ids[p.from+i] == p.f.ids[p.from+i-1] {
			continue
		}
		if bytes.Compare(x, least) < 0 {
			least = x
		}
		if bytes.Compare(x, most) > 0 {
			most = x
		}
	}
	if len(least) > boundBytes || len(most) > boundBytes {
		return bounds{}
	}
	return ordered(append([]byte{}, least...), append([]byte{}, most...))
}
