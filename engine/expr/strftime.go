package expr

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// A layout is written as for C's strftime:
//
//	%Y year        %m month 01-12   %d day 01-31    %j day of year 001-366
//	%H hour 00-23  %M minute        %S second       %I hour 01-12   %p AM or PM
//	%f fraction of a second: six digits written, one to nine read
//	%b %B month, short and long     %a %A weekday, short and long
//	%y year 00-99: 69-99 are 19xx   %s seconds since 1970
//	%z +0100, +01:00 or Z           %F %Y-%m-%d     %T %H:%M:%S     %% a %
//
// What is read as a clock that a zone shows twice in a year, or never: unixOf.
//
// layoutStep is one letter of a layout, or text to stand as it is.
type layoutStep struct {
	verb byte // 0: text
	text string
}

const layoutVerbs = "YmdjHMSIpfbBaAysz%"

// parseLayout takes a layout apart; a problem is a text for its author.
func parseLayout(s string) (steps []layoutStep, problem string) {
	const most = 200
	if len(s) > most {
		return nil, fmt.Sprintf("a layout has at most %d bytes", most)
	}
	s = strings.NewReplacer("%%", "%%", "%F", "%Y-%m-%d", "%T", "%H:%M:%S").Replace(s)
	for s != "" {
		at := strings.IndexByte(s, '%')
		if at < 0 {
			at = len(s)
		}
		if at > 0 {
			steps = append(steps, layoutStep{text: s[:at]})
		}
		if s = s[at:]; s == "" {
			break
		}
		if len(s) < 2 || strings.IndexByte(layoutVerbs, s[1]) < 0 {
			return nil, fmt.Sprintf("%q is not known; there are %%Y %%m %%d %%H %%M %%S %%f %%z %%s %%b %%B %%a %%A %%j %%y %%I %%p %%F %%T and %%%%", s[:min(2, len(s))])
		}
		if s[1] == '%' {
			steps = append(steps, layoutStep{text: "%"})
		} else {
			steps = append(steps, layoutStep{verb: s[1]})
		}
		s = s[2:]
	}
	return steps, ""
}

// appendLayout writes t.
func appendLayout(dst []byte, steps []layoutStep, t time.Time) []byte {
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	for _, s := range steps {
		switch s.verb {
		case 0:
			dst = append(dst, s.text...)
		case 'Y':
			dst = pad(dst, year, 4)
		case 'y':
			dst = pad(dst, ((year%100)+100)%100, 2)
		case 'm':
			dst = pad(dst, int(month), 2)
		case 'd':
			dst = pad(dst, day, 2)
		case 'j':
			dst = pad(dst, t.YearDay(), 3)
		case 'H':
			dst = pad(dst, hour, 2)
		case 'I':
			dst = pad(dst, (hour+11)%12+1, 2)
		case 'p':
			dst = append(dst, [2]string{"AM", "PM"}[hour/12]...)
		case 'M':
			dst = pad(dst, minute, 2)
		case 'S':
			dst = pad(dst, second, 2)
		case 'f':
			dst = pad(dst, t.Nanosecond()/1000, 6)
		case 'b':
			dst = append(dst, month.String()[:3]...)
		case 'B':
			dst = append(dst, month.String()...)
		case 'a':
			dst = append(dst, t.Weekday().String()[:3]...)
		case 'A':
			dst = append(dst, t.Weekday().String()...)
		case 's':
			dst = pad(dst, int(t.Unix()), 1)
		case 'z':
			dst = t.AppendFormat(dst, "-0700")
		}
	}
	return dst
}

// pad writes n with at least width digits.
func pad(dst []byte, n, width int) []byte {
	u := uint(n)
	if n < 0 {
		dst = append(dst, '-')
		u = -u
	}
	var digits [20]byte
	at := len(digits)
	for u > 0 || at > len(digits)-width {
		at--
		digits[at] = byte('0' + u%10)
		u /= 10
	}
	return append(dst, digits[at:]...)
}

// civil collects what a layout reads.
type civil struct {
	year, month, day, yday, hour, minute, second, nano int
	pm, hasPM, hasUnix, hasZone, hasYday               bool
	unix                                               int64
	offset                                             int // seconds east
}

// parseWith reads all of t; microseconds since 1970. Fields that the layout
// has not are those of 1970-01-01 00:00:00, in zone unless t says another.
func parseWith(t []byte, steps []layoutStep, zone *time.Location) (us int64, ok bool) {
	c := civil{year: 1970, month: 1, day: 1}
	for _, s := range steps {
		if t, ok = c.step(t, s); !ok {
			return 0, false
		}
	}
	if len(t) != 0 {
		return 0, false
	}
	return c.instant(zone)
}

// step reads what one step of a layout describes.
func (c *civil) step(t []byte, s layoutStep) (rest []byte, ok bool) {
	switch s.verb {
	case 0:
		if len(t) < len(s.text) || string(t[:len(s.text)]) != s.text {
			return t, false
		}
		return t[len(s.text):], true
	case 'Y':
		return digits(t, 4, 4, &c.year)
	case 'y':
		t, ok = digits(t, 2, 2, &c.year)
		c.year += 1900
		if c.year < 1969 {
			c.year += 100
		}
		return t, ok
	case 'm':
		return digits(t, 1, 2, &c.month)
	case 'd':
		return digits(t, 1, 2, &c.day)
	case 'j':
		c.hasYday = true
		return digits(t, 1, 3, &c.yday)
	case 'H', 'I':
		return digits(t, 1, 2, &c.hour)
	case 'M':
		return digits(t, 1, 2, &c.minute)
	case 'S':
		return digits(t, 1, 2, &c.second)
	case 'f':
		return c.fraction(t)
	case 'p':
		return c.half(t)
	case 'b', 'B', 'a', 'A':
		return c.named(t, s.verb)
	case 's':
		return c.seconds(t)
	case 'z':
		return c.zone(t)
	}
	panic("BUG: layout verb " + string(s.verb))
}

// digits reads from least to most digits into v.
func digits(t []byte, least, most int, v *int) ([]byte, bool) {
	k := 0
	*v = 0
	for k < len(t) && k < most && t[k] >= '0' && t[k] <= '9' {
		*v = *v*10 + int(t[k]-'0')
		k++
	}
	return t[k:], k >= least
}

func (c *civil) fraction(t []byte) ([]byte, bool) {
	rest, ok := digits(t, 1, 9, &c.nano)
	for k := len(t) - len(rest); k < 9; k++ {
		c.nano *= 10
	}
	return rest, ok
}

func (c *civil) half(t []byte) ([]byte, bool) {
	if len(t) < 2 || t[1]|0x20 != 'm' || t[0]|0x20 != 'a' && t[0]|0x20 != 'p' {
		return t, false
	}
	c.hasPM, c.pm = true, t[0]|0x20 == 'p'
	return t[2:], true
}

// named reads the name of a month or weekday; letters' case does not count.
func (c *civil) named(t []byte, verb byte) ([]byte, bool) {
	count, name := 12, func(k int) string { return time.Month(k + 1).String() }
	if verb == 'a' || verb == 'A' {
		count, name = 7, func(k int) string { return time.Weekday(k).String() }
	}
	for k := range count {
		w := name(k)
		if verb == 'a' || verb == 'b' {
			w = w[:3]
		}
		if len(t) >= len(w) && strings.EqualFold(string(t[:len(w)]), w) {
			if count == 12 {
				c.month = k + 1
			}
			return t[len(w):], true
		}
	}
	return t, false
}

func (c *civil) seconds(t []byte) ([]byte, bool) {
	neg := len(t) > 0 && t[0] == '-'
	if neg {
		t = t[1:]
	}
	var v int
	rest, ok := digits(t, 1, 13, &v)
	if neg {
		v = -v
	}
	c.hasUnix, c.unix = true, int64(v)
	return rest, ok
}

func (c *civil) zone(t []byte) ([]byte, bool) {
	c.hasZone = true
	if len(t) > 0 && t[0] == 'Z' {
		return t[1:], true
	}
	if len(t) < 5 || t[0] != '+' && t[0] != '-' {
		return t, false
	}
	var h, m int
	rest, ok := digits(t[1:], 2, 2, &h)
	if ok && len(rest) > 0 && rest[0] == ':' {
		rest = rest[1:]
	}
	rest, ok2 := digits(rest, 2, 2, &m)
	c.offset = h*3600 + m*60
	if t[0] == '-' {
		c.offset = -c.offset
	}
	return rest, ok && ok2 && h < 24 && m < 60
}

// instant is the time of what was read, if there is such a day and hour.
func (c *civil) instant(zone *time.Location) (int64, bool) {
	if c.hasUnix {
		us, ok := mul64(c.unix, 1e6)
		within := int64(c.nano / 1000)
		return us + within, ok && us <= math.MaxInt64-within
	}
	if c.hasPM {
		if c.hour < 1 || c.hour > 12 {
			return 0, false
		}
		c.hour %= 12
		if c.pm {
			c.hour += 12
		}
	}
	if c.hasYday {
		if c.yday < 1 || c.yday > 366 {
			return 0, false
		}
		c.month, c.day = 1, 1
	}
	if c.month < 1 || c.month > 12 || c.day < 1 || c.day > 31 || c.hour > 23 || c.minute > 59 || c.second > 60 {
		return 0, false
	}
	if c.hasZone {
		zone = time.UTC
	}
	day := time.Date(c.year, time.Month(c.month), c.day+max(0, c.yday-1), 0, 0, 0, 0, time.UTC)
	if !c.hasYday && day.Day() != c.day || c.hasYday && day.Year() != c.year {
		return 0, false // 30 February, day 366 of a common year
	}
	clock := day.Unix() + int64(c.hour*3600+c.minute*60+c.second) // 60 is the second after 59
	return (unixOf(clock, zone)-int64(c.offset))*1e6 + int64(c.nano/1000), true
}

// unixOf is the moment at which clocks of a zone show what UTC shows at clock, in seconds. Where they are put back and show it twice, it is the
// first time; where they are put forward and never show it, it is as long after the change as the clock is behind it. The standard library
// leaves open which it is, and takes in the west what it does not take in the east.
func unixOf(clock int64, zone *time.Location) int64 {
	if zone == time.UTC {
		return clock
	}
	const day = 86400
	east := func(unix int64) int64 { _, s := time.Unix(unix, 0).In(zone).Zone(); return int64(s) }
	before, after := clock-east(clock-day), clock-east(clock+day)
	switch {
	case clock-east(before) == before || clock-east(after) != after:
		return before
	default:
		return after
	}
}
