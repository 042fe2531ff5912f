package decode

// Times lie in the years 0000 to 9999, which is what RFC 3339 can write.
const (
	minTime = -62167219200 * 1e6
	maxTime = 253402300800*1e6 - 1
)

// days returns the days from 1970-01-01 to a day of the proleptic Gregorian
// calendar (H. Hinnant, chrono-compatible low-level date algorithms, 2021).
func days(y, m, d int64) int64 {
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

// parseDate reads "2006-01-02" and returns it as days since 1970.
func parseDate(b []byte) (int64, bool) {
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
	return days(y, m, d), true
}

// parseTime reads a time: RFC 3339; the same without a zone, which is UTC; or
// a date alone, which is its first instant in UTC. A space may stand for the
// T. Digits beyond microseconds are dropped; second 60, a leap second, is the
// second after 59.
func parseTime(b []byte) (us int64, ok bool) {
	day, ok := parseDate(b)
	if !ok {
		return 0, false
	}
	us = day * 86400e6
	if len(b) == 10 {
		return us, true
	}
	if len(b) < 19 || b[10]|0x20 != 't' && b[10] != ' ' || b[13] != ':' || b[16] != ':' {
		return 0, false
	}
	h, m, s := pair(b, 11), pair(b, 14), pair(b, 17)
	if h < 0 || h > 23 || m < 0 || m > 59 || s < 0 || s > 60 {
		return 0, false
	}
	us += (h*3600 + m*60 + s) * 1e6
	rest := b[19:]
	if len(rest) > 0 && rest[0] == '.' {
		n := digits(rest, 1)
		if n == 1 {
			return 0, false
		}
		unit := int64(1e5)
		for _, c := range rest[1:n] {
			us += int64(c-'0') * unit
			unit /= 10
		}
		rest = rest[n:]
	}
	zone, ok := parseZone(rest)
	if us -= zone; !ok || us < minTime || us > maxTime {
		return 0, false
	}
	return us, true
}

// parseZone reads "", "Z" or "+01:00" and returns what it is ahead of UTC, us.
func parseZone(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) == 1 && b[0]|0x20 == 'z' {
		return 0, true
	}
	if len(b) != 6 || b[0] != '+' && b[0] != '-' || b[3] != ':' {
		return 0, false
	}
	h, m := pair(b, 1), pair(b, 4)
	if h < 0 || h > 23 || m < 0 || m > 59 {
		return 0, false
	}
	if us := (h*60 + m) * 60e6; b[0] == '+' {
		return us, true
	} else {
		return -us, true
	}
}

// numberTime converts a number to a time by unit, see Field.Unit; false when
// it is out of range.
func numberTime(d decimal, unit string) (int64, bool) {
	if unit == "" {
		switch {
		case d.below(11):
			unit = "s"
		case d.below(14):
			unit = "ms"
		case d.below(17):
			unit = "us"
		default:
			unit = "ns"
		}
	}
	shift := int64(6)
	switch unit {
	case "ms":
		shift = 3
	case "us":
		shift = 0
	case "ns":
		shift = -3
	}
	us, ok := d.scaled(shift)
	return us, ok && us >= minTime && us <= maxTime
}
