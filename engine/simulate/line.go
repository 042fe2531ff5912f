package simulate

import "bytes"

const pairs = "00010203040506070809" + "10111213141516171819" + "20212223242526272829" +
	"30313233343536373839" + "40414243444546474849" + "50515253545556575859" +
	"60616263646566676869" + "70717273747576777879" + "80818283848586878889" + "90919293949596979899"

// lineRoom is more than a line takes.
const lineRoom = 320

// appendLine writes what a trailer has measured at a time of its own clock.
func (f *Fleet) appendLine(dst []byte, t *trailer, ms int64) []byte {
	if cap(dst)-len(dst) < lineRoom {
		dst = append(make([]byte, 0, 2*cap(dst)+2*lineRoom), dst...)
	}
	dst = append(dst, `{"device":"`...)
	dst = appendName(dst, uint64(t.number))
	dst = append(dst, `","ts":"`...)
	dst = f.appendTime(dst, ms)
	dst = append(dst, `","site":"`...)
	dst = append(dst, sites[t.site].name...)
	dst = append(dst, `","lat":`...)
	dst = appendDegrees(dst, t.lat)
	dst = append(dst, `,"lon":`...)
	dst = appendDegrees(dst, t.lon)
	dst = append(dst, `,"speed":`...)
	dst = appendTenths(dst, int32(t.speed))
	dst = append(dst, `,"temp":`...)
	dst = appendHundredths(dst, t.temp)
	dst = append(dst, `,"setpoint":`...)
	dst = appendTenths(dst, int32(t.setpoint))
	dst = append(dst, `,"ambient":`...)
	dst = appendTenths(dst, int32(t.ambient(int32(ms/60000%1440))))
	if t.door {
		dst = append(dst, `,"door_open":true,"fuel":`...)
	} else {
		dst = append(dst, `,"door_open":false,"fuel":`...)
	}
	dst = appendHundredths(dst, int32(t.fuel))
	dst = append(dst, `,"battery":`...)
	dst = appendHundredths(dst, int32(t.battery))
	dst = append(dst, `,"seq":`...)
	dst = appendPadded(dst, uint64(t.seq), 1)
	return append(dst, '}', '\n')
}

func appendName(dst []byte, number uint64) []byte {
	dst = append(dst, "trailer-"...)
	if number >= 100000 {
		return appendPadded(dst, number, 5)
	}
	n := uint32(number)
	high, rest := n/10000, n%10000
	p, q := rest/100*2, rest%100*2
	return append(dst, byte('0'+high), pairs[p], pairs[p+1], pairs[q], pairs[q+1])
}

// appendPadded writes u with at least width digits.
func appendPadded(dst []byte, u uint64, width int) []byte {
	var b [20]byte
	i := len(b)
	for u >= 100 {
		q := u / 100
		p := (u - q*100) * 2
		i -= 2
		b[i], b[i+1] = pairs[p], pairs[p+1]
		u = q
	}
	if u >= 10 {
		i -= 2
		b[i], b[i+1] = pairs[u*2], pairs[u*2+1]
	} else {
		i--
		b[i] = byte('0' + u)
	}
	for len(b)-i < width {
		i--
		b[i] = '0'
	}
	return append(dst, b[i:]...)
}

// appendWhole writes what is mostly less than a thousand.
func appendWhole(dst []byte, u uint32) []byte {
	switch {
	case u < 10:
		return append(dst, byte('0'+u))
	case u < 100:
		return append(dst, pairs[u*2], pairs[u*2+1])
	case u < 1000:
		p := u % 100 * 2
		return append(dst, byte('0'+u/100), pairs[p], pairs[p+1])
	}
	return appendPadded(dst, uint64(u), 1)
}

// appendTenths writes v / 10 with one decimal.
func appendTenths(dst []byte, v int32) []byte {
	dst, u := appendSign(dst, v)
	return append(appendWhole(dst, u/10), '.', byte('0'+u%10))
}

// appendHundredths writes v / 100 with two decimals.
func appendHundredths(dst []byte, v int32) []byte {
	dst, u := appendSign(dst, v)
	p := u % 100 * 2
	return append(appendWhole(dst, u/100), '.', pairs[p], pairs[p+1])
}

// appendDegrees writes v / 100,000 with five decimals.
func appendDegrees(dst []byte, v int32) []byte {
	dst, u := appendSign(dst, v)
	rest := u % 100000
	p, q := rest/10%100*2, rest/1000*2
	return append(appendWhole(dst, u/100000), '.', pairs[q], pairs[q+1], pairs[p], pairs[p+1], byte('0'+rest%10))
}

func appendSign(dst []byte, v int32) ([]byte, uint32) {
	if v < 0 {
		return append(dst, '-'), uint32(-v)
	}
	return dst, uint32(v)
}

// appendTime writes a time, ms since 1970, as 2026-11-22T10:15:30.000Z.
func (f *Fleet) appendTime(dst []byte, ms int64) []byte {
	day := ms / 86400000
	rest := uint64(ms - day*86400000)
	dst = append(dst, f.day.of(day)...)
	seconds := rest / 1000
	h, m, s := seconds/3600, seconds/60%60, seconds%60
	milli := rest - seconds*1000
	return append(dst, 'T', pairs[h*2], pairs[h*2+1], ':', pairs[m*2], pairs[m*2+1], ':', pairs[s*2], pairs[s*2+1],
		'.', byte('0'+milli/100), pairs[milli%100*2], pairs[milli%100*2+1], 'Z')
}

// replace puts value in the place of the number behind name, in the line that
// begins at start; an empty value takes the member away.
func replace(dst []byte, start int, name, value string) []byte {
	line := dst[start:]
	at := bytes.Index(line, []byte(name))
	end := at + bytes.IndexByte(line[at:], ',')
	rest := append([]byte(nil), line[end:]...)
	if value == "" {
		return append(dst[:start+at], rest[1:]...)
	}
	return append(append(dst[:start+at+len(name)], value...), rest...)
}
