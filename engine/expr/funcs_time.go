package expr

import (
	"time"
	_ "time/tzdata" // zones by name where the machine has no list of them

	"github.com/hashicorp/hcl/v2"
)

// timeFunctions are over timestamps. None of them knows what time it is.
func timeFunctions() []builtin {
	fs := []builtin{
		{name: "epoch", sig: "epoch(t timestamp, unit? constant \"s\", \"ms\", \"us\" or \"ns\") since 1970: number of seconds, or integer of the smaller units", check: checkEpoch},
		{name: "time_from", sig: "time_from(x number or integer since 1970, unit constant \"s\", \"ms\", \"us\" or \"ns\") timestamp", check: checkTimeFrom},
		{name: "parse_time", sig: "parse_time(s string, layout constant string such as \"%Y-%m-%d %H:%M:%S\", zone? constant string) timestamp; null if s is not so", check: checkParseTime},
		{name: "format_time", sig: "format_time(t timestamp, layout constant string such as \"%Y-%m-%d %H:%M:%S\", zone? constant string) string", check: checkFormatTime},
		{name: "trunc", sig: "trunc(t timestamp, length constant string such as \"5m\") timestamp", check: checkTrunc},
		{name: "duration", sig: "duration(length constant string such as \"5m\") number of seconds", check: checkDuration},
	}
	for _, f := range []struct {
		name, what string
		part       func(time.Time) int
	}{
		{"year", "", time.Time.Year},
		{"month", " from 1", func(t time.Time) int { return int(t.Month()) }},
		{"day", " of the month", time.Time.Day},
		{"hour", "", time.Time.Hour},
		{"minute", "", time.Time.Minute},
		{"second", "", time.Time.Second},
		{"weekday", " from 1, Monday, to 7, Sunday", func(t time.Time) int { return (int(t.Weekday())+6)%7 + 1 }},
	} {
		fs = append(fs, builtin{name: f.name, sig: f.name + "(t timestamp, zone? constant string such as \"Europe/Berlin\") integer" + f.what, check: checkPart(f.part)})
	}
	return fs
}

// unitOf is how many nanoseconds a unit has, 0 if there is no such unit.
func unitOf(s string) int64 {
	switch s {
	case "s":
		return 1e9
	case "ms":
		return 1e6
	case "us":
		return 1e3
	case "ns":
		return 1
	}
	return 0
}

func (c *checker) unit(s *callSite, i int) (int64, bool) {
	v, at, ok := s.takeConst(i)
	if !ok {
		return 1e9, true
	}
	u := unitOf(v.s)
	if u == 0 {
		c.errorf(at, "Unknown unit", "A unit is \"s\", \"ms\", \"us\" or \"ns\"; found %q. It is %s.", v.s, s.fn.sig)
	}
	return u, u != 0
}

func checkEpoch(c *checker, s *callSite) *node {
	if !c.params(s, "tS", 1) {
		return badNode(s.at)
	}
	u, ok := c.unit(s, 1)
	switch {
	case !ok:
		return badNode(s.at)
	case u == 1e9:
		return c.call(s, kNum, &callOp{run: epochSeconds})
	}
	return c.call(s, kInt, &callOp{run: epochUnits, aux: u})
}

func checkTimeFrom(c *checker, s *callSite) *node {
	if len(s.args) == 2 && s.args[0].k() == kInt {
		if !c.params(s, "iS", 0) {
			return badNode(s.at)
		}
		if u, ok := c.unit(s, 1); ok {
			return c.call(s, kTime, &callOp{run: timeFromInt, aux: u})
		}
		return badNode(s.at)
	}
	if !c.params(s, "nS", 0) {
		return badNode(s.at)
	}
	if u, ok := c.unit(s, 1); ok {
		return c.call(s, kTime, &callOp{run: timeFromNum, aux: u})
	}
	return badNode(s.at)
}

// timeFormat is a layout in a zone.
type timeFormat struct {
	steps []layoutStep
	zone  *time.Location
}

// zoneAt is the zone that argument i names; UTC if there is none.
func (c *checker) zoneAt(s *callSite, i int) *time.Location {
	v, at, ok := s.takeConst(i)
	if !ok {
		return time.UTC
	}
	return c.zone(v.s, at, s.fn.sig)
}

func (c *checker) zone(name string, at hcl.Range, sig string) *time.Location {
	z, err := time.LoadLocation(name)
	if err != nil || name == "Local" || name == "" {
		c.errorf(at, "Unknown time zone", "A zone is a name of the IANA list, such as \"Europe/Berlin\" or \"UTC\"; found %q. It is %s.", name, sig)
		return nil
	}
	return z
}

// timeFormat checks the layout and zone after the first argument.
func (c *checker) timeFormat(s *callSite) *timeFormat {
	zone := c.zoneAt(s, 2)
	v, at, _ := s.takeConst(1)
	steps, problem := parseLayout(v.s)
	if problem != "" {
		c.errorf(at, "Not a layout", "Found %q: %s. It is %s.", v.s, problem, s.fn.sig)
		return nil
	}
	if zone == nil {
		return nil
	}
	return &timeFormat{steps, zone}
}

func checkParseTime(c *checker, s *callSite) *node {
	if !c.params(s, "sSS", 1) {
		return badNode(s.at)
	}
	f := c.timeFormat(s)
	if f == nil {
		return badNode(s.at)
	}
	return c.call(s, kTime, &callOp{run: parseTime, aux: f})
}

func checkFormatTime(c *checker, s *callSite) *node {
	if !c.params(s, "tSS", 1) {
		return badNode(s.at)
	}
	f := c.timeFormat(s)
	if f == nil {
		return badNode(s.at)
	}
	return c.call(s, kText, &callOp{run: formatTime, aux: f})
}

// timePart is a part of the calendar in a zone.
type timePart struct {
	part func(time.Time) int
	zone *time.Location
}

func checkPart(part func(time.Time) int) func(c *checker, s *callSite) *node {
	return func(c *checker, s *callSite) *node {
		if !c.params(s, "tS", 1) {
			return badNode(s.at)
		}
		zone := c.zoneAt(s, 1)
		if zone == nil {
			return badNode(s.at)
		}
		return c.call(s, kInt, &callOp{run: partOfTime, aux: &timePart{part, zone}})
	}
}

// length reads argument i, a positive duration.
func (c *checker) length(s *callSite, i int) (us int64, ok bool) {
	v, at, _ := s.takeConst(i)
	us, ok = parseLength(v.s)
	if !ok {
		c.errorf(at, "Not a length of time", "A length of time is a whole number and one of us, ms, s, m, h, d, or several such, as in \"5m\" or \"1h30m\"; found %q. It is %s.", v.s, s.fn.sig)
	}
	return us, ok
}

// parseLength reads a length of time such as 5m, 1h30m, 90s, 1d; positive, us.
func parseLength(t string) (us int64, ok bool) {
	rest := []byte(t)
	for len(rest) > 0 {
		var v int
		if rest, ok = digits(rest, 1, 12, &v); !ok {
			return 0, false
		}
		k := 0
		for k < len(rest) && (rest[k] < '0' || rest[k] > '9') {
			k++
		}
		unit, ok := map[string]int64{"us": 1, "ms": 1e3, "s": 1e6, "m": 60e6, "h": 3600e6, "d": 86400e6}[string(rest[:k])]
		rest = rest[k:]
		part, fits := mul64(int64(v), unit)
		if us += part; !ok || !fits || us < 0 {
			return 0, false
		}
	}
	return us, us > 0
}

func checkTrunc(c *checker, s *callSite) *node {
	if !c.params(s, "tS", 0) {
		return badNode(s.at)
	}
	us, ok := c.length(s, 1)
	if !ok {
		return badNode(s.at)
	}
	return c.call(s, kTime, &callOp{run: truncTime, aux: us})
}

func checkDuration(c *checker, s *callSite) *node {
	if !c.params(s, "S", 0) {
		return badNode(s.at)
	}
	us, ok := c.length(s, 0)
	if !ok {
		return badNode(s.at)
	}
	return constNode(kNum, value{f: float64(us) / 1e6}, s.at)
}
