package decode

import "unsafe"

// This file reads the values of a strip that are no tokens, a column at a time. What is not as it mostly is,
// is left to one, which knows everything that fast.go does.

// spareText is where the texts of a column go that nobody reads.
type spareText struct {
	data [stripRows*textSlack + textSlack]byte
	ends [stripRows + 1]int32 // the first stays 0
}

// texts copies texts of plain ASCII of up to 15 bytes.
func (v *stripValues) texts(s *step, l *stripLit, from, to, ends []uint32) bool {
	c, row := s.col, v.d.rows
	spare := &v.d.strips.spare
	for r := 0; r < v.rows; r++ {
		left := v.rows - r
		data, offsets := spare.data[:], spare.ends[:left+1]
		if !c.skip {
			c.n = c.ends[row+r]
			if !c.reserveText(left * textSlack) {
				return false
			}
			data, offsets = c.data, c.ends[row+r:row+r+left+1]
		}
		if len(data)-int(offsets[0]) < (left+1)*textSlack {
			panic("BUG: a column has no room for the texts of a strip")
		}
		same, done := textRows(v.base, &from[r], &to[r], left, &ends[r*v.stride], v.stride, l, s.n, &data[0], &offsets[0])
		if !same {
			return false
		}
		r += done
		if r < v.rows && !v.one(s, r, int(from[r])+s.n, int(to[r])) {
			return false
		}
	}
	if !c.skip {
		c.n = c.ends[row+v.rows]
	}
	return true
}

// times reads times of the day that the one before had, with three digits of fraction or none.
func (v *stripValues) times(s *step, from, to []uint32) bool {
	d := v.d
	out := s.col.i64[d.rows : d.rows+v.rows]
	for r := range to {
		at, end := int(from[r])+s.n, int(to[r])
		us, ok := int64(0), false
		if n := end - at; n == 25 || n == 21 {
			us, ok = timeOfDay(v.base, at, n, &d.day)
		}
		if ok {
			out[r] = d.day.us + us
		} else if !v.one(s, r, at, end) {
			return false
		}
	}
	return true
}

// timeOfDay reads what fastTime does, of n bytes with the quote at the end, if the day is the cache's.
func timeOfDay(base unsafe.Pointer, p, n int, day *dayCache) (int64, bool) {
	lo, hi := word(base, p), word(base, p+2)
	us, ok := clock(word(base, p+11))
	t := byteAt(base, p+10)
	if lo != day.lo || hi != day.hi || lo == 0 || !ok || t != 'T' && t != ' ' {
		return 0, false
	}
	end := word(base, p+19)
	if n == 21 {
		return us, end&0xffff == '"'<<8|'Z'
	}
	x := end>>8&0xffffff ^ 0x303030
	us += int64(x&0xff*100+x>>8&0xff*10+x>>16) * 1000
	return us, end&0xffff_0000_00ff == '"'<<40|'Z'<<32|'.' && (x+0x767676|x)&0x808080 == 0
}

// bools reads true and false.
func (v *stripValues) bools(s *step, from, to []uint32) bool {
	row := v.d.rows
	for r := range to {
		at, end := int(from[r])+s.n, int(to[r])
		w := word(v.base, at)
		no := w >> 1 & 1
		want := yesWord ^ (yesWord^noWord)&-no
		if (w^want)<<(32-8*no) != 0 || end-at != 4+int(no) {
			if !v.one(s, r, at, end) {
				return false
			}
			continue
		}
		b, bit := &s.col.data[(row+r)>>3], uint(row+r)&7
		*b = *b&^(1<<bit) | byte(no^1)<<bit
	}
	return true
}

// ints reads whole numbers of up to eight bytes, as number8 does.
func (v *stripValues) ints(s *step, from, to []uint32) bool {
	out := s.col.i64[v.d.rows : v.d.rows+v.rows]
	for r := range to {
		at, end := int(from[r])+s.n, int(to[r])
		if n := end - at; uint(n-1) < 8 {
			w := word(v.base, at)
			minus := (w&0xff ^ '-' - 1) >> 63
			x := w ^ 0x30*ones
			good := startsNumber(x >> (8 * minus & 63))
			x = (x ^ minus*('-'^'0')) << ((64 - 8*n) & 63)
			if good && noDigit(x) == 0 {
				out[r] = (int64(eight(x)) ^ -int64(minus)) + int64(minus)
				continue
			}
		}
		if !v.one(s, r, at, end) {
			return false
		}
	}
	return true
}
