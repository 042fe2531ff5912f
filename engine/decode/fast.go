package decode

import "unsafe"

// fit decodes the record payload[start:end] into the current row by one of the
// plans; false when it fits none, and then nothing has happened. There are
// journal.Slack readable bytes after payload.
func (p *plans) fit(payload []byte, start, end int, d *jsonDecoder) bool {
	if p.credit < maxCredit {
		p.credit++
	}
	if p.n == 0 || start == end {
		return false
	}
	f := feed{base: unsafe.Pointer(unsafe.SliceData(payload)), start: start, pos: start, end: end, row: d.rows}
	tried := -1
	for i := range p.n {
		id := p.order[i]
		if tried >= 0 && p.common[tried][id] < f.step {
			continue // it differs before the step where the last plan failed
		}
		pl := &p.list[id]
		if d.follow(pl.steps, &f) {
			for _, c := range pl.null {
				c.setNull(f.row)
			}
			if i > 0 {
				p.first(i)
			}
			d.out.Stats.Ignored += f.ignored
			d.index = 0
			return true
		}
		tried = id
	}
	return false
}

// feed is how far a record has been followed: up to pos, before the literal of
// the step numbered step.
type feed struct {
	base       unsafe.Pointer // of the block's payload
	start, end int            // of the record
	pos, step  int
	row        int
	ignored    int
}

// follow goes on with f by steps, from f.step on.
//
// A position is checked against the record's end once a step, before the
// literal. Values are located by what must follow them and may be read up to
// 24 bytes past the end, into the slack or the next record: then the next
// literal finds itself past the end, and the record fits no plan.
func (d *jsonDecoder) follow(steps []step, f *feed) bool {
	p := f.pos
	for k := f.step; k < len(steps); k++ {
		s := &steps[k]
		f.pos, f.step = p, k
		if p+s.n > f.end {
			return false
		}
		if (word(f.base, p)^s.lit[0])&s.mask[0]|(word(f.base, p+8)^s.lit[1])&s.mask[1] != 0 {
			return false
		}
		if s.more != "" && bytesAt(f.base, p+16, p+s.n) != s.more {
			return false
		}
		p += s.n
		switch s.kind {
		case stepFloat, stepInt, stepNumberTime:
			p = d.fastNumber(s, f, p)
		case stepText:
			p = d.fastText(s, f, p)
		case stepTextTime:
			p = d.fastTime(s, f, p)
		case stepBool:
			p = d.fastBool(s, f, p)
		case stepEnd:
			if p != f.end {
				return false
			}
		case stepIgnore:
			p = d.fastIgnore(s, f, p)
		default:
			p = d.slow(s, f, p)
		}
		if p < 0 {
			return false
		}
	}
	return true
}

// slow reads any value of s at p as the general decoder does; -1 when it is
// none that the column can take.
func (d *jsonDecoder) slow(s *step, f *feed, p int) int {
	if p >= f.end {
		return -1
	}
	d.s, d.fault = unsafe.Slice((*byte)(unsafe.Add(f.base, f.start)), f.end-f.start), ""
	end, why := d.set(s.col, f.row, p-f.start, s.depth)
	if end < 0 || why != "" {
		return -1
	}
	return f.start + end
}

// fastIgnore counts a value that nobody asked for. With Learn an object or a
// list may hold something that is to be learned.
func (d *jsonDecoder) fastIgnore(s *step, f *feed, p int) int {
	if p >= f.end {
		return -1
	}
	d.s, d.fault = unsafe.Slice((*byte)(unsafe.Add(f.base, f.start)), f.end-f.start), ""
	first := d.s[p-f.start]
	if d.c.Learn && (first == '{' || first == '[') {
		return -1
	}
	end := d.skip(p-f.start, s.depth)
	if end < 0 {
		return -1
	}
	if first != 'n' {
		f.ignored++
	}
	return f.start + end
}

func (d *jsonDecoder) fastBool(s *step, f *feed, p int) int {
	w := word(f.base, p)
	no := w >> 1 & 1 // bit 1 tells 't' (0x74) from 'f' (0x66)
	const yesWord, noWord = 'e'<<24 | 'u'<<16 | 'r'<<8 | 't', 'e'<<32 | 's'<<24 | 'l'<<16 | 'a'<<8 | 'f'
	want := yesWord ^ (yesWord^noWord)&-no
	if (w^want)<<(32-8*no) != 0 {
		return d.slow(s, f, p)
	}
	if c := s.col; !c.skip {
		at := &c.data[f.row>>3]
		bit := uint(f.row & 7)
		*at = *at&^(1<<bit) | byte(no^1)<<bit
	}
	return p + 4 + int(no)
}

// fastText copies a text of plain ASCII; the rest is for slow.
func (d *jsonDecoder) fastText(s *step, f *feed, p int) int {
	q := p
	for {
		if m := special(word(f.base, q)); m != 0 {
			q += firstByte(m)
			break
		}
		if q += 8; q >= f.end {
			return -1
		}
	}
	if q >= f.end || byteAt(f.base, q) != '"' {
		return d.slow(s, f, p-1)
	}
	c := s.col
	if c.skip {
		return q + 1
	}
	n := q - p
	c.n = c.ends[f.row]
	if int(c.n)+n+textSlack > len(c.data) && !c.reserveText(n) {
		return -1
	}
	if n <= textSlack {
		*(*[textSlack]byte)(c.data[c.n:]) = *(*[textSlack]byte)(unsafe.Add(f.base, p))
	} else {
		copy(c.data[c.n:], bytesAt(f.base, p, q))
	}
	c.n += int32(n)
	c.ends[f.row+1] = c.n
	return q + 1
}

// dayCache is the date that the last time had: the same for most of a block.
type dayCache struct {
	lo, hi uint64 // its first and last eight bytes
	us     int64
}

// fastTime reads "2006-01-02T15:04:05Z" or the same with three digits of fraction.
func (d *jsonDecoder) fastTime(s *step, f *feed, p int) int {
	if p+20 > f.end {
		return d.slow(s, f, p-1)
	}
	lo, hi := word(f.base, p), word(f.base, p+2)
	if lo != d.day.lo || hi != d.day.hi || lo == 0 {
		day, ok := parseDate([]byte(bytesAt(f.base, p, p+10)))
		if !ok {
			return -1
		}
		d.day = dayCache{lo, hi, day * 86400e6}
	}
	us, ok := clock(word(f.base, p+11))
	if t := byteAt(f.base, p+10); !ok || t != 'T' && t != ' ' {
		return d.slow(s, f, p-1)
	}
	us += d.day.us
	end := word(f.base, p+19)
	switch {
	case end&0xffff == '"'<<8|'Z':
		p += 21
	case end&0xffff_0000_00ff == '"'<<40|'Z'<<32|'.':
		x := end>>8&0xffffff ^ 0x303030
		if (x+0x767676|x)&0x808080 != 0 {
			return d.slow(s, f, p-1)
		}
		us += int64(x&0xff*100+x>>8&0xff*10+x>>16) * 1000
		p += 25
	default:
		return d.slow(s, f, p-1)
	}
	if !s.col.skip {
		s.col.i64[f.row] = us
	}
	return p
}
