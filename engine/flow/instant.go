package flow

// Times as texts lie in the years 0000 to 9999, which is what RFC 3339 can write; microseconds since 1970.
const (
	MinTime = -62167219200 * 1e6
	MaxTime = 253402300800*1e6 - 1
)

// ParseTime reads a time, as microseconds since 1970:
//
//	2006-01-02T15:04:05Z            RFC 3339; a space may stand for the T
//	2006-01-02T15:04:05.999999999   digits beyond microseconds are dropped; a comma may stand for the point
//	2006-01-02T15:04Z               without seconds (ISO 8601; Java writes it so when they are 0)
//	2006-01-02T15:04:05+01:00       offsets, also as +0100 (strftime's %z) and +01
//	2006-01-02T15:04:05             without a zone, which is UTC
//	2006-01-02                      a day alone, which is its first instant in UTC
//
// Second 60, a leap second, is the second after 59.
func ParseTime(b []byte) (us int64, ok bool) {
	day, ok := ParseDate(b)
	if !ok {
		return 0, false
	}
	us = day * 86400e6
	if len(b) == 10 {
		return us, true
	}
	if len(b) < 16 || b[10]|0x20 != 't' && b[10] != ' ' || b[13] != ':' {
		return 0, false
	}
	h, m := pair(b, 11), pair(b, 14)
	if h < 0 || h > 23 || m < 0 || m > 59 {
		return 0, false
	}
	us += (h*60 + m) * 60e6
	rest := b[16:]
	if len(rest) > 0 && rest[0] == ':' {
		var within int64
		if within, rest, ok = parseSeconds(rest[1:]); !ok {
			return 0, false
		}
		us += within
	}
	zone, ok := parseZone(rest)
	if us -= zone; !ok || us < MinTime || us > MaxTime {
		return 0, false
	}
	return us, true
}

// ParseDate reads "2006-01-02", with which b begins, and returns it as days since 1970.
func ParseDate(b []byte) (int64, bool) {
	if len(b) < 10 || b[4] != '-' || b[7] != '-' {
		return 0, false
	}
	c, y, m, d := pair(b, 0), pair(b, 2), pair(b, 5), pair(b, 8)
	if c < 0 || y < 0 || m < 1 || m > 12 || d < 1 {
		return 0, false
	}
	if y += c * 100; d > monthDays(y, m) {
		return 0, false
	}
	return daysSince1970(y, m, d), true
}

// parseSeconds reads "05" or "05.25" and returns it in us, and what follows.
func parseSeconds(b []byte) (us int64, rest []byte, ok bool) {
	s := pair(b, 0)
	if s < 0 || s > 60 {
		return 0, nil, false
	}
	us, rest = s*1e6, b[2:]
	if len(rest) == 0 || rest[0] != '.' && rest[0] != ',' {
		return us, rest, true
	}
	n, unit := 1, int64(1e5)
	for ; n < len(rest) && rest[n]-'0' <= 9; n++ {
		us += int64(rest[n]-'0') * unit
		unit /= 10
	}
	return us, rest[n:], n > 1
}

// parseZone reads "", "Z", "+01:00", "+0100" or "+01" and returns what it is ahead of UTC, us.
func parseZone(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) == 1 && b[0]|0x20 == 'z' {
		return 0, true
	}
	if b[0] != '+' && b[0] != '-' {
		return 0, false
	}
	h, m := pair(b, 1), int64(0)
	switch {
	case len(b) == 6 && b[3] == ':':
		m = pair(b, 4)
	case len(b) == 5:
		m = pair(b, 3)
	case len(b) != 3:
		return 0, false
	}
	if h < 0 || h > 23 || m < 0 || m > 59 {
		return 0, false
	}
	us := (h*60 + m) * 60e6
	if b[0] == '-' {
		us = -us
	}
	return us, true
}

// daysSince1970 returns the days from 1970-01-01 to a day of the proleptic Gregorian
// calendar (H. Hinnant, chrono-compatible low-level date algorithms, 2021).
func daysSince1970(y, m, d int64) int64 {
	if m <= 2 {
		y--
	}
	era := y / 400
	if y < 0 {
		era = -1 // the one year before 0 that March-based years bring
	}
	yoe := y - era*400
	doy := (153*((m+9)%12)+2)/5 + d - 1
	return era*146097 + yoe*365 + yoe/4 - yoe/100 + doy - 719468
}

// monthDays returns how many days a month has.
func monthDays(y, m int64) int64 {
	switch m {
	case 2:
		if y%4 == 0 && (y%100 != 0 || y%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// pair reads two digits, the first byte of which is at p; -1 when they are none.
func pair(b []byte, p int) int64 {
	if p+2 > len(b) || b[p]-'0' > 9 || b[p+1]-'0' > 9 {
		return -1
	}
	return int64(b[p]-'0')*10 + int64(b[p+1]-'0')
}
