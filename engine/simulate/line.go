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
	dst = appendFixed(dst, int64(t.lat), 5)
	dst = append(dst, `,"lon":`...)
	dst = appendFixed(dst, int64(t.lon), 5)
	dst = append(dst, `,"speed":`...)
	dst = appendFixed(dst, int64(t.speed), 1)
	dst = append(dst, `,"temp":`...)
	dst = appendFixed(dst, int64(t.temp), 2)
	dst = append(dst, `,"setpoint":`...)
	dst = appendFixed(dst, int64(t.setpoint), 1)
	dst = append(dst, `,"ambient":`...)
	dst = appendFixed(dst, int64(t.ambient(int32(ms/60000%1440))), 1)
	if t.door {
		dst = append(dst, `,"door_open":true,"fuel":`...)
	} else {
		dst = append(dst, `,"door_open":false,"fuel":`...)
	}
	dst = appendFixed(dst, int64(t.fuel), 2)
	dst = append(dst, `,"battery":`...)
	dst = appendFixed(dst, int64(t.battery), 2)
	dst = append(dst, `,"seq":`...)
	dst = appendPadded(dst, uint64(t.seq), 1)
	return append(dst, '}', '\n')
}

func appendName(dst []byte, number uint64) []byte {
	return appendPadded(append(dst, "trailer-"...), number, 5)
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

// appendFixed writes v / 10^decimals with all its decimals.
func appendFixed(dst []byte, v int64, decimals int) []byte {
	if v < 0 {
		dst = append(dst, '-')
		v = -v
	}
	dst = appendPadded(dst, uint64(v), decimals+1)
	at := len(dst) - decimals
	dst = append(dst, 0)
	copy(dst[at+1:], dst[at:])
	dst[at] = '.'
	return dst
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
